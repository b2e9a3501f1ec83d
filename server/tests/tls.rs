//! TLS, towards clients and towards a Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use restis_server::{Server, TlsFiles};
use support::redis::RedisProcess;
use support::resp::both_doors;
use support::*;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto, version,
};

/// A certificate for `localhost` in files that go with the test.
struct Certificate {
    dir: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = std::env::temp_dir().join(format!("restis-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self {
            dir,
            der: made.cert.der().clone(),
        }
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            certificates: self.dir.join("cert.pem"),
            key: self.dir.join("key.pem"),
        }
    }

    fn request(&self, addr: SocketAddr, request: &str) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(session, TcpStream::connect(addr)?);
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn clients_speak_tls() {
    let certificate = Certificate::new("listener");
    let server = Server::builder().token(TOKEN).tls(certificate.files());
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    assert!(server.url().starts_with("https://"));
    let request = "GET /set/k/v HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer TOKEN\r\nconnection: close\r\n\r\n";
    let text = certificate.request(server.addr(), request).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    assert!(text.ends_with(r#"{"result":"OK"}"#), "{text}");
    // Plain HTTP gets no answer, and the server goes on.
    let mut plain = Connection::open(server.addr());
    plain.send("GET", "/ping", &[AUTH], b"");
    assert!(plain.receive(false).is_err());
    assert!(certificate.request(server.addr(), request).is_ok());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let certificate = Certificate::new("files");
    let mut files = certificate.files();
    files.key = certificate.dir.join("cert.pem");
    let error = Server::builder()
        .token(TOKEN)
        .tls(files)
        .bind("127.0.0.1:0");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("cert.pem"), "{error}");
    let mut files = certificate.files();
    files.certificates = certificate.dir.join("missing.pem");
    let error = Server::builder()
        .token(TOKEN)
        .tls(files)
        .bind("127.0.0.1:0");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("missing.pem"), "{error}");
}

#[test]
fn a_redis_behind_tls() {
    if !support::redis::available() {
        return;
    }
    let certificate = Certificate::new("redis");
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let path = |name: &str| certificate.dir.join(name).display().to_string();
    let redis = RedisProcess::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
        "--tls-auth-clients",
        "no",
    ]);
    let _redis = redis.unwrap();
    let insecure = redis_server(&format!("rediss://localhost:{port}/#insecure"));
    assert_eq!(
        command(insecure.addr(), &["SET", "k", "v"]),
        r#"{"result":"OK"}"#
    );
    // Without that word an unknown certificate is refused.
    let strict = redis_server(&format!("rediss://localhost:{port}"));
    assert_eq!(post(strict.addr(), "/ping", "").status, 503);
}

#[test]
fn the_redis_protocol_speaks_tls_with_the_same_certificate() {
    if Command::new("redis-cli").arg("--version").output().is_err() {
        return;
    }
    let certificate = Certificate::new("resp");
    let server = both_doors(Server::builder().token(TOKEN).tls(certificate.files()));
    let port = server.redis_addr().unwrap().port().to_string();
    let output = Command::new("redis-cli")
        .args([
            "--tls",
            "--sni",
            "localhost",
            "--no-auth-warning",
            "-p",
            &port,
            "-a",
            TOKEN,
        ])
        .arg("--cacert")
        .arg(certificate.dir.join("cert.pem"))
        .arg("PING")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "PONG\n");
}
