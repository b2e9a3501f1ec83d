//! From a name to a connection: resolution, TCP, TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::diagnose;
use super::report::{Class, Outcome};

/// How long a connection may take; a dropped packet is sent again after one second.
const PATIENCE: Duration = Duration::from_secs(4);
/// A certificate that ends sooner is told.
const WARN_DAYS: u64 = 14;

/// Where the database is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Place {
    /// The parts of an `http` or `https` address.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let tls = scheme.eq_ignore_ascii_case("https");
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit('@').next()?;
        let default = if tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, default),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            host: host.to_owned(),
            port,
            tls,
        })
    }

    fn is_local(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }

    /// Resolves the name; the addresses go to `found`.
    pub(super) async fn resolve(&self, found: &mut Vec<SocketAddr>) -> Outcome {
        let resolved = timeout(PATIENCE, lookup_host((&*self.host, self.port))).await;
        let remedy = "check the spelling of the address and the name server of this machine; a \
                      database that was deleted has no name any more";
        let failed = |detail| Outcome::failed(detail, remedy).class(Class::Unreachable);
        match resolved {
            Ok(Ok(addresses)) => found.extend(addresses),
            Ok(Err(error)) => {
                return failed(format!("{} cannot be resolved: {error}", self.host));
            }
            Err(_) => return failed(format!("{} is not resolved in {PATIENCE:?}", self.host)),
        }
        found.dedup();
        if found.is_empty() {
            return failed(format!("{} has no address", self.host));
        }
        let list: Vec<String> = found
            .iter()
            .map(|address| address.ip().to_string())
            .collect();
        Outcome::passed(format!("{} is {}", self.host, list.join(", ")))
    }

    /// Connects to the first address that takes it.
    pub(super) async fn connect(
        &self,
        addresses: &[SocketAddr],
        stream: &mut Option<TcpStream>,
    ) -> Outcome {
        let mut last = None;
        for address in addresses {
            let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
            let timed_out = |_| Err(std::io::ErrorKind::TimedOut.into());
            match connected.unwrap_or_else(timed_out) {
                Ok(connected) => {
                    *stream = Some(connected);
                    let insecure = !self.tls && !self.is_local();
                    let detail = format!("{address} takes connections");
                    if insecure {
                        let remedy = "use https, or keep both on one machine or in one network";
                        let detail = format!("{detail}, but the token travels in the clear");
                        return Outcome::warning(detail, remedy);
                    }
                    return Outcome::passed(detail);
                }
                Err(error) => last = Some((address, error)),
            }
        }
        let Some((address, error)) = last else {
            return Outcome::skipped("no address");
        };
        let detail = format!("{address} does not take the connection: {error}");
        Outcome::failed(detail, diagnose::io_remedy(&error)).class(Class::Unreachable)
    }

    /// Shakes hands and looks at the certificates.
    pub(super) async fn tls(&self, stream: TcpStream, authorities: Option<&str>) -> Outcome {
        match timeout(PATIENCE, self.handshake(stream, authorities)).await {
            Ok(Ok(outcome) | Err(outcome)) => outcome,
            Err(_) => Outcome::failed(
                format!("no handshake in {PATIENCE:?}"),
                "the port may not speak TLS: use http://, or the port that does",
            )
            .class(Class::Unreachable),
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        authorities: Option<&str>,
    ) -> Result<Outcome, Outcome> {
        let unusable = |error: String| Outcome::failed(error, "check REDIS_CA_FILE");
        let roots = Arc::new(roots(authorities).map_err(unusable)?);
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| unusable(format!("{} is no name of a certificate", self.host)))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = match connector.connect(name.clone(), stream).await {
            Ok(stream) => stream,
            Err(error) => return Err(refused(&self.host, &error)),
        };
        let (_, session) = stream.get_ref();
        let version = session
            .protocol_version()
            .and_then(|version| version.as_str());
        let version = version.unwrap_or("TLS").replace('_', ".");
        let chain = session.peer_certificates().unwrap_or_default();
        let length = chain.len();
        let detail = format!("{version}, a chain of {length} certificates that is trusted");
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let Some(days) = days_left(&*verifier, chain, &name) else {
            return Ok(Outcome::passed(detail));
        };
        let detail = format!("{detail} for {days} days");
        Ok(match days < WARN_DAYS {
            true => Outcome::warning(
                detail,
                "renew the certificate, or see why it is not renewed by itself",
            ),
            false => Outcome::passed(detail),
        })
    }
}

/// The authorities of the web and those of a file.
fn roots(authorities: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let Some(path) = authorities else {
        return Ok(roots);
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| format!("REDIS_CA_FILE cannot be read: {error}"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("REDIS_CA_FILE: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("REDIS_CA_FILE: {error}"))?;
    }
    Ok(roots)
}

/// Days until the first certificate of the chain ends, by asking the verifier at later times.
fn days_left(
    verifier: &dyn ServerCertVerifier,
    chain: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> Option<u64> {
    let (end, others) = chain.split_first()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    // Later than any certificate.
    let mut at = now + 100 * 366 * 86_400;
    let mut ends = None;
    for _ in 0..=chain.len() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let verified = verifier.verify_server_cert(end, others, name, &[], time);
        match verified {
            Ok(_) => break,
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            })) => {
                at = not_after.as_secs();
                ends = Some(at);
            }
            Err(_) => return None,
        }
    }
    ends.map(|ends| ends.saturating_sub(now) / 86_400)
}

/// What a handshake that failed means.
fn refused(host: &str, error: &std::io::Error) -> Outcome {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let failed =
        |detail: String, remedy: &str| Outcome::failed(detail, remedy).class(Class::Unreachable);
    let Some(rustls::Error::InvalidCertificate(certificate)) = cause else {
        return failed(
            format!("no handshake: {error}"),
            "the port may not speak TLS: use http://, or the port that does",
        );
    };
    match certificate {
        CertificateError::UnknownIssuer => failed(
            format!("the certificate of {host} is of an unknown authority"),
            "set REDIS_CA_FILE to the authority's certificate in PEM; a proxy that opens TLS has \
             one of its own",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => failed(
            format!("the certificate of {host} has expired"),
            "renew it; if it is new, the clock of this machine is wrong",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => failed(
            format!("the certificate of {host} is not valid yet"),
            "the clock of this machine or of the one that made the certificate is wrong",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            failed(
                format!("the certificate is not for {host}"),
                "use the name that the certificate has, or make one for this name",
            )
        }
        other => failed(
            format!("the certificate of {host} is refused: {other}"),
            "make a certificate that web clients accept",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_parts() {
        for (url, host, port, tls) in [
            (
                "https://example.upstash.io",
                "example.upstash.io",
                443,
                true,
            ),
            ("http://127.0.0.1:8079/", "127.0.0.1", 8079, false),
            ("http://[::1]:80/x", "::1", 80, false),
            ("https://[::1]", "::1", 443, true),
        ] {
            let place = Place::of(url);
            let parts = place.map(|place| (place.host, place.port, place.tls));
            assert_eq!(parts, Some((host.to_owned(), port, tls)), "{url}");
        }
        assert!(Place::of("example").is_none());
    }
}
