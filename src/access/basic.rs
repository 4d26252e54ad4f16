//! Names and passwords (RFC 7617), each with the users that they are for.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::{hmac, pbkdf2};

use super::lines::{LineFault, caller, entries};
use super::{Caller, Refusal, Verdict, credentials};

/// The passwords by name. None of them stands here: only keyed sums do, and hashes.
pub struct Passwords {
    key: hmac::Key,
    accounts: BTreeMap<Box<str>, Account>,
    /// What a password is compared with whose name is unknown, so that it takes as long.
    decoy: Stored,
}

struct Account {
    stored: Stored,
    caller: Caller,
}

/// A password as it is kept.
#[derive(Clone)]
enum Stored {
    /// The sum of a password that was given as it is.
    Sum(hmac::Tag),
    /// A hash that is slow on purpose.
    Slow(SlowHash),
}

/// `$pbkdf2-sha256$i=…$salt$hash`: a hash in the PHC format (RFC 8018 section 5.2).
#[derive(Clone)]
struct SlowHash {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Passwords {
    /// Reads a list of `name password user …`, one to a line; `*` is everybody. The name does for
    /// the users where it is an address. `secret` is drawn anew by each process.
    ///
    /// # Errors
    /// Names the first line that is wrong.
    pub fn read(text: &str, secret: &[u8; 32]) -> Result<Self, LineFault> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut accounts = BTreeMap::new();
        // Nobody has a password that is 32 bytes of a secret.
        let mut decoy = Stored::Sum(hmac::sign(&key, secret));
        for (line, words) in entries(text) {
            let fault = |what: &str| LineFault { line, what: what.to_owned() };
            let [name, password, users @ ..] = words.as_slice() else {
                return Err(fault("is no name, password and users"));
            };
            if name.contains(':') {
                return Err(fault("a name holds no colon (RFC 7617 section 2)"));
            }
            let users = if users.is_empty() { &words[..1] } else { users };
            let caller = caller(users).map_err(|what| fault(&what))?;
            let stored = match password.strip_prefix('$') {
                Some(phc) => Stored::Slow(SlowHash::read(phc).ok_or_else(|| {
                    fault("the hash is not of the form $pbkdf2-sha256$i=600000$salt$hash")
                })?),
                None => Stored::Sum(hmac::sign(&key, password.as_bytes())),
            };
            if let (Stored::Slow(hash), Stored::Sum(_)) = (&stored, &decoy) {
                decoy = Stored::Slow(hash.unmatched());
            }
            if accounts.insert((*name).into(), Account { stored, caller }).is_some() {
                return Err(fault("the name stands here twice"));
            }
        }
        Ok(Self { key, accounts, decoy })
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Judges a field `Authorization`.
    pub(super) fn judge(&self, field: &[u8]) -> Verdict {
        let Some((name, password)) = name_and_password(field) else {
            return Verdict::Refused(Refusal::Invalid(None));
        };
        let account = self.accounts.get(name.as_str());
        let stored = account.map_or(&self.decoy, |account| &account.stored);
        let caller = account.map(|account| account.caller.clone());
        match stored {
            Stored::Sum(sum) => {
                let is_right = hmac::verify(&self.key, &password, sum.as_ref()).is_ok();
                match caller.filter(|_| is_right) {
                    Some(caller) => Verdict::Admitted(caller),
                    None => Verdict::Refused(Refusal::Invalid(None)),
                }
            }
            Stored::Slow(hash) => {
                let shown = hmac::sign(&self.key, &password);
                let hash = hash.clone();
                Verdict::Costly(PasswordCheck { name: name.into(), password, hash, shown, caller })
            }
        }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("count", &self.accounts.len()).finish_non_exhaustive()
    }
}

/// A password that is held against a slow hash: some tenths of a second of work.
pub struct PasswordCheck {
    name: Box<str>,
    password: Vec<u8>,
    hash: SlowHash,
    shown: hmac::Tag,
    /// Nobody where the name is unknown.
    caller: Option<Caller>,
}

impl PasswordCheck {
    /// Does the work: gives who it is, where the password is right.
    #[must_use]
    pub fn run(&self) -> Option<Caller> {
        let SlowHash { iterations, salt, hash } = &self.hash;
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        let is_right = pbkdf2::verify(algorithm, *iterations, salt, &self.password, hash).is_ok();
        self.caller.clone().filter(|_| is_right)
    }
}

impl fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordCheck").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The passwords that were found right, by their keyed sums: the work is done once for each name.
#[derive(Debug, Default)]
pub struct Proven {
    sums: BTreeMap<Box<str>, hmac::Tag>,
}

impl Proven {
    /// Gives who it is, where the same was found right before.
    #[must_use]
    pub fn find(&self, check: &PasswordCheck) -> Option<Caller> {
        let known = self.sums.get(&check.name)?;
        // Both are sums of a key that nobody knows: comparing them tells nothing of the passwords.
        check.caller.clone().filter(|_| known.as_ref() == check.shown.as_ref())
    }

    /// Remembers that a check has found a password right; there are no more of them than names.
    pub fn note(&mut self, check: &PasswordCheck) {
        if check.caller.is_some() {
            self.sums.insert(check.name.clone(), check.shown);
        }
    }

    /// Forgets all: the passwords have changed.
    pub fn clear(&mut self) {
        self.sums.clear();
    }
}

impl SlowHash {
    /// Reads what stands behind the first `$`.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        if parts.next()? != "pbkdf2-sha256" {
            return None;
        }
        let mut iterations = None;
        for parameter in parts.next()?.split(',') {
            match parameter.split_once('=')? {
                ("i", value) => iterations = value.parse::<NonZeroU32>().ok(),
                ("l", "32") => {}
                _ => return None,
            }
        }
        let iterations = iterations.filter(|count| count.get() <= MOST_ITERATIONS)?;
        let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let hash = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let fits = salt.len() >= 8 && hash.len() == 32 && parts.next().is_none();
        fits.then_some(Self { iterations, salt, hash })
    }

    /// Gives a hash that takes as long and that nothing matches.
    fn unmatched(&self) -> Self {
        Self { hash: vec![0; self.hash.len()], ..self.clone() }
    }
}

impl fmt::Display for SlowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, hash) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.hash));
        write!(f, "$pbkdf2-sha256$i={},l=32${salt}${hash}", self.iterations)
    }
}

/// Gives what a client says in `Authorization`, of a name and a password with a colon between them
/// (RFC 7617 section 2).
#[must_use]
pub fn basic_credentials(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// Hashes a password as a list of users keeps it, with a salt that was drawn for it alone.
#[must_use]
pub fn hash_password(password: &str, salt: [u8; 16]) -> String {
    let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
    let mut hash = vec![0; 32];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, &salt, password.as_bytes(), &mut hash);
    SlowHash { iterations, salt: salt.to_vec(), hash }.to_string()
}

fn name_and_password(field: &[u8]) -> Option<(String, Vec<u8>)> {
    let encoded = credentials(field, b"basic").filter(|text| text.len() <= LONGEST)?;
    let decoded = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

/// How slow the hashes are that we make (OWASP, Password Storage Cheat Sheet).
const ITERATIONS: u32 = 600_000;

/// How slow a hash may be: this is some seconds of work.
const MOST_ITERATIONS: u32 = 10_000_000;

/// The longest credential that is decoded, in bytes.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Gate;
    use super::*;
    use crate::address::Address;

    #[test]
    fn a_name_and_its_password_open_for_its_users() {
        let gate = gate("alice open:sesame tel:+1 sip:alice@x.example\n+2 two\n");
        let admitted = |pair: &str| match gate.judge(0, Some(field(pair).as_bytes())) {
            Verdict::Admitted(caller) => Some(caller),
            Verdict::Refused(refusal) => {
                assert_eq!(refusal, Refusal::Invalid(None));
                None
            }
            Verdict::Costly(_) => panic!("no hash stands here"),
        };
        let user = |text: &str| Address::parse(text).unwrap();
        let alice = admitted("alice:open:sesame").unwrap();
        assert!(alice.covers(&user("+1")) && alice.covers(&user("sip:alice@x.example")));
        assert!(!alice.covers(&user("+2")));
        assert!(admitted("+2:two").unwrap().covers(&user("tel:+2")));
        for wrong in ["alice:open", "alice:", "bob:two", "+2:Two", "alice", ":", "+2:two "] {
            assert_eq!(admitted(wrong), None, "{wrong}");
        }
        for wrong in ["Basic", "Basic !!!", "Bearer YTpi", &format!("Basic {}", "A".repeat(4000))] {
            let verdict = gate.judge(0, Some(wrong.as_bytes()));
            assert!(matches!(verdict, Verdict::Refused(Refusal::Invalid(None))), "{wrong}");
        }
        assert!(matches!(gate.judge(0, None), Verdict::Refused(Refusal::Missing)));
    }

    #[test]
    fn a_hash_is_checked_apart_and_once() {
        // Made by hashlib.pbkdf2_hmac of Python.
        let phc = "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$\
                   pj4T35D2v4tYmC1sTJ1y5tcMADOdtnQGvuHmyYDQh2g";
        let passwords = Passwords::read(&format!("alice {phc} tel:+1"), &[7; 32]);
        let gate = Gate::Basic(passwords.unwrap());
        let check = |pair: &str| match gate.judge(0, Some(field(pair).as_bytes())) {
            Verdict::Costly(check) => check,
            Verdict::Admitted(_) | Verdict::Refused(_) => panic!("{pair}"),
        };
        let mut proven = Proven::default();
        let good = check("alice:hunter2");
        assert_eq!(proven.find(&good), None);
        assert!(good.run().is_some());
        proven.note(&good);
        assert!(proven.find(&check("alice:hunter2")).is_some());
        assert_eq!(proven.find(&check("alice:hunter3")), None);
        assert_eq!(check("alice:hunter3").run(), None);
        // A name that is not there takes the same work, and is never known.
        let nobody = check("bob:hunter2");
        assert_eq!(nobody.hash.iterations.get(), 1000);
        proven.note(&nobody);
        assert_eq!((nobody.run(), proven.find(&nobody)), (None, None));
        proven.clear();
        assert_eq!(proven.find(&good), None);
    }

    #[test]
    fn what_we_hash_we_read() {
        let phc = hash_password("hunter2", *b"0123456789abcdef");
        let read = SlowHash::read(&phc[1..]).unwrap();
        assert_eq!((read.to_string(), read.iterations.get()), (phc, ITERATIONS));
    }

    #[test]
    fn a_bad_line_is_named_and_its_password_is_not() {
        for (text, what) in [
            ("alice", "line 1: is no name"),
            ("\ntel:+1 hush", "line 2: a name holds no colon"),
            ("alice hush", "line 1: a user is wrong"),
            ("+1 hush\n+1 hush", "line 2: the name stands here twice"),
            ("+1 $2y$10$hush", "line 1: the hash is not"),
            ("+1 $pbkdf2-sha256$i=0$aHVzaGh1c2hodXNo$aHVzaA", "line 1: the hash is not"),
            ("+1 $pbkdf2-sha256$i=99999999$aHVzaGh1c2hodXNo$aHVzaA", "line 1: the hash is not"),
        ] {
            let fault = Passwords::read(text, &[7; 32]).unwrap_err().to_string();
            assert!(fault.starts_with(what) && !fault.contains("hush"), "{fault}");
        }
    }

    fn gate(text: &str) -> Gate {
        Gate::Basic(Passwords::read(text, &[7; 32]).unwrap())
    }

    fn field(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }
}
