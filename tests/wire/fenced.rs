//! A bridge that is started for a run calls nobody but the player, whatever a recording says.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chatbridge::app::rehearse;
use chatbridge::replay::{Exit, Form, Outcome, Pace, Rewriting, Run};
use serde_json::Value;

use super::played::{FLOWS, PACE, order, scratch, shown};

/// Somebody who was recorded, and is at home.
struct Recorded {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Recorded {
    fn new() -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind(udp.local_addr().unwrap()).unwrap();
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        Self { udp, tcp }
    }

    fn address(&self) -> String {
        self.udp.local_addr().unwrap().to_string()
    }

    fn was_called(&self) -> bool {
        let is_quiet = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
        let datagram = self.udp.recv_from(&mut [0; 9]).err().is_none_or(|it| !is_quiet(it));
        datagram || self.tcp.accept().err().is_none_or(|it| !is_quiet(it))
    }
}

/// A flow in which something else was recorded.
fn changed(name: &str, flow: &str, changes: &[(&str, &str)]) -> PathBuf {
    let (folder, from) = (scratch(name), Path::new(FLOWS).join(flow));
    fs::copy(from.join("expected.json"), folder.join("expected.json")).unwrap();
    let mut text = fs::read_to_string(from.join("trace.txt")).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    fs::write(folder.join("trace.txt"), text).unwrap();
    folder
}

fn quick(trace: &Path) -> Run {
    Run { pace: Pace { timeout: Duration::from_secs(2), ..PACE }, ..order(trace) }
}

fn keeping(trace: &Path, kept: &[Rewriting]) -> Outcome {
    rehearse(&Run { kept: kept.iter().copied().collect(), ..quick(trace) })
}

#[test]
fn a_contact_that_is_kept_is_not_called() {
    let home = Recorded::new();
    let contact = format!("Contact: <sip:{}>", home.address());
    let trace = changed("contact", "03-ending", &[("Contact: <sip:198.51.100.5:5060>", &contact)]);
    let outcome = keeping(&trace, &[Rewriting::Contact]);
    assert!(!home.was_called(), "{}", shown(&outcome));
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Usage, 2), "{}", shown(&outcome));
    let told = format!("SIP ACK for {} was held back: --keep contact", home.address());
    assert!(outcome.text.contains(&told), "{}", shown(&outcome));
}

#[test]
fn a_route_that_is_kept_is_not_taken() {
    let home = Recorded::new();
    // Of the answer that makes the dialog.
    let contact = "Contact: <sip:198.51.100.5:5060>";
    let recorded = format!("Record-Route: <sip:{};lr>\r\n{contact}", home.address());
    let trace = changed("route", "03-ending", &[(contact, &recorded)]);
    let outcome = keeping(&trace, &[Rewriting::Route]);
    assert!(!home.was_called(), "{}", shown(&outcome));
    assert_eq!(outcome.exit, Exit::Usage, "{}", shown(&outcome));
    let told = format!(" for {} was held back: --keep route", home.address());
    assert!(outcome.text.contains(&told), "{}", shown(&outcome));
    assert_eq!(rehearse(&quick(&trace)).exit, Exit::Good);
}

#[test]
fn a_description_that_is_kept_is_not_dialled() {
    let home = Recorded::new();
    let path = format!("msrp://{}/b1", home.address());
    let trace = changed("path", "03-ending", &[("msrp://198.51.100.5:2855/b1", &path)]);
    let report = trace.join("verdict.xml");
    let kept = [Rewriting::Sdp].into_iter().collect();
    let run = Run { kept, junit: Some(report.clone()), form: Form::Json, ..quick(&trace) };
    let outcome = rehearse(&run);
    assert!(!home.was_called(), "{}", shown(&outcome));
    assert_eq!(outcome.exit, Exit::Usage, "{}", shown(&outcome));
    let told: Value = serde_json::from_str(&outcome.text).unwrap();
    let held = format!("MSRP for {} was held back: --keep sdp", home.address());
    let all = told["differences"].as_array().unwrap();
    assert!(all.iter().any(|it| it["found"].as_str().unwrap().contains(&held)), "{told}");
    assert!(fs::read_to_string(report).unwrap().contains(&held));
}

#[test]
fn an_answer_does_not_go_where_a_via_that_is_kept_says() {
    let home = Recorded::new();
    let port = home.udp.local_addr().unwrap().port();
    let via = format!("SIP/2.0/UDP 198.51.100.5:{port};branch");
    let trace = changed("via", "13-leaving", &[("SIP/2.0/UDP 198.51.100.5:5060;branch", &via)]);
    let outcome = keeping(&trace, &[Rewriting::Via]);
    assert!(!home.was_called(), "{}", shown(&outcome));
    assert_eq!(outcome.exit, Exit::Usage, "{}", shown(&outcome));
    assert!(outcome.text.contains(" was held back: --keep via"), "{}", shown(&outcome));
}

#[test]
fn a_name_that_was_recorded_is_not_even_looked_up() {
    for (name, old, new, kept, told) in [
        (
            "sip-name",
            "Contact: <sip:198.51.100.5:5060>",
            "Contact: <sip:bob@home.invalid>",
            Rewriting::Contact,
            "SIP ACK for home.invalid was held back: --keep contact",
        ),
        (
            "msrp-name",
            "msrp://198.51.100.5:2855/b1",
            "msrp://home.invalid:2855/b1",
            Rewriting::Sdp,
            "MSRP for home.invalid:2855 was held back: --keep sdp",
        ),
    ] {
        let outcome = keeping(&changed(name, "03-ending", &[(old, new)]), &[kept]);
        assert_eq!(outcome.exit, Exit::Usage, "{}", shown(&outcome));
        assert!(outcome.text.contains(told), "{}", shown(&outcome));
    }
}

#[test]
fn who_was_reached_under_tls_is_reached_without() {
    for (name, contact) in [
        ("sips", "Contact: <sips:198.51.100.5:5061>"),
        ("tls", "Contact: <sip:198.51.100.5:5061;transport=tls>"),
    ] {
        let trace = changed(name, "03-ending", &[("Contact: <sip:198.51.100.5:5060>", contact)]);
        let outcome = rehearse(&quick(&trace));
        assert_eq!(outcome.exit, Exit::Good, "{}", shown(&outcome));
    }
}

#[test]
fn what_is_allowed_on_purpose_is_called() {
    let home = Recorded::new();
    let contact = format!("Contact: <sip:{}>", home.address());
    let trace = changed("allowed", "03-ending", &[("Contact: <sip:198.51.100.5:5060>", &contact)]);
    let kept = [Rewriting::Contact].into_iter().collect();
    let run = Run { kept, allowed: vec!["127.0.0.1".to_owned()], ..quick(&trace) };
    let outcome = rehearse(&run);
    assert!(home.was_called(), "{}", shown(&outcome));
    assert!(!outcome.text.contains("held back"), "{}", shown(&outcome));
}
