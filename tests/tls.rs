//! HTTPS with a certificate of an own authority, on own connections and on a client handed in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use restis::{config::Builder, prelude::*};
use rustls::{HandshakeKind, ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Answers every request with 1.
struct Server {
    url: String,
    /// The authority that its certificate names: itself.
    pem: String,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    handshakes: Vec<HandshakeKind>,
    requests: usize,
    open: usize,
}

impl Server {
    /// A server that ends connections after so many requests, as TLS wants it.
    async fn start(requests_each: usize) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noting = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, noting) = (acceptor.clone(), Arc::clone(&noting));
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends here.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    {
                        let mut seen = noting.lock().unwrap();
                        let kind = stream.get_ref().1.handshake_kind();
                        seen.handshakes.extend(kind);
                        seen.open += 1;
                    }
                    serve(stream, requests_each, &noting).await;
                    noting.lock().unwrap().open -= 1;
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}"),
            pem: made.cert.pem(),
            seen,
            task,
        }
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    fn handshakes(&self) -> Vec<HandshakeKind> {
        self.seen.lock().unwrap().handshakes.clone()
    }

    /// Until every connection has been ended by this side.
    async fn closed(&self) {
        while self.seen.lock().unwrap().open > 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TlsStream<TcpStream>, requests: usize, seen: &Mutex<Seen>) {
    let mut stream = BufStream::new(stream);
    for _ in 0..requests {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        seen.lock().unwrap().requests += 1;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                       content-length: 12\r\n\r\n{\"result\":1}";
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
    }
    let _ = stream.shutdown().await;
}

fn own(server: &Server) -> Builder {
    Redis::builder(&*server.url, "TOKEN").root_certificates(&server.pem)
}

/// A client that somebody set up by themselves.
fn handed_in(server: &Server) -> Builder {
    // The client was told to bring no TLS provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = reqwest::Certificate::from_pem(server.pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]);
    Redis::builder(&*server.url, "TOKEN").http_client(client.build().unwrap())
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    for builder in [own, handed_in] {
        let server = Server::start(usize::MAX).await;
        let redis = builder(&server).build().unwrap();
        for _ in 0..5 {
            assert_eq!(redis.incr("n").await.unwrap(), 1);
        }
        assert_eq!(server.requests(), 5);
        assert_eq!(server.handshakes(), [HandshakeKind::Full]);
    }
}

#[tokio::test]
async fn an_ended_connection_is_noticed_and_the_next_one_resumes_the_session() {
    for builder in [own, handed_in] {
        let server = Server::start(1).await;
        let redis = builder(&server).max_retries(0).build().unwrap();
        for _ in 0..3 {
            // A counter is never sent twice: it must go out on a connection that lives.
            assert_eq!(redis.incr("n").await.unwrap(), 1);
            server.closed().await;
        }
        assert_eq!(server.requests(), 3);
        assert_eq!(
            server.handshakes(),
            [
                HandshakeKind::Full,
                HandshakeKind::Resumed,
                HandshakeKind::Resumed
            ]
        );
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_before_anything_is_sent() {
    let server = Server::start(1).await;
    let other = Server::start(1).await;
    for builder in [
        Redis::builder(&*server.url, "TOKEN"),
        Redis::builder(&*server.url, "TOKEN").root_certificates(&other.pem),
    ] {
        let redis = builder.max_retries(0).build().unwrap();
        let error = redis.incr("n").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert_eq!(error.delivery(), Delivery::NotSent);
    }
    // The right authority and the wrong name.
    let url = server.url.replace("localhost", "127.0.0.1");
    let redis = Redis::builder(url, "TOKEN").root_certificates(&server.pem);
    let error = redis.max_retries(0).build().unwrap().incr("n").await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn the_authority_may_come_from_a_file_that_the_environment_names() {
    let server = Server::start(1).await;
    let file = std::env::temp_dir().join(format!("restis-ca-{}.pem", std::process::id()));
    let from = |pem: &str| {
        std::fs::write(&file, pem).unwrap();
        Redis::from_vars(|name| match name {
            "UPSTASH_REDIS_REST_URL" => Some(server.url.clone()),
            "UPSTASH_REDIS_REST_TOKEN" => Some("TOKEN".to_owned()),
            "REDIS_CA_FILE" => Some(file.to_string_lossy().into_owned()),
            _ => None,
        })
    };
    let redis = from(&server.pem);
    let problems = [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ]
    .map(|pem| from(pem).unwrap_err());
    std::fs::remove_file(&file).unwrap();
    assert_eq!(redis.unwrap().incr("n").await.unwrap(), 1);
    for error in problems {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    let missing = Redis::from_vars(|name| match name {
        "UPSTASH_REDIS_REST_URL" => Some(server.url.clone()),
        "UPSTASH_REDIS_REST_TOKEN" => Some("TOKEN".to_owned()),
        "REDIS_CA_FILE" => Some("/no/such/file".to_owned()),
        _ => None,
    });
    let text = missing.unwrap_err().to_string();
    assert!(
        text.contains("REDIS_CA_FILE: the file cannot be read"),
        "{text}"
    );
}

#[tokio::test]
async fn subscriptions_trust_the_same_authority() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = std::env::temp_dir().join(format!("restis-tls-client-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let files = restis_server::TlsFiles {
        certificates: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    };
    std::fs::write(&files.certificates, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let server = restis_server::Server::builder().token("TOKEN").tls(files);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let url = server.url().replace("127.0.0.1", "localhost");
    let redis = Redis::builder(&*url, "TOKEN").root_certificates(made.cert.pem());
    let redis = redis.build().unwrap();
    let mut subscription = redis.subscribe(["news"]);
    subscription.next().await.unwrap().unwrap();
    assert_eq!(redis.publish("news", "hello").await.unwrap(), 1);
    let message = subscription.message().await.unwrap().unwrap();
    assert_eq!(message.payload, "hello");
    let stranger = Redis::builder(&*url, "TOKEN").build().unwrap();
    let refused = stranger.subscribe(["news"]).next().await.unwrap();
    assert!(matches!(refused, Ok(restis::pubsub::SubscriptionEvent::Lost(e)) if e.is_connect()));
}
