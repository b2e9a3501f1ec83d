//! A rate-limit decision in workerd, beside JavaScript peers in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::args::Common;
use crate::contest::say;
use crate::failure::Failure;
use crate::program::Program;

/// Options of `edge`.
#[derive(Debug, Args)]
pub(crate) struct EdgeArgs {
    #[command(flatten)]
    common: Common,
    /// The directory that `.ci/wasm DIR` has filled
    #[arg(long, value_name = "DIR", default_value = "target/edge")]
    edge: PathBuf,
}

pub(crate) fn run(args: &EdgeArgs) -> Result<(), Failure> {
    let modules = &args.common.node_modules;
    let peers = ["@upstash/ratelimit", "@upstash/redis", "esbuild"];
    if let Some(missing) = peers.iter().find(|name| !modules.join(name).is_dir()) {
        return say(&format!(
            "{missing} is not in {}: npm install {}, then --node-modules DIR\n",
            modules.display(),
            peers.join(" ")
        ));
    }
    if !args.edge.join("edge_limiter_bg.wasm").is_file() {
        let edge = args.edge.display();
        return say(&format!("{edge} has no program: .ci/wasm {edge}\n"));
    }
    let failed = |error: std::io::Error| Failure::new(format!("node: {error}"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/edge.mjs");
    let status = Command::new("node")
        .arg(script)
        .env("RESTIS_BIN", Program::Restis.path()?)
        .env("RESTIS_APP", Program::App.path()?)
        .env("RESTIS_EDGE", args.edge.canonicalize().map_err(failed)?)
        .env("BENCH_MODULES", modules.canonicalize().map_err(failed)?)
        .env("BENCH_ROUNDS", args.common.seconds.rounds.to_string())
        .status()
        .map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new("the script failed"))
}
