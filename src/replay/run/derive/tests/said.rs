//! Table 2.7 of the design: what becomes of messages, and what is heard.

use super::wire::{GROUP, Message, OUT, focus, frame, lines_of, listing};

const FROM_BOB: &str = "From: <tel:+19585550101>\r\nTo: <tel:+19585550100>\r\n";

fn cpim(more: &str, kind: &str, text: &str) -> String {
    format!("{FROM_BOB}{more}\r\nContent-Type: {kind}\r\n\r\n{text}")
}

/// A text of Alice that asks for reports, with the answer to it.
fn says(wanted: &str, answer: &str) -> Vec<Message> {
    let more = format!(
        "NS: imdn<urn:ietf:params:imdn>\r\nimdn.Message-ID: i1\r\n\
         imdn.Disposition-Notification: {wanted}\r\n"
    );
    let more = if wanted.is_empty() { String::new() } else { more };
    let head = "Message-ID: m1\r\nByte-Range: 1-9/9\r\nContent-Type: message/cpim\r\n";
    vec![
        frame(false, "a1 SEND", head, &cpim(&more, "text/plain", "Hello"), '$'),
        frame(true, &format!("a1 {answer}"), "", "", '$'),
    ]
}

fn hears(number: u32, head: &str, text: &str, flag: char) -> Message {
    let head = format!("Message-ID: n{number}\r\n{head}");
    frame(true, &format!("b{number} SEND"), &head, text, flag)
}

fn hears_all(number: u32, kind: &str, text: &str) -> Message {
    hears(number, &format!("Byte-Range: 1-9/9\r\nContent-Type: {kind}\r\n"), text, '$')
}

fn imdn(kind: &str, status: &str) -> String {
    let document = format!(
        "<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>i1</message-id>\
         <datetime>2026-01-15T10:00:00Z</datetime><{kind}-notification><status><{status}/></status>\
         </{kind}-notification></imdn>"
    );
    cpim("", "message/imdn+xml", &document)
}

fn two(more: &[Message]) -> Vec<String> {
    lines_of(&[&OUT.stands(), more].concat(), 1)
}

fn many(more: &[Message]) -> Vec<String> {
    let group = [
        GROUP.opens("INVITE", &listing(&["+19585550101"])),
        GROUP.answers(200, "INVITE", &focus()),
        GROUP.asks(true, "ACK", ""),
    ];
    // Nobody watches it: who is heard is told as well, which is another matter.
    let told = lines_of(&[&group, more].concat(), 1);
    told.into_iter().filter(|line| !line.contains("participantStatus")).collect()
}

fn failed(code: &str, words: &str) -> [String; 2] {
    [
        format!("messageDeliveryStatus errorCode '{code}', rel 'ChatMessage', status 'Failed'"),
        format!(
            "~chatEvent eventDescription '{words}', eventType 'MessageFailure', rel 'ChatMessage'"
        ),
    ]
}

const SUCCESS: &str = "~chatEvent eventType 'MessageSuccess', rel 'ChatMessage'";

fn status(status: &str) -> String {
    format!("messageDeliveryStatus rel 'ChatMessage', status '{status}'")
}

#[test]
fn every_answer_to_a_text_is_told_as_the_table_says() {
    assert!(two(&says("positive-delivery", "200 OK")).is_empty());
    for code in [400, 403, 408, 413, 415, 423, 481, 501, 506, 600] {
        let told = two(&says("", &format!("{code} No")));
        let words = failed(&code.to_string(), &format!("MSRP {code} No"));
        // A session that the network knows no more will end, if the trace goes on.
        assert_eq!(told[..2], words, "{code}");
        let is_doomed = matches!(code, 481 | 506);
        assert_eq!(told.len() > 2, is_doomed, "{told:?}");
        assert!(told[2..].iter().all(|line| line.starts_with('?')), "{told:?}");
        // A group tells at most that it has failed.
        let told = many(&says("", &format!("{code} No")));
        assert_eq!(told, [format!("?{}", words[0])], "{code}");
    }
}

#[test]
fn every_report_is_told_as_the_table_says_and_as_it_was_asked_for() {
    let report = |code: u16| {
        let head = format!("Message-ID: m1\r\nByte-Range: 1-9/9\r\nStatus: 000 {code} Word\r\n");
        frame(true, "r1 REPORT", &head, "", '$')
    };
    let with = |wanted: &str, code| two(&[&says(wanted, "200 OK")[..], &[report(code)]].concat());
    assert_eq!(with("positive-delivery", 200), [&*status("Delivered"), SUCCESS]);
    assert_eq!(with("display", 200), [SUCCESS]);
    assert_eq!(with("", 200), [""; 0]);
    for code in [400, 403, 408, 413, 415, 481, 506] {
        let told = with("", code);
        assert_eq!(told[..2], failed(&code.to_string(), &format!("MSRP {code} Word")), "{code}");
    }
}

#[test]
fn every_notification_is_told_as_the_table_says() {
    let (delivered, displayed) = (status("Delivered"), status("Displayed"));
    for (kind, word, told) in [
        ("delivery", "delivered", vec![&*delivered, SUCCESS]),
        ("delivery", "failed", vec!["failed"]),
        ("delivery", "forbidden", vec!["failed"]),
        ("delivery", "error", vec!["failed"]),
        ("display", "displayed", vec![&delivered, SUCCESS, &displayed]),
        ("display", "forbidden", vec![]),
        ("display", "error", vec![]),
        ("processing", "processed", vec![]),
        ("processing", "stored", vec![]),
        ("processing", "forbidden", vec![]),
        ("processing", "error", vec![]),
    ] {
        let news = hears_all(1, "message/cpim", &imdn(kind, word));
        let trace =
            [&says("positive-delivery, display", "200 OK")[..], std::slice::from_ref(&news)]
                .concat();
        let wanted: Vec<String> = match told[..] {
            ["failed"] => failed(&format!("IMDN-{word}"), &format!("IMDN {kind} {word}")).to_vec(),
            _ => told.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(two(&trace), wanted, "{kind} {word}");
        // Again it is no news, and of a message that nobody has sent it never is.
        let again = hears_all(2, "message/cpim", &imdn(kind, word));
        assert_eq!(two(&[&trace[..], &[again]].concat()), wanted, "{kind} {word}");
        assert!(two(&[news]).is_empty(), "{kind} {word}");
        let in_group = many(&trace);
        assert!(in_group.iter().all(|line| line.starts_with('?')), "{kind} {word}: {in_group:?}");
    }
    // Who asked for nothing is told of nothing but a failure.
    let news = hears_all(1, "message/cpim", &imdn("display", "displayed"));
    let more = "NS: imdn<urn:ietf:params:imdn>\r\nimdn.Message-ID: i1\r\n";
    let mut silent = says("", "200 OK");
    silent[0].1 = silent[0]
        .1
        .replace("\r\n\r\nContent-Type: text", &format!("\r\n{more}\r\nContent-Type: text"));
    assert!(two(&[&silent[..], &[news]].concat()).is_empty());
}

#[test]
fn what_is_heard_is_told() {
    let text = |text: &str| format!("message senderAdress 'tel:+19585550101', text '{text}'");
    let hello = cpim("", "text/plain", "Hello");
    assert_eq!(two(&[hears_all(1, "message/cpim", &hello)]), [text("Hello")]);
    assert_eq!(many(&[hears_all(1, "message/cpim", &hello)]), [text("Hello")]);
    assert_eq!(two(&[hears_all(1, "text/plain", "Plain")]), [text("Plain")]);
    for (kind, body) in [("message/cpim", "no CPIM"), ("image/png", "x"), ("message/cpim", "")] {
        assert!(two(&[hears_all(1, kind, body)]).is_empty(), "{kind}");
    }
    // In chunks, and given up.
    let chunk = |number, range: &str, body: &str, flag| {
        let head = format!("Byte-Range: {range}\r\nContent-Type: text/plain\r\n");
        let (ours, frame) = hears(number, &head, body, flag);
        (ours, frame.replace(&format!("Message-ID: n{number}"), "Message-ID: same"))
    };
    let first = chunk(1, "1-3/6", "Hel", '+');
    let told = two(&[first.clone(), chunk(2, "4-6/6", "lo!", '$')]);
    assert_eq!(told, [text("Hello!")]);
    assert!(two(std::slice::from_ref(&first)).is_empty());
    assert!(two(&[first.clone(), chunk(2, "4-6/6", "lo!", '#')]).is_empty());
    // In any order, once more, and overlapping (RFC 4975 section 7.3.1).
    let last = chunk(3, "4-6/6", "lo!", '$');
    for before in [&[chunk(2, "1-3/6", "Hel", '+')][..], &[chunk(2, "1-4/6", "Hell", '+')]] {
        let turned = [std::slice::from_ref(&last), before].concat();
        assert_eq!(two(&turned), [text("Hello!")]);
        let twice = [std::slice::from_ref(&first), before, std::slice::from_ref(&last)].concat();
        assert_eq!(two(&twice), [text("Hello!")]);
    }
    let gap = [first.clone(), chunk(2, "5-6/6", "o!", '$')];
    assert!(two(&gap).is_empty(), "an octet is missing");
    // What the recorded device refuses was read by nobody.
    let refused = [hears_all(1, "text/plain", "Plain"), frame(false, "b1 415 No", "", "", '$')];
    assert!(two(&refused).is_empty());
    // What comes again is told once.
    let more = "NS: imdn<urn:ietf:params:imdn>\r\nimdn.Message-ID: j1\r\n";
    let hello = cpim(more, "text/plain", "Hello");
    let twice = [hears_all(1, "message/cpim", &hello), hears_all(2, "message/cpim", &hello)];
    assert_eq!(two(&twice), [text("Hello")]);
    // A focus gives a text back to who has said it.
    let own = hello.replace("From: <tel:+19585550101>", "From: <tel:+19585550100>");
    assert!(many(&[hears_all(1, "message/cpim", &own)])[0].starts_with("?message"));
    // Behind the end nobody is told.
    let late = [OUT.asks(false, "BYE", ""), hears_all(1, "text/plain", "Plain")];
    assert_eq!(two(&late).len(), 1);
}

#[test]
fn who_is_composing_is_told() {
    let state = |number, state: &str, refresh: &str| {
        let document = format!(
            "<isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>{state}</state>\
             {refresh}</isComposing>"
        );
        hears_all(number, "application/im-iscomposing+xml", &document)
    };
    let active = "message isComposing {'refresh':90,'state':'active'}, \
                  senderAdress 'tel:+19585550101'";
    let idle = "message isComposing {'state':'idle'}, senderAdress 'tel:+19585550101'";
    let first = state(1, "active", "<refresh>90</refresh>");
    // It may run out.
    let open = format!("?~{idle}");
    assert_eq!(two(std::slice::from_ref(&first)), [active, &open]);
    assert_eq!(two(&[first.clone(), state(2, "idle", "")]), [active, &open, idle]);
    // Who was not composing need not be told to have stopped.
    assert_eq!(two(&[state(1, "idle", "")]), [format!("?{idle}")]);
    let said = hears_all(2, "text/plain", "Done");
    let told = two(&[first, said, state(3, "idle", "")]);
    assert_eq!(
        told[2..],
        ["message senderAdress 'tel:+19585550101', text 'Done'", &format!("?{idle}")]
    );
}
