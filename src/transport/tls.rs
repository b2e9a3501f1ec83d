//! Whom a client trusts.
use crate::protocol::error::{Error, Result};

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
        let provider = std::sync::Arc::new(rustls::crypto::CryptoProvider {
            key_provider: &NoKeys,
            ..rustls::crypto::ring::default_provider()
        });
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::config("cannot set up TLS").with_source(e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// A client shows no certificate of its own: what signs with keys stays out of the program.
#[cfg(all(feature = "rustls", not(target_family = "wasm")))]
#[derive(Debug)]
struct NoKeys;

#[cfg(all(feature = "rustls", not(target_family = "wasm")))]
impl rustls::crypto::KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _: rustls::pki_types::PrivateKeyDer<'static>,
    ) -> Result<std::sync::Arc<dyn rustls::sign::SigningKey>, rustls::Error> {
        Err(rustls::Error::General("no keys are used".into()))
    }
}
