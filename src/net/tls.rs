//! TLS for SIP: certificates and whom we trust, read from files again as these change.

use std::fmt::Display;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tracing::{error, info};

use super::tls_identity::{CoreNames, ServerJudge};

/// What the SIP sockets know of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Where TLS is listened for, if it is.
    pub listen: Option<SocketAddr>,
    /// Our certificate and those that vouch for it, a file of PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, a file of PEM.
    pub private_key: Option<PathBuf>,
    /// Who vouches for those who connect; with it each must show a certificate.
    pub client_ca: Option<PathBuf>,
    /// Who vouches for those whom we connect to; without it the platform says.
    pub ca: Option<PathBuf>,
    /// The names of the core.
    pub core: Option<CoreNames>,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How often the files are looked at.
    pub reload: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            listen: None,
            certificate: None,
            private_key: None,
            client_ca: None,
            ca: None,
            core: None,
            handshake_timeout: Duration::from_secs(5),
            reload: Duration::from_secs(10),
        }
    }
}

impl TlsSettings {
    /// Finds every fault of the files; reads them all.
    #[must_use]
    pub fn faults(&self) -> Vec<TlsFault> {
        if self.names_files() { Material::read(self).err().unwrap_or_default() } else { Vec::new() }
    }

    /// Finds every fault of the certificate and its key; reads both.
    #[must_use]
    pub fn identity_faults(&self) -> Vec<TlsFault> {
        server_only(self).err().unwrap_or_default()
    }

    fn names_files(&self) -> bool {
        self.files().iter().any(|(_, file)| file.is_some())
    }

    fn files(&self) -> [(&'static str, Option<&Path>); 4] {
        [
            (CERTIFICATE, self.certificate.as_deref()),
            (PRIVATE_KEY, self.private_key.as_deref()),
            (CLIENT_CA, self.client_ca.as_deref()),
            (CA, self.ca.as_deref()),
        ]
    }
}

/// What is wrong with a file of TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct TlsFault {
    /// The key that names the file.
    pub key: &'static str,
    /// What is wrong.
    pub what: String,
}

impl TlsFault {
    pub(super) fn new(key: &'static str, file: Option<&Path>, what: impl Display) -> Self {
        let file = file.map_or_else(|| "the platform".into(), |file| file.display().to_string());
        Self { key, what: format!("{file} {what}") }
    }
}

const CERTIFICATE: &str = "certificate";
const PRIVATE_KEY: &str = "private_key";
const CLIENT_CA: &str = "client_ca";
const CA: &str = "ca";

/// The two sides of TLS as they stand now.
pub(super) struct Tls {
    settings: TlsSettings,
    current: Mutex<Option<Current>>,
}

struct Current {
    material: Material,
    /// The sums of what the files held.
    files: Vec<Option<u64>>,
}

/// What a handshake is begun with.
#[derive(Clone)]
struct Material {
    /// For those who connect; absent where we have no certificate.
    server: Option<Arc<ServerConfig>>,
    /// For those whom we connect to.
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files, where any are named; else TLS is made ready when it is first needed.
    ///
    /// # Errors
    /// Gives every fault of the files.
    pub(super) fn new(settings: TlsSettings) -> Result<Self, Vec<TlsFault>> {
        let current = if settings.names_files() {
            let files = sums(&settings);
            Some(Current { material: Material::read(&settings)?, files })
        } else {
            None
        };
        Ok(Self { settings, current: Mutex::new(current) })
    }

    pub(super) fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    /// Tells whether there are files that may change.
    pub(super) fn is_worth_watching(&self) -> bool {
        self.settings.names_files()
    }

    /// Gives what those who connect are met with.
    pub(super) fn server(&self) -> Option<Arc<ServerConfig>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().and_then(|current| current.material.server.clone())
    }

    /// Gives what we connect with. May read files.
    ///
    /// # Errors
    /// The platform trusts nobody.
    pub(super) fn client(&self) -> Result<Arc<ClientConfig>, Vec<TlsFault>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = current.as_ref() {
            return Ok(Arc::clone(&current.material.client));
        }
        let material = Material::read(&self.settings)?;
        let client = Arc::clone(&material.client);
        *current = Some(Current { material, files: sums(&self.settings) });
        Ok(client)
    }

    /// Looks at the files; where they have changed, what they hold now is taken for new
    /// connections. Where that is bad, it is said once, and what held before goes on to hold.
    /// Reads files.
    pub(super) fn refresh(&self) {
        let files = sums(&self.settings);
        {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            match current.as_mut() {
                Some(current) if current.files != files => current.files.clone_from(&files),
                Some(_) | None => return,
            }
        }
        match Material::read(&self.settings) {
            Ok(material) => {
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                *current = Some(Current { material, files });
                info!("the files of TLS have changed: new connections go by them");
            }
            Err(faults) => {
                for fault in faults {
                    error!(%fault, "the files of TLS have changed for the worse: the old ones hold");
                }
            }
        }
    }
}

impl Material {
    fn read(settings: &TlsSettings) -> Result<Self, Vec<TlsFault>> {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut faults = Vec::new();
        let mut note = |fault| faults.push(fault);
        let identity = identity(settings, &mut note);
        let clients = settings.client_ca.as_deref();
        let clients = clients.and_then(|file| noted(authorities(CLIENT_CA, file), &mut note));
        let servers = match settings.ca.as_deref() {
            Some(file) => noted(authorities(CA, file), &mut note),
            None => noted(platform(), &mut note),
        };
        let (Some(servers), true) = (servers, faults.is_empty()) else { return Err(faults) };
        let server = match &identity {
            Some(identity) => Some(server(identity.copy(), clients, &provider)?),
            None => None,
        };
        let judge = ServerJudge::new(servers, settings.core.clone(), &provider);
        let client = client(identity, judge, provider)?;
        Ok(Self { server: server.map(Arc::new), client: Arc::new(client) })
    }
}

/// Our certificates, our own first, with its key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(super) fn copy(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Reads who we are and whom we believe, for others than SIP; where the platform trusts nobody,
/// neither do we.
///
/// # Errors
/// Gives every fault of the files.
pub(super) fn identity_and_roots(
    settings: &TlsSettings,
) -> Result<(Identity, RootCertStore), Vec<TlsFault>> {
    let mut faults = Vec::new();
    let mut note = |fault| faults.push(fault);
    let own = identity(settings, &mut note);
    let roots = match settings.ca.as_deref() {
        Some(file) => noted(authorities(CA, file), &mut note),
        None => Some(platform().unwrap_or_else(|_| RootCertStore::empty())),
    };
    match (own, roots) {
        (Some(own), Some(roots)) => Ok((own, roots)),
        (None, Some(_)) if faults.is_empty() => {
            Err(vec![TlsFault { key: CERTIFICATE, what: "is wanted".to_owned() }])
        }
        (_, _) => Err(faults),
    }
}

/// Makes what those who connect are met with, for others than SIP.
///
/// # Errors
/// Gives every fault of the files.
pub(super) fn server_only(settings: &TlsSettings) -> Result<ServerConfig, Vec<TlsFault>> {
    let mut faults = Vec::new();
    match identity(settings, &mut |fault| faults.push(fault)) {
        Some(identity) => server(identity, None, &Arc::new(crypto::ring::default_provider())),
        None if faults.is_empty() => {
            Err(vec![TlsFault { key: CERTIFICATE, what: "is wanted".to_owned() }])
        }
        None => Err(faults),
    }
}

fn identity(settings: &TlsSettings, note: &mut impl FnMut(TlsFault)) -> Option<Identity> {
    let chain = settings.certificate.as_deref();
    let chain = chain.and_then(|file| noted(certificates(CERTIFICATE, file), note));
    let key = settings.private_key.as_deref().and_then(|file| noted(private_key(file), note));
    let (chain, key) = (chain?, key?);
    let fault = |what: rustls::Error| {
        let file = settings.certificate.as_deref();
        TlsFault::new(CERTIFICATE, file, format!("does not go with private_key: {what}"))
    };
    let signer = crypto::ring::sign::any_supported_type(&key).map_err(|what| {
        TlsFault::new(PRIVATE_KEY, settings.private_key.as_deref(), format!("is no use: {what}"))
    });
    let signer = noted(signer, note)?;
    let certified = rustls::sign::CertifiedKey::new(chain.clone(), signer);
    noted(certified.keys_match().map_err(fault), note)?;
    Some(Identity { chain, key })
}

fn server(
    identity: Identity,
    clients: Option<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, Vec<TlsFault>> {
    let fault = |key, what: &dyn Display| vec![TlsFault { key, what: what.to_string() }];
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|what| fault(CERTIFICATE, &what))?;
    let builder = match clients {
        Some(roots) => {
            let provider = Arc::clone(provider);
            let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder
                .with_client_cert_verifier(judge.build().map_err(|what| fault(CLIENT_CA, &what))?)
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(identity.chain, identity.key);
    config.map_err(|what| fault(CERTIFICATE, &what))
}

fn client(
    identity: Option<Identity>,
    judge: ServerJudge,
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, Vec<TlsFault>> {
    let fault = |what: rustls::Error| vec![TlsFault { key: CERTIFICATE, what: what.to_string() }];
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(fault)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge));
    match identity {
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain, identity.key).map_err(fault)
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let pem = read(key, file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(TlsFault::new(key, Some(file), "holds no certificate")),
        Ok(all) => Ok(all),
        Err(what) => Err(TlsFault::new(key, Some(file), format!("is no PEM: {what}"))),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let pem = read(PRIVATE_KEY, file)?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|what| TlsFault::new(PRIVATE_KEY, Some(file), format!("holds no key: {what}")))
}

pub(super) fn authorities(key: &'static str, file: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, file)? {
        roots.add(certificate).map_err(|what| {
            TlsFault::new(key, Some(file), format!("holds a certificate that is no use: {what}"))
        })?;
    }
    Ok(roots)
}

/// Whom the platform trusts; a certificate that it holds and that cannot be used is passed over.
pub(super) fn platform() -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    match found.errors.first() {
        Some(what) if roots.is_empty() => {
            Err(TlsFault::new(CA, None, format!("trusts nobody: {what}")))
        }
        Some(_) | None => Ok(roots),
    }
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, TlsFault> {
    fs::read(file)
        .map_err(|error| TlsFault::new(key, Some(file), format!("cannot be read: {error}")))
}

/// Sums up what the files hold: times of change are too coarse to show every change.
pub(super) fn sums(settings: &TlsSettings) -> Vec<Option<u64>> {
    let sum = |file: &Path| {
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(file).ok()?);
        Some(hasher.finish())
    };
    settings.files().iter().map(|(_, file)| file.and_then(sum)).collect()
}

fn noted<T>(result: Result<T, TlsFault>, note: &mut impl FnMut(TlsFault)) -> Option<T> {
    result.map_err(note).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate with its key, in a folder of their own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("chatbridge-{}-{name}", process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, name: &str, text: &str) -> Option<PathBuf> {
            let file = self.0.join(name);
            fs::write(&file, text).unwrap();
            Some(file)
        }

        fn settings(&self) -> TlsSettings {
            let (certificate, key) = pair();
            TlsSettings {
                ca: self.write("ca.pem", &certificate),
                certificate: self.write("certificate.pem", &certificate),
                private_key: self.write("key.pem", &key),
                ..TlsSettings::default()
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn files_that_fit_have_no_fault() {
        let folder = Folder::new("good");
        let settings = folder.settings();
        assert_eq!(settings.faults(), []);
        assert_eq!(TlsSettings { client_ca: settings.ca.clone(), ..settings }.faults(), []);
    }

    #[test]
    fn every_fault_of_the_files_is_told_with_its_key() {
        let folder = Folder::new("bad");
        let (_, other_key) = pair();
        let mut settings = folder.settings();
        folder.write("key.pem", &other_key);
        let keys = |settings: &TlsSettings| -> Vec<_> {
            settings.faults().into_iter().map(|fault| fault.key).collect()
        };
        assert_eq!(keys(&settings), ["certificate"], "the key is another's");
        folder.write("key.pem", "no key");
        folder.write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        settings.client_ca = Some(folder.0.join("nowhere.pem"));
        assert_eq!(keys(&settings), ["private_key", "client_ca", "ca"]);
        folder.write("certificate.pem", "");
        let faults = settings.faults();
        assert!(faults[0].to_string().contains("certificate.pem holds no certificate"));
    }

    /// What happens to files while the server runs: a bad one changes nothing, a good one holds
    /// from the next connection on.
    #[test]
    fn changed_files_hold_for_new_connections_and_bad_ones_for_none() {
        let folder = Folder::new("change");
        let tls = Tls::new(folder.settings()).unwrap();
        let same = |one: &Arc<ServerConfig>| Arc::ptr_eq(one, &tls.server().unwrap());
        let first = tls.server().unwrap();
        tls.refresh();
        assert!(same(&first), "nothing has changed");
        folder.write("certificate.pem", "garbage");
        tls.refresh();
        tls.refresh();
        assert!(same(&first), "the old one holds");
        let (certificate, key) = pair();
        folder.write("certificate.pem", &certificate);
        folder.write("key.pem", &key);
        tls.refresh();
        assert!(!same(&first), "the new one holds");
    }

    #[test]
    fn nothing_is_read_before_it_is_needed() {
        let tls = Tls::new(TlsSettings::default()).unwrap();
        assert!(tls.server().is_none() && !tls.is_worth_watching());
        assert!(tls.current.lock().unwrap().is_none());
    }
}
