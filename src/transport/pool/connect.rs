//! A connection to whichever address of a server answers first.
use std::{io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::net::TcpStream;

/// How long one address may be silent before the next is tried beside it, as
/// [RFC 8305](https://www.rfc-editor.org/rfc/rfc8305#section-8) recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The first connection that is made; attempts that are slow go on meanwhile.
///
/// # Errors
/// The last error, once every address has failed.
pub(super) async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    loop {
        attempts.extend(waiting.next().map(TcpStream::connect));
        let outcome = if waiting.len() == 0 {
            attempts.next().await
        } else {
            match tokio::time::timeout(ATTEMPT_DELAY, attempts.next()).await {
                Ok(outcome) => outcome,
                Err(_) => continue,
            }
        };
        match outcome {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last = error,
            None => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::net::TcpListener;

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_refusing_address_is_passed_over() {
        let (closed, refusing) = listening();
        drop(closed);
        let (_open, answering) = listening();
        let stream = first_of(vec![refusing, refusing, answering]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), answering);
        let error = first_of(vec![refusing, refusing]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = first_of(Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    /// A full queue of connections swallows packets, like a network that is down.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next_one() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let patience = Duration::from_millis(100);
        let mut held = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&silent, patience) {
            held.push(stream);
        }
        let (_open, answering) = listening();
        let stream = first_of(vec![silent, silent, answering]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), answering);
    }
}
