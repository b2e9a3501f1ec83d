//! A blocking socket that repeats one ready request: what no client can beat.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::failure::Failure;
use crate::store::TOKEN;

/// A request as bytes and the length of its reply.
#[derive(Debug)]
pub(crate) struct Bare {
    stream: TcpStream,
    request: Vec<u8>,
    reply: usize,
    buffer: Vec<u8>,
}

impl Bare {
    /// Connects and learns the length of the reply from the first one.
    pub(crate) fn new(addr: &str, path: &str, body: &str) -> Result<Self, Failure> {
        Self::connect(addr, path, body)
            .map_err(|error| Failure::new(format!("the bare socket failed: {error}")))
    }

    fn connect(addr: &str, path: &str, body: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\nupstash-encoding: base64\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut bare = Self {
            stream,
            request: request.into_bytes(),
            reply: 0,
            buffer: vec![0; 1 << 20],
        };
        bare.stream.write_all(&bare.request)?;
        let mut read = 0;
        while bare.reply == 0 || read < bare.reply {
            read += bare.read(read)?;
            bare.reply = reply_length(&bare.buffer[..read]).unwrap_or_default();
        }
        Ok(bare)
    }

    fn read(&mut self, at: usize) -> std::io::Result<usize> {
        match self.stream.read(&mut self.buffer[at..])? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// Requests a second, one after another.
    pub(crate) fn rate(&mut self, time: Duration, step: u64) -> Result<f64, Failure> {
        let mut broken = None;
        let rate = crate::contest::rate(time, step, || {
            if let Err(error) = self.turn() {
                broken = Some(error);
            }
        });
        match broken {
            None => Ok(rate),
            Some(error) => Err(Failure::new(format!("the bare socket failed: {error}"))),
        }
    }

    fn turn(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.request)?;
        let mut read = 0;
        while read < self.reply {
            read += self.read(read)?;
        }
        Ok(())
    }
}

/// Bytes of head and body, once the head is complete.
fn reply_length(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let head = text.find("\r\n\r\n")?;
    let length = text[..head].split("content-length: ").nth(1)?;
    let length: usize = length.split("\r\n").next()?.parse().ok()?;
    Some(head + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_as_long_as_its_head_says() {
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello";
        assert_eq!(reply_length(reply), Some(reply.len()));
        assert_eq!(reply_length(&reply[..20]), None);
    }
}
