//! TLS: certificates, read again when they change.

use crate::{
    front::Protocol,
    log::{self, Level},
    watched::{Files, Refresh},
};
use anyhow::{Context, bail};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use tokio_rustls::TlsAcceptor;

/// Which files TLS needs; the settings `serve.tls`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates in PEM, the server's first; None for no TLS.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub key: Option<PathBuf>,
    /// Certificates in PEM that a client's certificate must be signed by; None asks clients for none.
    pub client_ca: Option<PathBuf>,
}

/// What a handshake needs, of the files as they were last.
pub struct Tls {
    settings: TlsSettings,
    files: Files,
    configs: RwLock<Configs>,
}

/// One for each protocol, which the handshake names.
struct Configs {
    http: Arc<ServerConfig>,
    grpc: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files; None if the settings name none.
    ///
    /// # Errors
    /// Names the file or setting at fault.
    pub fn open(settings: &TlsSettings) -> anyhow::Result<Option<Self>> {
        let TlsSettings { certificate, key, client_ca } = settings;
        match (certificate, key, client_ca) {
            (None, None, None) => return Ok(None),
            (Some(_), Some(_), _) => {}
            (None, ..) => bail!("name the certificate: --tls-cert FILE (the setting serve.tls.certificate)"),
            (_, None, _) => bail!("name the certificate's private key: --tls-key FILE (the setting serve.tls.key)"),
        }
        let files = Files::new([certificate, key, client_ca].into_iter().flatten().cloned());
        let configs = RwLock::new(Configs::read(settings)?);
        Ok(Some(Self { settings: settings.clone(), files, configs }))
    }

    /// For the next connection.
    pub fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
        let config = match protocol {
            Protocol::Http => &configs.http,
            Protocol::Grpc => &configs.grpc,
        };
        TlsAcceptor::from(Arc::clone(config))
    }
}

impl Refresh for Tls {
    fn refresh(&self) {
        if !self.files.have_changed() {
            return;
        }
        match Configs::read(&self.settings) {
            Ok(configs) => {
                *self.configs.write().unwrap_or_else(PoisonError::into_inner) = configs;
                log::write(Level::Info, "certificate_read", serde_json::json!({}));
            }
            // The pair that was read last stays. One file of a pair may change before the other.
            Err(error) => {
                log::write(Level::Error, "certificate_kept", serde_json::json!({ "error": cli::describe(&error) }));
            }
        }
    }
}

impl Configs {
    fn read(settings: &TlsSettings) -> anyhow::Result<Self> {
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
            bail!("TLS needs a certificate and its key");
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match &settings.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
        };
        let private_key = PrivateKeyDer::from_pem_file(key).map_err(|e| of_file(key, "private key", e))?;
        let config = builder.with_single_cert(certificates(certificate)?, private_key);
        let pair = || format!("{} and {}", certificate.display(), key.display());
        let config = config.with_context(pair)?;
        let speaking = |name: &str| {
            let mut config = config.clone();
            config.alpn_protocols = vec![name.into()];
            Arc::new(config)
        };
        Ok(Self { http: speaking("http/1.1"), grpc: speaking("h2") })
    }
}

fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).with_context(|| path.display().to_string())?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.with_context(|| path.display().to_string())
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|e| of_file(path, "certificate", e))?;
    anyhow::ensure!(!all.is_empty(), "{}: no certificate in PEM", path.display());
    Ok(all)
}

/// The error without the file's text.
fn of_file(path: &Path, what: &str, error: rustls::pki_types::pem::Error) -> anyhow::Error {
    use rustls::pki_types::pem::Error;
    let path = path.display();
    match error {
        Error::Io(error) => anyhow::Error::new(error).context(path.to_string()),
        Error::NoItemsFound => anyhow::anyhow!("{path}: no {what} in PEM"),
        _ => anyhow::anyhow!("{path}: this is no {what} in PEM"),
    }
}
