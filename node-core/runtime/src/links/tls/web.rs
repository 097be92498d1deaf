//! The certificate of a web server, for `wss` listeners: one that its clients' proxies know, given
//! by whoever runs the node.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use thiserror::Error;

/// Most certificates of one chain. Chains in use have three.
const CHAIN_LEN_MAX: usize = 16;

/// A certificate with its chain and its key.
#[derive(Clone, Debug)]
pub struct WebCertificate(Arc<SingleCertAndKey>);

/// Why files hold no certificate that can be used. Nothing of the key is told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebCertificateError {
    /// The certificate's file is not PEM.
    #[error("the certificate cannot be read")]
    CertificatePem(#[source] pem::Error),
    /// There is no certificate in its file, or more than a chain has.
    #[error("there must be one certificate with its chain, of at most {CHAIN_LEN_MAX}")]
    ChainLength,
    /// There is no private key in its file.
    #[error("there is no private key in PEM, or it has a passphrase")]
    KeyPem,
    /// The key is of a kind that TLS does not use here.
    #[error("the private key is none of RSA, ECDSA and Ed25519")]
    KeyKind,
    /// The key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl WebCertificate {
    /// Reads a certificate, with its chain behind it, and its private key, both in PEM.
    ///
    /// # Errors
    /// See [`WebCertificateError`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, WebCertificateError> {
        let chain = CertificateDer::pem_slice_iter(certificate)
            .take(CHAIN_LEN_MAX + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(WebCertificateError::CertificatePem)?;
        if chain.is_empty() || chain.len() > CHAIN_LEN_MAX {
            return Err(WebCertificateError::ChainLength);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| WebCertificateError::KeyPem)?;
        let key = ring::sign::any_supported_type(&key).map_err(|_| WebCertificateError::KeyKind)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| WebCertificateError::Mismatch)?;
        Ok(Self(Arc::new(certified.into())))
    }

    /// What a listener that shows this certificate goes by.
    pub(super) fn server_config(self) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        Ok(ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(self.0))
    }
}
