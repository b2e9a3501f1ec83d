//! The command line.

pub(crate) mod server;

use std::any::TypeId;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use restis::variables::EnvFiles;

use self::server::{DevArgs, SERVE_EXAMPLES, ServeArgs};
use crate::failure::Failure;
#[cfg(feature = "packaging")]
use crate::packaging;
use crate::{cache, check, config, dev, inspect, repair, run, serve, token, transfer};

const ABOUT: &str = "Redis over REST: a local Upstash, a gateway for any Redis, and functions";

const EXAMPLES: &str = "\
Examples:
  restis                                        a store and the functions, for development
  restis serve --token secret                   the REST server alone, one database
  restis serve --token a --token b              two databases, one token each
  restis serve --redis rediss://user:pw@host    REST in front of your own Redis
  restis serve --resp 127.0.0.1:6379            the Redis protocol on the same store
  restis serve --console                        pages that show the store in a browser
  restis serve --data ./store                   a store that survives restarts
  restis serve --fault latency=50ms,error=2%    a store that misbehaves, to test clients
  restis repair ./store                         damaged files of a store, as far as they go
  restis token new --name web --scope session   a service token for the functions
  restis export backup.jsonl                    all keys as a file; restis import reads it
  restis check                                  does the database do what the functions need
  restis stat                                   what a database does, line by line
  restis keys --by-prefix                       what fills its memory
  restis config                                 what is configured, from where, and what is wrong

Point any Upstash client at it:
  export UPSTASH_REDIS_REST_URL=http://127.0.0.1:8079 UPSTASH_REDIS_REST_TOKEN=secret

Exit codes:
  0  stopped by Ctrl-C or SIGTERM     2  wrong usage
  1  could not start or save          3  the address is taken by another program";

#[derive(Debug, Parser)]
#[command(name = "restis", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: DevArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the REST server and the functions for development (the default)
    Dev(DevArgs),
    /// Run a command with a store of its own, and end with it
    #[command(after_help = run::EXAMPLES)]
    Run(run::RunArgs),
    /// Run the REST server alone
    #[command(after_long_help = SERVE_EXAMPLES, after_help = "More, with examples: restis serve --help")]
    Serve(ServeArgs),
    /// Check that a database does what the functions need; tell what to do if not
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Write all keys of a database to a file
    #[command(after_help = transfer::EXPORT_EXAMPLES)]
    Export(transfer::ExportArgs),
    /// Write the keys of an export into a database
    #[command(after_help = transfer::IMPORT_EXAMPLES)]
    Import(transfer::ImportArgs),
    /// Show what a database does: commands a second, hits, memory, slow commands
    #[command(after_help = inspect::STAT_EXAMPLES)]
    Stat(inspect::StatArgs),
    /// Show which keys and prefixes fill the memory
    #[command(after_help = inspect::KEYS_EXAMPLES)]
    Keys(inspect::KeysArgs),
    /// Show what is configured, where it comes from and what is wrong
    #[command(after_help = config::EXAMPLES, args_conflicts_with_subcommands = true)]
    Config(config::ConfigArgs),
    /// Count, fill and clear what is cached
    #[command(after_help = cache::EXAMPLES)]
    Cache {
        #[command(subcommand)]
        command: cache::CacheCommand,
    },
    /// Make the damaged files of a store loadable again; says what is lost
    Repair(repair::RepairArgs),
    /// Write completions and manual pages into a directory
    #[cfg(feature = "packaging")]
    #[command(hide = true)]
    Packaging(packaging::PackagingArgs),
    /// Make service tokens for the functions
    Token {
        #[command(subcommand)]
        command: token::TokenCommand,
    },
}

/// The command line; an empty variable counts as unset, and `.env` files yield defaults.
fn command() -> clap::Command {
    fn of_environment(arg: Arg) -> Arg {
        let Some(name) = arg.get_env() else {
            return arg;
        };
        if let Some(value) = std::env::var_os(name) {
            return match value.is_empty() {
                true => arg.env(Resettable::Reset),
                false => arg,
            };
        }
        let found = name
            .to_str()
            .and_then(|name| EnvFiles::of_process().get(name));
        match found.map(|found| found.value.trim()) {
            // It may be a secret.
            Some(value) if !value.is_empty() => arg.default_value(value).hide_default_value(true),
            _ => arg,
        }
    }
    /// `dev` speaks plain HTTP: what it refuses is in no help of it.
    fn plain(command: clap::Command) -> clap::Command {
        let hidden = |arg: Arg| arg.hide(true);
        command
            .mut_arg("tls_cert", hidden)
            .mut_arg("tls_key", hidden)
    }
    let command = plain(Cli::command()).mut_subcommand("dev", plain);
    // Without a name the command is `dev`; the variables of `dev` are not those of the others.
    let named = named(&command).is_some();
    let own = |arg: Arg| match named {
        true => arg.env(Resettable::Reset),
        false => of_environment(arg),
    };
    command
        .mut_args(own)
        .mut_subcommands(|command| command.mut_args(of_environment))
}

/// The command that is named.
fn named(command: &clap::Command) -> Option<&clap::Command> {
    let name = std::env::args_os().nth(1)?;
    command.get_subcommands().find(|one| name == one.get_name())
}

/// A problem of the first variable that is no UTF-8, which the parser would report without its name.
fn damaged(command: &clap::Command) -> Option<String> {
    let is_path = |arg: &Arg| arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let texts = command.get_arguments().filter(|arg| !is_path(arg));
    let name = texts.filter_map(Arg::get_env).find(|name| {
        let value = std::env::var_os(name);
        value.is_some_and(|value| value.to_str().is_none())
    });
    name.map(|name| format!("{}: is not UTF-8", name.display()))
}

/// The first problem of the variables of `restis serve`.
pub(crate) fn serve_problem() -> Option<String> {
    let mut command = command();
    if let Some(problem) = command.find_subcommand("serve").and_then(damaged) {
        return Some(problem);
    }
    let parsed = command.try_get_matches_from_mut(["restis", "serve"]);
    let text = parsed.err()?.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    Some(format!("restis serve: {first}"))
}

/// Parses the command line and runs what it says.
pub(crate) fn run() -> ExitCode {
    let mut command = command();
    if let Some(problem) = damaged(named(&command).unwrap_or(&command)) {
        return Failure::usage(problem).report();
    }
    let cli = Cli::from_arg_matches(&command.get_matches_mut())
        .unwrap_or_else(|error| error.format(&mut command).exit());
    let outcome = match cli.command {
        None => dev::run(&cli.dev),
        Some(Command::Dev(args)) => dev::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Check(args)) => match check::run(&args) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Some(Command::Run(args)) => match run::run(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(failure) => Err(failure),
        },
        Some(Command::Export(args)) => transfer::export(&args),
        Some(Command::Import(args)) => transfer::import(&args),
        Some(Command::Stat(args)) => inspect::stat(&args),
        Some(Command::Keys(args)) => inspect::keys(&args),
        Some(Command::Config(args)) => config::run(&args),
        Some(Command::Cache { command }) => cache::run(&command),
        #[cfg(feature = "packaging")]
        // As it is everywhere: nothing of this machine's environment.
        Some(Command::Packaging(args)) => packaging::run(Cli::command(), &args),
        Some(Command::Repair(args)) => repair::run(&args),
        Some(Command::Token { command }) => token::run(&command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
