//! Two legs of one bridge, which meet nowhere but at the server.

use super::*;
use crate::sip::{
    Body, Call, DialogKey, Kit, Leg, LegEvent, LegInput, LegOutput, Local, NameAddr, Route, Timers,
    Uri, route,
};

#[test]
fn a_call_from_the_bridge_to_itself_is_set_up_and_ended() {
    let mut pair = Pair::call();
    assert_eq!(pair.run(), ["caller Progress 100"]);
    pair.callee.as_mut().unwrap().ring(pair.world.now);
    assert_eq!(pair.run(), ["caller Progress 180"]);
    pair.callee.as_mut().unwrap().accept(pair.world.now, body());
    assert_eq!(pair.run(), ["caller Established", "callee Confirmed"]);
    pair.caller.bye(pair.world.now, None);
    assert_eq!(pair.run(), ["callee Ended", "caller ByeDone"]);
    pair.forget();
}

#[test]
fn the_callee_may_say_bye_as_well() {
    let mut pair = Pair::call();
    pair.run();
    pair.callee.as_mut().unwrap().accept(pair.world.now, body());
    pair.run();
    pair.callee.as_mut().unwrap().bye(pair.world.now, None);
    assert_eq!(pair.run(), ["caller Ended", "callee ByeDone"]);
    pair.forget();
}

#[test]
fn a_refusal_and_a_cancel_reach_the_other_leg() {
    let mut pair = Pair::call();
    pair.run();
    pair.callee.as_mut().unwrap().reject(pair.world.now, Status::DECLINE, Vec::new());
    assert_eq!(pair.run(), ["caller Refused 603"]);
    pair.forget();

    let mut pair = Pair::call();
    pair.run();
    pair.callee.as_mut().unwrap().ring(pair.world.now);
    pair.run();
    pair.caller.cancel(pair.world.now, None);
    assert_eq!(pair.run(), ["callee CancelledByPeer", "caller Cancelled"]);
    pair.forget();
}

/// The server, and a bridge with both ends of a call.
struct Pair {
    world: World,
    caller: Leg,
    callee: Option<Leg>,
}

impl Pair {
    fn call() -> Self {
        let world = World::new();
        let call = Call {
            target: Uri::parse("sip:+19585550101@example.com;user=phone").unwrap(),
            from: NameAddr::parse("<sip:alice@example.com>").unwrap(),
            to: NameAddr::parse("<sip:+19585550101@example.com;user=phone>").unwrap(),
            next_hops: vec![hop("udp:192.0.2.1:5060")],
            proxy: None,
            route: Vec::new(),
            orig: false,
            letter: None,
            headers: Vec::new(),
            contact_user: None,
            contact_params: String::new(),
            body: body(),
        };
        let caller = Leg::call(world.now, call, kit(2));
        Self { world, caller, callee: None }
    }

    /// Carries messages until all is said, and gives what the legs report.
    fn run(&mut self) -> Vec<String> {
        let mut reports = Vec::new();
        loop {
            let (now, mut bytes_out) = (self.world.now, Vec::new());
            let legs = [("caller", Some(&mut self.caller)), ("callee", self.callee.as_mut())];
            for (name, leg) in legs.into_iter().filter_map(|(name, leg)| Some((name, leg?))) {
                while let Some(output) = leg.poll() {
                    match output {
                        LegOutput::Send { bytes, hop: to } => {
                            assert_eq!(to, hop("udp:192.0.2.1:5060"));
                            bytes_out.push(bytes);
                        }
                        LegOutput::Spare { .. } => panic!("nobody is overloaded"),
                        LegOutput::Event(event) => reports.push(format!("{name} {}", say(&event))),
                    }
                }
            }
            if bytes_out.is_empty() {
                return reports;
            }
            for bytes in bytes_out {
                self.world.sent.clear();
                self.world.give(decode(bytes), HOME);
                for (to, message) in std::mem::take(&mut self.world.sent) {
                    assert_eq!(to, hop(HOME));
                    self.deliver(now, message);
                }
            }
        }
    }

    fn deliver(&mut self, now: Instant, message: Message) {
        let source = hop("udp:192.0.2.1:5060");
        let leg = match (route(&message), &message) {
            (Route::Initial(_), Message::Request(invite)) if self.callee.is_none() => {
                self.callee = Some(Leg::answering(now, invite.clone(), source, kit(3)));
                return;
            }
            (Route::Initial(_), _) => self.callee.as_mut().unwrap(),
            (
                Route::Response(DialogKey { tag, .. }) | Route::InDialog(DialogKey { tag, .. }),
                _,
            ) => match &mut self.callee {
                Some(callee) if callee.local_tag() == tag => callee,
                Some(_) | None => &mut self.caller,
            },
            (Route::Malformed, _) => panic!("{message:?}"),
        };
        leg.handle(now, LegInput::Message { message, source });
    }

    /// Lets the last repetitions be absorbed.
    fn forget(mut self) {
        self.world.wait(80_000);
        assert_eq!(self.world.server.table.len(), 0);
    }
}

fn say(event: &LegEvent) -> String {
    match event {
        LegEvent::Progress(status) => format!("Progress {}", status.code()),
        LegEvent::Refused { response } => format!("Refused {}", response.status.code()),
        LegEvent::Established { .. } => "Established".to_owned(),
        LegEvent::NoAnswer(_) => "NoAnswer".to_owned(),
        LegEvent::Cancelled => "Cancelled".to_owned(),
        LegEvent::CancelledByPeer { .. } => "CancelledByPeer".to_owned(),
        LegEvent::Expired => "Expired".to_owned(),
        LegEvent::Confirmed => "Confirmed".to_owned(),
        LegEvent::NoAck => "NoAck".to_owned(),
        LegEvent::SessionExpired => "SessionExpired".to_owned(),
        LegEvent::Answer { .. } => "Answer".to_owned(),
        LegEvent::OfferRefused { .. } => "OfferRefused".to_owned(),
        LegEvent::Offer { .. } => "Offer".to_owned(),
        LegEvent::Ended { .. } => "Ended".to_owned(),
        LegEvent::Lost { .. } => "Lost".to_owned(),
        LegEvent::Referral { .. } => "Referral".to_owned(),
        LegEvent::Referred { .. } => "Referred".to_owned(),
        LegEvent::ByeDone => "ByeDone".to_owned(),
    }
}

fn kit(seed: u64) -> Kit {
    Kit {
        local: Local::new(hop(HOME), "bridge").into(),
        timers: Timers::default(),
        random: Random::seeded(seed),
    }
}

fn body() -> Body {
    Body { content_type: "application/sdp".to_owned(), bytes: Bytes::from_static(b"v=0\r\n") }
}
