//! What is to happen in a call, and what has.

use std::time::Duration;

use chatbridge::ids::Random;
use chatbridge::sip::LegEvent;

use super::{CALLEE, CALLER};
use crate::stage::name;

/// Something that the owner of a leg wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Ring,
    Progress,
    Accept,
    Reject,
    Cancel,
    /// Takes back a call that nobody has answered.
    GiveUp,
    Offer,
    Answer,
    Bye,
}

/// When a caller does not wait any longer.
pub(super) const PATIENCE: (Duration, Wish) = (Duration::from_secs(180), Wish::GiveUp);

/// When whoever was not told that the call is over hangs up.
const LAST_BYE: (Duration, Wish) = (Duration::from_secs(400), Wish::Bye);

/// What is to happen in one call.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// Whether the caller insists on reliable ringing.
    pub(super) requires_100rel: bool,
    /// Whether the session has a timer, of which half runs out before anybody hangs up.
    pub(super) refreshes: bool,
    pub(super) cancel_after: Option<Duration>,
    ring_after: Duration,
    /// Whether the callee answers the offer before he accepts.
    progresses: bool,
    decide_after: Duration,
    accepts: bool,
    /// Who offers to change the session, and when.
    offers: Vec<(usize, Duration)>,
    /// Who hangs up, and when; both at once cross.
    byes: Vec<(usize, Duration)>,
}

impl Plot {
    /// Draws a plot: one call in ten is cancelled, one in ten refused; one session in four is
    /// changed, some by both sides at once; one in eight is refreshed.
    pub(super) fn draw(chance: &mut Random) -> Self {
        let one_in = |chance: &mut Random, bound| chance.below(bound) == 0;
        let seconds = |chance: &mut Random, bound| draw(chance, Duration::from_secs(bound));
        let ring_after = seconds(chance, 1);
        let cancel = one_in(chance, 10);
        let offer_at = Duration::from_secs(2) + seconds(chance, 5);
        let mut offers = Vec::new();
        if one_in(chance, 4) {
            let by = [CALLER, CALLEE][usize::from(one_in(chance, 2))];
            offers.push((by, offer_at));
            if one_in(chance, 4) {
                offers.push((1 - by, offer_at + draw(chance, Duration::from_millis(300))));
            }
        }
        let refreshes = one_in(chance, 8);
        let lasts = if refreshes { 170 } else { 60 };
        let bye_at = Duration::from_secs(lasts) + seconds(chance, 30);
        let by = [CALLER, CALLEE][usize::from(one_in(chance, 2))];
        let mut byes = vec![(by, bye_at)];
        if one_in(chance, 4) {
            byes.push((1 - by, bye_at + draw(chance, Duration::from_millis(500))));
        }
        Self {
            requires_100rel: one_in(chance, 4),
            refreshes,
            cancel_after: cancel.then(|| seconds(chance, 4)),
            ring_after,
            progresses: one_in(chance, 4),
            decide_after: ring_after + Duration::from_millis(200) + seconds(chance, 3),
            accepts: !one_in(chance, 10),
            offers,
            byes,
        }
    }

    /// What the callee does once he is invited.
    pub(super) fn callee(&self) -> Vec<(Duration, Wish)> {
        let mut wishes = vec![(self.ring_after, Wish::Ring)];
        if self.progresses {
            wishes.push((self.ring_after + Duration::from_millis(100), Wish::Progress));
        }
        let decision = if self.accepts { Wish::Accept } else { Wish::Reject };
        wishes.push((self.decide_after, decision));
        wishes
    }

    /// What somebody does upon some news.
    pub(super) fn upon(&self, at: usize, event: &LegEvent) -> Vec<(Duration, Wish)> {
        match event {
            LegEvent::Established { .. } | LegEvent::Confirmed => {
                let of = |by: &&(usize, Duration)| by.0 == at;
                let offers = self.offers.iter().filter(of).map(|(_, at)| (*at, Wish::Offer));
                let byes = self.byes.iter().filter(of).map(|(_, at)| (*at, Wish::Bye));
                offers.chain(byes).chain([LAST_BYE]).collect()
            }
            LegEvent::Offer { .. } => vec![(Duration::from_millis(50), Wish::Answer)],
            _ => Vec::new(),
        }
    }
}

/// What has happened in one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chapter {
    /// What each side was told, up to its end.
    told: [Vec<String>; 2],
    /// How the call ended for each side: exactly once.
    pub(super) ends: [Vec<String>; 2],
}

impl Chapter {
    pub(super) fn tell(&mut self, at: usize, event: &LegEvent) {
        let line = name(event.clone());
        match event {
            LegEvent::Progress(_)
            | LegEvent::Established { .. }
            | LegEvent::Confirmed
            | LegEvent::Offer { .. }
            | LegEvent::Answer { .. }
            | LegEvent::OfferRefused { .. } => self.told[at].push(line),
            _ => self.end(at, &line),
        }
    }

    pub(super) fn end(&mut self, at: usize, line: &str) {
        self.ends[at].push(line.to_owned());
    }

    /// Tells whether a wish still makes sense to whoever has it.
    pub(super) fn permits(&self, at: usize, wish: Wish) -> bool {
        match wish {
            Wish::Bye | Wish::Offer => self.ends[at].is_empty(),
            Wish::GiveUp => !self.has(CALLER, "Established"),
            Wish::Ring
            | Wish::Progress
            | Wish::Accept
            | Wish::Reject
            | Wish::Cancel
            | Wish::Answer => true,
        }
    }

    /// Tells whether both sides came once to the same end, and in the way that SIP has for it. Where
    /// no ACK gets through in 64*T1, that is a BYE (RFC 3261 section 13.3.1.4).
    pub(crate) fn is_complete(&self) -> bool {
        let no_ack = ["Ended SIP;cause=408;text=\"ACK missing\"", "NoAck"];
        self.is_as_planned() || self.ends == no_ack.map(|end| vec![end.to_owned()])
    }

    /// Tells whether both sides came once to the same end, one that somebody wished for: nothing
    /// timed out on the way.
    pub(crate) fn is_as_planned(&self) -> bool {
        let [[caller], [callee]] = [&self.ends[CALLER][..], &self.ends[CALLEE][..]] else {
            return false;
        };
        match (caller.as_str(), callee.as_str()) {
            ("Refused 486" | "Cancelled", "refused") | ("Cancelled", "CancelledByPeer") => true,
            // The BYE that ends a call whose 2xx crossed the CANCEL.
            ("Cancelled", "Ended") => !self.has(CALLER, "Established"),
            // A BYE may overtake the ACK; a 481 says what a lost BYE has not.
            ("ByeDone", "Ended" | "Lost 481") => self.has(CALLER, "Established"),
            ("Ended" | "Lost 481" | "ByeDone", "ByeDone") => {
                self.has(CALLER, "Established") && self.has(CALLEE, "Confirmed")
            }
            (_, _) => false,
        }
    }

    /// Tells whether the call came to an end once for everybody who took part in it.
    pub(crate) fn is_told_once(&self) -> bool {
        self.ends[CALLER].len() == 1 && self.ends[CALLEE].len() <= 1
    }

    fn has(&self, at: usize, start: &str) -> bool {
        self.told[at].iter().any(|line| line.starts_with(start))
    }
}

/// Draws a duration below this one, in whole milliseconds.
pub(super) fn draw(chance: &mut Random, most: Duration) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap();
    Duration::from_millis(if millis == 0 { 0 } else { chance.below(millis) })
}
