//! What is rewritten of a message, and that nothing else is.

use std::collections::BTreeSet;

use clap::ValueEnum as _;

use super::bodies::{grown_range, sized};
use super::*;
use crate::digest::{Answer, Credentials, Password};

const INVITE: &str = "INVITE sip:+2@ims.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKu1;rport\r\n\
    From: <sip:+1@ims.example>;tag=ut\r\nTo: <sip:+2@ims.example>\r\nCall-ID: c1@ue\r\nCSeq: 1 INVITE\r\n\
    Contact: <sip:192.0.2.10:5060>\r\n\r\na=path:msrp://192.0.2.10:2855/us;tcp\r\n";
const LIVE: &str = "INVITE sip:+2@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;rport;branch=z9hG4bKx\r\n\
    From: <sip:+1@example.com>;tag=lt\r\nTo: <sip:+2@example.com>\r\nCall-ID: live\r\nCSeq: 7 INVITE\r\n\
    Contact: <sip:+1@127.0.0.1:5080;ob>\r\n\r\na=path:msrp://127.0.0.1:2855/ls;tcp\r\n";

#[test]
fn an_answer_goes_where_this_run_asked_and_keeps_its_own_words() {
    let recorded = "SIP/2.0 200  Fine\r\nv: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKu1;rport=5060\r\n\
        v: SIP/2.0/UDP 192.0.2.9\r\nf:<sip:+1@ims.example>;tag=ut\r\nTo:  <sip:+2@ims.example>\r\n \t;tag=nt\r\n\
        i: c1@ue\r\nCSEQ: 1\r\n INVITE\r\nX-Odd :  kept \r\n\
        m: \"Bob\" <sip:bob@198.51.100.5:5060;gr>;isfocus\r\nl: 130\r\n\r\n\
        o=- 1 1 IN IP4 198.51.100.5\nc=IN IP4 198.51.100.5\nm=message 9000 TCP/MSRP *\n\
        a=path:msrp://198.51.100.5:9000/ns;tcp\na=setup:passive";
    let answer = text(answer(recorded.as_bytes(), LIVE.as_bytes(), at("127.0.0.1:5080"), &names()));
    assert_eq!(
        answer,
        "SIP/2.0 200  Fine\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;rport=5080;branch=z9hG4bKx;received=127.0.0.1\r\n\
         f:<sip:+1@example.com>;tag=lt\r\nTo:  <sip:+2@example.com>;tag=nt\r\n\
         i: live\r\nCSEQ: 7 INVITE\r\nX-Odd :  kept \r\n\
         m: \"Bob\" <sip:bob@127.0.0.1:5062;gr>;isfocus\r\nl: 121\r\n\r\n\
         o=- 1 1 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=message 9001 TCP/MSRP *\n\
         a=path:msrp://127.0.0.1:9001/ns;tcp\na=setup:passive"
    );
}

#[test]
fn a_request_in_a_dialog_goes_to_the_contact_that_this_run_has_learned() {
    let mut names = learned();
    let bye = "BYE sip:192.0.2.10:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.5:5060;branch=z9hG4bKn1;x, SIP/2.0/UDP 192.0.2.9\r\n\
        Via: SIP/2.0/UDP 192.0.2.8\r\nFrom: <sip:+2@ims.example>;tag=nt\r\nTo: <sip:+1@ims.example>;tag=ut\r\n\
        Route: <sip:192.0.2.9;lr>\r\nCall-ID: c1@ue\r\nCSeq: 4 BYE\r\nReason: SIP;cause=200\r\n\r\n";
    assert_eq!(
        text(request(bye.as_bytes(), &mut names)),
        "BYE sip:+1@127.0.0.1:5080;ob SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKn1.run;x\r\n\
         From: <sip:+2@ims.example>;tag=nt\r\nTo: <sip:+1@ims.example>;tag=lt\r\n\
         Call-ID: live\r\nCSeq: 4 BYE\r\nReason: SIP;cause=200\r\n\r\n"
    );
}

#[test]
fn a_request_of_our_own_has_its_own_call_and_names_the_user_to_the_bridge() {
    let mut names = names();
    let message = "MESSAGE sip:192.0.2.10:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.5:5060;branch=z9hG4bKn1\r\n\
        To: <sip:+1@ims.example>\r\nCall-ID: m1@as\r\n\r\nHi";
    let first = text(request(message.as_bytes(), &mut names));
    assert!(first.starts_with("MESSAGE sip:+1@127.0.0.1:5080 SIP/2.0\r\n"), "{first}");
    assert!(
        first.contains("\r\nCall-ID: run-m1@as\r\n") && first.ends_with("\r\n\r\nHi"),
        "{first}"
    );
    assert_eq!(first, text(request(message.as_bytes(), &mut names)));
}

#[test]
fn a_frame_has_the_paths_and_the_transaction_of_this_run() {
    let names = learned();
    let ok = "MSRP t1 413 Too Big\r\nTo-Path: msrp://192.0.2.10:2855/us;tcp\r\n\
        From-Path: msrp://198.51.100.5:9000/ns;tcp\r\n-------t1$\r\n";
    assert_eq!(
        text(frame(ok.as_bytes(), Some("drawn123"), &names)),
        "MSRP drawn123 413 Too Big\r\nTo-Path: msrp://127.0.0.1:2855/ls;tcp\r\n\
         From-Path: msrp://127.0.0.1:9001/ns;tcp\r\n-------drawn123$\r\n"
    );
}

#[test]
fn a_report_is_about_the_message_of_this_run_and_all_lengths_follow() {
    let mut names = learned();
    let sent = |id: &str, imdn: &str, size: u64| {
        format!(
            "MSRP t SEND\r\nMessage-ID: {id}\r\nByte-Range: 1-{size}/{size}\r\n\r\n\
             imdn.Message-ID: {imdn}\r\n\r\nx\r\n-------t$\r\n"
        )
    };
    names.learn_msrp(sent("m1", "i1", 50).as_bytes(), sent("live1", "drawn1", 77).as_bytes());
    let imdn = "MSRP t2 SEND\r\nTo-Path: msrp://192.0.2.10:2855/us;tcp\r\n\
        From-Path: msrp://198.51.100.5:9000/ns;tcp\r\nMessage-ID: own\r\nByte-Range: 1-70/70\r\n\
        Content-Type: message/cpim\r\n\r\nTo: <sip:a>\r\n\r\nContent-Length: 40\r\n\r\n\
        <imdn><message-id>i1</message-id></imdn>\r\n-------t2$\r\n";
    let told = text(frame(imdn.as_bytes(), None, &names));
    for part in [
        "Message-ID: own\r\nByte-Range: 1-74/74\r\n",
        "Content-Length: 44\r\n",
        "<message-id>drawn1</message-id></imdn>\r\n-------t2$\r\n",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let report = "MSRP t3 REPORT\r\nTo-Path: msrp://192.0.2.10:2855/us;tcp\r\n\
        From-Path: msrp://198.51.100.5:9000/ns;tcp\r\nMessage-ID: m1\r\nByte-Range: 1-50/50\r\n\
        Status: 000 200 OK\r\n-------t3$\r\n";
    let told = text(frame(report.as_bytes(), None, &names));
    assert!(told.contains("Message-ID: live1\r\nByte-Range: 1-77/77\r\nStatus: 000"), "{told}");
}

#[test]
fn a_report_on_one_byte_keeps_where_it_begins() {
    assert_eq!(sized("1-1/1", (1, 20)), "1-20/20");
    assert_eq!(sized("1-*/10", (10, 7)), "1-*/7");
    assert_eq!(sized("odd", (1, 2)), "odd");
}

#[test]
fn lengths_beyond_all_bounds_stay_within_them() {
    let most = i64::MAX;
    let invite = INVITE.replace("\r\n\r\n", &format!("\r\nContent-Length: {most}\r\n\r\n"));
    let mut names = names();
    names.msrp = Some(at("127.100.100.100:65535"));
    assert!(text(request(invite.as_bytes(), &mut names)).contains(&format!("Length: {most}\r\n")));
    assert_eq!(grown_range(&format!("1-{most}/{most}"), 3), format!("1-{most}/{most}"));
}

#[test]
fn credentials_are_computed_for_what_this_run_is_asked() {
    let again = "REGISTER sip:ims.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKu2\r\n\
        To: <sip:+1@ims.example>\r\nCall-ID: r1\r\nCSeq: 2 REGISTER\r\n\
        Authorization: Digest username=\"old\", realm=\"ims.example\", nonce=\"was\",\r\n \
        uri=\"sip:ims.example\", response=\"00\"\r\n\r\n";
    let asked = "SIP/2.0 401 Unauthorized\r\nCall-ID: run-r1\r\n\
        WWW-Authenticate: Digest realm=\"live\", nonce=\"now\"\r\n\r\n";
    let mut names = names();
    names.learn_sip(again.as_bytes(), asked.as_bytes());
    let passed = text(request(again.as_bytes(), &mut names));
    assert!(passed.contains("nonce=\"was\",\r\n uri=\"sip:ims.example\""), "{passed}");
    names.pledges.credentials = Some(Credentials {
        username: "bob".to_owned(),
        password: Password::Text("zanzibar".to_owned()),
        realms: Vec::new(),
    });
    names.learn_sip(again.as_bytes(), asked.as_bytes());
    let told = text(request(again.as_bytes(), &mut names));
    let uri = told.split(' ').nth(1).expect("a URI").to_owned();
    let line = told.lines().find(|line| line.starts_with("Authorization: ")).expect("credentials");
    for part in ["username=\"bob\"", "realm=\"live\"", "nonce=\"now\"", &format!("uri=\"{uri}\"")] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let answer = Answer::read_all(line.split_once(' ').expect("a value").1).next().expect("one");
    assert_eq!(answer.response, answer.expected("REGISTER", b"", b"zanzibar"));
}

#[test]
fn what_is_kept_stays_as_it_was_to_the_bit() {
    let bye = "BYE sip:192.0.2.10:5060 SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.5;branch=z9hG4bKn1\r\nRoute: <sip:p>\r\n\
        From: <sip:+2@ims.example>;tag=nt\r\nTo:\t<sip:+1@ims.example>\r\n ;tag=ut\r\nRecord-Route: <sip:p;lr>\r\n\
        Call-ID: c1@ue\r\nCSeq: 4 BYE\r\nContact: <sip:p>\r\nContent-Length:  99\r\n\r\n\
        c=IN IP4 x\r\na=path:msrp://198.51.100.5:9000/ns;tcp\r\n";
    let ok = bye.replacen("BYE sip:192.0.2.10:5060 SIP/2.0", "SIP/2.0 200 OK", 1);
    let send = "MSRP t1 REPORT\r\nTo-Path: msrp://192.0.2.10:2855/us;tcp\r\nFrom-Path: msrp://b:1/ns;tcp\r\n\
        Message-ID: m1\r\nByte-Range: 1-5/5\r\n-------t1$\r\n";
    let all: Vec<Rewriting> = Rewriting::value_variants().to_vec();
    let rewritten = |kept: &[Rewriting]| {
        let mut names = learned().with(kept.iter().copied().collect(), false);
        names.learn_msrp(send.as_bytes(), send.replace("m1", "m2").replace('5', "77").as_bytes());
        [
            request(bye.as_bytes(), &mut names),
            answer(ok.as_bytes(), LIVE.as_bytes(), at("127.0.0.1:5080"), &names),
            frame(send.as_bytes(), Some("now"), &names),
        ]
    };
    for (rewritten, recorded) in rewritten(&all).into_iter().zip([bye, &ok, send]) {
        assert_eq!(
            (rewritten.changes.as_slice(), text(rewritten.clone())),
            (&[][..], recorded.into())
        );
    }
    // Each is done alone, and each but one is done without it.
    let done = |kept: &[Rewriting]| -> BTreeSet<Rewriting> {
        let changes = rewritten(kept).into_iter().flat_map(|rewritten| rewritten.changes);
        changes.map(|change| change.what).collect()
    };
    let possible = done(&[]);
    let elsewhere = [Rewriting::Credentials, Rewriting::Focus];
    for what in all.iter().filter(|what| !elsewhere.contains(what)) {
        assert!(possible.contains(what), "{what:?}");
        let others: Vec<Rewriting> = all.iter().copied().filter(|other| other != what).collect();
        let alone = done(&others);
        // A length follows something else.
        let is_alone = alone == [*what].into() || *what == Rewriting::Lengths;
        assert!(is_alone, "{what:?}: {alone:?}");
        assert!(!done(&[*what]).contains(what), "{what:?}");
    }
}

#[test]
fn each_change_is_told_with_its_place_and_its_reason() {
    let mut names = learned();
    let bye = "BYE sip:192.0.2.10:5060 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKn1\r\n\
        Route: <sip:p>\r\nTo: <sip:+1@ims.example>;tag=ut\r\nCall-ID: c1@ue\r\n\r\n";
    let lines: Vec<String> =
        request(bye.as_bytes(), &mut names).changes.iter().map(Change::line).collect();
    assert_eq!(
        lines,
        [
            "first line: \"sip:192.0.2.10:5060\" becomes \"sip:+1@127.0.0.1:5080;ob\": \
             the bridge of this run is meant",
            "Via: \"SIP/2.0/UDP a;branch=z9hG4bKn1\" becomes \
             \"SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKn1.run\": \
             answers come back by it, and a branch is of one transaction only",
            "Route: \"Route: <sip:p>\" is left out: \
             the way of this run is the one that was recorded in it",
            "To: \"tag=ut\" becomes \"tag=lt\": each side of a dialog draws its own tag",
            "Call-ID: \"c1@ue\" becomes \"live\": a call of this run is none of the recording",
        ]
    );
}

#[test]
fn requests_in_a_dialog_go_the_way_that_this_run_has_recorded() {
    let invite = "INVITE sip:+1@ims.example SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKn1\r\n\
        Record-Route: \"a, b\" <sip:p1@192.0.2.1:5062;lr>, <sip:p2;lr>\r\nFrom: <sip:+2>;tag=nt\r\n\
        To: <sip:+1@ims.example>\r\nCall-ID: c2\r\nCSeq: 1 INVITE\r\n\r\n";
    let mut names = names();
    let sent = text(request(invite.as_bytes(), &mut names));
    let own = "Record-Route: \"a, b\" <sip:p1@127.0.0.1:5062;lr>, <sip:p2;lr>\r\n";
    assert!(sent.contains(own) && !sent.contains("\r\nRoute"), "{sent}");
    let answered = |line: &str, more: &str| {
        format!(
            "SIP/2.0 {line}\r\nRecord-Route: {more}<sip:x;lr>\r\n{own}To: <sip:+1>;tag=lt\r\n\
             Call-ID: run-c2\r\n\r\n"
        )
    };
    let recorded = "SIP/2.0 200 OK\r\nTo: <sip:+1>;tag=ut\r\nCall-ID: c2\r\n\r\n";
    let route = |names: &mut Names, method: &str| {
        let request = format!(
            "{method} sip:u SIP/2.0\r\nRoute: <sip:old;lr>\r\nTo: <sip:+1>;tag=ut\r\nCall-ID: c2\r\n\r\n"
        );
        let sent = text(self::request(request.as_bytes(), names));
        sent.lines().filter(|line| line.starts_with("Route")).collect::<Vec<_>>().join("|")
    };
    // Of an answer the way back, without us; that of a provisional one is overwritten.
    names.learn_sip(recorded.as_bytes(), answered("180 Ringing", "<sip:far;lr>, ").as_bytes());
    assert_eq!(route(&mut names, "PRACK"), "Route: <sip:x;lr>|Route: <sip:far;lr>");
    names.learn_sip(recorded.as_bytes(), answered("486 Busy Here", "").as_bytes());
    assert_eq!(route(&mut names, "ACK"), "");
    names.learn_sip(recorded.as_bytes(), answered("200 OK", "").as_bytes());
    assert_eq!(route(&mut names, "ACK"), "Route: <sip:x;lr>");
    names.learn_sip(recorded.as_bytes(), answered("200 OK", "<sip:later;lr>, ").as_bytes());
    assert_eq!(route(&mut names, "BYE"), "Route: <sip:x;lr>");
    // Of a request of the bridge it is the way as it stands.
    let live =
        LIVE.replacen("From", "Record-Route: <sip:q;lr>\r\nRecord-Route: <sip:r;lr>\r\nFrom", 1);
    names.learn_sip(INVITE.replace("c1@ue", "c2").as_bytes(), live.as_bytes());
    assert_eq!(route(&mut names, "BYE"), "Route: <sip:q;lr>|Route: <sip:r;lr>");
}

#[test]
fn what_the_bridge_counts_is_named_by_its_numbers() {
    let mut names = names();
    let ringing = "SIP/2.0 183 Progress\r\nCall-ID: c1\r\nRSeq: 5\r\n\r\n";
    names.learn_sip(ringing.as_bytes(), ringing.replace('5', "7001").as_bytes());
    let refer = "REFER sip:f SIP/2.0\r\nCall-ID: c1\r\nTo: <sip:f>;tag=f\r\nCSeq: 3 REFER\r\n\r\n";
    names.learn_sip(refer.as_bytes(), refer.replace('3', "12").as_bytes());
    let prack = "PRACK sip:u SIP/2.0\r\nCall-ID: c1\r\nRAck:  5  1 INVITE\r\n\r\n";
    assert!(text(request(prack.as_bytes(), &mut names)).contains("\r\nRAck:  7001  1 INVITE\r\n"));
    let notify = "NOTIFY sip:u SIP/2.0\r\nCall-ID: c1\r\no: refer;id=3\r\n\r\n";
    assert!(text(request(notify.as_bytes(), &mut names)).contains("\r\no: refer;id=12\r\n"));
}

#[test]
fn conversations_keep_their_ids_unless_others_are_wanted() {
    let invite = "INVITE sip:+1@ims.example SIP/2.0\r\nCall-ID: c2\r\nConversation-ID: f81d4fae-7dec-11d0\r\n\
        contribution-id: 01234567\r\n\r\n";
    let id = |text: &str, name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        let mut found =
            lines.filter(|(found, _)| *found == name).map(|(_, value)| value.to_owned());
        found.next().expect("the field")
    };
    assert!(
        text(request(invite.as_bytes(), &mut names())).contains("\r\nConversation-ID: f81d4fae-")
    );
    let fresh = |run: &str| {
        let own = (at("127.0.0.1:5062"), at("127.0.0.1:9001"));
        let names = Names::new(run.to_owned(), own, None).with(Kept::default(), true);
        let (mut names, live) = (names, invite.replace("f81d", "beef"));
        let told = text(request(invite.as_bytes(), &mut names));
        assert_eq!(told, text(request(invite.as_bytes(), &mut names)));
        names.learn_sip(invite.as_bytes(), live.as_bytes());
        assert_eq!(
            id(&text(request(invite.as_bytes(), &mut names)), "Conversation-ID")[..4],
            *"beef"
        );
        told
    };
    let (one, other) = (fresh("one"), fresh("other"));
    let (one, other) = (id(&one, "Conversation-ID"), id(&other, "Conversation-ID"));
    assert!(one != other && one.len() == 18 && one.as_bytes()[8] == b'-', "{one} {other}");
}

#[test]
fn of_several_parts_the_length_of_the_right_one_follows() {
    let body = "--b\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\nContent-Length: 9\r\n\
        --b\r\nContent-Type: application/sdp\r\n\r\na=path:msrp://1.2.3.4:1/s;tcp\r\n\
        --b\r\nCONTENT-LENGTH:   31 \r\n\r\na=path:msrp://1.2.3.4:1/s;tcp\r\n--b--";
    let invite = format!(
        "INVITE sip:+1@ims.example SIP/2.0\r\nCall-ID: c\r\nl: {}\r\n\r\n{body}",
        body.len()
    );
    let told = text(request(invite.as_bytes(), &mut names()));
    let grown = "127.0.0.1:9001".len() - "1.2.3.4:1".len();
    let wanted = body.replace("1.2.3.4:1", "127.0.0.1:9001").replace("  31 ", "  36 ");
    assert_eq!(told.split_once("\r\n\r\n").expect("a body").1, wanted);
    assert!(told.contains(&format!("\r\nl: {}\r\n", body.len() + 2 * grown)), "{told}");
}

#[test]
fn of_several_parts_only_the_description_is_rewritten_and_only_where_it_has_lines() {
    let sdp = |own: bool| {
        let (ip, at, port) = match own {
            true => ("127.0.0.1", "127.0.0.1:9001", "9001"),
            false => ("1.2.3.4", "1.2.3.4:2855", "2855"),
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=o=- 1 1 IN IP4 1.2.3.4\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 0\r\nc=IN IP4 1.2.3.4\r\na=path:no\r\no=- 2 2 IN IP4 1.2.3.4\r\n\
             m=message {port} TCP/MSRP *\r\nc=IN IP4 {ip}\r\na=path:msrp://{at}/s;tcp\r\n"
        )
    };
    let looks = "c=IN IP4 9.9.9.9\r\no=- 1 1 IN IP4 9.9.9.9\r\nm=message 1 TCP/MSRP *\r\n\
        a=path:msrp://9.9.9.9:1/x;tcp\r\n<message-id>i1</message-id> sip:room@192.0.2.10\r\n";
    let body = |own: bool| {
        format!(
            "{looks}--b b\r\nContent-Type: text/plain\r\n\r\n{looks}\r\n--b b\r\n\
             content-type : Multipart/Alternative; boundary=in\r\n\r\n--in\r\n\
             Content-Type: Application/SDP;x=y\r\n\r\n{}--in--\r\n\
             --b b\r\nContent-Type: application/x-odd\r\n\r\n{looks}--b b--\r\n{looks}",
            sdp(own)
        )
    };
    let invite = |own: bool| {
        format!(
            "INVITE sip:+1@ims.example SIP/2.0\r\nCall-ID: c\r\n\
             c: multipart/mixed ;x=1; BOUNDARY=\"b b\"\r\n\r\n{}",
            body(own)
        )
    };
    let told = text(request(invite(false).as_bytes(), &mut learned()));
    assert_eq!(told.split_once("\r\n\r\n").expect("a body").1, body(true));
    for odd in ["text/plain", "multipart/mixed", "multipart/mixed;boundary=other"] {
        let invite = invite(false).replace("multipart/mixed ;x=1; BOUNDARY=\"b b\"", odd);
        let told = text(request(invite.as_bytes(), &mut learned()));
        assert_eq!(told.split_once("\r\n\r\n").expect("a body").1, body(false), "{odd}");
    }
    // Alone it is one as well, and where nobody says what it is.
    for kind in ["Content-Type: application/sdp\r\n", ""] {
        let invite = format!("INVITE sip:+1@x SIP/2.0\r\nCall-ID: c\r\n{kind}\r\n{}", sdp(false));
        let told = text(request(invite.as_bytes(), &mut names()));
        assert_eq!(told.split_once("\r\n\r\n").expect("a body").1, sdp(true), "{kind}");
    }
}

/// We have no TLS: whoever was told of it would find nobody.
#[test]
fn our_contact_is_reached_by_what_we_speak() {
    for (recorded, wanted) in [
        ("<sips:b@p.x:5061>", "<sip:b@127.0.0.1:5062>"),
        ("\"B\" <SIPS:b@p.x>;q=1", "\"B\" <SIP:b@127.0.0.1:5062>;q=1"),
        ("<sip:b@p.x;transport=tls;ob>", "<sip:b@127.0.0.1:5062;ob>"),
        ("<sip:b@p.x;ob;Transport = TLS>;expires=9", "<sip:b@127.0.0.1:5062;ob>;expires=9"),
        (
            "<sip:b@p.x;transport=ws>, <sip:c@q.x;transport=wss>",
            "<sip:b@127.0.0.1:5062>, <sip:c@127.0.0.1:5062>",
        ),
        ("<sip:b@p.x;transport=sctp;transport=tls>", "<sip:b@127.0.0.1:5062>"),
        ("<sips:b@p.x;transport=tcp>", "<sip:b@127.0.0.1:5062;transport=tcp>"),
        ("<sip:b@p.x;transport=TCP>", "<sip:b@127.0.0.1:5062;transport=TCP>"),
        ("<sip:b@p.x;transport=udp>", "<sip:b@127.0.0.1:5062;transport=udp>"),
        ("sips:b@p.x;q=1", "sip:b@127.0.0.1:5062;q=1"),
    ] {
        let invite = format!("INVITE sip:a@x SIP/2.0\r\nCall-ID: c\r\nContact: {recorded}\r\n\r\n");
        let told = text(request(invite.as_bytes(), &mut names()));
        assert!(told.contains(&format!("\r\nContact: {wanted}\r\n")), "{wanted}: {told}");
    }
}

#[test]
fn a_group_that_the_bridge_hosts_has_its_address_of_this_run_everywhere() {
    let mut names = names();
    let invite = |contact: &str| {
        format!("INVITE sip:+2@x SIP/2.0\r\nCall-ID: c\r\nContact: <{contact}>;isfocus\r\n\r\n")
    };
    let (old, new) = ("sip:room@192.0.2.10", "sip:hosted-1@127.0.0.1:5080");
    names.learn_sip(invite(old).as_bytes(), invite(new).as_bytes());
    let refer = format!(
        "REFER {old} SIP/2.0\r\nTo: <{old}>\r\nr: <{old}?method=BYE>\r\nX: {old}\r\nCall-ID: d\r\n\r\n"
    );
    let told = text(request(refer.as_bytes(), &mut names));
    let wanted =
        format!("REFER {new} SIP/2.0\r\nTo: <{new}>\r\nr: <{new}?method=BYE>\r\nX: {old}\r\n");
    assert!(told.starts_with(&wanted), "{told}");
    let send = format!(
        "MSRP t SEND\r\nFrom-Path: msrp://b:1/ns;tcp\r\nMessage-ID: m\r\nByte-Range: 1-62/62\r\n\
         Content-Type: message/cpim\r\n\r\nTo: <{old}>\r\nCc: {old}.example\r\n\r\n-------t$\r\n"
    );
    let told = text(frame(send.as_bytes(), None, &names));
    assert!(told.contains(&format!("To: <{new}>\r\nCc: {old}.example\r\n")), "{told}");
    assert!(told.contains("Byte-Range: 1-70/70"), "{told}");
    let said = |uri: &str| bytes::Bytes::from(format!("a {uri}, b {uri} c"));
    assert_eq!(names.renamed(&said(old)), said(new));
    assert_eq!(learned().renamed(&said(old)), said(old));
}

#[test]
fn what_is_said_over_msrp_is_no_description() {
    let text_of = "MSRP t SEND\r\nTo-Path: msrp://a:1/us;tcp\r\nFrom-Path: msrp://b:1/ns;tcp\r\n\
        Message-ID: m\r\nByte-Range: 1-30/30\r\nContent-Type: text/plain\r\n\r\n\
        a=path:msrp://1.2.3.4:1/s;tcp\r\n\r\n-------t$\r\n";
    let told = text(frame(text_of.as_bytes(), None, &learned()));
    assert!(told.contains("Byte-Range: 1-30/30") && told.contains("msrp://1.2.3.4:1/s"), "{told}");
}

#[test]
fn no_bytes_are_too_odd_to_be_rewritten() {
    let odd = ["", "\n", ":\r\n \r\n", "MSRP ", "MSRP  \r\n-------", "x y z\nVia\n \nTo:"];
    let mut messages: Vec<Vec<u8>> = odd.iter().map(|text| text.as_bytes().to_vec()).collect();
    for text in [INVITE, LIVE] {
        messages.push(text.as_bytes().to_vec());
        // Latin-1 where a text is wanted.
        messages.push(text.bytes().map(|byte| if byte == b'i' { 0xe9 } else { byte }).collect());
    }
    let contacts = "\"a\\\"\" <sip:a@h;maddr=x>, <sip:[::1]:5>;q, <, \"";
    messages.push(format!("BYE\r\nm: {contacts}\r\nRecord-Route: {contacts}\r\n").into());
    messages.push(
        format!("BYE\r\nv: A / b /c \u{e9} : 1;x=\"\u{e9};\";branch=, {contacts}\r\n").into(),
    );
    messages.push(b"MSRP \xe9\xe9\xe9 SEND\r\n-------\xe9\xe9\xe9$\r\n".to_vec());
    messages.push(b"MSRP t1 SEND\r\nContact: \xe9\xe9 <sip:\xe9@\xe9\xe9>\r\n\r\n".to_vec());
    for message in messages {
        for end in 0..=message.len() {
            let cut = &message[..end];
            let mut names = learned();
            names.learn_sip(cut, LIVE.as_bytes());
            names.learn_sip(INVITE.as_bytes(), cut);
            names.learn_msrp(cut, cut);
            let _ = answer(cut, LIVE.as_bytes(), at("127.0.0.1:1"), &names);
            let _ = answer(INVITE.as_bytes(), cut, at("127.0.0.1:1"), &names);
            let _ = request(cut, &mut names);
            let _ = frame(cut, Some("t"), &names);
        }
    }
}
#[test]
fn whoever_was_recorded_is_called_in_no_form_of_an_address() {
    let sent = |field: &str| {
        let bye = [
            b"BYE sip:+1@x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKn1\r\n".as_slice(),
            b"From: <sip:+2@x>;tag=n\r\nTo: <sip:+1@x>;tag=u\r\nCall-ID: c\r\n",
            field.as_bytes(),
            b"\r\n\r\n",
        ];
        let sent = text(request(&bye.concat(), &mut names()));
        let own = field.split(':').next().unwrap_or_default();
        let lines = sent.lines().filter(|line| line.starts_with(own));
        lines.collect::<Vec<_>>().join("|")
    };
    for (recorded, own) in [
        ("<SIP:bob@192.0.2.1:5070>;q=1", "<SIP:bob@127.0.0.1:5062>;q=1"),
        ("Sips:bob@h.example;q=1", "Sip:bob@127.0.0.1:5062;q=1"),
        ("sip:h.example;maddr=192.0.2.1;q=1", "sip:127.0.0.1:5062;q=1"),
        ("<sip:h;lr;MADDR=192.0.2.1;ob>;x", "<sip:127.0.0.1:5062;lr;ob>;x"),
        ("\"sip:a@b\" <sip:c@192.0.2.1>", "\"sip:a@b\" <sip:c@127.0.0.1:5062>"),
        ("\"a\\\"<sip:a@b>, \" <sip:c@h>", "\"a\\\"<sip:a@b>, \" <sip:c@127.0.0.1:5062>"),
        ("sip <sip:c@h>", "sip <sip:c@127.0.0.1:5062>"),
        ("<sip:a;x=1?y@h>", "<sip:a;x=1?y@127.0.0.1:5062>"),
        ("<sip:a:p@[2001:db8::1]:5070>", "<sip:a:p@127.0.0.1:5062>"),
        (
            "<sip:a@h>, B <sip:b@i;lr>;q=0.5 ,sip:j",
            "<sip:a@127.0.0.1:5062>, B <sip:b@127.0.0.1:5062;lr>;q=0.5 ,sip:127.0.0.1:5062",
        ),
        // What is no SIP is nobody's to call.
        ("*", "*"),
        ("<tel:+1;phone-context=h>, <mailto:a@b>", "<tel:+1;phone-context=h>, <mailto:a@b>"),
        // Whatever is not understood is not called.
        ("<sip:a@b@192.0.2.1>", "<sip:127.0.0.1:5062>"),
        ("<sip:a@192.0.2.1", "<sip:127.0.0.1:5062>"),
        ("<sip:192.0.2.1%2eexample>", "<sip:127.0.0.1:5062>"),
        ("<sip:h;%6daddr=192.0.2.1>", "<sip:127.0.0.1:5062>"),
        ("<sip:bob@ 192.0.2.1>", "<sip:127.0.0.1:5062>"),
        ("192.0.2.1", "<sip:127.0.0.1:5062>"),
        ("sip:", "<sip:127.0.0.1:5062>"),
        ("\"a <sip:a@192.0.2.1>", "<sip:127.0.0.1:5062>"),
        ("<sip:\u{e9}@h\u{e9}>;x", "<sip:127.0.0.1:5062>;x"),
    ] {
        assert_eq!(sent(&format!("Contact: {recorded}")), format!("Contact: {own}"), "{recorded}");
        assert_eq!(sent(&format!("m: {recorded}")), format!("m: {own}"), "{recorded}");
    }
    // Of a route the first hop is called: the others are behind us.
    assert_eq!(
        sent("Record-Route: \"x\" <Sip:192.0.2.1;maddr=192.0.2.2;lr>, <sip:p;lr>"),
        "Record-Route: \"x\" <Sip:127.0.0.1:5062;lr>, <sip:p;lr>"
    );
    assert_eq!(sent("Record-Route: odd"), "Record-Route: <sip:127.0.0.1:5062;lr>");
}

#[test]
fn a_contact_is_ours_whatever_bytes_stand_beside_it() {
    let bye = b"BYE sip:+1@x SIP/2.0\r\nCall-ID: c\r\nContact: \"\xe9\" <sip:\xe9@192.0.2.1:1>;x=\xe9\r\n\r\n";
    let sent = request(bye, &mut names()).bytes;
    let own = b"Contact: \"\xe9\" <sip:\xe9@127.0.0.1:5062>;x=\xe9\r\n".as_slice();
    assert!(memchr::memmem::find(&sent, own).is_some(), "{}", String::from_utf8_lossy(&sent));
}

#[test]
fn answers_come_to_us_whatever_a_via_says() {
    let sent = |via: &str| {
        let bye = format!("BYE sip:+1@x SIP/2.0\r\nVia: {via}\r\nCall-ID: c\r\n\r\n");
        let sent = text(request(bye.as_bytes(), &mut names()));
        sent.lines().find_map(|line| line.strip_prefix("Via: ")).unwrap_or_default().to_owned()
    };
    for (recorded, own) in [
        (
            "SIP/2.0/UDP h;maddr=192.0.2.1;branch=z9hG4bKa",
            "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa.run",
        ),
        (
            "SIP/2.0/UDP h;Received=192.0.2.1 ; rport=9;MADDR = x;Branch=z9hG4bKa;y",
            "SIP/2.0/UDP 127.0.0.1:5062;rport;Branch=z9hG4bKa.run;y",
        ),
        (
            "SIP / 2.0 / TCP  first.example : 4000;ttl=16 ;branch=z9hG4bKa",
            "SIP / 2.0 / TCP  127.0.0.1:5062;ttl=16 ;branch=z9hG4bKa.run",
        ),
        ("SIP/2.0/UDP [2001:db8::1]", "SIP/2.0/UDP 127.0.0.1:5062"),
        (
            "SIP/2.0/UDP a;x=\"b,;maddr=c\";branch=z9hG4bKa, SIP/2.0/UDP 192.0.2.2",
            "SIP/2.0/UDP 127.0.0.1:5062;x=\"b,;maddr=c\";branch=z9hG4bKa.run",
        ),
        ("192.0.2.1;branch=z9hG4bKa", "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa.run"),
        ("odd", "SIP/2.0/UDP 127.0.0.1:5062"),
    ] {
        assert_eq!(sent(recorded), own, "{recorded}");
    }
}

#[test]
fn msrp_comes_to_us_whatever_a_description_says() {
    let sent = |line: &str| {
        let bye = format!("BYE sip:+1@x SIP/2.0\r\nCall-ID: c\r\n\r\n{line}\r\n");
        let sent = text(request(bye.as_bytes(), &mut names()));
        sent.split("\r\n\r\n").nth(1).unwrap_or_default().trim_end().to_owned()
    };
    for (recorded, own) in [
        ("a=path:msrp://bob@192.0.2.1:1/s;tcp", "a=path:msrp://127.0.0.1:9001/s;tcp"),
        ("a=path:MSRPS://r:1/x;tcp msrp://192.0.2.1/s;tcp", "a=path:msrp://127.0.0.1:9001/s;tcp"),
        ("a=path:msrp://192.0.2.1:1;tcp", "a=path:msrp://127.0.0.1:9001;tcp"),
        ("a=path:192.0.2.1", "a=path:msrp://127.0.0.1:9001"),
        ("a=Path : msrp://192.0.2.1:1/s;tcp", "a=path:msrp://127.0.0.1:9001/s;tcp"),
        (
            "m=message 1 tcp/msrp *\r\na=path:msrp://h:1/s;tcp",
            "m=message 9001 TCP/MSRP *\r\na=path:msrp://127.0.0.1:9001/s;tcp",
        ),
    ] {
        assert_eq!(sent(recorded), own, "{recorded}");
    }
}

fn names() -> Names {
    let own = (at("127.0.0.1:5062"), at("127.0.0.1:9001"));
    Names::new("run".to_owned(), own, Some(at("127.0.0.1:5080")))
}

fn learned() -> Names {
    let mut names = names();
    names.learn_sip(INVITE.as_bytes(), LIVE.as_bytes());
    names
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

fn text(rewritten: Rewritten) -> String {
    String::from_utf8(rewritten.bytes).expect("text")
}
