//! TLS for links: privacy against onlookers, and nothing else.
//!
//! Who the peer is, is settled by the `meta` handshake inside, so neither side checks the other's
//! certificate and nothing ties the TLS session to the node's key. What is sent looks like the
//! reference: TLS 1.3 only as a listener, 1.2 and 1.3 as a dialer, no ALPN, no tickets, no early
//! data, the node's own Ed25519 certificate, also shown to a listener that asks for one.
//!
//! Signatures are made through [`Identity::sign`], so the secret key is never copied into the TLS
//! library.
//!
//! Source: protocol chapter 2.3.

mod certificate;
mod web;

use std::{
    fmt, io,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use planetary_proto::identity::Identity;
use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, SignatureAlgorithm, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::NoServerSessionStorage,
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

pub use self::web::{WebCertificate, WebCertificateError};
use super::{quic, transport::Wire};

/// The TLS settings of a node, for both directions. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    web_acceptor: Arc<ArcSwapOption<ServerConfig>>,
    quic: quic::Settings,
}

/// The TLS library refused our settings, which are constant: a fault of this program.
#[derive(Debug, Error)]
#[error("TLS cannot be set up")]
pub struct TlsSetupError(#[from] rustls::Error);

impl Tls {
    /// Makes the certificate of `identity` and the settings around it.
    ///
    /// # Errors
    /// None that depends on the arguments.
    pub fn new(identity: &Arc<Identity>) -> Result<Self, TlsSetupError> {
        // A clock before 1970 makes a certificate from 1970.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let der = certificate::certificate(identity, now.unwrap_or(Duration::ZERO).as_secs());
        let key = Arc::new(NodeSigner(Arc::clone(identity)));
        let certified = Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![der.into()], key)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());

        let any = AnyCertificate(Arc::clone(&provider));
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(any))
            .with_client_cert_resolver(Arc::clone(&certified) as _);
        client.resumption = Resumption::disabled();

        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(certified);
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});

        let (client, server) = (Arc::new(client), Arc::new(server));
        let quic = quic::Settings::new(Arc::clone(&client), Arc::clone(&server))
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let web_acceptor = Arc::default();
        Ok(Self { connector: client.into(), acceptor: server.into(), web_acceptor, quic })
    }

    /// Sets what web servers that we are show to their clients from now on; without it no client
    /// gets in there. Holds for all clones.
    ///
    /// # Errors
    /// None that depends on the argument.
    pub fn set_web_certificate(
        &self,
        certificate: Option<WebCertificate>,
    ) -> Result<(), TlsSetupError> {
        let config = certificate.map(|certificate| certificate.server_config().map(Arc::new));
        self.web_acceptor.store(config.transpose()?);
        Ok(())
    }

    /// The settings of QUIC, around the same certificate.
    pub(super) const fn quic(&self) -> &quic::Settings {
        &self.quic
    }

    /// Performs the handshake on a connection we opened. `name` goes into the SNI extension; there
    /// is none without it.
    ///
    /// # Errors
    /// What the connection or the other side's TLS answers.
    pub(super) async fn connect(
        &self,
        wire: Box<dyn Wire>,
        name: Option<&str>,
    ) -> io::Result<TlsStream<Box<dyn Wire>>> {
        // A name that TLS cannot carry is left out, as any address is.
        let name = name.and_then(|name| ServerName::try_from(name.to_owned()).ok());
        let name = name.unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.into());
        Ok(TlsStream::Client(self.connector.connect(name, wire).await?))
    }

    /// Performs the handshake on a connection that a listener took.
    ///
    /// # Errors
    /// What the connection or the other side's TLS answers.
    pub(super) async fn accept(&self, wire: Box<dyn Wire>) -> io::Result<TlsStream<Box<dyn Wire>>> {
        Ok(TlsStream::Server(self.acceptor.accept(wire).await?))
    }

    /// As [`Self::accept`], with the certificate of a web server.
    ///
    /// # Errors
    /// As well `NotFound` while there is none.
    pub(super) async fn accept_web(
        &self,
        wire: Box<dyn Wire>,
    ) -> io::Result<TlsStream<Box<dyn Wire>>> {
        let Some(config) = self.web_acceptor.load_full() else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no web certificate"));
        };
        Ok(TlsStream::Server(TlsAcceptor::from(config).accept(wire).await?))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The node's key as the TLS library uses it.
#[derive(Clone)]
struct NodeSigner(Arc<Identity>);

impl fmt::Debug for NodeSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeSigner").finish_non_exhaustive()
    }
}

impl SigningKey for NodeSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for NodeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.0.sign(message).as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Accepts every certificate.
///
/// The handshake's signature is not looked at either: it would only show that the far end holds the
/// key of a certificate that anybody can make, and would shut out listeners with certificates that
/// the library cannot read.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The verifier that takes everything, for clients written by hand in tests.
    pub(in super::super) fn any_certificate() -> Arc<dyn ServerCertVerifier> {
        Arc::new(AnyCertificate(Arc::new(rustls::crypto::ring::default_provider())))
    }

    #[test]
    fn debug_shows_no_key() {
        let identity = Arc::new(Identity::from_seed(&[7; 32]));
        let seed_hex = "07070707";
        for shown in [
            format!("{:?}", Tls::new(&identity).unwrap()),
            format!("{:?}", NodeSigner(Arc::clone(&identity))),
        ] {
            assert!(!shown.contains("7, 7") && !shown.contains(seed_hex), "{shown}");
        }
    }

    #[test]
    fn only_ed25519_is_signed_with() {
        let signer = NodeSigner(Arc::new(Identity::from_seed(&[7; 32])));
        assert!(signer.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none());
        let chosen =
            signer.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ED25519]);
        assert_eq!(chosen.unwrap().scheme(), SignatureScheme::ED25519);
    }
}
