//! Which message of the bridge is the one that a cue waits for.

use bytes::Bytes;

use super::super::rewrite;
use super::player::{Halt, Heard, Player, State};
use super::script::{Cue, Said, user};

impl Player<'_> {
    /// Says what became of a wait that found nothing: something else, or silence.
    pub(super) fn silence(&self, cue: &Cue) -> Halt {
        let other = self
            .heard
            .iter()
            .position(|heard| heard.state == State::Waiting && self.is_of_dialog(cue, &heard.said));
        match other {
            Some(heard) => Halt::Differs { cue: self.cue, heard },
            None => Halt::Silent { cue: self.cue },
        }
    }

    pub(super) fn find(&self, cue: &Cue) -> Option<usize> {
        self.heard.iter().position(|heard| {
            heard.state == State::Waiting && heard.kind == cue.kind && self.is_it(cue, &heard.said)
        })
    }

    /// Finds a final answer that contradicts the one that is waited for.
    pub(super) fn rival(&self, cue: &Cue) -> Option<usize> {
        self.heard.iter().position(|heard| {
            heard.state == State::Waiting
                && heard.kind != cue.kind
                && match (&cue.said, &heard.said) {
                    (Said::Sip(wanted), Said::Sip(found)) => {
                        is_final(&cue.kind)
                            && is_final(&heard.kind)
                            && wanted.method() == found.method()
                            && self.is_it(cue, &heard.said)
                    }
                    (Said::Msrp(wanted), Said::Msrp(found)) => {
                        wanted.line.method().is_none()
                            && found.line.method().is_none()
                            && self.is_it(cue, &heard.said)
                    }
                    (Said::Sip(_), Said::Msrp(_)) | (Said::Msrp(_), Said::Sip(_)) => false,
                }
        })
    }

    /// Tells whether a message may be the one that a cue waits for, kind apart.
    pub(super) fn is_it(&self, cue: &Cue, said: &Said) -> bool {
        let fits = self.is_of_dialog(cue, said);
        match (&cue.said, said) {
            (Said::Sip(wanted), Said::Sip(found)) if wanted.line_is_answer() => {
                fits && found.branch == self.names.branch(&wanted.branch)
            }
            (Said::Msrp(wanted), Said::Msrp(found)) if wanted.line.method().is_none() => {
                fits && wanted.transaction == found.transaction
            }
            _ => fits,
        }
    }

    pub(super) fn is_of_dialog(&self, cue: &Cue, said: &Said) -> bool {
        match (&cue.said, said) {
            (Said::Sip(wanted), Said::Sip(found)) => match self.names.known_call(&wanted.call_id) {
                Some(call) => call == found.call_id,
                None => {
                    // A host invites several at a time, in any order.
                    let is_hosted = cue.dialog.and_then(|it| self.script.hosting.first_of(it));
                    !self.names.is_call(&found.call_id)
                        && wanted.is_redirected() == found.is_redirected()
                        && (is_hosted.is_none()
                            || user(&wanted.to.address) == user(&found.to.address))
                }
            },
            (Said::Msrp(wanted), Said::Msrp(found)) => match self.names.session(&wanted.from) {
                Some(session) => session == found.from,
                // The answer that names the session may be on its way still: it comes over another
                // connection.
                None => found.line.method().is_some() && !self.names.is_session(&found.from),
            },
            (Said::Sip(_), Said::Msrp(_)) | (Said::Msrp(_), Said::Sip(_)) => false,
        }
    }

    /// Finds the request that a recorded answer of ours is about.
    pub(super) fn asked(&self, cue: &Cue) -> Option<usize> {
        let asks = |other: &&Cue| {
            !other.ours
                && other.dialog == cue.dialog
                && match (&other.said, &cue.said) {
                    (Said::Sip(asked), Said::Sip(answer)) => {
                        !asked.line_is_answer()
                            && asked.branch == answer.branch
                            && asked.method() == answer.method()
                    }
                    (Said::Msrp(asked), Said::Msrp(answer)) => {
                        asked.line.method().is_some() && asked.transaction == answer.transaction
                    }
                    (Said::Sip(_), Said::Msrp(_)) | (Said::Msrp(_), Said::Sip(_)) => false,
                }
        };
        let cue = self.script.cues.iter().find(asks)?;
        self.claims.get(&cue.step).copied()
    }

    /// Tells whether the script may still wait for a message.
    pub(super) fn is_wanted(&self, heard: &Heard) -> bool {
        let rest = self.script.cues.get(self.cue..).unwrap_or_default();
        rest.iter().any(|cue| {
            !cue.ours
                && !self.claims.contains_key(&cue.step)
                && self.is_it(cue, &heard.said)
                && (cue.kind == heard.kind || (is_final(&cue.kind) && is_final(&heard.kind)))
        })
    }

    /// Gives the answer that the trace has for a request of this kind in this call, for a request
    /// that repeats one; whoever follows a redirection is redirected once more.
    pub(super) fn answer_before(&self, heard: &Heard) -> Option<Bytes> {
        let Said::Sip(asked) = &heard.said else { return None };
        let cue = self.script.cues.iter().rev().find(|cue| match &cue.said {
            Said::Sip(sip) => {
                let is_of_call = self.names.known_call(&sip.call_id) == Some(&asked.call_id);
                let redirects = asked.is_redirected()
                    && cue.kind.starts_with("SIP 3")
                    && user(&sip.to.address) == user(&asked.to.address);
                cue.ours
                    && is_final(&cue.kind)
                    && sip.method() == asked.method()
                    && (is_of_call || redirects)
            }
            Said::Msrp(_) => false,
        })?;
        let recorded = &self.recorded.steps[cue.step].bytes;
        let answer = rewrite::answer(recorded, &heard.bytes, heard.source, &self.names);
        Some(answer.bytes.into())
    }
}

/// Tells whether a message of that kind is a final answer.
pub(super) fn is_final(kind: &str) -> bool {
    let code = kind.strip_prefix("SIP ").and_then(|rest| rest.split(' ').next());
    code.and_then(|code| code.parse::<u16>().ok()).is_some_and(|code| code >= 200)
        || kind.strip_prefix("MSRP ").is_some_and(|rest| rest.parse::<u16>().is_ok())
}
