//! A certificate authority of our own, and files of what it issues.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use chatbridge::net::TlsSettings;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};

/// Who vouches for others.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chatbridge-transports-{}-{number}", process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(folder.join("ca.pem"), &pem).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// The file that holds the authority's own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Settings of one that holds a certificate for `names`, listens, and trusts this authority.
    pub(crate) fn settings(&self, names: &[&str]) -> TlsSettings {
        let (certificate, private_key) = self.issue(names);
        TlsSettings {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            certificate: Some(certificate),
            private_key: Some(private_key),
            ca: Some(self.file()),
            ..TlsSettings::default()
        }
    }

    /// The same of one that asks those who connect for a certificate.
    pub(crate) fn mutual(&self, names: &[&str]) -> TlsSettings {
        TlsSettings { client_ca: Some(self.file()), ..self.settings(names) }
    }

    /// The same of one whose certificate was good once.
    #[allow(dead_code, reason = "not every binary has use for it")]
    pub(crate) fn expired(&self, names: &[&str]) -> TlsSettings {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        let (certificate, private_key) = self.issue_with(names, params);
        TlsSettings {
            certificate: Some(certificate),
            private_key: Some(private_key),
            ..self.settings(names)
        }
    }

    /// Issues a certificate; gives the files that hold it and its key.
    pub(crate) fn issue(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        self.issue_with(names, CertificateParams::default())
    }

    fn issue_with(&self, names: &[&str], mut params: CertificateParams) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let name = |name: &&str| match name.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(name).collect();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stem = format!("{}-{number}", names.join("-").replace(':', "."));
        let files =
            (self.folder.join(format!("{stem}.pem")), self.folder.join(format!("{stem}.key.pem")));
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}
