//! `SCAN` over the nodes of a cluster, one after the other.
//!
//! A cursor is the node's own cursor, shifted, with the node's number in the low bits.

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Arg, Cmd, ErrorKind, RedisResult, Value};

/// Bits for the number of a node.
const NODE_BITS: u32 = 10;

/// Whether a command is a scan of the keyspace.
pub(super) fn is_scan(cmd: &Cmd) -> bool {
    matches!(cmd.args_iter().next(), Some(Arg::Simple(name)) if name.eq_ignore_ascii_case(b"SCAN"))
}

/// One step of a scan over the whole cluster.
pub(super) async fn step(connection: &mut ClusterConnection, cmd: &Cmd) -> RedisResult<Value> {
    let args: Vec<&[u8]> = cmd
        .args_iter()
        .filter_map(|arg| match arg {
            Arg::Simple(bytes) => Some(bytes),
            _ => None,
        })
        .collect();
    let cursor = args.get(1).copied().and_then(number);
    let Some(cursor) = cursor else {
        // Not a number: the error is the server's to tell.
        return send(connection, cmd.clone(), SingleNodeRoutingInfo::Random).await;
    };
    let nodes = primaries(connection).await?;
    let node = (cursor & ((1 << NODE_BITS) - 1)) as usize;
    let Some((host, port)) = nodes.get(node).cloned() else {
        // The cluster has shrunk since the last step.
        return Ok(reply(0, Value::Array(Vec::new())));
    };
    let mut forward = Cmd::new();
    forward.arg(args[0]).arg(cursor >> NODE_BITS);
    for arg in &args[2..] {
        forward.arg(*arg);
    }
    let route = SingleNodeRoutingInfo::ByAddress { host, port };
    let answer = send(connection, forward, route).await?;
    let Value::Array(parts) = answer else {
        return Ok(answer);
    };
    let Ok([next, keys]) = <[Value; 2]>::try_from(parts) else {
        return Err((
            ErrorKind::UnexpectedReturnType,
            "SCAN answered unexpectedly",
        )
            .into());
    };
    let next = match &next {
        Value::BulkString(text) => number(text).unwrap_or(0),
        _ => 0,
    };
    let last = node + 1 >= nodes.len().min(1 << NODE_BITS);
    let next = match (next, last) {
        (0, true) => 0,
        (0, false) => node as u64 + 1,
        (next, _) => {
            next.checked_mul(1 << NODE_BITS)
                .ok_or((ErrorKind::UnexpectedReturnType, "SCAN cursor too large"))?
                + node as u64
        }
    };
    Ok(reply(next, keys))
}

fn reply(cursor: u64, keys: Value) -> Value {
    let cursor = Value::BulkString(cursor.to_string().into_bytes());
    Value::Array(vec![cursor, keys])
}

async fn send(
    connection: &mut ClusterConnection,
    cmd: Cmd,
    route: SingleNodeRoutingInfo,
) -> RedisResult<Value> {
    connection
        .route_command(cmd, RoutingInfo::SingleNode(route))
        .await
}

/// The addresses of all primaries, always in the same order.
async fn primaries(connection: &mut ClusterConnection) -> RedisResult<Vec<(String, u16)>> {
    let mut slots = Cmd::new();
    slots.arg("CLUSTER").arg("SLOTS");
    let slots = send(connection, slots, SingleNodeRoutingInfo::Random).await?;
    let mut nodes = Vec::new();
    if let Value::Array(ranges) = slots {
        nodes.extend(ranges.iter().filter_map(primary));
    }
    nodes.sort();
    nodes.dedup();
    Ok(nodes)
}

/// The primary of `[from, to, [host, port, …], …]`.
fn primary(range: &Value) -> Option<(String, u16)> {
    let Value::Array(range) = range else {
        return None;
    };
    let Value::Array(node) = range.get(2)? else {
        return None;
    };
    match (node.first()?, node.get(1)?) {
        (Value::BulkString(host), Value::Int(port)) => {
            let host = String::from_utf8(host.clone()).ok()?;
            Some((host, u16::try_from(*port).ok()?))
        }
        _ => None,
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
