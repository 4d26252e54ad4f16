//! What becomes of a request that nobody answers, and of an answer that nobody waits for.

use std::time::{Duration, Instant};

use chatbridge::sip::Transport::{Tcp, Udp};
use chatbridge::sip::{
    ClientOutput, ClientTransaction, Hop, Message, Response, ServerOutput, ServerTransaction,
    Status, Timers, Transport, response_to,
};

use crate::stage::{INVITE, NOTHING, Stage, request};
use crate::wire::{Text, message, read};

#[test]
fn m30_no_answer_is_a_408_and_a_dead_transport_a_503() {
    // Timer B: sent again and again, then given up.
    let mut stage = Stage::calling(Udp);
    let mut expected: Vec<_> = [500, 1500, 3500, 7500, 15_500, 31_500]
        .iter()
        .map(|at| format!("{at} INVITE 1 > udp:192.0.2.2:5060"))
        .collect();
    expected.push("32000 NoAnswer Timeout".to_owned());
    assert_eq!(stage.wait(Duration::from_secs(64)), expected);
    stage.fade();
    let mut stage = Stage::calling(Tcp);
    assert_eq!(stage.wait(Duration::from_secs(64)), ["32000 NoAnswer Timeout"]);
    // Timer F, within a dialog.
    let mut stage = Stage::established(Udp);
    stage.wish(|leg, now| leg.bye(now, None));
    let lines = stage.wait(Duration::from_secs(32));
    assert_eq!(lines.len(), 11);
    assert_eq!(lines[10], "32000 ByeDone");
    // A transport that fails says so at once.
    let mut stage = Stage::calling(Udp);
    let hop = Hop::new(Udp, "192.0.2.2", 5060);
    assert_eq!(stage.break_transport(&hop), ["NoAnswer Transport"]);
    // A hop that we do not use is none of our business.
    let mut stage = Stage::calling(Udp);
    assert_eq!(stage.break_transport(&Hop::new(Udp, "192.0.2.9", 5060)), NOTHING);
}

/// RFC 4320 section 4.1: behind a 100 the client asks at the longest interval only.
#[test]
fn m30_a_provisional_answer_slows_a_request_down() {
    let now = Instant::now();
    let options =
        request(&INVITE.replace("INVITE", "OPTIONS"), "Via: SIP/2.0/UDP us;branch=z9hG4bKo");
    let mut client =
        ClientTransaction::new(now, &options, Hop::new(Udp, "h", 5060), Timers::default());
    assert_eq!(polled(&mut client), ["OPTIONS"]);
    let trying = message(
        "SIP/2.0 100 Trying\nVia: SIP/2.0/UDP us;branch=z9hG4bKo\nFrom: <sip:a@a>;tag=a\n\
         To: <sip:b@b>\nCall-ID: one@a.example\nCSeq: 1 OPTIONS\n",
        "",
    );
    let Message::Response(trying) = read(trying) else { panic!("no response") };
    client.handle_response(now, trying);
    assert_eq!(polled(&mut client), ["100"]);
    let mut times = Vec::new();
    while let Some(next) = client.next_timeout() {
        client.handle_timeout(next);
        let what = polled(&mut client).join(" ");
        times.push(format!("{} {what}", next.duration_since(now).as_millis()));
    }
    let expected = [
        "500 OPTIONS",
        "4500 OPTIONS",
        "8500 OPTIONS",
        "12500 OPTIONS",
        "16500 OPTIONS",
        "20500 OPTIONS",
        "24500 OPTIONS",
        "28500 OPTIONS",
        "32000 timed out end",
    ];
    assert_eq!(times, expected);
}

/// RFC 4320 section 4: no 100 before Timer E has settled at T2, no other 1xx, and never a 408.
#[test]
fn m30_a_server_says_nothing_that_would_only_do_harm() {
    let options = request(&INVITE.replace("INVITE", "OPTIONS"), "");
    let answer = |code| response_to(&options, Status::new(code).unwrap(), Some("t"));
    for (transport, early) in [(Udp, 0), (Tcp, 1)] {
        let now = Instant::now();
        let source = Hop::new(transport, "192.0.2.2", 5060);
        let mut server = ServerTransaction::new(now, &options, &source, Timers::default());
        let said = |server: &mut ServerTransaction, after, response: Response| {
            server.respond(now + Duration::from_millis(after), &response);
            let all = std::iter::from_fn(|| server.poll());
            all.filter(|it| matches!(it, ServerOutput::Send { .. })).count()
        };
        assert_eq!(said(&mut server, 0, answer(180)), 0, "{transport}");
        assert_eq!(said(&mut server, 3499, answer(100)), early, "{transport}");
        if transport == Udp {
            assert_eq!(said(&mut server, 3500, answer(100)), 1);
        }
        assert_eq!(said(&mut server, 4000, answer(408)), 0, "{transport}");
        assert_eq!(said(&mut server, 5000, answer(200)), 1, "{transport}");
    }
    // Nor anything once the client has stopped waiting: it would only be a stray.
    let now = Instant::now();
    let source = Hop::new(Udp, "192.0.2.2", 5060);
    let mut server = ServerTransaction::new(now, &options, &source, Timers::default());
    server.handle_timeout(now + Duration::from_secs(32));
    server.respond(now + Duration::from_secs(32), &answer(200));
    assert_eq!(server.poll(), Some(ServerOutput::Terminated));
    assert_eq!(server.poll(), None);
}

#[test]
fn m31_a_dead_connection_fails_what_is_under_way_and_nothing_else() {
    // A request under way fails at once, not after 32 s.
    let mut stage = Stage::calling(Tcp);
    let peer = stage.peer.clone();
    assert_eq!(stage.break_transport(&peer), ["NoAnswer Transport"]);
    // The dialog lives; what comes next opens another connection.
    let mut stage = Stage::calling(Tcp);
    let tcp = "Contact: <sip:bob@192.0.2.2;transport=tcp>";
    stage.answer("INVITE", "200 OK", "bobs", tcp);
    assert_eq!(stage.break_transport(&peer), NOTHING);
    assert_eq!(stage.ask("OPTIONS", 1, ""), ["200 OPTIONS 1"]);
    stage.wish(|leg, now| leg.offer(now, crate::stage::body("x")));
    assert_eq!(stage.break_transport(&peer), ["OfferRefused"]);
    assert_eq!(stage.ask("OPTIONS", 2, ""), ["200 OPTIONS 2"]);
    assert_eq!(stage.wish(|leg, now| leg.bye(now, None)), ["BYE 3 > tcp:192.0.2.2:5060"]);
    assert_eq!(stage.answer("BYE", "200 OK", "", ""), ["ByeDone"]);
    // A 2xx is still repeated, for it may go by another connection.
    let mut stage = Stage::called(Tcp, "");
    stage.accept();
    assert_eq!(stage.break_transport(&peer), NOTHING);
    assert_eq!(stage.wait(Duration::from_millis(500)), ["500 200 INVITE 1"]);
}

/// RFC 3261 section 18.1.1.
#[test]
fn m32_what_is_too_large_for_a_datagram_goes_by_tcp_and_falls_back() {
    let large = |stage: fn(Transport) -> Stage| {
        let mut stage = stage(Udp);
        stage.wish(|leg, now| leg.offer(now, crate::stage::body(&"x".repeat(1400))));
        stage
    };
    let by_tcp = Hop::new(Tcp, "192.0.2.3", 5060);
    let mut stage = large(Stage::established);
    let invite = stage.last("INVITE").clone();
    assert!(invite.0.len() > 1300);
    assert!(invite.get("Via").starts_with("SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK"));
    assert_eq!(stage.wait(Duration::from_secs(2)), NOTHING, "a stream repeats nothing");
    // Refused, or unreachable: then as a datagram, in the same transaction, and repeated.
    assert_eq!(stage.break_transport(&by_tcp), ["INVITE 2 > udp:192.0.2.3:5060"]);
    let again = stage.last("INVITE").clone();
    assert!(again.get("Via").starts_with("SIP/2.0/UDP "));
    assert_eq!((again.branch(), again.get("CSeq")), (invite.branch(), invite.get("CSeq")));
    assert_eq!(again.body(), invite.body());
    assert_eq!(stage.wait(Duration::from_millis(500)), ["2500 INVITE 2 > udp:192.0.2.3:5060"]);
    // The first one, its CANCEL and the ACK of its refusal all go the same way.
    let calling = |size: usize| {
        Stage::calling_with(Udp, |_, call| call.body = crate::stage::body(&"x".repeat(size)))
    };
    let mut stage = calling(1400);
    assert!(stage.last("INVITE").get("Via").starts_with("SIP/2.0/TCP "));
    stage.answer("INVITE", "180 Ringing", "bobs", "");
    assert_eq!(stage.wish(|leg, now| leg.cancel(now, None)), ["CANCEL 1 > tcp:192.0.2.2:5060"]);
    let lines = stage.answer("INVITE", "487 Request Terminated", "bobs", "");
    assert_eq!(lines, ["ACK 1 > tcp:192.0.2.2:5060", "Cancelled"]);
    // 1300 bytes are no more than 1300.
    let head = calling(1).last("INVITE").0.len() - 1 + 2;
    for (size, way) in [(1300 - head, "UDP"), (1301 - head, "TCP")] {
        let stage = calling(size);
        let via = stage.last("INVITE").get("Via").to_owned();
        assert!(via.starts_with(&format!("SIP/2.0/{way} ")), "{size} {via}");
    }
}

fn polled(client: &mut ClientTransaction) -> Vec<String> {
    let all = std::iter::from_fn(|| client.poll());
    all.map(|output| match output {
        ClientOutput::Send { bytes, .. } => Text::of(&bytes).method().to_owned(),
        ClientOutput::Response(response) => response.status.code().to_string(),
        ClientOutput::TimedOut => "timed out".to_owned(),
        ClientOutput::TransportError => "transport error".to_owned(),
        ClientOutput::Terminated => "end".to_owned(),
    })
    .collect()
}
