//! A certificate authority of the tests' own.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Signs certificates for receivers.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// If no certificate can be made.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// Its certificate, to be trusted.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for this machine and its key, in PEM form.
    ///
    /// # Panics
    /// If no certificate can be made.
    #[must_use]
    pub fn server_pem(&self) -> (String, String) {
        let params = for_this_machine();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// What a receiver on this machine needs to serve TLS; `change` makes the certificate a bad one.
    ///
    /// # Panics
    /// If no certificate can be made.
    #[must_use]
    pub fn server_config(&self, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = for_this_machine();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        serving(&params.signed_by(&key, &self.issuer).expect("a certificate"), &key)
    }

    /// The same with a certificate that only speaks for itself.
    ///
    /// # Panics
    /// If no certificate can be made.
    #[must_use]
    pub fn self_signed() -> Arc<ServerConfig> {
        let params = for_this_machine();
        let key = KeyPair::generate().expect("a key");
        serving(&params.self_signed(&key).expect("a certificate"), &key)
    }
}

fn for_this_machine() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names")
}

fn serving(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a usable certificate");
    Arc::new(config)
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
