//! `[auth]`: who may use the API, and the gate that is made of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Config;
use super::reader::{Choice, Reader, Section, Value};
use super::values::Secret;
use crate::access::{Gate, KeySet, Passwords, TokenJudge, TokenRules, Tokens};

/// What callers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Nothing.
    None,
    /// A name and a password.
    Basic,
    /// One of some fixed tokens.
    Bearer,
    /// A token that an authorization server has signed.
    Jwt,
}

impl Choice for AuthMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("basic", Self::Basic),
        ("bearer", Self::Bearer),
        ("jwt", Self::Jwt),
    ];
}

/// `[auth]`: who may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// What callers are asked for.
    pub mode: AuthMode,
    /// How the API is called in a challenge.
    pub realm: String,
    /// Names and passwords with the users that they are for, one entry each.
    pub users: Vec<Secret>,
    /// A file that lists more of them.
    pub users_file: Option<PathBuf>,
    /// Tokens with the users that they are for, one entry each.
    pub tokens: Vec<Secret>,
    /// A file that lists more of them.
    pub tokens_file: Option<PathBuf>,
    /// Who makes the tokens of mode `jwt`.
    pub issuer: Option<String>,
    /// For whom they are made: one of these.
    pub audience: Vec<String>,
    /// The public keys that they are signed with, a file of JSON (RFC 7517).
    pub jwks_file: Option<PathBuf>,
    /// What they are good for: all of these.
    pub scope: Vec<String>,
    /// The claim that names the user, or the users.
    pub users_claim: String,
    /// What they may say that they are.
    pub token_types: Vec<String>,
    /// By how many seconds clocks may differ.
    pub leeway: u32,
    /// The longest token, in bytes.
    pub max_token: usize,
    /// How often the files are looked at.
    pub reload: Duration,
    /// How many wrong credentials one source may show; 0 is any.
    pub failures: u32,
    /// How long these count, and how long the source waits then.
    pub failures_window: Duration,
    /// How many sources, and how many users, are remembered at a time.
    pub remembered: usize,
}

/// What is wrong with a file or a list of credentials. It repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[auth] {key}: {what}")]
pub struct AuthFault {
    /// The key that names it.
    pub key: &'static str,
    /// What is wrong.
    pub what: String,
}

impl Auth {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut keys = reader.section("auth");
        Self {
            mode: keys.choice("mode"),
            realm: keys.text("realm", "chat", realm),
            users: secrets(&mut keys, "users"),
            users_file: keys.file("users_file"),
            tokens: secrets(&mut keys, "tokens"),
            tokens_file: keys.file("tokens_file"),
            issuer: keys.optional("issuer", |text| Ok(text.to_owned())),
            audience: keys.parsed("audience", Vec::new(), texts),
            jwks_file: keys.file("jwks_file"),
            scope: keys.parsed("scope", vec![SCOPE.to_owned()], texts),
            users_claim: keys.text("users_claim", "sub", |text| match text {
                "" => Err("names no claim".to_owned()),
                text => Ok(text.to_owned()),
            }),
            token_types: keys.parsed("token_types", vec!["at+jwt".to_owned()], texts),
            leeway: keys.number("leeway_s", 30, 0..=600),
            max_token: keys.count("max_token", 8192, 256..=65_536),
            reload: keys.seconds("reload_s", 10, 1..=86_400),
            failures: keys.number("failures", 20, 0..=1_000_000),
            failures_window: keys.seconds("failures_window_s", 60, 1..=86_400),
            remembered: keys.count("remembered", 10_000, 1..=10_000_000),
        }
    }

    /// Gives the files that the mode reads.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let file = match self.mode {
            AuthMode::None => &None,
            AuthMode::Basic => &self.users_file,
            AuthMode::Bearer => &self.tokens_file,
            AuthMode::Jwt => &self.jwks_file,
        };
        file.as_deref().into_iter().collect()
    }

    /// Makes the gate; reads the files. Sums of secrets are keyed with `secret`.
    ///
    /// # Errors
    /// A file cannot be read, or holds a line that is wrong.
    pub fn gate(&self, secret: &[u8; 32]) -> Result<Gate, AuthFault> {
        Ok(match self.mode {
            AuthMode::None => Gate::Open,
            AuthMode::Basic => {
                let (keys, list) = (["users", "users_file"], &self.users);
                let passwords = listed(keys, list, self.users_file.as_deref(), |text| {
                    Passwords::read(text, secret).map_err(|fault| (fault.line, fault.what))
                })?;
                Gate::Basic(passwords)
            }
            AuthMode::Bearer => {
                let (keys, list) = (["tokens", "tokens_file"], &self.tokens);
                let tokens = listed(keys, list, self.tokens_file.as_deref(), |text| {
                    Tokens::read(text, secret).map_err(|fault| (fault.line, fault.what))
                })?;
                Gate::Bearer(tokens)
            }
            AuthMode::Jwt => Gate::Jwt(Box::new(TokenJudge::new(self.rules(), self.keys()?))),
        })
    }

    fn rules(&self) -> TokenRules {
        TokenRules {
            issuer: self.issuer.clone().unwrap_or_default(),
            audiences: self.audience.clone(),
            scopes: self.scope.clone(),
            users_claim: self.users_claim.clone(),
            types: self.token_types.clone(),
            leeway: self.leeway,
            max_bytes: self.max_token,
        }
    }

    fn keys(&self) -> Result<KeySet, AuthFault> {
        let key = "jwks_file";
        let file = self.jwks_file.as_deref().unwrap_or(Path::new(""));
        let fault = |what: String| AuthFault { key, what: format!("{} {what}", file.display()) };
        KeySet::read(&text(key, file)?).map_err(|what| fault(what.to_string()))
    }
}

impl Config {
    /// Finds keys of `[auth]` that do not go together, and files that are no use.
    pub(super) fn check_auth(&self, reader: &mut Reader<'_>) {
        let auth = &self.auth;
        let mode = ("auth", "mode");
        let mut want = |key, is_there: bool| {
            if !is_there {
                let what = format!("is wanted in mode {:?}", auth.mode.word());
                reader.discord(("auth", key), mode, what);
            }
            is_there
        };
        let is_whole = match auth.mode {
            AuthMode::None => true,
            AuthMode::Basic => want("users", !auth.users.is_empty() || auth.users_file.is_some()),
            AuthMode::Bearer => {
                want("tokens", !auth.tokens.is_empty() || auth.tokens_file.is_some())
            }
            AuthMode::Jwt => {
                let issuer = want("issuer", auth.issuer.is_some());
                let audience = want("audience", !auth.audience.is_empty());
                want("jwks_file", auth.jwks_file.is_some()) && issuer && audience
            }
        };
        // What the sums are keyed with makes no difference here.
        if is_whole && let Err(AuthFault { key, what }) = auth.gate(&[0; 32]) {
            reader.discord(("auth", key), mode, what);
        }
    }
}

/// Reads credentials that are listed in the configuration, and those in a file behind them.
fn listed<T>(
    [list_key, file_key]: [&'static str; 2],
    list: &[Secret],
    file: Option<&Path>,
    read: impl FnOnce(&str) -> Result<T, (usize, String)>,
) -> Result<T, AuthFault> {
    let entries: String = list.iter().map(|entry| format!("{}\n", entry.reveal())).collect();
    let more = match file {
        Some(file) => text(file_key, file)?,
        None => String::new(),
    };
    read(&format!("{entries}{more}")).map_err(|(line, what)| {
        match (line.checked_sub(list.len()), file) {
            (Some(line @ 1..), Some(file)) => AuthFault {
                key: file_key,
                what: format!("{}: line {line}: {what}", file.display()),
            },
            (Some(_) | None, _) => {
                AuthFault { key: list_key, what: format!("entry {line}: {what}") }
            }
        }
    })
}

fn text(key: &'static str, file: &Path) -> Result<String, AuthFault> {
    let cannot =
        |error| AuthFault { key, what: format!("{} cannot be read: {error}", file.display()) };
    fs::read_to_string(file).map_err(cannot)
}

fn secrets(keys: &mut Section<'_, '_>, key: &'static str) -> Vec<Secret> {
    keys.parsed(key, Vec::new(), |value| {
        // What is no list of texts may still be a secret: it is not repeated in the fault.
        let texts = value.texts().map_err(|_| "a list of texts is wanted".to_owned())?;
        texts.into_iter().map(Secret::parse).collect()
    })
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    Ok(value.texts()?.into_iter().map(str::to_owned).collect())
}

fn realm(text: &str) -> Result<String, String> {
    let is_plain =
        |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if text.is_empty() || !text.bytes().all(is_plain) {
        return Err(format!("{text:?} cannot stand in quotes in a header"));
    }
    Ok(text.to_owned())
}

/// The scope of this API (TS Chat section 5.1).
const SCOPE: &str = "oma_rest_chat.all_v1";

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;
    use crate::config::Fault;

    fn faults(text: &str) -> Vec<String> {
        match Config::read(text, []) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(Fault::to_string).collect(),
        }
    }

    #[test]
    fn each_mode_wants_its_keys() {
        for (text, wanted) in [
            ("mode = \"none\"", vec![]),
            ("mode = \"basic\"", vec!["users"]),
            ("mode = \"basic\"\nusers = [\"a b tel:+1\"]", vec![]),
            ("mode = \"bearer\"", vec!["tokens"]),
            ("mode = \"bearer\"\ntokens = [\"0123456789abcdef *\"]", vec![]),
            ("mode = \"jwt\"", vec!["issuer", "audience", "jwks_file"]),
            (
                "mode = \"jwt\"\nissuer = \"i\"\naudience = [\"a\"]\njwks_file = \"/no\"",
                vec!["jwks_file"],
            ),
        ] {
            let found = faults(&format!("[auth]\n{text}\n"));
            assert_eq!(found.len(), wanted.len(), "{text}: {found:?}");
            for (fault, key) in found.iter().zip(wanted) {
                assert!(fault.contains(&format!("[auth] {key}: ")), "{fault}");
            }
        }
        assert!(faults("[auth]\nrealm = \"a\\\"b\"\n")[0].contains("in quotes in a header"));
    }

    #[test]
    fn a_bad_entry_is_named_and_no_secret_is_told() {
        let list = "mode = \"bearer\"\ntokens = [\"0123456789abcdef *\", \"hush-hush-hush-hush\"]";
        assert_eq!(
            faults(&format!("[auth]\n{list}\n")),
            ["line 3: [auth] tokens: entry 2: names nobody whom the credential is for: \
              addresses, or *"]
        );
        let file = env::temp_dir().join(format!("chatbridge-auth-{}", process::id()));
        fs::write(&file, "\nbob hush bob\n").expect("a file");
        let text =
            format!("[auth]\nmode = \"basic\"\nusers = [\"a b tel:+1\"]\nusers_file = {file:?}\n");
        let found = faults(&text);
        fs::remove_file(&file).expect("the file is still there");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("line 4: [auth] users_file: "), "{found:?}");
        assert!(found[0].contains(": line 2: a user is wrong") && !found[0].contains("hush"));
        let shown = format!("{:?}", Config::read(&format!("[auth]\n{list}"), []).map(drop));
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn who_asks_for_credentials_may_be_reached_from_afar() {
        let far = "[rest]\nlisten = \"0.0.0.0:1\"\n";
        assert!(faults(far)[0].contains("nobody is asked for credentials"));
        let asked = "[auth]\nmode = \"basic\"\nusers = [\"a b *\"]\n";
        assert_eq!(faults(&format!("{far}{asked}")), [""; 0]);
        let half = "[rest]\ncertificate = \"/nowhere\"\n";
        assert!(faults(half)[0].contains("[rest] private_key: is wanted beside"));
        let both = faults(&format!("{half}private_key = \"/nowhere\"\n"));
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(both[0].contains("[rest] certificate: /nowhere cannot be read"), "{both:?}");
    }
}
