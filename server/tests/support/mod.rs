//! A plain HTTP client and servers to talk to.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::format_push_string,
    reason = "tests share it in parts"
)]

pub(crate) mod redis;
pub(crate) mod resp;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use restis_server::{Running, Server};

pub(crate) const TOKEN: &str = "TOKEN";
pub(crate) const AUTH: (&str, &str) = ("Authorization", "Bearer TOKEN");
pub(crate) const BASE64: (&str, &str) = ("Upstash-Encoding", "base64");
pub(crate) const RESP2: (&str, &str) = ("Upstash-Response-Format", "resp2");

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A server over the embedded engine with one token.
pub(crate) fn engine_server() -> Running {
    Server::builder()
        .token(TOKEN)
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap()
}

/// A server over a Redis with one token.
pub(crate) fn redis_server(url: &str) -> Running {
    Server::builder()
        .redis(TOKEN, url)
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap()
}

/// One connection that carries several requests.
pub(crate) struct Connection {
    pub(crate) reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr) -> Self {
        Self::try_open(addr).unwrap()
    }

    pub(crate) fn try_open(addr: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        // A server that refuses a body may close before all of it is sent.
        let _ = self.reader.get_mut().write_all(&bytes);
    }

    pub(crate) fn head(&mut self) -> std::io::Result<Response> {
        let line = self.line()?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_owned(), value.to_owned()));
        }
        Ok(Response {
            status,
            headers,
            body: Vec::new(),
        })
    }

    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line).into_owned();
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    pub(crate) fn receive(&mut self, head_only: bool) -> std::io::Result<Response> {
        let mut response = self.head()?;
        let length = response
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        if !head_only {
            response.body = vec![0; length];
            self.reader.read_exact(&mut response.body)?;
        }
        Ok(response)
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send(method, target, headers, body);
        self.receive(method == "HEAD").unwrap()
    }
}

/// One request on a connection of its own.
pub(crate) fn request(
    addr: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Response {
    Connection::open(addr).request(method, target, headers, body.as_ref())
}

/// An authorised POST of a JSON body.
pub(crate) fn post(addr: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> Response {
    request(addr, "POST", target, &[AUTH], body)
}

/// An authorised command; its response's text.
pub(crate) fn command(addr: SocketAddr, args: &[&str]) -> String {
    post(addr, "/", serde_json::to_vec(args).unwrap()).text()
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !holds() {
        assert!(Instant::now() < end, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An event stream.
pub(crate) struct Events {
    connection: Connection,
    pub(crate) head: Response,
    left: Vec<u8>,
}

impl Events {
    pub(crate) fn open(
        addr: SocketAddr,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let mut connection = Connection::open(addr);
        connection.send(method, target, headers, body);
        let head = connection.head().unwrap();
        Self {
            connection,
            head,
            left: Vec::new(),
        }
    }

    /// The next event without its final blank line; `None` when the stream ends cleanly.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.left.windows(2).position(|pair| pair == b"\n\n") {
                let event = self.left.drain(..end + 2).take(end).collect();
                return Some(event);
            }
            let size = self.connection.line().unwrap();
            let size = usize::from_str_radix(&size, 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.connection.reader.read_exact(&mut chunk).unwrap();
            if size == 0 {
                return None;
            }
            self.left.extend_from_slice(&chunk[..size]);
        }
    }

    pub(crate) fn expect(&mut self, event: impl AsRef<[u8]>) {
        let next = self.next().expect("the stream has ended");
        let (next, event) = (next.escape_ascii(), event.as_ref().escape_ascii());
        assert_eq!(next.to_string(), event.to_string());
    }
}
