//! Subscriptions and the monitor feed of a Redis, each on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use redis::{Msg, RedisError, RedisResult};
use restis_engine::{Frame, Sink as _};
use tokio::task::JoinSet;

use super::convert;
use super::link::Links;
use crate::backend::{Frames, Guard};
use crate::backlog::Pool;
use crate::texts::Failure;

/// Time for a connection and its subscriptions.
const OPEN: Duration = Duration::from_secs(5);

pub(super) async fn subscribe(
    links: &Links,
    channels: Vec<Bytes>,
    patterns: Vec<Bytes>,
    pool: &Arc<Pool>,
) -> Result<(Frames, Guard), Failure> {
    let opening = async {
        let client = links.client().await?;
        let mut connection = client.get_async_pubsub().await?;
        for channel in &channels {
            connection.subscribe(channel.as_ref()).await?;
        }
        for pattern in &patterns {
            connection.psubscribe(pattern.as_ref()).await?;
        }
        RedisResult::Ok(connection)
    };
    let connection = open(opening).await?;
    let (queue, queued) = pool.queue();
    let mut count = 0;
    for channel in channels {
        count += 1;
        queue.push(Frame::Subscribed { channel, count });
    }
    for pattern in patterns {
        count += 1;
        queue.push(Frame::PatternSubscribed { pattern, count });
    }
    let mut messages = connection.into_on_message();
    // The connection keeps whatever is not read; read on, so that the bounds of the queue hold.
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        while let Some(message) = messages.next().await {
            if !queue.push(frame(&message)) {
                return;
            }
        }
        queue.end();
    });
    Ok((Box::pin(queued), Box::new(reading)))
}

fn frame(message: &Msg) -> Frame {
    let payload = Bytes::copy_from_slice(message.get_payload_bytes());
    let channel: Vec<u8> = message.get_channel().unwrap_or_default();
    let channel = Bytes::from(channel);
    match message.get_pattern::<Option<Vec<u8>>>() {
        Ok(Some(pattern)) => Frame::PatternMessage {
            pattern: Bytes::from(pattern),
            channel,
            payload,
        },
        _ => Frame::Message { channel, payload },
    }
}

pub(super) async fn monitor(links: &Links) -> Result<(Frames, Guard), Failure> {
    if links.is_cluster() {
        return Err(Failure::bad_request(
            "ERR MONITOR is not available over a Redis Cluster",
        ));
    }
    let opening = async { links.client().await?.get_async_monitor().await };
    let connection = open(opening).await?;
    let first = Frame::Monitor(Bytes::from_static(b"\"OK\""));
    let lines = connection
        .into_on_message::<String>()
        .map(|line| Frame::Monitor(Bytes::from(line)));
    Ok((Box::pin(stream::iter([first]).chain(lines)), Box::new(())))
}

async fn open<T>(opening: impl Future<Output = RedisResult<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(OPEN, opening).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            let failure = convert::unreachable(&error);
            match convert::failure(error) {
                // The Redis answered and refused, for want of a permission for instance.
                Ok(restis_engine::Reply::Error(error)) => {
                    Err(Failure::bad_request(error.message().to_owned()))
                }
                _ => Err(failure),
            }
        }
        Err(_) => {
            let error: RedisError = std::io::Error::from(std::io::ErrorKind::TimedOut).into();
            Err(convert::unreachable(&error))
        }
    }
}
