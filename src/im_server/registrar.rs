//! The registrar: who of the domain can be reached where, and until when (RFC 3261 section 10).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Settings;
use super::domain::{Domain, Whose};
use super::refusal::Refusal;
use crate::address::Address;
use crate::sip::{Contacts, NameAddr, Request, Scheme, Status, Uri, ViewError};

/// The users of the domain and their contacts.
///
/// Where every user part is a user (`create_users`), one without contacts takes no memory.
#[derive(Debug)]
pub(super) struct Registrar {
    users: BTreeSet<Address>,
    /// The users that may have contacts, which bounds how many have some.
    accounts: BTreeSet<Address>,
    create_users: bool,
    limits: Limits,
    bindings_by_user: BTreeMap<Address, Vec<Binding>>,
    /// The earliest expiry of each user who has bindings.
    expiries: BTreeSet<(Instant, Address)>,
    /// Counts updates: the order of recency.
    updates: u64,
}

#[derive(Debug)]
struct Limits {
    contacts: usize,
    min_expires: Duration,
    max_expires: Duration,
    default_expires: Duration,
}

/// A contact of a user, and the request that made it.
#[derive(Debug, Clone)]
struct Binding {
    /// The contact as registered, without `expires`.
    contact: NameAddr,
    /// The proxies between here and there (RFC 3327).
    path: Vec<NameAddr>,
    /// The preference in thousandths.
    q: u16,
    call_id: String,
    cseq: u32,
    expires_at: Instant,
    updated: u64,
}

/// Where a user can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The contact, fit to be the Request-URI of a request (RFC 3261 section 16.6 item 2).
    pub(super) uri: Uri,
    /// The proxies in front of it.
    pub(super) path: Vec<NameAddr>,
}

impl Registrar {
    pub(super) fn new(settings: &Settings) -> Self {
        let accounts = settings.accounts.iter().map(|account| &account.address);
        let accounts: BTreeSet<_> = accounts.cloned().collect();
        Self {
            users: settings.users.iter().chain(&accounts).cloned().collect(),
            accounts,
            create_users: settings.create_users,
            limits: Limits {
                contacts: settings.max_contacts,
                min_expires: settings.min_expires,
                max_expires: settings.max_expires,
                default_expires: settings.default_expires,
            },
            bindings_by_user: BTreeMap::new(),
            expiries: BTreeSet::new(),
            updates: 0,
        }
    }

    /// Carries out a REGISTER, all of it or nothing, and gives the Contact values of its answer
    /// (RFC 3261 section 10.3).
    pub(super) fn register(
        &mut self,
        now: Instant,
        request: &Request,
        domain: &Domain,
    ) -> Result<Vec<String>, Refusal> {
        let to = request.to().map_err(|_| Status::BAD_REQUEST)?;
        if to.uri.scheme() == Scheme::Other {
            // Nobody is registered by such an address, here or elsewhere (section 10.3 item 5).
            return Err(Status::BAD_REQUEST.into());
        }
        let Whose::User(user) = domain.whose(&to.uri) else {
            return Err(Status::FORBIDDEN.into());
        };
        if !self.exists(&user) {
            return Err(Status::NOT_FOUND.into());
        }
        if !self.accounts.contains(&user) {
            return Err(Status::FORBIDDEN.into());
        }
        let is_unknown = |option: &&str| !option.eq_ignore_ascii_case("path");
        let asked: Vec<_> = request.headers.list("Require").filter(is_unknown).collect();
        if !asked.is_empty() {
            return Err(Refusal::with(Status::BAD_EXTENSION, "Unsupported", asked.join(", ")));
        }
        self.expire(now);
        self.updates += 1;
        let change = Change::read(now, (request, domain), self.updates)?;
        let known = self.bindings_by_user.get(&user).map_or(&[][..], Vec::as_slice);
        let bindings = match request.contacts().map_err(bad_contact)? {
            Contacts::Any => change.remove_all(known)?,
            Contacts::List(contacts) => {
                contacts.iter().try_for_each(|contact| check_contact(contact, domain))?;
                change.apply(known, contacts, &self.limits)?
            }
        };
        let lines = bindings.iter().map(|binding| binding.line(now)).collect();
        self.take(&user);
        self.put(user, bindings);
        Ok(lines)
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((at, user)) = self.expiries.first().cloned()
            && at <= now
        {
            let mut bindings = self.take(&user);
            bindings.retain(|binding| binding.expires_at > now);
            self.put(user, bindings);
        }
    }

    /// Tells whether `user`, of the domain, is one of ours.
    pub(super) fn exists(&self, user: &Address) -> bool {
        self.create_users || self.is_named(user)
    }

    /// Tells whether `user` is one of those whom the configuration names.
    pub(super) fn is_named(&self, user: &Address) -> bool {
        self.users.contains(user)
    }

    /// Gives the contacts of `user`: those that are preferred the same together, the latest first,
    /// before those that are preferred less.
    pub(super) fn places(&self, now: Instant, user: &Address) -> Vec<Vec<Place>> {
        let bindings = self.bindings_by_user.get(user).map_or(&[][..], Vec::as_slice);
        let mut live: Vec<_> = bindings.iter().filter(|it| it.expires_at > now).collect();
        live.sort_by_key(|binding| (Reverse(binding.q), Reverse(binding.updated)));
        let ranks = live.chunk_by(|one, other| one.q == other.q);
        ranks.map(|rank| rank.iter().map(|binding| binding.place()).collect()).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    fn take(&mut self, user: &Address) -> Vec<Binding> {
        let bindings = self.bindings_by_user.remove(user).unwrap_or_default();
        if let Some(at) = earliest(&bindings) {
            self.expiries.remove(&(at, user.clone()));
        }
        bindings
    }

    fn put(&mut self, user: Address, bindings: Vec<Binding>) {
        if let Some(at) = earliest(&bindings) {
            self.expiries.insert((at, user.clone()));
            self.bindings_by_user.insert(user, bindings);
        }
    }
}

fn earliest(bindings: &[Binding]) -> Option<Instant> {
    bindings.iter().map(|binding| binding.expires_at).min()
}

/// What a REGISTER says beside its contacts.
#[derive(Debug)]
struct Change {
    now: Instant,
    call_id: String,
    cseq: u32,
    /// The `Expires` header in seconds.
    expires: Option<u32>,
    path: Vec<NameAddr>,
    updated: u64,
}

impl Change {
    fn read(
        now: Instant,
        (request, domain): (&Request, &Domain),
        updated: u64,
    ) -> Result<Self, Refusal> {
        let cseq = request.cseq().map_err(|_| Status::BAD_REQUEST)?.number;
        let call_id = request.call_id().filter(|it| it.len() <= MAX_CALL_ID);
        let call_id = call_id.ok_or(Status::BAD_REQUEST)?.to_owned();
        let path = path_of(request, domain)?;
        Ok(Self { now, call_id, cseq, expires: request.expires(), path, updated })
    }

    /// `Contact: *` goes with `Expires: 0` only (step 6).
    fn remove_all(&self, known: &[Binding]) -> Result<Vec<Binding>, Refusal> {
        if self.expires != Some(0) {
            return Err(Status::BAD_REQUEST.into());
        }
        known.iter().try_for_each(|binding| self.check_order(binding))?;
        Ok(Vec::new())
    }

    /// Adds, refreshes and removes contacts (step 7).
    fn apply(
        &self,
        known: &[Binding],
        contacts: Vec<NameAddr>,
        limits: &Limits,
    ) -> Result<Vec<Binding>, Refusal> {
        // More than all known removed and all places filled anew is too much, and comparing every
        // contact with every other is only cheap for few.
        if contacts.len() > known.len() + limits.contacts {
            return Err(Status::FORBIDDEN.into());
        }
        let mut bindings = known.to_vec();
        for contact in contacts {
            let lifetime = self.lifetime(&contact, limits)?;
            let same = |binding: &Binding| binding.contact.uri.equivalent(&contact.uri);
            known.iter().filter(|it| same(it)).try_for_each(|it| self.check_order(it))?;
            bindings.retain(|binding| !same(binding));
            if lifetime.is_zero() {
                continue;
            }
            bindings.push(Binding {
                q: thousandths(contact.param("q")),
                contact: without_expires(contact),
                path: self.path.clone(),
                call_id: self.call_id.clone(),
                cseq: self.cseq,
                expires_at: self.now + lifetime,
                updated: self.updated,
            });
        }
        if bindings.len() > limits.contacts {
            return Err(Status::FORBIDDEN.into());
        }
        Ok(bindings)
    }

    /// A request that was overtaken by a later one of the same Call-ID changes nothing (step 7).
    fn check_order(&self, binding: &Binding) -> Result<(), Refusal> {
        if binding.call_id == self.call_id && self.cseq <= binding.cseq {
            return Err(Status::SERVER_INTERNAL_ERROR.into());
        }
        Ok(())
    }

    /// How long a contact will live; not at all where it is to be removed.
    fn lifetime(&self, contact: &NameAddr, limits: &Limits) -> Result<Duration, Refusal> {
        let asked = match contact.param("expires") {
            Some(text) => Some(seconds(text)),
            None => self.expires,
        };
        let asked =
            asked.map_or(limits.default_expires, |seconds| Duration::from_secs(u64::from(seconds)));
        // "if and only if" it is shorter than an hour as well (step 7).
        if !asked.is_zero() && asked < limits.min_expires && asked < HOUR {
            let least = limits.min_expires.as_secs().to_string();
            return Err(Refusal::with(Status::INTERVAL_TOO_BRIEF, "Min-Expires", least));
        }
        Ok(asked.min(limits.max_expires))
    }
}

impl Binding {
    fn place(&self) -> Place {
        let uri = self.contact.uri.without_headers().without_param("method");
        Place { uri, path: self.path.clone() }
    }

    /// The contact as the answer tells it; a started second is a second.
    fn line(&self, now: Instant) -> String {
        let left = self.expires_at.saturating_duration_since(now).as_millis().div_ceil(1000);
        self.contact.clone().with_param("expires", Some(&left.to_string())).to_string()
    }
}

/// A contact must be a place that a request can be sent to, and must not lead back here, where it
/// would send every request in circles.
fn check_contact(contact: &NameAddr, domain: &Domain) -> Result<(), Refusal> {
    if contact.uri.hop().is_none() || contact.to_string().len() > MAX_CONTACT {
        return Err(Status::BAD_REQUEST.into());
    }
    if domain.is_ours(&contact.uri) {
        return Err(Status::FORBIDDEN.into());
    }
    Ok(())
}

/// Reads the Path: loose routers, few and short, of which the first must be a place to send to and
/// must not be us (RFC 3327 section 5.3).
fn path_of(request: &Request, domain: &Domain) -> Result<Vec<NameAddr>, Refusal> {
    let lines: Vec<_> = request.headers.list("Path").collect();
    let path: Result<Vec<_>, _> = lines.iter().copied().map(NameAddr::parse).collect();
    let path = path.map_err(|_| Status::BAD_REQUEST)?;
    let is_sound = path.iter().all(|it| it.uri.param("lr").is_some() && it.uri.hop().is_some());
    let length: usize = lines.iter().map(|line| line.len()).sum();
    if !is_sound || path.len() > MAX_PATH || length > MAX_CONTACT {
        return Err(Status::BAD_REQUEST.into());
    }
    match path.first() {
        Some(first) if domain.is_ours(&first.uri) => Err(Status::FORBIDDEN.into()),
        Some(_) | None => Ok(path),
    }
}

fn without_expires(mut contact: NameAddr) -> NameAddr {
    contact.params.retain(|(name, _)| !name.eq_ignore_ascii_case("expires"));
    contact
}

/// `delta-seconds`; what is none counts as an hour (RFC 3261 section 20.10).
fn seconds(text: &str) -> u32 {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().unwrap_or(u32::MAX) } else { 3600 }
}

/// `qvalue`: `0`, `0.7`, `1.000`. Without one a contact is as good as any.
fn thousandths(q: Option<&str>) -> u16 {
    const WHOLE: u16 = 1000;
    let Some(fraction) = q.and_then(|text| text.strip_prefix('0')) else { return WHOLE };
    let digits = fraction.strip_prefix('.').unwrap_or_default();
    format!("{digits:0<3.3}").parse().unwrap_or(WHOLE)
}

fn bad_contact(_: ViewError) -> Refusal {
    Status::BAD_REQUEST.into()
}

const HOUR: Duration = Duration::from_secs(3600);

/// The longest contact or path that is stored, in bytes: room for a full set of feature tags.
const MAX_CONTACT: usize = 2048;

/// The longest Call-ID that is stored, in bytes.
const MAX_CALL_ID: usize = 511;

/// More proxies than any honest request goes through before it comes to its registrar.
const MAX_PATH: usize = 8;
