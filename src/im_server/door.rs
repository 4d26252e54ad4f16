//! The door: who has sent a request, and what proves it (RFC 3261 section 22).
//!
//! Whoever wants something is asked for a password, the bridge included: streams from its host may
//! be anybody's. Only a datagram that comes from the bridge's own port at a loopback address needs
//! no more proof, for such an address never arrives from another host (RFC 1122 section 3.2.1.3),
//! and the port is taken.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use super::Settings;
use super::domain::{Domain, same_host};
use super::refusal::Refusal;
use crate::address::Address;
use crate::ids::Random;
use crate::sip::{
    Asker, Credentials, DigestServer, DigestSettings, Headers, Hop, Password, Qop, Request,
    Response, Status, Transport, Verdict,
};

/// Asks for passwords, and knows them.
#[derive(Debug)]
pub(super) struct Door {
    digest: DigestServer,
    book: Book,
    home: Option<Hop>,
}

/// Who has sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sender {
    /// The bridge, which speaks for every user of the domain.
    Home,
    /// A user, by password.
    User(Address),
    /// The focus, which speaks for its rooms.
    Focus,
    /// A party to a dialog that went through here from its beginning.
    Party,
    /// Somebody who wants nothing that is not everybody's.
    Anybody,
}

impl Door {
    pub(super) fn new(now: Instant, settings: &Settings, random: Random) -> Self {
        let digest = DigestSettings {
            algorithms: settings.algorithms.clone(),
            // Intermediaries may touch a body.
            qops: vec![Qop::Auth],
            lifetime: settings.nonce_lifetime,
            max_nonces: settings.max_nonces,
            ..DigestSettings::new(&settings.domain)
        };
        let accounts = settings.accounts.iter().cloned();
        Self {
            digest: DigestServer::new(now, digest, random),
            book: Book {
                passwords: accounts.map(|account| (account.address, account.password)).collect(),
                home: settings.home_credentials.clone(),
            },
            home: settings.home.clone(),
        }
    }

    /// Tells whether nobody but the bridge can have sent from there.
    pub(super) fn is_home(&self, source: &Hop) -> bool {
        let is_loopback = source.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        source.transport == Transport::Udp
            && is_loopback
            && self
                .home
                .as_ref()
                .is_some_and(|home| same_host(&source.host, &home.host) && source.port == home.port)
    }

    /// Finds out who has sent `request`.
    ///
    /// # Errors
    /// Asks whoever has proved nothing yet, and sends away whoever has failed to. A name that does
    /// not exist and a wrong password are told the same.
    pub(super) fn identify(
        &mut self,
        now: Instant,
        request: &Request,
        asker: Asker,
        domain: &Domain,
    ) -> Result<Sender, Refusal> {
        let book = &self.book;
        let verdict =
            self.digest.verify(now, request, asker, |name, _| book.password_of(name, domain));
        match verdict {
            Verdict::Granted { username } => {
                self.book.sender(&username, domain).ok_or(Status::FORBIDDEN.into())
            }
            Verdict::Missing => Err(self.ask(now, asker, false)),
            Verdict::Stale => Err(self.ask(now, asker, true)),
            Verdict::Denied => Err(Status::FORBIDDEN.into()),
        }
    }

    /// Takes off what was said to us alone.
    pub(super) fn take_answers(&self, headers: &mut Headers) {
        Asker::ALL.iter().for_each(|asker| self.digest.take_answers(headers, *asker));
    }

    /// Writes the challenge, in one header for each algorithm (RFC 8760 section 2.4).
    fn ask(&mut self, now: Instant, asker: Asker, stale: bool) -> Refusal {
        let status = match asker {
            Asker::Server => Status::UNAUTHORIZED,
            Asker::Proxy => Status::PROXY_AUTHENTICATION_REQUIRED,
        };
        let mut response = Response::new(status);
        self.digest.challenge(now, &mut response, asker, stale);
        let name = asker.challenge_header();
        let lines = response.headers.all(name).map(|line| (name, line.to_owned()));
        Refusal { status, headers: lines.collect() }
    }
}

/// The passwords.
#[derive(Debug)]
struct Book {
    passwords: BTreeMap<Address, Password>,
    home: Option<Credentials>,
}

impl Book {
    fn password_of(&self, name: &str, domain: &Domain) -> Option<Password> {
        match self.sender(name, domain)? {
            Sender::Home => self.home.as_ref().map(|home| home.password.clone()),
            Sender::User(user) => self.passwords.get(&user).cloned(),
            Sender::Focus | Sender::Party | Sender::Anybody => None,
        }
    }

    /// Finds whose name it is.
    fn sender(&self, name: &str, domain: &Domain) -> Option<Sender> {
        if self.home.as_ref().is_some_and(|home| home.username == name) {
            return Some(Sender::Home);
        }
        let user = domain.user_named(name)?;
        self.passwords.contains_key(&user).then_some(Sender::User(user))
    }
}
