//! `restis config`: what is configured, from where, and what is wrong.

mod effective;
mod init;
mod problems;
mod table;

use std::io::Write as _;

use clap::{Args, Subcommand};
use restis::variables::EnvFiles;
use serde_json::{Value, json};

use self::effective::{Effective, Source};
use crate::failure::Failure;

pub(crate) const EXAMPLES: &str = "\
Values come, highest first, from the environment of the process, .env.ENV.local, .env.local,
.env.ENV and .env of this directory; ENV is development, staging or production, by the first of
APP_ENV, VERCEL_ENV and NODE_ENV that is set. Secrets are not shown.

Examples:
  restis config                what is set, and every problem
  restis config --all --json   every variable, for programs
  restis config init           write .env.example, which names them all
  APP_ENV=production restis config

Exit codes:
  0  nothing is wrong     1  a program would not start with it     2  wrong usage";

/// Options of `restis config`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: Option<ConfigCommand>,
    /// List the variables that are not set too, with their defaults
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a file that names every variable, as comments
    Init(init::InitArgs),
    /// Print the table of all variables
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Does what is asked with the configuration.
pub(crate) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    match &args.command {
        None => show(args),
        Some(ConfigCommand::Init(args)) => init::run(args),
        Some(ConfigCommand::List { json }) => list(*json),
    }
}

/// Prints the effective configuration; a failure without a sentence when it has a problem.
fn show(args: &ConfigArgs) -> Result<(), Failure> {
    let files = EnvFiles::of_process();
    let report = Report {
        files,
        effective: effective::all(files),
        problems: problems::all(files),
        notes: problems::notes(files),
    };
    let text = match args.json {
        true => format!("{:#}\n", report.json()),
        false => report.text(args.all),
    };
    print(&text)?;
    match report.problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::told(1)),
    }
}

/// Prints the table of all variables, as docs/reference/CONFIG.md has it.
fn list(as_json: bool) -> Result<(), Failure> {
    if !as_json {
        return print(&table::markdown());
    }
    let rows = table::GROUPS.iter().flat_map(|group| {
        group.variables.iter().map(|variable| {
            json!({
                "name": variable.name,
                "group": table::bare(group.title),
                "form": table::bare(variable.form),
                "default": table::bare(variable.default),
                "meaning": table::bare(variable.meaning),
                "read_by": table::bare(group.read_by),
            })
        })
    });
    print(&format!("{:#}\n", rows.collect::<Value>()))
}

fn print(text: &str) -> Result<(), Failure> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(format!("cannot print: {error}")))
}

struct Report<'f> {
    files: &'f EnvFiles,
    effective: Vec<Effective<'f>>,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Report<'_> {
    fn environment(&self) -> &'static str {
        self.files.environment().map_or("unknown", |e| e.name())
    }

    fn text(&self, all: bool) -> String {
        let files: Vec<&str> = self.files.names().collect();
        let files = match files.is_empty() {
            true => "none".to_owned(),
            false => files.join(", "),
        };
        let mut lines = vec![
            format!("environment  {}", self.environment()),
            format!("files        {files}"),
        ];
        let shown = |one: &&Effective<'_>| all || one.value.is_some();
        let mut title = "";
        for one in self.effective.iter().filter(shown) {
            if one.group.title != title {
                title = one.group.title;
                lines.push(format!("\n{}", table::bare(title)));
            }
            let name = one.variable.name;
            let (value, source) = match (&one.value, one.source) {
                (Some(value), Source::Process) => (value.clone(), "environment".to_owned()),
                (Some(value), Source::File { name, line }) => {
                    (value.clone(), format!("{name}:{line}"))
                }
                (Some(value), Source::Default) => (value.clone(), String::new()),
                (None, _) if one.variable.default.is_empty() => {
                    ("–".to_owned(), "not set".to_owned())
                }
                (None, _) => (table::bare(one.variable.default), "default".to_owned()),
            };
            lines.push(format!("  {name:<28} {value}   ({source})"));
        }
        let unset = self.effective.iter().filter(|one| one.value.is_none());
        if !all {
            let unset = unset.count();
            lines.push(format!(
                "\n{unset} variables are not set; --all lists them with their defaults"
            ));
        }
        for (what, texts) in [("Notes", &self.notes), ("Problems", &self.problems)] {
            if !texts.is_empty() {
                lines.push(format!("\n{what}"));
                lines.extend(texts.iter().map(|text| format!("  - {text}")));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let variables = self.effective.iter().map(|one| {
            let (source, file, line) = match one.source {
                Source::Process => ("environment", None, None),
                Source::File { name, line } => ("file", Some(name), Some(line)),
                Source::Default => ("default", None, None),
            };
            json!({
                "name": one.variable.name,
                "group": table::bare(one.group.title),
                "value": one.value,
                "secret": one.variable.shown == table::Shown::Secret,
                "source": source,
                "file": file,
                "line": line,
                "form": table::bare(one.variable.form),
                "default": table::bare(one.variable.default),
            })
        });
        json!({
            "environment": self.environment(),
            "files": self.files.names().collect::<Vec<_>>(),
            "variables": variables.collect::<Value>(),
            "notes": self.notes,
            "problems": self.problems,
        })
    }
}
