//! Tables 2.1, 2.3 and 2.4 of the design for two: each answer, each end.

use super::wire::{IN, OUT, lines_of, of, sdp};

/// What an answer to an invitation means, written down a second time.
fn event(code: u16, is_cancelled: bool) -> Option<&'static str> {
    match code {
        100..=199 => None,
        _ if is_cancelled => Some("SessionCancelled"),
        200..=299 => Some("Accepted"),
        480 | 486 => Some("Declined"),
        604 | 606 => Some("SessionEnded"),
        600..=699 => Some("Declined"),
        _ => Some("SessionEnded"),
    }
}

#[test]
fn every_answer_to_an_invitation_is_told_as_the_table_says() {
    for is_cancelled in [false, true] {
        for code in 100..=699 {
            let mut trace = vec![OUT.opens("INVITE", &sdp("f"))];
            if is_cancelled {
                trace.push(OUT.opens("CANCEL", ""));
            }
            let rest = if code / 100 == 2 { sdp("t") } else { String::new() };
            trace.push(OUT.answers(code, "INVITE", &rest));
            let told = lines_of(&trace, 0);
            let Some(event) = event(code, is_cancelled) else {
                assert!(told.is_empty(), "{code}: {told:?}");
                continue;
            };
            let words = match code {
                _ if is_cancelled && (code / 100 == 2 || code == 487) => "SIP CANCEL".to_owned(),
                _ if is_cancelled => format!("SIP {code} Because"),
                408 => "timeout invitation; SIP 408 Because".to_owned(),
                _ => format!("SIP {code} Because"),
            };
            let rel = if event == "Accepted" { ", rel 'ChatSessionInformation'" } else { "" };
            let wanted = format!("chatEvent eventDescription '{words}', eventType '{event}'{rel}");
            assert_eq!(told, [wanted], "{code}");
        }
    }
}

#[test]
fn an_invitation_that_is_tried_again_is_told_of_in_the_end() {
    for code in [302, 401, 407, 420, 421, 422, 423, 491, 494] {
        let first = [OUT.opens("INVITE", &sdp("f")), OUT.answers(code, "INVITE", "")];
        let alone = of(&first);
        assert_eq!(alone.notices.len(), 1, "{code}");
        let most: usize = alone.beside.iter().map(|beside| beside.most).sum();
        assert_eq!(most, if code == 302 { 5 } else { 1 }, "{code}");
        let (ours, text) = OUT.opens("INVITE", &sdp("f"));
        let again = (ours, text.replace("CSeq: 1", "CSeq: 2").replace("INVITE1", "INVITE2"));
        let (ours, text) = OUT.answers(486, "INVITE", "");
        let busy = (ours, text.replace("CSeq: 1", "CSeq: 2").replace("INVITE1", "INVITE2"));
        let told = lines_of(&[first[0].clone(), first[1].clone(), again, busy], 0);
        assert_eq!(told, ["chatEvent eventDescription 'SIP 486 Because', eventType 'Declined'"]);
    }
    for code in [200, 403, 486, 500, 603] {
        let told = of(&[OUT.opens("INVITE", &sdp("f")), OUT.answers(code, "INVITE", &sdp("t"))]);
        assert!(told.beside.is_empty(), "{code}");
    }
}

#[test]
fn an_answer_without_a_stream_of_messages_is_of_no_use() {
    for (old, new) in [
        ("m=message 2855", "m=message 0"),
        ("m=message", "m=audio"),
        ("a=path:msrp", "a=lost:msrp"),
        ("a=accept-types:message/cpim", "a=lost"),
    ] {
        let useless = sdp("t").replace(old, new);
        let trace = [OUT.opens("INVITE", &sdp("f")), OUT.answers(200, "INVITE", &useless)];
        let told = "chatEvent eventDescription 'SIP 488 Not Acceptable Here', \
                    eventType 'SessionEnded'";
        assert_eq!(lines_of(&trace, 0), [told], "{new}");
    }
}

#[test]
fn a_running_chat_ends_once_and_for_one_reason() {
    let ends = |more: &[_]| lines_of(&[&OUT.stands(), more].concat(), 1);
    let ended =
        |words: &str| format!("chatEvent eventDescription '{words}', eventType 'SessionEnded'");
    let reason = "Reason: SIP;cause=480;text=\"Gone\", Q.850;cause=16";
    assert_eq!(ends(&[OUT.asks(false, "BYE", "")]), [ended("SIP BYE")]);
    assert_eq!(
        ends(&[OUT.asks(false, "BYE", reason), OUT.asks(true, "BYE", "")]),
        [ended("SIP BYE; Reason: SIP;cause=480;text=''Gone'', Q.850;cause=16")]
    );
    assert_eq!(ends(&[OUT.asks(true, "BYE", ""), OUT.answers(481, "BYE", "")]), [ended("SIP BYE")]);
    let removed = sdp("t").replace("m=message 2855", "m=message 0");
    for method in ["INVITE", "UPDATE"] {
        assert_eq!(
            ends(&[OUT.asks(false, method, &removed)]),
            [ended("SIP 488 Not Acceptable Here; media removed")]
        );
        assert!(ends(&[OUT.asks(false, method, &sdp("t"))]).is_empty());
        for code in [408, 481] {
            let told = ends(&[OUT.asks(true, method, &sdp("f")), OUT.answers(code, method, "")]);
            assert_eq!(told, [ended("SIP 481 Call/Transaction Does Not Exist")], "{method} {code}");
        }
        let told = ends(&[OUT.asks(true, method, &sdp("f")), OUT.answers(488, method, "")]);
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn an_invitation_that_comes_in_is_told_and_so_is_how_it_ends() {
    let invite = |rest: &str| IN.opens("INVITE", &format!("{rest}{}", sdp("f")));
    const ONE: &str = "sessionInvitation originatorAddress 'tel:+19585550101', subject 'Trip', \
                       tParticipantAddress 'tel:+19585550100'";
    let trip = invite("Subject: Trip\n");
    assert_eq!(lines_of(std::slice::from_ref(&trip), 0), [ONE]);
    // The network and the device name different senders: either may be shown.
    let two = invite("P-Asserted-Identity: <tel:+19585550109>\n");
    let told = lines_of(std::slice::from_ref(&two), 0);
    assert!(told[0].contains("550109' or") || told[0].contains("550109',"), "{told:?}");
    assert!(told[0].contains(" or sessionInvitation originatorAddress 'tel:+19585550101'"));
    let spelled = invite(
        "P-Asserted-Identity: \"B, <b>\" <sip:+19585550101@example.com;user=phone>, <tel:+19585550101>\n\
         Subject: Trip\n",
    );
    assert_eq!(lines_of(&[spelled], 0), [ONE]);
    let escaped = invite(
        "P-Asserted-Identity: \"B \\\", <tel:+19585550109>, \" <sip:+19585550101@example.com>\n\
         Subject: Trip\n",
    );
    assert_eq!(lines_of(&[escaped], 0), [ONE]);
    for (reason, words, event) in [
        ("", "SIP CANCEL", "SessionCancelled"),
        ("Reason: SIP;cause=487", "SIP CANCEL", "SessionCancelled"),
        (
            "Reason: SIP;cause=200;text=\"Call completed elsewhere\"",
            "answered elsewhere",
            "SessionEnded",
        ),
    ] {
        let told = lines_of(&[trip.clone(), IN.opens("CANCEL", reason)], 1);
        let wanted = format!("chatEvent eventDescription '{words}', eventType '{event}'");
        assert_eq!(told, [wanted], "{reason}");
    }
    for (code, words) in [
        (480, "declined by the user"),
        (486, "declined by the user"),
        (600, "declined by the user"),
        (603, "declined by the user"),
        (408, "timeout invitation"),
    ] {
        let told = lines_of(&[trip.clone(), IN.answers(code, "INVITE", "")], 1);
        let wanted = format!("?chatEvent eventDescription '{words}', eventType 'SessionEnded'");
        assert_eq!(told, [wanted], "{code}");
    }
    // What the recorded device refuses by itself, nobody need have been asked.
    for code in [404, 488, 500] {
        let told = lines_of(&[trip.clone(), IN.answers(code, "INVITE", "")], 0);
        assert!(told.len() == 1 && told[0].starts_with("?session"), "{code}: {told:?}");
    }
    let ended = lines_of(&[&IN.stands()[..], &[IN.asks(true, "BYE", "")]].concat(), 1);
    assert_eq!(ended, ["chatEvent eventDescription 'SIP BYE', eventType 'SessionEnded'"]);
}

#[test]
fn the_text_in_an_invitation_is_told_once_it_is_accepted() {
    let cpim = "From: <tel:+19585550101>\r\nTo: <tel:+19585550100>\r\n\r\n\
                Content-Type: text/plain\r\n\r\nHello";
    let both = format!(
        "Content-Type: multipart/mixed;boundary=b\n\n--b\r\nContent-Type: application/sdp\r\n\r\n{}\r\n\
         --b\r\nContent-Type: message/cpim\r\n\r\n{cpim}\r\n--b--\r\n",
        sdp("f").split_once("\n\n").expect("as it is made").1
    );
    let invite = IN.opens("INVITE", &both);
    assert_eq!(lines_of(std::slice::from_ref(&invite), 1), [""; 0]);
    let told = lines_of(&[invite, IN.answers(200, "INVITE", &sdp("t"))], 1);
    assert_eq!(told, ["~message senderAdress 'tel:+19585550101', text 'Hello'"]);
}

#[test]
fn an_invitation_that_may_be_for_a_running_session_may_be_told() {
    let same = "Contribution-ID: abc\n";
    let again = super::wire::Dialog { call: "again", ..IN };
    let first = IN.opens("INVITE", &format!("{same}{}", sdp("f")));
    let accepted = IN.answers(200, "INVITE", &sdp("t"));
    for (more, is_open) in [(same, true), ("Replaces: in;to-tag=t;from-tag=f\n", true), ("", false)]
    {
        let second = again.opens("INVITE", &format!("{more}{}", sdp("f")));
        let expected = of(&[first.clone(), accepted.clone(), second]);
        let all: Vec<bool> = expected.notices.iter().map(|notice| notice.optional).collect();
        assert_eq!(all, [false, is_open], "{more}");
        assert_eq!(expected.left_out.len(), usize::from(is_open), "{more}");
    }
}
