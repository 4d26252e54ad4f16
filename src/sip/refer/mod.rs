//! REFER: asking somebody to contact somebody else, and hearing what came of it (RFC 3515, RFC
//! 4488 for doing without that, RFC 5368 for many at once, RFC 3892 for who asks).
//!
//! ```text
//!    Referral                                   Referred
//!       │ REFER                                    │ Asked, or refused of itself
//!       ├─────────────────────────────────────────▶│
//!       │ 202                                      │ accept()
//!       │◀─────────────────────────────────────────┤
//!       │ NOTIFY, SIP/2.0 100 Trying: Progress     │
//!       │◀─────────────────────────────────────────┤
//!       │ NOTIFY terminated, SIP/2.0 200 OK: Ended │ report()
//!       │◀─────────────────────────────────────────┤
//! ```
//!
//! Both stand outside of any other dialog, and are a subscription that a REFER begins (see
//! `subscription`). Within the dialog of a session it is [`crate::sip::Leg`] that refers, and is
//! referred. What a REFER says, and what it must not, stands in `reference`.

mod reference;
mod sipfrag;

use std::time::Instant;

pub(super) use reference::NOREFERSUB;
pub use reference::{MethodForm, Refer, ReferFault, Reference, References};
pub(super) use sipfrag::{read_status, status_body};

use crate::sip::subscription::declines_subscription;
use crate::sip::{
    EndReason, Ended, Ending, Errand, Hop, Kit, Notifier, NotifierEvent, Request, Response,
    Standing, Status, Subscriber, SubscriberEvent, UsageFailure, UsageInput, UsageOutput,
};

/// A REFER of ours outside of any dialog, with the subscription that it begins.
///
/// Sans-IO, as every usage: drain [`Referral::poll`], mind [`Referral::next_timeout`].
#[derive(Debug)]
pub struct Referral {
    subscriber: Subscriber,
    report: Report,
}

/// What has become of a REFER of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferralEvent {
    /// It was accepted, which says nothing of how it will end.
    Accepted {
        /// Whether the recipient will tell; if not, nothing follows.
        is_watched: bool,
    },
    /// It was refused, or could not be brought to the recipient; nothing follows. A 420 says that
    /// many targets at once are too much.
    Refused(UsageFailure),
    /// How far the recipient is.
    Progress(Status),
    /// The recipient tells no more.
    Ended {
        /// What it has told last: the outcome, if it is final.
        last: Option<Status>,
    },
}

/// What the recipient of a REFER has told so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    is_accepted: bool,
    is_over: bool,
    last: Option<Status>,
}

impl Referral {
    /// Refers: sends the REFER.
    #[must_use]
    pub fn refer(now: Instant, errand: &Errand, refer: Refer, kit: Kit) -> Self {
        let subscriber = Subscriber::refer(now, errand, refer, kit);
        Self { subscriber, report: Report::default() }
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: UsageInput) {
        self.subscriber.handle(now, input);
    }

    /// Wants to hear no more of it. What the REFER has begun goes on (RFC 3515 section 2.4.4).
    pub fn unsubscribe(&mut self, now: Instant) {
        self.subscriber.unsubscribe(now);
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<UsageOutput<ReferralEvent>> {
        loop {
            let event = match self.subscriber.poll()? {
                UsageOutput::Send { bytes, hop } => return Some(UsageOutput::Send { bytes, hop }),
                UsageOutput::Spare { hop, wait } => return Some(UsageOutput::Spare { hop, wait }),
                UsageOutput::Event(event) => event,
            };
            if let Some(event) = self.report.read(event) {
                return Some(UsageOutput::Event(event));
            }
        }
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.subscriber.next_timeout()
    }

    /// Tells whether nothing is left to hear, to absorb or to poll.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.subscriber.is_finished()
    }

    /// Gives the Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.subscriber.call_id()
    }

    /// Gives our tag, by which responses and NOTIFYs are found.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        self.subscriber.local_tag()
    }
}

impl Report {
    fn read(&mut self, event: SubscriberEvent) -> Option<ReferralEvent> {
        match event {
            // The last NOTIFY may overtake the 2xx, which is no news then.
            SubscriberEvent::Accepted { .. } if self.is_over => None,
            SubscriberEvent::Accepted { response } => Some(self.accept(&response)),
            // Accepted, but no NOTIFY has come: there is nothing to hear.
            SubscriberEvent::Failed { .. } if self.is_accepted => Some(self.end()),
            SubscriberEvent::Failed { why, .. } => Some(ReferralEvent::Refused(why)),
            SubscriberEvent::Notified { body, .. } => {
                body.and_then(|body| self.note(&body.bytes)).map(ReferralEvent::Progress)
            }
            SubscriberEvent::Ended {
                why: Ended::ByNotifier(_) | Ended::Refused(_) | Ended::Silence | Ended::Expired,
                ..
            } => Some(self.end()),
        }
    }

    /// Takes the 2xx to the REFER.
    pub(super) fn accept(&mut self, response: &Response) -> ReferralEvent {
        self.is_accepted = true;
        let is_watched = !declines_subscription(&response.headers);
        ReferralEvent::Accepted { is_watched }
    }

    /// Takes what a NOTIFY says.
    pub(super) fn note(&mut self, sipfrag: &[u8]) -> Option<Status> {
        let status = read_status(sipfrag)?;
        self.last = Some(status);
        Some(status)
    }

    pub(super) fn end(&mut self) -> ReferralEvent {
        self.is_over = true;
        ReferralEvent::Ended { last: self.last }
    }
}

/// A REFER of a peer outside of any dialog.
///
/// Sans-IO, as every usage: drain [`Referred::poll`], mind [`Referred::next_timeout`].
#[derive(Debug)]
pub struct Referred {
    notifier: Notifier,
    refer: Option<Refer>,
}

impl Referred {
    /// Takes a REFER: asks the owner ([`NotifierEvent::Asked`]), or refuses what nobody should do.
    #[must_use]
    pub fn answering(now: Instant, request: Request, source: Hop, kit: Kit) -> Self {
        let (refer, objection) = match Refer::read(&request) {
            Ok(refer) => (Some(refer), Ok(())),
            Err(fault) => (None, Err(fault.status())),
        };
        let notifier = Notifier::referred(now, request, source, kit, objection);
        Self { notifier, refer }
    }

    /// Gives what is asked, unless it was refused.
    #[must_use]
    pub fn refer(&self) -> Option<&Refer> {
        self.refer.as_ref()
    }

    /// Accepts: 202, and at once a NOTIFY that says 100. Who wants to hear nothing is told nothing
    /// (RFC 4488).
    pub fn accept(&mut self, now: Instant) {
        match &self.refer {
            Some(refer) if refer.is_watched => {
                let trying = Some(status_body(Status::TRYING));
                self.notifier.accept(now, Standing::Active, trying);
            }
            Some(_) | None => self.notifier.accept_unwatched(now),
        }
    }

    /// Refuses.
    pub fn reject(&mut self, now: Instant, status: Status) {
        self.notifier.reject(now, status, &[]);
    }

    /// Tells how far it is; a final status is the last word (RFC 3515 section 2.4.7).
    pub fn report(&mut self, now: Instant, status: Status) {
        let body = Some(status_body(status));
        if status.is_final() {
            self.notifier.terminate(now, Ending::because(EndReason::NoResource), body);
        } else {
            self.notifier.publish(now, body, None);
        }
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: UsageInput) {
        self.notifier.handle(now, input);
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<UsageOutput<NotifierEvent>> {
        self.notifier.poll()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.notifier.next_timeout()
    }

    /// Tells whether nothing is left to tell, to absorb or to poll.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.notifier.is_finished()
    }

    /// Gives the Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.notifier.call_id()
    }

    /// Gives our tag, by which responses are found.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        self.notifier.local_tag()
    }
}

#[cfg(test)]
mod tests;
