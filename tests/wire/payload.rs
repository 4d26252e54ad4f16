//! Bodies of RFC examples and of deployed peers, and what the readers make of them.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chatbridge::payload::{Composing, Cpim, Imdn, multipart};
use chatbridge::sdp::Sdp;

#[test]
fn every_payload_fixture_is_read_as_expected() {
    let mut differences = Vec::new();
    for path in fixtures() {
        let found = reading(&path);
        let expectation = expectation_of(&path);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expectation, &found).unwrap();
        } else if fs::read_to_string(&expectation).ok().as_deref() != Some(found.as_str()) {
            differences.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(differences.is_empty(), "not as expected:\n{}", differences.join("\n"));
}

#[test]
fn every_payload_fixture_survives_being_written() {
    for path in fixtures() {
        let bytes = Bytes::from(fs::read(&path).unwrap());
        match kind(&path) {
            Kind::Cpim => {
                let message = Cpim::parse(bytes).unwrap();
                assert_eq!(Cpim::parse(message.write()), Ok(message), "{}", path.display());
            }
            Kind::Imdn => {
                let report = Imdn::parse(&bytes).unwrap();
                assert_eq!(Imdn::parse(&report.write()), Ok(report), "{}", path.display());
            }
            Kind::Composing => {
                let composing = Composing::parse(&bytes).unwrap();
                assert_eq!(Composing::parse(&composing.write()), Ok(composing));
            }
            Kind::Mime => {
                let (content_type, body) = entity(bytes);
                let parts = multipart::leaves(&content_type, body).unwrap();
                let again = multipart::write(&parts, "fresh");
                let content_type = multipart::content_type("fresh");
                assert_eq!(multipart::leaves(&content_type, again), Ok(parts));
            }
            Kind::Sdp => assert!(Sdp::parse(&bytes).is_ok(), "{}", path.display()),
        }
    }
}

#[test]
fn an_invitation_of_a_live_server_holds_a_description_and_a_message() {
    let path = folder().join("rcsjta-invite-body.mime");
    let (content_type, body) = entity(Bytes::from(fs::read(path).unwrap()));
    let parts = multipart::leaves(&content_type, body).unwrap();
    let [description, message] = parts.as_slice() else {
        panic!("two parts, not {}", parts.len());
    };
    assert!(Sdp::parse(&description.body).unwrap().usable().is_ok());
    let message = Cpim::parse(message.body.clone()).unwrap();
    assert_eq!(message.text_content().as_deref(), Some("   "));
    assert!(message.imdn().display && message.imdn().positive_delivery);
}

/// The reader that a fixture is for, by the end of its name.
enum Kind {
    Cpim,
    Imdn,
    Composing,
    Mime,
    Sdp,
}

fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap().to_str().unwrap();
    let kinds = [
        (".cpim", Kind::Cpim),
        (".imdn.xml", Kind::Imdn),
        (".iscomposing.xml", Kind::Composing),
        (".mime", Kind::Mime),
        (".sdp", Kind::Sdp),
    ];
    let found = kinds.into_iter().find(|(end, _)| name.ends_with(end));
    found.unwrap_or_else(|| panic!("no reader for {name}")).1
}

fn reading(path: &Path) -> String {
    let bytes = Bytes::from(fs::read(path).unwrap());
    match kind(path) {
        Kind::Cpim => cpim(bytes),
        Kind::Imdn => show(&Imdn::parse(&bytes)),
        Kind::Composing => show(&Composing::parse(&bytes)),
        Kind::Mime => {
            let (content_type, body) = entity(bytes);
            show(&multipart::leaves(&content_type, body))
        }
        Kind::Sdp => show(&Sdp::parse(&bytes).map(|sdp| sdp.usable())),
    }
}

fn cpim(bytes: Bytes) -> String {
    let message = match Cpim::parse(bytes) {
        Ok(message) => message,
        Err(error) => return show(&error),
    };
    let mut shown = show(&message);
    if message.is_notification() {
        shown += &show(&Imdn::parse_all(&message.content_type, &message.body));
    } else {
        shown += &show(&message.imdn());
        shown += &show(&message.text_content());
        shown += &show(&message.not_understood());
    }
    shown
}

fn show(value: &impl Debug) -> String {
    format!("{value:#?}\n")
}

/// Splits a MIME entity into the value of its `Content-Type`, unfolded, and its body.
fn entity(bytes: Bytes) -> (String, Bytes) {
    let text = std::str::from_utf8(&bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let content_type = head.strip_prefix("Content-Type: ").unwrap().replace("\r\n", "");
    (content_type, Bytes::copy_from_slice(body.as_bytes()))
}

/// Lists the bodies; every file that is neither one nor an expectation of one is a mistake.
fn fixtures() -> Vec<PathBuf> {
    let mut bodies = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match name.strip_suffix(".expected") {
            Some(body) => assert!(folder().join(body).exists(), "{name} expects nothing"),
            None if name == "SOURCES.md" || name.starts_with('.') => {}
            None => bodies.push(path),
        }
    }
    bodies.sort();
    assert!(!bodies.is_empty());
    bodies
}

fn expectation_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap().to_owned();
    name.push(".expected");
    path.with_file_name(name)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-fixtures/payload")
}
