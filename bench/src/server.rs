//! `restis-bench server`: the REST server beside a minimal axum server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;

use crate::args::Common;
use crate::contest::{Side, contest, say};
use crate::failure::Failure;
use crate::runtime::event_loop;
use crate::store::{Store, TOKEN};
use crate::wrk::Wrk;

const VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const COMMAND: &str = r#"["GET","k"]"#;
const CONNECTIONS: [usize; 3] = [1, 16, 64];
const PIPELINE: usize = 100;

pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let store = Store::start()?;
    let yardstick = Yardstick::start()?;
    let redis = restis::Redis::builder(store.url(), TOKEN)
        .build()
        .map_err(crate::ours::failed)?;
    event_loop()?
        .block_on(async { restis::commands::StringCommands::set(&redis, "k", VALUE).await })
        .map_err(crate::ours::failed)?;
    let pipeline = format!("[{}]", vec![COMMAND; PIPELINE].join(","));
    let requests = [
        ("GET", "/", COMMAND, 1),
        ("pipeline of 100 GETs", "/pipeline", &pipeline, PIPELINE),
    ];
    for (name, path, body, commands) in requests {
        for connections in CONNECTIONS {
            let wrk = |url: &str| Wrk::find(&format!("{url}{path}"), body, connections);
            let (Some(mut ours), Some(mut theirs)) = (wrk(store.url())?, wrk(&yardstick.url)?)
            else {
                return say("wrk is not installed: apt install wrk\n");
            };
            let commands = commands as f64;
            let bar = if commands > 1.0 { 0.7 } else { 0.8 };
            let sides = vec![
                Side::new("restis serve", |time| Ok(ours.rate(time)? * commands)),
                Side::new("axum, constant answer", |time| {
                    Ok(theirs.rate(time)? * commands)
                })
                .bar(bar),
            ];
            let title = format!("{name}, {connections} connections, one server thread");
            contest(&title, common.seconds, sides)?;
        }
    }
    Ok(())
}

/// The yardstick as a process of its own; ends when dropped.
struct Yardstick {
    child: Child,
    url: String,
}

impl Yardstick {
    fn start() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("no yardstick: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .arg("yardstick")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut url = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut url).map_err(failed)?;
        }
        let url = url.trim_end().to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const REPLY: &str = r#"{"result":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg=="}"#;

async fn command(body: Bytes) -> impl IntoResponse {
    let parsed: Result<Vec<&str>, _> = serde_json::from_slice(&body);
    let reply = if parsed.is_ok() { REPLY } else { "{}" };
    ([(CONTENT_TYPE, "application/json")], reply)
}

async fn pipeline(body: Bytes) -> impl IntoResponse {
    let parsed: Result<Vec<Vec<&str>>, _> = serde_json::from_slice(&body);
    let replies = vec![REPLY; parsed.map_or(0, |commands| commands.len())];
    let body = format!("[{}]", replies.join(","));
    ([(CONTENT_TYPE, "application/json")], body)
}

/// Serves a constant answer to each command of a parsed request, on one thread.
pub(crate) fn yardstick() -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("the yardstick: {error}"));
    let app = axum::Router::new()
        .route("/", post(command))
        .route("/pipeline", post(pipeline));
    event_loop()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let mut out = std::io::stdout();
        writeln!(out, "http://{addr}").map_err(failed)?;
        axum::serve(listener, app).await.map_err(failed)
    })
}
