//! A raw TCP server that misbehaves on request and keeps count.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the server does with one request it has read.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers 200 with this JSON.
    Json(&'static str),
    /// Answers with status, header lines and body.
    Answer(u16, &'static str, &'static str),
    /// Closes without a byte, with a reset.
    Reset,
    /// Sends the head and half of the body, then resets.
    ResetMidBody(&'static str),
    /// Sends the head and half of the body, then nothing.
    Stall(&'static str),
    /// Never answers.
    Silence,
    /// Sends everything one byte at a time.
    Bytewise(&'static str),
    /// Sends the body in HTTP chunks of one byte, one at a time.
    Chunked(&'static str),
    /// Answers after a pause.
    Late(Duration, &'static str),
    /// Sends these bytes instead of HTTP.
    Raw(&'static [u8]),
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }

    /// The path of the request.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// The server; ends when dropped.
#[derive(Debug)]
pub struct FaultServer {
    url: String,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    script: VecDeque<Fault>,
    last: Option<Fault>,
    seen: Vec<Seen>,
    connections: Vec<JoinHandle<()>>,
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.task.abort();
        self.shared
            .lock()
            .unwrap()
            .connections
            .iter()
            .for_each(JoinHandle::abort);
    }
}

impl FaultServer {
    /// Plays these, one a request, and then the last again and again.
    pub async fn start(script: impl IntoIterator<Item = Fault>) -> Self {
        let script: VecDeque<_> = script.into_iter().collect();
        let last = script.back().cloned();
        let shared = Arc::new(Mutex::new(Shared {
            script,
            last,
            ..Shared::default()
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = tokio::spawn(serve(stream, Arc::clone(&accepting)));
                accepting.lock().unwrap().connections.push(serving);
            }
        });
        Self { url, shared, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Requests that arrived in full.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.lock().unwrap().seen.clone()
    }

    pub fn requests(&self) -> usize {
        self.shared.lock().unwrap().seen.len()
    }
}

async fn serve(stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut stream = BufStream::new(stream);
    while let Some(seen) = read(&mut stream).await {
        let fault = {
            let mut shared = shared.lock().unwrap();
            shared.seen.push(seen);
            shared.script.pop_front().or_else(|| shared.last.clone())
        };
        let Some(fault) = fault else { return };
        if act(&mut stream, fault).await.is_none() {
            return;
        }
    }
}

async fn read(stream: &mut BufStream<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let mut seen = Seen {
        head,
        body: Vec::new(),
    };
    let length = seen
        .header("content-length")
        .map_or(0, |v| v.parse().unwrap());
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}

fn page(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

const JSON: &str = "content-type: application/json\r\n";

/// `None` ends the connection.
async fn act(stream: &mut BufStream<TcpStream>, fault: Fault) -> Option<()> {
    match fault {
        Fault::Json(body) => send(stream, &page(200, JSON, body)).await,
        Fault::Answer(status, headers, body) => send(stream, &page(status, headers, body)).await,
        Fault::Reset => reset(stream),
        Fault::ResetMidBody(body) => {
            let page = page(200, JSON, body);
            send(stream, &page[..page.len() - body.len() / 2]).await?;
            reset(stream)
        }
        Fault::Stall(body) => {
            let page = page(200, JSON, body);
            send(stream, &page[..page.len() - body.len() / 2]).await?;
            std::future::pending().await
        }
        Fault::Silence => std::future::pending().await,
        Fault::Bytewise(body) => {
            for byte in page(200, JSON, body) {
                send(stream, &[byte]).await?;
                tokio::task::yield_now().await;
            }
            Some(())
        }
        Fault::Chunked(body) => {
            let head = format!("HTTP/1.1 200 X\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
            send(stream, head.as_bytes()).await?;
            for byte in body.bytes() {
                send(stream, &[b"1\r\n", &[byte][..], b"\r\n"].concat()).await?;
                tokio::task::yield_now().await;
            }
            send(stream, b"0\r\n\r\n").await
        }
        Fault::Late(pause, body) => {
            tokio::time::sleep(pause).await;
            send(stream, &page(200, JSON, body)).await
        }
        Fault::Raw(bytes) => {
            send(stream, bytes).await?;
            None
        }
    }
}

async fn send(stream: &mut BufStream<TcpStream>, bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()
}

fn reset(stream: &mut BufStream<TcpStream>) -> Option<()> {
    // Zero linger: the peer sees a reset, not an end.
    let _ = stream.get_mut().set_zero_linger();
    None
}
