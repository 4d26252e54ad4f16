//! Digest in requests of ours: recorded credentials fit a recorded nonce only, so they are computed
//! anew for what the bridge has asked in this run (RFC 3261 section 22).

use std::collections::BTreeMap;

use super::super::raw::{Edits, Raw};
use super::kinds::{Kept, Rewriting, Rewritten};
use crate::digest::{Answer, Asked, Challenge, Credentials, Pledge};

/// Who we are to the bridge, and what it has asked of us.
#[derive(Debug, Default)]
pub(in super::super) struct Pledges {
    /// Draws our nonces apart from those of another run.
    run: String,
    /// Without them, recorded credentials are passed as they are.
    pub(in super::super) credentials: Option<Credentials>,
    /// By the field that answers, and by realm.
    asked: BTreeMap<(&'static str, String), Pledge>,
}

impl Pledges {
    /// Begins with nothing asked.
    pub(super) fn new(run: String) -> Self {
        Self { run, ..Self::default() }
    }

    /// Learns what a message of the bridge asks.
    pub(super) fn learn(&mut self, live: &Raw<'_>) {
        let Some(credentials) = &self.credentials else { return };
        for (asks, answers) in FIELDS {
            for field in live.named((asks, asks)).take(MAX_CHALLENGES) {
                for challenge in Challenge::read_all(&live.of(&field.value)).take(MAX_CHALLENGES) {
                    let realm = challenge.realm.clone();
                    let Some(mut pledge) = Pledge::new(credentials, challenge) else { continue };
                    pledge.begin(format!("{}{}", self.run, self.asked.len()));
                    if self.asked.len() < MAX_REALMS
                        || self.asked.contains_key(&(answers, realm.clone()))
                    {
                        self.asked.insert((answers, realm), pledge);
                    }
                }
            }
        }
    }

    /// Puts the credentials of this run in the place of those in a request that is otherwise ready.
    pub(super) fn renew(&mut self, request: &[u8], kept: Kept) -> Rewritten {
        let raw = Raw::read(request);
        let mut edits = Edits::new(kept);
        let Some(credentials) = &self.credentials else { return edits.apply(&raw) };
        let line = raw.of(&(0..raw.line_end())).into_owned();
        let method = line.split(' ').next().unwrap_or_default();
        let uri = raw.uri().map(|uri| raw.of(&uri).into_owned()).unwrap_or_default();
        let asked = Asked { method, uri: &uri, body: raw.body() };
        for (_, answers) in FIELDS {
            for field in raw.named((answers, answers)).take(MAX_CHALLENGES) {
                let recorded = Answer::read_all(&raw.of(&field.value)).next();
                let realm = recorded.map(|answer| answer.realm);
                // The realm of the recording may have another name here.
                let found = self.asked.iter_mut().filter(|((field, _), _)| *field == answers);
                let mut found: Vec<_> = found.collect();
                let exact = found.iter().position(|((_, own), _)| Some(own) == realm.as_ref());
                let place = exact.or((found.len() == 1).then_some(0));
                let Some(place) = place else { continue };
                let answer = found[place].1.answer(credentials, asked);
                edits.set(field.value.clone(), answer.to_string(), Rewriting::Credentials);
            }
        }
        edits.apply(&raw)
    }
}

/// The fields that ask, and those that answer.
const FIELDS: [(&str, &str); 2] =
    [("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization")];
const MAX_CHALLENGES: usize = 8;
const MAX_REALMS: usize = 100;
