//! Whom a client trusts, and the general HTTP client made with it.
use std::time::Duration;

use crate::error::{Error, Result};

/// Certificate authorities in PEM that are trusted besides those of the web.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roots(Vec<u8>);

impl Roots {
    /// # Errors
    /// `Config` for what is not PEM with certificates, and where this build has no TLS of its own.
    pub(crate) fn new(pem: Vec<u8>) -> Result<Self> {
        let roots = Self(pem);
        if !roots.0.is_empty() {
            #[cfg(all(feature = "rustls", not(target_family = "wasm")))]
            roots.config()?;
            #[cfg(not(all(feature = "rustls", not(target_family = "wasm"))))]
            return Err(Error::config(
                "root certificates need the feature rustls and a native target",
            ));
        }
        Ok(roots)
    }

    /// The ring provider and the web's root certificates, both in the binary: nothing to
    /// read, and the first handshake is fast.
    #[cfg(all(feature = "rustls", not(target_family = "wasm")))]
    pub(crate) fn config(&self) -> Result<rustls::ClientConfig> {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};

        let mut roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        if !self.0.is_empty() {
            let web = roots.len();
            for certificate in CertificateDer::pem_slice_iter(&self.0) {
                let malformed = |_| Error::config("a root certificate is malformed");
                let certificate = certificate.map_err(malformed)?;
                roots.add(certificate).map_err(|_| {
                    Error::config("a root certificate is malformed or has an unknown form")
                })?;
            }
            if roots.len() == web {
                return Err(Error::config("the root certificates are not PEM"));
            }
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::config("cannot set up TLS").with_source(e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A general client, for what the lean connections do not do.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn http_client(&self, connect_timeout: Duration) -> Result<reqwest::Client> {
        self.http_builder(connect_timeout)?
            .build()
            .map_err(|e| Error::config("cannot set up the HTTP client").with_source(e))
    }

    /// The same, to be changed further.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn http_builder(&self, connect_timeout: Duration) -> Result<reqwest::ClientBuilder> {
        let builder = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        #[cfg(feature = "rustls")]
        let builder = builder.tls_backend_preconfigured(self.config()?);
        Ok(builder)
    }

    #[cfg(target_family = "wasm")]
    pub(crate) fn http_client(&self, _: Duration) -> Result<reqwest::Client> {
        Ok(reqwest::Client::new())
    }
}
