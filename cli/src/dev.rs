//! `restis dev`: the REST server and the functions in one process.

use crate::args::{DevArgs, Failure};
use crate::banner::{self, Banner};
use crate::{logs, serve, signals};

pub(crate) fn run(args: &DevArgs) -> Result<(), Failure> {
    logs::start(&args.serve.log, args.serve.log_json)?;
    let started = serve::start(&args.serve)?;
    let functions = functions(args, &started)?;
    if !args.serve.quiet {
        banner::print(&Banner {
            running: &started.running,
            token: started.token.as_deref(),
            functions,
            store: started.store,
        });
    }
    signals::serve_until_signal(&started.running)
}

/// Starts the functions on the store that was just started; returns their base URL.
fn functions(_args: &DevArgs, _started: &serve::Started) -> Result<Option<String>, Failure> {
    Ok(None)
}
