//! Calls to a cluster, sent again only when nothing was executed.
//!
//! The Redis crate would also send a call again after its connection broke, when it may have
//! been executed: its own retries are off, and those that are safe are made here.

use std::time::Duration;

use redis::aio::ConnectionLike as _;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::SingleNodeRoutingInfo;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use super::scan;

/// Attempts of one call.
const ATTEMPTS: u32 = 6;
/// Pause before the second attempt; it grows with each.
const PAUSE: Duration = Duration::from_millis(20);

/// What a failed attempt allows.
enum Next {
    /// Nothing was executed: the same again.
    Again,
    /// The slot is on its way to this node, which must be asked explicitly.
    Ask(String, u16),
    /// It may have been executed, or would fail again.
    GiveUp,
}

fn next(error: &RedisError) -> Next {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::Ask) => match error.redirect_node() {
            Some((address, _)) => ask(address),
            None => Next::GiveUp,
        },
        ErrorKind::ClusterConnectionNotFound
        | ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::ReadOnly,
        ) => Next::Again,
        _ if error.is_connection_refusal() => Next::Again,
        _ => Next::GiveUp,
    }
}

fn ask(address: &str) -> Next {
    address
        .rsplit_once(':')
        .and_then(|(host, port)| Some(Next::Ask(host.to_owned(), port.parse().ok()?)))
        .unwrap_or(Next::GiveUp)
}

/// Runs one command.
pub(super) async fn command(connection: &mut ClusterConnection, cmd: &Cmd) -> RedisResult<Value> {
    let mut attempt = 1;
    loop {
        let outcome = if scan::is_scan(cmd) {
            scan::step(connection, cmd).await
        } else {
            connection.req_packed_command(cmd).await
        };
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        match next(&error) {
            Next::Ask(host, port) => return asking(connection, cmd, host, port).await,
            Next::Again if attempt < ATTEMPTS => tokio::time::sleep(PAUSE * attempt).await,
            _ => return Err(error),
        }
        attempt += 1;
    }
}

/// Runs one command on a node that takes the slot over just now.
async fn asking(
    connection: &mut ClusterConnection,
    cmd: &Cmd,
    host: String,
    port: u16,
) -> RedisResult<Value> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.cmd("ASKING").add_command(cmd.clone());
    let route = SingleNodeRoutingInfo::ByAddress { host, port };
    let values = connection.route_pipeline(pipeline, 0, 2, route).await?;
    Ok(values.into_iter().next_back().unwrap_or(Value::Nil))
}

/// Runs a transaction, whose commands all concern one slot.
///
/// Every error that is looked at here came before `EXEC`, which then executes nothing.
pub(super) async fn transaction(
    connection: &mut ClusterConnection,
    commands: &Pipeline,
) -> RedisResult<Vec<Value>> {
    let mut attempt = 1;
    loop {
        let outcome = connection
            .req_packed_commands(commands, 0, commands.len())
            .await;
        match outcome {
            Err(error) if attempt < ATTEMPTS && matches!(next(&error), Next::Again) => {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            outcome => return outcome,
        }
        attempt += 1;
    }
}
