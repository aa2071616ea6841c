//! Whom an RTSPS connection trusts.
//!
//! Cameras sign their own certificates, for no name in particular. So a file may hold the very certificate of a camera,
//! which is then trusted as it is, besides authorities, whose certificates are checked by the rules of the web.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, ErrorKind};

/// Whom an RTSPS connection trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that this system trusts.
    #[default]
    System,
    /// The certificates in a PEM file and nobody else: authorities, or a camera's own certificate.
    File(PathBuf),
    /// Everybody. The connection is encrypted, and whoever is in between can read it.
    Anybody,
}

/// The settings of a client with this trust.
///
/// # Errors
/// `Unavailable` while certificates cannot be read: a file that is being written, a system that shows none now.
/// `Invalid` for a file that is not there, or holds something else.
pub(crate) fn config(trust: &Trust) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(trust, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("TLS cannot be set up: {error}")))?;
    // "dangerous" is the name of the only door for a verifier of one's own.
    Ok(Arc::new(
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(),
    ))
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Verifier, Error> {
    let certificates = match trust {
        Trust::System => of_system()?,
        Trust::File(path) => read(path)?,
        Trust::Anybody => Vec::new(),
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    let authorities = match trust {
        Trust::Anybody => None,
        _ if usable == 0 => return Err(invalid("no certificate is there to check an RTSPS server with")),
        _ => {
            let built =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
            Some(built.map_err(|error| invalid(format!("the certificates cannot be used: {error}")))?)
        }
    };
    let pinned = if matches!(trust, Trust::File(_)) { certificates } else { Vec::new() };
    Ok(Verifier { authorities, pinned, provider: Arc::clone(provider) })
}

fn of_system() -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = rustls_native_certs::load_native_certs();
    match (found.certs.is_empty(), found.errors.first()) {
        (false, _) => Ok(found.certs),
        // Files cannot be opened when too many are open, for example; that passes.
        (true, Some(error)) => {
            Err(Error::unavailable(format!("the system's certificates cannot be read: {error}")))
        }
        (true, None) => {
            Err(Error::unavailable("the system has no certificates to check an RTSPS server with"))
        }
    }
}

/// The certificates in a file, which somebody may be writing at this moment.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |error| {
        let kind = match error {
            pem::Error::Io(ref error) if error.kind() == io::ErrorKind::NotFound => ErrorKind::Invalid,
            pem::Error::Io(_) | pem::Error::MissingSectionEnd { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        Error::new(kind, format!("the certificates in {} cannot be read: {error}", path.display()))
    };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    let is_empty = || path.metadata().is_ok_and(|file| file.len() == 0);
    if certificates.is_empty() && is_empty() {
        return Err(Error::unavailable(format!("the file of certificates {} is empty", path.display())));
    }
    Ok(certificates)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

/// Checks certificates as [`Trust`] says; that the server holds its key is always checked.
#[derive(Debug)]
struct Verifier {
    /// None trusts everybody.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.authorities {
            Some(_) if self.pinned.contains(certificate) => Ok(ServerCertVerified::assertion()),
            Some(authorities) => authorities.verify_server_cert(certificate, intermediates, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a kilobyte that a PEM reader takes for a certificate.
    fn pem() -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", "QUJD\n".repeat(100))
    }

    fn kind_of(contents: Option<&str>) -> ErrorKind {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trusted.pem");
        if let Some(contents) = contents {
            std::fs::write(&path, contents).unwrap();
        }
        config(&Trust::File(path)).unwrap_err().kind()
    }

    #[test]
    fn certificates_that_cannot_be_read_now_may_be_read_later() {
        let cut = &pem()[..200];
        for contents in ["", cut] {
            assert_eq!(kind_of(Some(contents)), ErrorKind::Unavailable, "{contents}");
        }
        let folder = tempfile::tempdir().unwrap();
        let trust = Trust::File(folder.path().to_owned());
        assert_eq!(config(&trust).unwrap_err().kind(), ErrorKind::Unavailable, "it is a folder now");
    }

    #[test]
    fn a_file_that_is_not_there_or_holds_something_else_is_invalid() {
        assert_eq!(kind_of(None), ErrorKind::Invalid);
        let broken = pem().replace("QUJD", "Q*JD");
        for contents in ["no certificate", &pem(), &broken] {
            assert_eq!(kind_of(Some(contents)), ErrorKind::Invalid, "{contents}");
        }
    }
}
