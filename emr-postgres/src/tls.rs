//! Encryption: rustls with ring.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use emr_core::{Error, Result, TlsMode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

type Made = Result<MakeRustlsConnect, String>;

/// Shared by all repos: thousands of them must not each hold the roots of the system.
static UNCHECKED: LazyLock<Made> = LazyLock::new(unchecked);
static SYSTEM_ROOTS: LazyLock<Made> = LazyLock::new(system_roots);

/// What makes TLS sessions for this mode.
pub(crate) fn connector(mode: TlsMode, ca: Option<&Path>) -> Result<MakeRustlsConnect> {
    match (mode, ca) {
        (TlsMode::VerifyFull, Some(path)) => roots_of(path).map_err(|problem| Error::config("tls_ca", problem)),
        (TlsMode::VerifyFull, None) => Made::clone(&SYSTEM_ROOTS).map_err(|problem| Error::config("tls", problem)),
        _ => Made::clone(&UNCHECKED).map_err(|problem| Error::config("tls", problem)),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unchecked() -> Made {
    let provider = provider();
    let verifier = AcceptAny { schemes: provider.signature_verification_algorithms.supported_schemes() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn system_roots() -> Made {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the system has no certificates of authorities to trust: name a file with `tls_ca` ({})",
            if reasons.is_empty() { "none was found".to_owned() } else { reasons.join("; ") }
        ));
    }
    trusting(roots)
}

fn roots_of(path: &Path) -> Made {
    let wrong = |problem: String| format!("{}: {problem}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is no PEM certificate in it".to_owned()));
    }
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Made {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Encrypts for whoever answers, as `prefer` and `require` promise and no more. Signatures are not checked
/// either: without a trusted certificate they prove nothing, and old servers' own certificates would fail.
#[derive(Debug)]
struct AcceptAny {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AcceptAny {
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
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
