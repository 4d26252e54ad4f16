//! What is derived from the fixtures, to the letter, and what a bridge may not get away with.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::api::Told;
use super::super::expected::{Expect, Expected};
use super::super::notice::Notice;
use super::super::pairing::pair_all;
use super::super::script::Script;
use super::super::sides::{Side, Sides};
use super::{MOST_HELD, TooMuch, derive};
use crate::replay::book::Keep;
use crate::replay::rewrite::Mappings;
use crate::replay::source::{Trace, read, read_from};

mod groups;
mod pairs;
mod said;
mod wire;

const FLOWS: &str = "sip-fixtures/flows";
const TRACES: &str = "sip-fixtures/traces";

fn script(trace: &Trace) -> Script {
    let sides = Sides::find(&trace.book, Side::Network, None).expect("as it is made");
    Script::of(&trace.book, &sides)
}

fn derived(path: &Path) -> Expected {
    let trace = read(path, Keep::Messages).expect("as it is made");
    derive(&trace.book, &script(&trace)).expect("no more than is held")
}

fn derived_from(text: &str) -> Expected {
    let trace =
        read_from("trace".to_owned(), &mut text.as_bytes(), Keep::Messages).expect("as it is made");
    derive(&trace.book, &script(&trace)).expect("no more than is held")
}

#[test]
fn no_more_is_held_than_there_is_room_for() {
    // Many who assert themselves, and texts that each of them may have said.
    let many = "P-Asserted-Identity: <tel:+19585550109>\n".repeat(100);
    let invite = wire::IN.opens("INVITE", &format!("{many}{}", wire::sdp("f")));
    let stands = [&[invite][..], &wire::IN.stands()[1..]].concat();
    let says = |number: usize, text: &str| {
        let head =
            format!("Message-ID: n{number}\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n");
        let (ours, frame) = wire::frame(true, &format!("b{number} SEND"), &head, text, '$');
        // It goes to who was called.
        (ours, frame.replace("/f;", "/x;").replace("/t;", "/f;").replace("/x;", "/t;"))
    };
    let one = wire::of(&[&stands[..], &[says(1, "Hello")]].concat());
    assert!(lines(&one).iter().any(|line| line.contains("Hello")), "{:?}", lines(&one));
    let long = "x".repeat(MOST_HELD / 400);
    let texts: Vec<_> = (1..=500).map(|n| says(n, &long)).collect();
    assert_eq!(wire::tried(&[&stands[..], &texts].concat()).err(), Some(TooMuch));
}

/// Writes what is expected, a line for each: where, whether it must come, in which order, and what.
fn lines(expected: &Expected) -> Vec<String> {
    expected.notices.iter().map(line).collect()
}

fn line(notice: &Notice) -> String {
    let may = if notice.optional { "?" } else { "" };
    let any = if notice.unordered { "~" } else { "" };
    let all = notice.any_of.iter().map(|(name, fields)| {
        let name = name.trim_end_matches("Notification");
        let fields = fields.iter().map(|(field, value)| match field.as_str() {
            "participant" | "standing" => format!("{field} {}", entries(value)),
            _ => format!("{field} {}", value.to_string().replace(['"', '\\'], "'")),
        });
        format!("{name} {}", fields.collect::<Vec<_>>().join(", "))
    });
    format!("#{}{may}{any} {}", notice.packet, all.collect::<Vec<_>>().join(" or "))
}

/// Shortens participants to the end of their numbers and the beginning of their status.
fn entries(value: &Value) -> String {
    let entry = |entry: &Value| {
        let number = entry[0].as_str().unwrap_or_default();
        let own = if entry[2].is_null() { "" } else { "*" };
        let status = entry[1].as_str().unwrap_or_default();
        format!("{}{own}:{}", &number[number.len() - 3..], &status[..1])
    };
    let all: Vec<String> = value.as_array().expect("as it is made").iter().map(entry).collect();
    format!("[{}]", all.join(" "))
}

/// Makes a notification that is just as expected.
fn example(notice: &Notice, (name, fields): &(String, serde_json::Map<String, Value>)) -> Told {
    let mut value = json!({});
    for (field, wanted) in fields {
        match field.as_str() {
            "standing" => {}
            "rel" => value["link"] = json!([{ "rel": wanted }]),
            "text" => value["chatMessage"]["text"] = wanted.clone(),
            "chatMessage" => {
                value["chatMessage"]["reportRequest"] = wanted["reportRequest"].clone();
            }
            "participant" => {
                let entry = |entry: &Value| match entry[2].is_null() {
                    true => json!({ "address": entry[0], "status": entry[1] }),
                    false => json!({ "address": entry[0], "status": entry[1], "yourown": true }),
                };
                value["participant"] =
                    wanted.as_array().expect("as it is made").iter().map(entry).collect();
            }
            _ => value[field] = wanted.clone(),
        }
    }
    Told { user: notice.whose.clone().expect("as it is made"), name: name.clone(), value }
}

fn folders(under: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(under)
        .expect("as it is made")
        .map(|entry| entry.expect("as it is made").path());
    let mut all: Vec<PathBuf> = all.collect();
    all.sort();
    all
}

/// All traces that have an expectation beside them.
fn fixtures() -> Vec<PathBuf> {
    let flows = folders(FLOWS).into_iter().filter(|it| it.is_dir());
    let flows = flows.map(|folder| folder.join("trace.txt"));
    let traces = folders(TRACES).into_iter().filter(|it| {
        let kind = it.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        it.is_file() && !matches!(kind, "json" | "md")
    });
    flows.chain(traces).collect()
}

#[test]
fn what_is_told_of_groups_is_derived_to_the_letter() {
    let invited = "#1 groupSessionInvitation participant [101:C], standing [101:C 100*:I], \
                   subject 'Trip'";
    let opened = "#3 participantStatus participant [100*:C 101:I 102:I], \
                  standing [100*:C 101:I 102:I]";
    let long_lived = [
        opened,
        "#9 participantStatus participant [101:C 102:C], standing [100*:C 101:C 102:C]",
        "#11 participantStatus participant [102:D], standing [100*:C 101:C 102:D]",
        "#13 participantStatus participant [100*:D], standing [100*:D 101:C 102:D]",
        "#13 chatEvent eventDescription 'SIP BYE; Reason: SIP;cause=480;text=''Idle''', \
         eventType 'SessionEnded'",
    ];
    let flow = |name: &str| lines(&derived(&Path::new(FLOWS).join(name).join("trace.txt")));
    let started = [
        opened,
        "#11 participantStatus participant [101:C], standing [100*:C 101:C 102:I]",
        "#13 participantStatus participant [102:D], standing [100*:C 101:C 102:D]",
    ];
    assert_eq!(flow("05-starting-a-group"), started);
    let accepted = [invited, "#3 participantStatus participant [100*:C], standing [100*:C 101:C]"];
    assert_eq!(flow("09-accepting-a-group"), accepted);
    let left = [
        "#11 participantStatus participant [100*:D], standing [100*:D 101:C]",
        "#19 participantStatus participant [100*:C], standing [100*:C 101:C]",
    ];
    assert_eq!(flow("11-leaving-and-rejoining"), [&accepted[..], &left].concat());
    let ended = [
        "#11 participantStatus participant [101:D], standing [100*:C 101:D]",
        "#13 chatEvent eventDescription 'SIP BYE; Reason: SIP;cause=410;text=''Gone''', \
         eventType 'SessionEnded'",
    ];
    assert_eq!(flow("12-originator-leaves"), [&accepted[..], &ended].concat());
    let again = ["#21 participantStatus participant [100*:C], standing [100*:C 101:C 102:D]"];
    assert_eq!(flow("long-lived-same-focus"), [&long_lived[..], &again].concat());
    let anew = [
        "#25 participantStatus participant [100*:C 101:I], standing [100*:C 101:I 102:I 102:D]",
        "#31 participantStatus participant [101:C], standing [100*:C 101:C 102:I 102:D]",
    ];
    assert_eq!(flow("long-lived-other-focus"), [&long_lived[..], &anew].concat());
    let hosted = [
        "#1 participantStatus participant [100*:C 101:I 102:I], standing [100*:C 101:I 102:I]",
        "#6 participantStatus participant [101:C], standing [100*:C 101:C 102:I]",
        "#11 participantStatus participant [102:C], standing [100*:C 101:C 102:C]",
        "#19 message senderAdress 'tel:+19585550101', text 'To the sea'",
        "#23 participantStatus participant [101:D], standing [100*:C 101:D 102:C]",
        "#25 participantStatus participant [100*:D], standing [100*:D 101:D 102:C]",
        "#25 chatEvent eventDescription 'ended by the originator', eventType 'SessionEnded'",
    ];
    assert_eq!(flow("hosted-by-a-participant"), hosted);
}

#[test]
fn what_is_told_of_the_recorded_group_is_derived_to_the_letter() {
    let expected = derived(&Path::new(TRACES).join("cpm-group.pcap"));
    assert_eq!(
        lines(&expected),
        [
            "#4 participantStatus participant [001*:C 002:I 003:I], standing [001*:C 002:I 003:I]",
            "#17 participantStatus participant [002:C], standing [001*:C 002:C 003:I]",
            "#19 participantStatus participant [003:D], standing [001*:C 002:C 003:D]",
            "#29 message chatMessage {'reportRequest':['Delivered','Displayed']}, \
             senderAdress 'tel:+447700900002', text 'hello'",
            "#35 participantStatus participant [004:I], standing [001*:C 002:C 003:D 004:I]",
            "#37 participantStatus participant [004:D], standing [001*:C 002:C 003:D 004:D]",
            "#41 participantStatus participant [002:D], standing [001*:C 002:D 003:D 004:D]",
            "#45 participantStatus participant [001*:D], standing [001*:D 002:D 003:D 004:D]",
            "#45 chatEvent eventDescription 'SIP BYE; Reason: SIP;cause=480;\
             text=''Bearer unavailable''', eventType 'SessionEnded'",
        ]
    );
    // The document before the last one is missing.
    assert_eq!(expected.left_out.len(), 1, "{:?}", expected.left_out);
    assert!(expected.left_out[0].starts_with("1 NOTIFY"), "{:?}", expected.left_out);
    let kinds: Vec<&str> = expected.beside.iter().map(|beside| beside.kind).collect();
    assert_eq!(kinds, ["SIP SUBSCRIBE", "SIP SUBSCRIBE"]);
}

#[test]
fn all_that_expectations_of_fixtures_list_is_derived() {
    let mut compared = 0;
    for path in fixtures() {
        let trace = read(&path, Keep::Messages).expect("as it is made");
        let script = script(&trace);
        let map = Mappings::of(&[]);
        let listed = Expected::find(&path, Expect::File, (&trace.book, &script), &map)
            .expect("as it is made");
        assert!(listed.source.ends_with("expected.json"), "{}", listed.source);
        let derived = derive(&trace.book, &script).expect("no more than is held");
        for notice in &listed.notices {
            let same = |known: &&Notice| {
                let mut examples = known.any_of.iter().map(|any| example(known, any));
                known.dialog == notice.dialog && examples.any(|told| notice.is(&told))
            };
            let found = derived.notices.iter().any(|known| same(&known));
            let known = lines(&derived).join("\n");
            assert!(found, "{}: {} is not in\n{known}", path.display(), line(notice));
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

/// Gives how many of what is expected are missing in what was told.
fn missing(expected: &Expected, told: &[(usize, Told)]) -> usize {
    let is_it =
        |notice: &Notice, index: usize| told[index].0 == notice.dialog && notice.is(&told[index].1);
    pair_all(&expected.notices, told.len(), is_it).missing.len()
}

/// Gives what a bridge tells that does all as it must.
fn as_expected(expected: &Expected) -> Vec<(usize, Told)> {
    let must = expected.notices.iter().filter(|notice| !notice.optional);
    must.map(|notice| (notice.dialog, example(notice, &notice.any_of[0]))).collect()
}

#[test]
fn whatever_is_told_otherwise_is_found() {
    let mut lies = 0;
    for path in fixtures() {
        let expected = derived(&path);
        let truth = as_expected(&expected);
        assert_eq!(missing(&expected, &truth), 0, "{}", path.display());
        let mut finds = |what: &str, at: usize, told: &[(usize, Told)]| {
            assert!(missing(&expected, told) > 0, "{}: {what} of {at}", path.display());
            lies += 1;
        };
        for at in 0..truth.len() {
            let with = |change: &dyn Fn(&mut Told)| {
                let mut told = truth.clone();
                change(&mut told[at].1);
                told
            };
            let mut fewer = truth.clone();
            fewer.remove(at);
            finds("silence", at, &fewer);
            finds("another user", at, &with(&|told| told.user.push('9')));
            finds("another name", at, &with(&|told| told.name.push('x')));
            let value = &truth[at].1.value;
            for field in ["eventType", "status", "errorCode", "senderAdress", "originatorAddress"] {
                if !value[field].is_null() {
                    finds(field, at, &with(&|told| told.value[field] = "x".into()));
                }
            }
            if !value["eventDescription"].is_null() {
                let other = |told: &mut Told| told.value["eventDescription"] = "MSRP 999".into();
                finds("description", at, &with(&other));
            }
            if !value["chatMessage"].is_null() {
                let other = |told: &mut Told| told.value["chatMessage"]["text"] = "?".into();
                finds("text", at, &with(&other));
            }
            for entry in 0..value["participant"].as_array().map_or(0, Vec::len) {
                let with_entry = |change: &dyn Fn(&mut Value)| {
                    with(&|told| change(&mut told.value["participant"][entry]))
                };
                for status in ["Invited", "Connected", "Disconnected"] {
                    if value["participant"][entry]["status"] != status {
                        finds("status", at, &with_entry(&|entry| entry["status"] = status.into()));
                    }
                }
                let nobody = "tel:+19990000000";
                finds("address", at, &with_entry(&|entry| entry["address"] = nobody.into()));
                let is_own = value["participant"][entry]["yourown"] == json!(true);
                finds("own", at, &with_entry(&|entry| entry["yourown"] = (!is_own).into()));
                finds(
                    "nobody else",
                    at,
                    &with(&|told| {
                        told.value["participant"]
                            .as_array_mut()
                            .expect("as it is made")
                            .remove(entry);
                    }),
                );
                let more = json!({ "address": nobody, "status": "Connected" });
                finds(
                    "somebody else",
                    at,
                    &with(&|told| {
                        told.value["participant"]
                            .as_array_mut()
                            .expect("as it is made")
                            .push(more.clone());
                    }),
                );
            }
        }
    }
    assert!(lies > 1000, "{lies}");
}

#[test]
fn what_a_focus_says_otherwise_is_told_otherwise() {
    let trace = fs::read_to_string(Path::new(FLOWS).join("05-starting-a-group/trace.txt"))
        .expect("as it is made");
    let expected = derived_from(&trace);
    for (old, new) in [
        // Each is as long as what it stands for.
        ("<status>disconnected</status>", "<status>alerting</status>    "),
        ("<status>disconnected</status>", "<status>connected</status>   "),
        ("version=\"2\"", "version=\"1\""),
        ("version=\"3\"", "version=\"2\""),
    ] {
        let other = trace.replace(old, new);
        assert_ne!(other, trace, "{old}");
        let told = as_expected(&derived_from(&other));
        assert!(missing(&expected, &told) > 0, "{new}: {told:?}");
    }
}
