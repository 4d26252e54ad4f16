//! The users that may come to the embedded IM server from outside: `address=password`, in the
//! configuration, in a variable, or line by line in a file of its own.

use std::fs;
use std::path::Path;

use super::reader::Value;
use super::values::{Secret, file};
use crate::address::{Address, Scheme};

/// A user with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The address.
    pub address: Address,
    /// The password.
    pub password: Secret,
}

/// Takes a list of accounts.
pub(super) fn accounts(value: &Value) -> Result<Vec<Account>, String> {
    // What is no list of texts may still be a password: it is not repeated in the fault.
    let texts = value.texts().map_err(|_| "a list of texts is wanted".to_owned())?;
    read(texts.into_iter().enumerate().map(|(at, text)| (format!("entry {}", at + 1), text)))
}

/// Takes the name of a file of accounts, meant from `home`: one to a line; empty lines and those
/// that begin with `#` say nothing.
pub(super) fn accounts_file(value: &Value, home: &Path) -> Result<Vec<Account>, String> {
    let name = value.text()?;
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let path = home.join(file(name)?);
    let shown = path.display();
    let text =
        fs::read_to_string(&path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    read_lines(&text).map_err(|what| format!("{shown}: {what}"))
}

fn read_lines(text: &str) -> Result<Vec<Account>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (format!("line {}", at + 1), line));
    read(lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')))
}

/// Reads accounts, each with the place where it stands. A fault tells no password.
fn read<'a>(texts: impl Iterator<Item = (String, &'a str)>) -> Result<Vec<Account>, String> {
    let mut accounts: Vec<Account> = Vec::new();
    for (place, text) in texts {
        let (address, password) =
            text.split_once('=').ok_or_else(|| format!("{place}: is no address=password"))?;
        let parsed = Address::parse(address).map_err(|error| error.to_string());
        let address = parsed.map_err(|error| format!("{place}: {address:?}: {error}"))?;
        if address.scheme() == Scheme::Acr {
            return Err(format!("{place}: only a tel: or sip: address can have a password"));
        }
        if password.is_empty() {
            return Err(format!("{place}: the password of {address} is empty"));
        }
        if accounts.iter().any(|known| known.address == address) {
            return Err(format!("{place}: {address} stands here twice"));
        }
        let password = Secret::parse(password).map_err(|error| format!("{place}: {error}"))?;
        accounts.push(Account { address, password });
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::super::Config;
    use super::*;

    #[test]
    fn accounts_stand_in_the_file_or_in_the_environment() {
        let text = "[im_server]\naccounts = [\"tel:+1=a=b, c\", \"sip:bob@example.com=x\"]\n";
        let config = Config::read(text, []).expect("a good file");
        assert_eq!(shown(&config.im_server.accounts), ["tel:+1 a=b, c", "sip:bob@example.com x"]);
        assert!(!format!("{config:?}").contains("a=b"));
        let variable = ("CHATBRIDGE_IM_SERVER_ACCOUNTS".to_owned(), "tel:+2=y,tel:+3=z".to_owned());
        let config = Config::read(text, [variable]).expect("a good variable");
        assert_eq!(shown(&config.im_server.accounts), ["tel:+2 y", "tel:+3 z"]);
    }

    #[test]
    fn accounts_stand_in_a_file_line_by_line() {
        let read = read_lines("# who\n\ntel:+1=one\nsip:bob@example.com= two \n").expect("good");
        assert_eq!(shown(&read), ["tel:+1 one", "sip:bob@example.com  two "]);
        let bad = read_lines("tel:+1=one\n#\ntel:+1=two\n");
        assert_eq!(bad, Err("line 3: tel:+1 stands here twice".to_owned()));
        let missing = Config::read("[im_server]\naccounts_file = \"/nowhere/at/all\"\n", []);
        let faults = missing.expect_err("no such file");
        let told = faults[0].to_string();
        assert!(told.starts_with("line 2: [im_server] accounts_file: /nowhere/at/all"), "{told}");
    }

    #[test]
    fn a_file_is_looked_for_beside_the_configuration() {
        let home = env::temp_dir().join(format!("chatbridge-accounts-{}", process::id()));
        fs::create_dir_all(&home).expect("a directory");
        fs::write(home.join("accounts"), "tel:+1=one\n").expect("a file");
        let text = "[im_server]\naccounts_file = \"accounts\"\n";
        let open = |path: &Path| fs::read_to_string(path);
        let read = Config::read_with((text, &home), [], open);
        fs::remove_dir_all(&home).expect("the directory is still there");
        assert_eq!(shown(&read.expect("a good file").im_server.accounts), ["tel:+1 one"]);
    }

    #[test]
    fn a_fault_tells_its_place_and_no_password() {
        for (entry, what) in [
            ("tel:+1", "entry 2: is no address=password"),
            ("bob=hush", "entry 2: \"bob\": the address must begin with tel:, sip: or acr:"),
            ("acr:x=hush", "entry 2: only a tel: or sip: address can have a password"),
            ("tel:+1=", "entry 2: the password of tel:+1 is empty"),
            ("tel:+9=hush", "entry 2: tel:+9 stands here twice"),
            ("tel:+1=hu\\u0007sh", "entry 2: holds a control character"),
            ("sip:a@example.org=hush", "sip:a@example.org is no user of [core] domain"),
        ] {
            let text = format!("[im_server]\naccounts = [\"tel:+9=first\", \"{entry}\"]\n");
            let faults = Config::read(&text, []).expect_err(entry);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].to_string(), format!("line 2: [im_server] accounts: {what}"));
        }
        let faults = Config::read("[im_server]\naccounts = 98765\n", []).expect_err("a number");
        assert!(!faults[0].to_string().contains("98765"));
    }

    fn shown(accounts: &[Account]) -> Vec<String> {
        let show = |it: &Account| format!("{} {}", it.address, it.password.reveal());
        accounts.iter().map(show).collect()
    }
}
