//! A client of the Redis protocol that shows every byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use restis_server::{Builder, Running, Server};

/// A server over the embedded engine that speaks both protocols.
pub(crate) fn both_doors(builder: Builder) -> Running {
    builder
        .redis_protocol(["127.0.0.1:0".parse().unwrap()])
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap()
}

pub(crate) fn one_store() -> Running {
    both_doors(Server::builder().token(super::TOKEN))
}

pub(crate) struct Resp {
    pub(crate) reader: BufReader<TcpStream>,
}

impl Resp {
    /// A connection that has shown no token.
    pub(crate) fn stranger(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    pub(crate) fn open(server: &Running, token: &str) -> Self {
        let mut resp = Self::stranger(server.redis_addr().unwrap());
        assert_eq!(resp.call(&["AUTH", token]), "+OK");
        resp
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn send(&mut self, args: &[&str]) {
        let mut out = format!("*{}\r\n", args.len());
        for arg in args {
            out.push_str(&format!("${}\r\n{arg}\r\n", arg.len()));
        }
        self.write(out.as_bytes());
    }

    /// The next value in one line: `*2 $a :1`, `_`, `%1 …`; `""` when the connection is over.
    pub(crate) fn read(&mut self) -> String {
        let mut line = String::new();
        if self.reader.read_line(&mut line).unwrap_or(0) == 0 {
            return String::new();
        }
        let line = line.trim_end_matches("\r\n").to_owned();
        let (kind, rest) = line.split_at(1);
        let count = || rest.parse::<i64>().unwrap();
        let items = match kind {
            "$" | "=" if count() < 0 => return "nil".to_owned(),
            "$" | "=" => {
                let mut bytes = vec![0; usize::try_from(count()).unwrap() + 2];
                self.reader.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                return format!("{kind}{}", String::from_utf8_lossy(&bytes));
            }
            "*" if count() < 0 => return "nil-array".to_owned(),
            "*" | "~" | ">" => count(),
            "%" => count() * 2,
            _ => return line,
        };
        let mut text = line;
        for _ in 0..items {
            text.push(' ');
            text.push_str(&self.read());
        }
        text
    }

    pub(crate) fn call(&mut self, args: &[&str]) -> String {
        self.send(args);
        self.read()
    }

    /// Calls a command given as words.
    pub(crate) fn line(&mut self, words: &str) -> String {
        self.call(&words.split(' ').collect::<Vec<_>>())
    }
}
