//! `restis token new`: a service token for the functions.

use std::io::Write as _;

use clap::{Args, Subcommand};
use restis::variables::{Variables, get};
use restis_handlers::auth::{ServiceTokens, TokenEntry};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  restis token new --name web --scope ratelimit,session --org acme
  restis token new --name ops --scope '*'

With RESTIS_SERVICE_TOKENS set, the printed variable keeps the tokens it has. To replace a token
without downtime: add the new one and deploy, give it to the caller, then take the old one out.";

const VARIABLE: &str = "RESTIS_SERVICE_TOKENS";

/// What is done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; print it once, with the variable that stores its digest
    #[command(after_help = EXAMPLES)]
    New(TokenArgs),
}

/// Options of `restis token new`.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// Who will use it, for logs
    #[arg(long)]
    name: String,
    /// What it allows: ratelimit, session, events, metrics, or one scope such as events:read; by commas
    #[arg(long, required = true, value_delimiter = ',')]
    scope: Vec<String>,
    /// An organisation that it is bound to; may be repeated. All of them when absent
    #[arg(long, value_delimiter = ',')]
    org: Vec<String>,
}

/// Does what is asked with tokens.
pub(crate) fn run(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::New(args) => new(args),
    }
}

/// Makes a token and prints it once, with the variable that lets the functions accept it.
fn new(args: &TokenArgs) -> Result<(), Failure> {
    let secret = restis_server::random_token().map_err(Failure::new)?;
    // The prefix lets scanners of repositories find a token that slipped in.
    let token = format!("restis_{secret}");
    let entry = TokenEntry::new(&args.name, &token, &args.scope, &args.org)
        .map_err(|error| Failure::usage(format!("--scope, --name: {error}")))?;
    let mut entries = known()?;
    if entries.iter().any(|known| known.name() == args.name) {
        return Err(Failure::usage(format!(
            "{VARIABLE} has a token `{0}` already; to replace it, choose a new name such as `{0}-2`",
            args.name
        )));
    }
    let others = entries.len();
    entries.push(entry);
    let json = serde_json::to_string(&entries).map_err(Failure::new)?;
    let kept = match others {
        0 => String::new(),
        1 => " (the one that is set, and the new one)".to_owned(),
        n => format!(" (the {n} that are set, and the new one)"),
    };
    let text = format!(
        "Token, shown only now; give it to the caller:\n\n  {token}\n\n\
         Variable of the functions{kept}; it holds digests only:\n\n  {VARIABLE}='{json}'\n"
    );
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(format!("cannot print the token: {error}")))
}

/// The entries that the environment has.
fn known() -> Result<Vec<TokenEntry>, Failure> {
    let vars = Variables::new(&get);
    let json = vars.text(VARIABLE);
    if let Some(problem) = vars.into_problems().first() {
        return Err(Failure::usage(problem));
    }
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    let wrong = |error: String| Failure::usage(format!("{VARIABLE}: {error}"));
    ServiceTokens::parse(&json).map_err(wrong)?;
    serde_json::from_str(&json).map_err(|error| wrong(error.to_string()))
}
