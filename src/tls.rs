//! TLS towards web servers: who asks one by HTTPS trusts whom this system trusts.

use std::sync::Arc;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// With rustls and the ring that RTSPS has already, and the authorities of this system, read anew.
pub(crate) fn towards_web_servers() -> TlsConfig {
    TlsConfig::builder()
        .root_certs(authorities())
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

fn authorities() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect::<Vec<_>>().into()
}
