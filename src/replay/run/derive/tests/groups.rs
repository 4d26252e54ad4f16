//! Tables 2.2 to 2.6 of the design for groups: each answer of a focus, each status, each end.

use super::wire::{
    AGAIN, GROUP, Message, ROOM, WATCH, body, focus, frame, lines_of, listing, of, sdp,
};

const CAROL: &str = "sip:+19585550102@example.com";

/// A group of Alice with Bob and Carol, and who watches it.
fn stands() -> Vec<Message> {
    vec![
        GROUP.opens("INVITE", &listing(&["+19585550101", "+19585550102"])),
        GROUP.answers(200, "INVITE", &focus()),
        GROUP.asks(true, "ACK", ""),
        WATCH.opens("SUBSCRIBE", "Event: conference\nExpires: 3600"),
        WATCH.answers(200, "SUBSCRIBE", "Expires: 3600"),
    ]
}

fn user(entity: &str, status: &str, more: &str) -> String {
    format!(
        "<user entity=\"{entity}\" state=\"full\"><endpoint entity=\"{entity}\">\
         <status>{status}</status>{more}</endpoint></user>"
    )
}

/// A NOTIFY with a document; each has a number of its own.
fn notify(number: u32, state: &str, users: &str) -> Message {
    let document = format!(
        "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{ROOM}\" \
         state=\"{state}\" version=\"{number}\"><users>{users}</users></conference-info>"
    );
    said(&number.to_string(), "active", &body("application/conference-info+xml", &document))
}

fn said(branch: &str, state: &str, rest: &str) -> Message {
    let head = format!("Event: conference\nSubscription-State: {state}\n{rest}");
    let (ours, text) = WATCH.asks(false, "NOTIFY", &head);
    (ours, text.replacen("NOTIFY2", &format!("NOTIFY{branch}x"), 1))
}

fn with(more: &[Message]) -> Vec<Message> {
    [&stands()[..], more].concat()
}

const OPENED: &str =
    "participantStatus participant [100*:C 101:I 102:I], standing [100*:C 101:I 102:I]";

#[test]
fn every_answer_of_a_factory_is_told_as_the_table_says() {
    for is_cancelled in [false, true] {
        for code in 100..=699 {
            let mut trace = stands()[..1].to_vec();
            if is_cancelled {
                trace.push(GROUP.opens("CANCEL", ""));
            }
            let rest = if code / 100 == 2 { focus() } else { String::new() };
            trace.push(GROUP.answers(code, "INVITE", &rest));
            let told = lines_of(&trace, 0);
            let ended = format!(
                "chatEvent eventDescription 'SIP {code} Because', eventType 'SessionEnded'"
            );
            let cancelled = "chatEvent eventDescription 'SIP CANCEL', eventType 'SessionCancelled'";
            match code {
                100..=199 => assert!(told.is_empty(), "{code}: {told:?}"),
                _ if is_cancelled => assert_eq!(told, [cancelled], "{code}"),
                200..=299 => assert_eq!(told, [OPENED], "{code}"),
                _ => assert_eq!(told, [ended], "{code}"),
            }
        }
    }
    let useless = focus().replace("m=message 2855", "m=message 0");
    let trace = [stands()[0].clone(), GROUP.answers(200, "INVITE", &useless)];
    let told = "chatEvent eventDescription 'SIP 488 Not Acceptable Here', eventType 'SessionEnded'";
    assert_eq!(lines_of(&trace, 0), [told]);
}

#[test]
fn every_answer_to_who_joins_again_is_told_as_the_table_says() {
    let left = with(&[GROUP.asks(true, "BYE", "")]);
    let own_left = "participantStatus participant [100*:D], standing [100*:D 101:I 102:I]";
    for code in 100..=699 {
        let rest = if code / 100 == 2 { focus() } else { String::new() };
        let more = [AGAIN.opens("INVITE", &sdp("f")), AGAIN.answers(code, "INVITE", &rest)];
        let told = lines_of(&[&left[..], &more].concat(), 1);
        let (first, told) = told.split_first().expect("as it is made");
        assert_eq!(first, own_left, "{code}");
        match code {
            100..=199 => assert!(told.is_empty(), "{code}: {told:?}"),
            200..=299 => {
                let own = "participantStatus participant [100*:C], standing [100*:C 101:I 102:I]";
                assert_eq!(told, [own], "{code}");
            }
            // The call is answered so; where it waited too long, the event says it.
            _ => assert_eq!(told, ["?chatEvent eventType 'SessionEnded'"], "{code}"),
        }
    }
}

/// What a status of Bob means, written down a second time; nothing where it is not told.
fn meaning(status: &str, cause: Option<u16>, was: &str) -> Option<&'static str> {
    let now = match status {
        "pending" | "dialing-out" | "dialing-in" | "alerting" => "I",
        "connected" | "on-hold" | "muted-via-focus" => "C",
        "disconnecting" => return None,
        _ => "D",
    };
    let never_came =
        status == "disconnected" && was == "I" && matches!(cause, Some(408 | 480 | 487));
    (now != was && !never_came).then_some(now)
}

#[test]
fn every_status_method_and_cause_is_told_as_the_table_says() {
    let statuses = [
        "pending",
        "dialing-out",
        "dialing-in",
        "alerting",
        "on-hold",
        "connected",
        "muted-via-focus",
        "disconnecting",
        "disconnected",
        "declined",
    ];
    let bob = "sip:+19585550101@example.com";
    for (before, was) in [("dialing-out", "I"), ("connected", "C"), ("disconnected", "D")] {
        for status in statuses {
            for method in ["", "departed", "booted", "failed", "busy"] {
                for cause in
                    [None, Some(408), Some(480), Some(486), Some(487), Some(603), Some(607)]
                {
                    let mut more = String::new();
                    if !method.is_empty() {
                        more = format!("<disconnection-method>{method}</disconnection-method>");
                    }
                    if let Some(cause) = cause {
                        let reason = format!("<reason>SIP;cause={cause}</reason>");
                        more += &format!("<disconnection-info>{reason}</disconnection-info>");
                    }
                    let first = user(bob, before, "") + &user(CAROL, "dialing-out", "");
                    let trace = with(&[
                        notify(1, "full", &first),
                        notify(2, "partial", &user(bob, status, &more)),
                    ]);
                    let skip = if was == "I" { 1 } else { 2 };
                    let told = lines_of(&trace, skip);
                    let wanted = meaning(status, cause, was).map(|now| {
                        format!(
                            "participantStatus participant [101:{now}], \
                             standing [100*:C 101:{now} 102:I]"
                        )
                    });
                    let wanted: Vec<String> = wanted.into_iter().collect();
                    assert_eq!(told, wanted, "{before}, then {status} {method} {cause:?}");
                }
            }
        }
    }
}

#[test]
fn a_document_is_taken_by_its_number_and_its_extent() {
    let bob = |status| user("sip:+19585550101@example.com", status, "");
    let carol = |status| user(CAROL, status, "");
    let both = bob("connected") + &carol("connected");
    let all_in = "participantStatus participant [101:C 102:C], standing [100*:C 101:C 102:C]";
    let first = notify(1, "full", &both);
    for (what, second, told) in [
        ("old", notify(1, "partial", &bob("disconnected")).1.replace("NOTIFY1x", "NOTIFY9x"), None),
        ("the same", notify(2, "partial", &bob("connected")).1, None),
        (
            "missing in all",
            notify(2, "full", &bob("connected")).1,
            Some("participantStatus participant [102:D], standing [100*:C 101:C 102:D]"),
        ),
        (
            "deleted",
            notify(2, "partial", &bob("connected").replace("state=\"full\"", "state=\"deleted\""))
                .1,
            Some("participantStatus participant [101:D], standing [100*:C 101:D 102:C]"),
        ),
        ("unreadable", notify(2, "partial", "<user").1, None),
        (
            "somebody new",
            notify(2, "partial", &user("sip:+19585550103@example.com", "alerting", "")).1,
            Some("participantStatus participant [103:I], standing [100*:C 101:C 102:C 103:I]"),
        ),
        (
            "nobody",
            notify(2, "partial", &user("sip:+19585550103@example.com", "disconnected", "")).1,
            None,
        ),
        (
            "own",
            notify(2, "partial", &user("sip:+19585550100@example.com", "disconnected", "")).1,
            None,
        ),
    ] {
        let expected = with(&[first.clone(), (true, second)]);
        let wanted: Vec<&str> = [Some(all_in), told].into_iter().flatten().collect();
        assert_eq!(lines_of(&expected, 1), wanted, "{what}");
        assert!(of(&expected).left_out.is_empty(), "{what}");
    }
}

#[test]
fn behind_a_gap_nothing_is_certain_until_all_is_said_again() {
    let bob = |status| user("sip:+19585550101@example.com", status, "");
    let carol = |status| user(CAROL, status, "");
    let first = notify(1, "full", &(bob("connected") + &carol("connected")));
    let gap = notify(3, "partial", &bob("disconnected"));
    let trace = with(&[first.clone(), gap.clone()]);
    let expected = of(&trace);
    assert_eq!(expected.left_out.len(), 1);
    assert_eq!(expected.beside.len(), 1, "the whole is asked for");
    let open = "?participantStatus participant [], standing [100*:C 101:C 101:D 102:C]";
    assert_eq!(lines_of(&trace, 2), [open]);
    // Whatever was told of Bob meanwhile, he is there; and Carol has gone.
    let whole = notify(4, "full", &bob("connected"));
    let trace = with(&[first.clone(), gap.clone(), whole]);
    let gone = "participantStatus participant [102:D], standing [100*:C 101:C 102:D]";
    assert_eq!(lines_of(&trace, 3), [gone]);
    // The user's own participation needs no document.
    let left = with(&[first, gap, GROUP.asks(true, "BYE", "")]);
    let told = lines_of(&left, 3);
    assert_eq!(
        told,
        ["participantStatus participant [100*:D], standing [100*:D 101:C 101:D 102:C]"]
    );
    // A subscription that begins with a part of the state has a gap in the beginning.
    let part = with(&[notify(5, "partial", &bob("connected"))]);
    assert_eq!(of(&part).left_out.len(), 1);
    assert!(lines_of(&part, 1)[0].starts_with("?participantStatus participant []"));
}

#[test]
fn a_group_ends_as_its_focus_says() {
    let ends = |more: &[Message]| lines_of(&with(more), 1);
    let own = "participantStatus participant [100*:D], standing [100*:D 101:I 102:I]".to_owned();
    let ended =
        |words: &str| format!("chatEvent eventDescription '{words}', eventType 'SessionEnded'");
    assert_eq!(ends(&[GROUP.asks(false, "BYE", "")]), [own.clone(), ended("SIP BYE")]);
    let idle = GROUP.asks(false, "BYE", "Reason: SIP;cause=480;text=\"Idle\"");
    let words = "SIP BYE; Reason: SIP;cause=480;text=''Idle''";
    assert_eq!(ends(&[idle]), [own.clone(), ended(words)]);
    // A group that is over is no participation that may be taken up again.
    let gone = GROUP.asks(false, "BYE", "Reason: SIP;cause=410");
    let words = ended("SIP BYE; Reason: SIP;cause=410");
    assert_eq!(ends(std::slice::from_ref(&gone)), std::slice::from_ref(&words));
    // It may overtake the word of who has gone.
    let bob = user("sip:+19585550101@example.com", "disconnected", "");
    let last = said("9", "terminated;reason=noresource", "");
    let told =
        ends(&[gone, notify(1, "full", &(bob + &user(CAROL, "alerting", ""))), last.clone()]);
    let bob_gone = "participantStatus participant [101:D], standing [100*:C 101:D 102:I]";
    assert_eq!(told, [bob_gone.to_owned(), words]);
    // Who has left is told of that, and of nothing behind it.
    let told = ends(&[GROUP.asks(true, "BYE", ""), notify(1, "full", ""), last.clone()]);
    assert_eq!(told, std::slice::from_ref(&own));
    // A conference that is over without a BYE: how long one is waited for is open.
    let open = [format!("?{own}"), format!("?{}", ended("conference inactive"))];
    assert_eq!(ends(std::slice::from_ref(&last)), open);
    assert_eq!(ends(&[last, GROUP.asks(false, "BYE", "")]), [own, ended("SIP BYE")]);
}

#[test]
fn where_nobody_says_who_takes_part_the_answers_to_refer_do() {
    let refer = |whom: &str| {
        let head = format!("Refer-To: <sip:{whom}@example.com;user=phone>\nReferred-By: <sip:a@b>");
        GROUP.asks(true, "REFER", &head)
    };
    let answer = |code: u16| {
        let (ours, text) = GROUP.answers(code, "REFER", "");
        (ours, text.replace("REFER1", "REFER2").replace("CSeq: 1", "CSeq: 2"))
    };
    let asked = [refer("+19585550103"), answer(202)];
    // With a subscription, the focus says it.
    assert!(lines_of(&with(&asked), 1).is_empty());
    let mut unwatched = stands();
    unwatched[4] = WATCH.answers(489, "SUBSCRIBE", "");
    let told = lines_of(&[&unwatched[..], &asked].concat(), 1);
    let new = "participantStatus participant [103:I], standing [100*:C 101:I 102:I 103:I]";
    assert_eq!(told, [new]);
    let refused = [refer("+19585550103"), answer(403)];
    let told = lines_of(&[&unwatched[..], &refused].concat(), 1);
    assert_eq!(told, ["?participantStatus participant [103:D], standing [103:D]"]);
    // Whoever is heard is there.
    let cpim =
        "From: <tel:+19585550101>\r\nTo: <sip:room>\r\n\r\nContent-Type: text/plain\r\n\r\nHi";
    let head = "Message-ID: m1\r\nByte-Range: 1-2/2\r\nContent-Type: message/cpim\r\n";
    let text = frame(true, "x1 SEND", head, cpim, '$');
    let told = lines_of(&[&unwatched[..], &[text]].concat(), 1);
    let there = "?participantStatus participant [101:C], standing [100*:C 101:C 102:I]";
    assert_eq!(told[0], there);
    assert_eq!(told[1], "message senderAdress 'tel:+19585550101', text 'Hi'");
}

#[test]
fn of_a_group_that_the_bridge_hosts_each_dialog_says_who_takes_part() {
    use super::wire::{ALICE, BOB, Dialog};
    let bob = Dialog { call: "bob", caller: ALICE, callee: BOB, is_ours: false };
    let carol = Dialog { call: "carol", caller: ALICE, callee: CAROL, is_ours: false };
    let list = listing(&["+19585550101", "+19585550102"]);
    let hosts = |dialog: &Dialog| {
        dialog.opens("INVITE", &format!("Contact: <sip:trip@192.0.2.10>;isfocus\n{list}"))
    };
    let begun = [hosts(&bob), hosts(&carol)];
    assert_eq!(lines_of(&begun, 0), [OPENED]);
    let with = |more: &[Message]| lines_of(&[&begun, more].concat(), 1);
    for code in 100..=699 {
        let told = with(&[bob.answers(code, "INVITE", &sdp("t"))]);
        let now = match code {
            200..=299 => "C",
            // Who does not react is mentioned nowhere.
            100..=199 | 408 | 480 | 487 => {
                assert!(told.is_empty(), "{code}: {told:?}");
                continue;
            }
            _ => "D",
        };
        let wanted =
            format!("participantStatus participant [101:{now}], standing [100*:C 101:{now} 102:I]");
        assert_eq!(told, [wanted], "{code}");
    }
    let both = [bob.answers(200, "INVITE", &sdp("t")), carol.answers(200, "INVITE", &sdp("t"))];
    let left = with(&[&both[..], &[bob.asks(false, "BYE", "")]].concat());
    let gone = "participantStatus participant [101:D], standing [100*:C 101:D 102:C]";
    assert_eq!(left[2..], [gone]);
    let removed = with(&[&both[..], &[bob.asks(true, "BYE", "")]].concat());
    assert_eq!(removed[2..], [gone]);
    // Where all others have gone, the bridge may end it or wait; where the host goes, it ends.
    let alone = [bob.asks(false, "BYE", ""), carol.asks(false, "BYE", "")];
    let told = with(&[&both[..], &alone].concat());
    assert!(told.len() == 6 && told[4..].iter().all(|line| line.starts_with('?')), "{told:?}");
    let over = [bob.asks(false, "BYE", ""), carol.asks(true, "BYE", "")];
    let told = with(&[&both[..], &over].concat());
    let ended = "chatEvent eventDescription 'ended by the originator', eventType 'SessionEnded'";
    let own = "participantStatus participant [100*:D], standing [100*:D 101:D 102:C]";
    assert_eq!(told[3..], [own, ended]);
}

#[test]
fn the_invitation_of_a_focus_names_all_who_are_there() {
    use super::wire::{ALICE, Dialog};
    let call = Dialog { call: "room", caller: ROOM, callee: ALICE, is_ours: true };
    let contact = format!("Contact: <{ROOM}>;isfocus");
    let list = listing(&["+19585550101", "+19585550102", "+19585550100"]);
    let by = "Referred-By: <sip:+19585550102@example.com>";
    let invite = call.opens("INVITE", &format!("{contact}\n{by}\nSubject: Trip\n{list}"));
    let told = "groupSessionInvitation participant [102:C 101:I], \
                standing [102:C 101:I 100*:I], subject 'Trip'";
    assert_eq!(lines_of(std::slice::from_ref(&invite), 0), [told]);
    let accepted = lines_of(&[invite.clone(), call.answers(200, "INVITE", &sdp("t"))], 1);
    let own = "participantStatus participant [100*:C], standing [100*:C 101:I 102:C]";
    assert_eq!(accepted, [own]);
    for (reason, words, event) in [
        ("", "SIP CANCEL", "SessionCancelled"),
        (
            "Reason: SIP;cause=200;text=\"Call completed elsewhere\"",
            "answered elsewhere",
            "SessionEnded",
        ),
    ] {
        let told = lines_of(&[invite.clone(), call.opens("CANCEL", reason)], 1);
        let wanted = format!("chatEvent eventDescription '{words}', eventType '{event}'");
        assert_eq!(told, [wanted]);
    }
    for (code, words) in [(480, "declined by the user"), (408, "timeout invitation")] {
        let told = lines_of(&[invite.clone(), call.answers(code, "INVITE", "")], 1);
        let wanted = format!("?chatEvent eventDescription '{words}', eventType 'SessionEnded'");
        assert_eq!(told, [wanted]);
    }
}
