//! `[ue]`: the users that are registered at the core, in mode `ue`, and the file that lists them.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::fault::{Fault, Place, did_you_mean};
use super::reader::{Reader, Value};
use super::values::{Secret, header_text, host};
use crate::address::{Address, Scheme};
use crate::sip::Sim;

/// `[ue]`: registrations, in mode `ue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ue {
    /// The users: those of the key `users` with their `passwords`, then those of `users_file`.
    pub users: Vec<User>,
    /// The file that lists further users.
    pub users_file: Option<PathBuf>,
    /// The domain of the registrar, where it is not that of the users.
    pub registrar: Option<String>,
    /// How long a registration is asked for.
    pub expires: Duration,
    /// Whether to ask for GRUUs (RFC 5627), and to use them as Contact.
    pub gruu: bool,
    /// How many registrations are begun per second, at most.
    pub rate: u32,
    /// When a registration that was refused for good is tried again; never where this is zero.
    pub retry_refused: Duration,
}

/// A user that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The public identity, by which applications know the user.
    pub address: Address,
    /// The private identity, the name that answers a challenge.
    pub private_identity: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The keys of the card, in place of a password.
    pub sim: Option<Sim>,
}

impl Ue {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("ue");
        let mut users = keys.parsed("users", Vec::new(), users);
        let passwords = keys.parsed("passwords", Vec::new(), |value| {
            // What is no list of texts may still be a password: it is not repeated in the fault.
            let texts = value.texts().map_err(|_| "a list of texts is wanted".to_owned())?;
            texts.into_iter().map(Secret::parse).collect()
        });
        let this = Self {
            users_file: keys.file("users_file"),
            registrar: keys.optional("registrar", host),
            expires: keys.seconds("expires_s", 3600, 60..=604_800),
            gruu: keys.flag("gruu", false),
            rate: keys.number("rate", 20, 1..=10_000),
            retry_refused: keys.seconds("retry_refused_s", 1800, 0..=86_400),
            users: Vec::new(),
        };
        give_passwords(&mut users, passwords, reader);
        Self { users, ..this }
    }

    /// Adds the users of the file; its faults name their lines in it.
    pub(super) fn read_file(
        &mut self,
        reader: &mut Reader<'_>,
        open: impl FnOnce(&Path) -> io::Result<String>,
    ) {
        let Some(path) = &self.users_file else { return };
        let text = match open(path) {
            Ok(text) => text,
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                return reader.discord(("ue", "users_file"), ("ue", "users_file"), what);
            }
        };
        let mut file = UsersFile { path, text: &text, faults: Vec::new() };
        for (user, span) in file.users() {
            if self.users.iter().any(|known| known.address == user.address) {
                file.fault(span, "address", format!("{} is listed twice", user.address));
            } else {
                self.users.push(user);
            }
        }
        reader.add(file.faults);
    }
}

/// Reads `address` or `address private-identity`, one text per user.
fn users(value: &Value) -> Result<Vec<User>, String> {
    let mut users: Vec<User> = Vec::new();
    for text in value.texts()? {
        let mut words = text.split_whitespace();
        let address = subscriber(words.next().unwrap_or_default())?;
        let private_identity = words.next().map(header_text).transpose()?;
        if words.next().is_some() {
            return Err(format!("{text:?} is more than an address and a private identity"));
        }
        if users.iter().any(|known| known.address == address) {
            return Err(format!("{text:?} stands here twice"));
        }
        users.push(User { address, private_identity, password: None, sim: None });
    }
    Ok(users)
}

fn subscriber(text: &str) -> Result<Address, String> {
    let address = Address::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    match address.scheme() {
        Scheme::Tel | Scheme::Sip => Ok(address),
        Scheme::Acr => Err(format!("{text:?}: only a tel: or sip: address can be registered")),
    }
}

/// Reads a key of a card; a fault does not repeat it.
fn card_key(text: &str) -> Result<[u8; 16], String> {
    let is_whole = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = u128::from_str_radix(text, 16).ok().filter(|_| is_whole);
    key.map(u128::to_be_bytes).ok_or_else(|| "32 hexadecimal digits are wanted".to_owned())
}

/// Gives each user its password, or all of them the only one.
fn give_passwords(users: &mut [User], passwords: Vec<Secret>, reader: &mut Reader<'_>) {
    if passwords.len() > 1 && passwords.len() != users.len() {
        let (given, wanted) = (passwords.len(), users.len());
        let what = format!("{given} passwords for {wanted} users: one for each is wanted, or one");
        return reader.discord(("ue", "passwords"), ("ue", "users"), what);
    }
    let only = passwords.first().filter(|_| passwords.len() == 1).cloned();
    let mut each = passwords.into_iter();
    for user in users {
        user.password = only.clone().or_else(|| each.next());
    }
}

/// The file of users while it is read: `[[user]]` tables.
struct UsersFile<'a> {
    path: &'a Path,
    text: &'a str,
    faults: Vec<Fault>,
}

impl<'a> UsersFile<'a> {
    fn users(&mut self) -> Vec<(User, Range<usize>)> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            let place = self.place(&span);
            let what = error.message().replace('\n', ", ");
            self.faults.push(Fault { place, key: None, what });
        }
        let mut found = Vec::new();
        for (key, value) in document.get_ref().iter() {
            let tables = value.get_ref().as_array().filter(|_| key.get_ref() == "user");
            let Some(tables) = tables else {
                self.fault(key.span(), key.get_ref(), "[[user]] is wanted".to_owned());
                continue;
            };
            for table in tables.iter() {
                let span = table.span();
                match table.get_ref().as_table() {
                    Some(table) => {
                        let user = self.user(table, &span);
                        found.extend(user.map(|user| (user, span)));
                    }
                    None => self.fault(span, "user", "[[user]] is wanted".to_owned()),
                }
            }
        }
        found
    }

    fn user(&mut self, table: &DeTable<'a>, span: &Range<usize>) -> Option<User> {
        const KEYS: [&str; 6] = ["address", "private_identity", "password", "k", "opc", "op"];
        for (key, _) in table.iter().filter(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
            let what = format!("unknown key{}", did_you_mean(key.get_ref(), KEYS));
            self.fault(key.span(), key.get_ref(), what);
        }
        let address = self.value(table, "address", subscriber);
        let private_identity = self.value(table, "private_identity", header_text);
        let password = self.value(table, "password", Secret::parse);
        let sim = self.sim(table, span);
        if !table.contains_key("address") {
            self.fault(span.clone(), "address", "is wanted".to_owned());
        }
        Some(User { address: address?, private_identity, password, sim })
    }

    /// Reads the keys of a card: that of the user, and that of the operator in either form.
    fn sim(&mut self, table: &DeTable<'a>, span: &Range<usize>) -> Option<Sim> {
        let k = self.value(table, "k", card_key);
        let opc = self.value(table, "opc", card_key);
        let op = self.value(table, "op", card_key);
        let is_there = |key: &str| table.contains_key(key);
        let what = match (is_there("k"), is_there("opc"), is_there("op"), is_there("password")) {
            (false, false, false, _) => return None,
            (true, true, false, false) => return Some(Sim::new(k?, opc?)),
            (true, false, true, false) => return Some(Sim::of_operator(k?, op?)),
            (true, _, _, true) => "has the place of a password: one of the two is wanted",
            (true, true, true, false) => "goes with opc or with op: one of the two is wanted",
            (true, false, false, false) => "goes with opc, or with op",
            (false, _, _, _) => "is wanted beside opc and op",
        };
        self.fault(span.clone(), "k", what.to_owned());
        None
    }

    fn value<T>(
        &mut self,
        table: &DeTable<'a>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = table.get(key)?;
        let text = value.get_ref().as_str().ok_or_else(|| "a text in quotes is wanted".to_owned());
        match text.and_then(parse) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault(value.span(), key, what);
                None
            }
        }
    }

    fn fault(&mut self, span: Range<usize>, key: &str, what: String) {
        let place = self.place(&span);
        self.faults.push(Fault { place, key: Some(key.to_owned()), what });
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let line = 1 + self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
        Place::UsersFile(self.path.to_owned(), line)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Config;
    use super::*;

    const EXAMPLE: &str = include_str!("../../config/users.example.toml");
    const UE: &str = "[core]\nmode = \"ue\"\nnext_hop = \"pcscf.example.com:5060\"\n[ue]\n";

    #[test]
    fn users_stand_in_the_key_with_their_passwords_in_the_environment() {
        let text = format!("{UE}users = [\"tel:+19585550100 a@ims\", \"sip:bob@example.com\"]\n");
        let config = read(&text, &[("CHATBRIDGE_UE_PASSWORDS", "one,two")], "").unwrap();
        assert_eq!(shown(&config), ["tel:+19585550100 a@ims one", "sip:bob@example.com - two"]);
        let config = read(&text, &[("CHATBRIDGE_UE_PASSWORDS", "both")], "").unwrap();
        assert_eq!(shown(&config), ["tel:+19585550100 a@ims both", "sip:bob@example.com - both"]);
        let config = read(UE, &[("CHATBRIDGE_UE_USERS", "tel:+1 one@ims,tel:+2")], "").unwrap();
        assert_eq!(shown(&config), ["tel:+1 one@ims -", "tel:+2 - -"]);
        assert!(!format!("{config:?}").contains("both"));
    }

    #[test]
    fn users_stand_in_a_file_too() {
        let text = format!("{UE}users = [\"tel:+1\"]\nusers_file = \"users.toml\"\n");
        let config = read(&text, &[], EXAMPLE).unwrap();
        assert_eq!(
            shown(&config),
            [
                "tel:+1 - -",
                "tel:+19585550100 19585550100@ims.example.com change-me",
                "sip:alice@ims.example.com - change-me, too",
            ]
        );
    }

    #[test]
    fn every_fault_of_the_users_is_told_and_no_password_in_it() {
        let file = "[[user]]\naddress = \"acr:x\"\n[[user]]\npassword = 12345\nadress = \"tel:+9\"\n\
                    [[user]]\naddress = \"tel:+1\"\n[other]\n[[user]]\naddress = \"tel:+2\n";
        let text =
            format!("{UE}users = [\"tel:+1\"]\nusers_file = \"u\"\npasswords = [\"a\", \"b\"]\n");
        assert_eq!(
            faults(&text, file),
            [
                "line 7: [ue] passwords: 2 passwords for 1 users: one for each is wanted, or one",
                "u:2: address: \"acr:x\": only a tel: or sip: address can be registered",
                "u:3: address: is wanted",
                "u:4: password: a text in quotes is wanted",
                "u:5: adress: unknown key; did you mean address?",
                "u:6: address: tel:+1 is listed twice",
                "u:8: other: [[user]] is wanted",
                "u:10: invalid basic string, expected `\"`",
            ]
        );
        for (users, what) in [
            ("[\"tel:+1 a b\"]", "more than an address"),
            ("[\"tel:+1\", \"+1\"]", "twice"),
            ("[\"bob\"]", "must begin with"),
            ("[]", "is empty"),
        ] {
            let found = faults(&format!("{UE}users = {users}\n"), "");
            assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
        }
        let found = faults(&format!("{UE}users = [\"tel:+1\"]\npasswords = [98765]\n"), "");
        assert_eq!(found, ["line 6: [ue] passwords: a list of texts is wanted"]);
    }

    #[test]
    fn a_card_has_a_key_of_its_own_and_one_of_its_operator() {
        let (k, op) = ("465b5ce8b199b49faa5f0a2ee238a6bc", "cdc202d5123e20f62b6d676ac72cb318");
        let opc = "CD63CB71954A9F4E48A5994E37A02BAF";
        let text = format!("{UE}users_file = \"u\"\n");
        let file = format!(
            "[[user]]\naddress = \"tel:+1\"\nk = \"{k}\"\nopc = \"{opc}\"\n\
             [[user]]\naddress = \"tel:+2\"\nk = \"{k}\"\nop = \"{op}\"\n"
        );
        let config = read(&text, &[], &file).unwrap();
        let [one, other] = config.ue.users.as_slice() else { panic!("two users") };
        assert!(one.sim.is_some() && one.sim == other.sim);
        assert!(!format!("{config:?}").contains(&k[..8]));
        for (keys, what) in [
            ("k = \"xyz\"\nop = \"00\"", "32 hexadecimal digits"),
            ("k = 12", "a text in quotes"),
            ("op = \"cdc202d5123e20f62b6d676ac72cb318\"", "k: is wanted beside opc and op"),
            ("k = \"cdc202d5123e20f62b6d676ac72cb318\"", "k: goes with opc, or with op"),
            ("k = \"cdc202d5123e20f62b6d676ac72cb318\"\npassword = \"x\"", "k: has the place of"),
        ] {
            let found = faults(&text, &format!("[[user]]\naddress = \"tel:+1\"\n{keys}\n"));
            assert!(found.iter().any(|fault| fault.contains(what)), "{keys}: {found:?}");
            assert!(!found.concat().contains("cdc2"), "{found:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_fault_of_its_key() {
        let text = format!("{UE}users_file = \"nowhere.toml\"\n");
        let open = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
        let faults = Config::read_with((&text, Path::new("")), [], open).unwrap_err();
        let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("line 5: [ue] users_file: nowhere.toml cannot be read"),
            "{told:?}"
        );
    }

    fn read(text: &str, environment: &[(&str, &str)], file: &str) -> Result<Config, Vec<Fault>> {
        let environment = environment.iter().map(|(name, it)| (name.to_string(), it.to_string()));
        Config::read_with((text, Path::new("")), environment, |_| Ok(file.to_owned()))
    }

    fn faults(text: &str, file: &str) -> Vec<String> {
        let faults = read(text, &[], file).err().unwrap_or_default();
        faults.iter().map(Fault::to_string).collect()
    }

    fn shown(config: &Config) -> Vec<String> {
        let show = |user: &User| {
            let name = user.private_identity.as_deref().unwrap_or("-");
            let password = user.password.as_ref().map_or("-", Secret::reveal);
            format!("{} {name} {password}", user.address)
        };
        config.ue.users.iter().map(show).collect()
    }
}
