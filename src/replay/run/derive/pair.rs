//! What must be told of a chat between two: its invitation and its end, by the table of what SIP
//! means to a chat user ([`sip_outcomes`]).

use super::super::script::{Cause, user};
use super::beside::{self, Beside};
use super::content::CPIM;
use super::news::News;
use super::talk::Talk;
use super::word::{Stream, Word};
use crate::bridge::description::described;
use crate::bridge::sip_outcomes::{self, LegEnd, Outcome};
use crate::chat::EventType;

/// A chat between two.
#[derive(Debug)]
pub(super) struct Pair {
    stage: Stage,
    is_cancelled: bool,
    /// Whether the application makes a group of it.
    pub(super) becomes_group: bool,
    pub(super) talk: Talk,
    pub(super) own: String,
    /// The text that came with the invitation.
    first: Option<bytes::Bytes>,
    /// What the bridge may say though the trace has it not.
    pub(super) beside: Vec<Beside>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The application invites.
    Calling,
    /// The application is invited.
    Called,
    Connected,
    Over,
}

impl Pair {
    /// Begins with the first request of either side.
    pub(super) fn new(word: &Word<'_>) -> Self {
        let (own, others, stage) = match word.ours {
            true => (user(&word.sip.to.address), word.senders(), Stage::Called),
            false => {
                let other = vec![user(&word.sip.to.address)];
                (user(&word.sip.from.address), other, Stage::Calling)
            }
        };
        Self {
            stage,
            is_cancelled: false,
            becomes_group: false,
            talk: Talk::of_pair(&own, others),
            own,
            first: None,
            beside: Vec::new(),
        }
    }

    /// Takes a message of either side.
    pub(super) fn take(&mut self, word: &Word<'_>) -> Vec<News> {
        match (word.ours, word.code()) {
            (true, None) => self.asked(word),
            (true, Some(_)) => self.answered(word),
            (false, None) => self.asks(word),
            (false, Some(_)) => self.answers(word),
        }
    }

    /// The network asks.
    fn asked(&mut self, word: &Word<'_>) -> Vec<News> {
        let reasons = word.reasons();
        let end = |end| Some((end, sip_outcomes::on(end).describe_end(&described(&reasons))));
        let end = match (word.sip.method(), self.stage) {
            ("INVITE", Stage::Called) if word.is_first() => return self.invited(word),
            ("CANCEL", Stage::Called) => end(LegEnd::of_cancel(&described(&reasons))),
            ("BYE", Stage::Connected) => end(LegEnd::LeftByPeer),
            ("INVITE" | "UPDATE", Stage::Connected) if word.stream() == Stream::Removed => {
                end(LegEnd::MediaRemoved)
            }
            _ => None,
        };
        end.map_or(Vec::new(), |(end, description)| self.end(end, &description))
    }

    fn invited(&mut self, word: &Word<'_>) -> Vec<News> {
        self.first = word.part(CPIM);
        let fields = serde_json::json!({ "tParticipantAddress": self.own });
        let news = News::of("sessionInvitationNotification", fields)
            .with("originatorAddress", &word.senders())
            .with("subject", &word.subject().into_iter().collect::<Vec<_>>());
        vec![if is_for_nobody(word) { news.perhaps() } else { news }]
    }

    /// The network answers.
    fn answered(&mut self, word: &Word<'_>) -> Vec<News> {
        let Some(code) = word.answers("INVITE").filter(|_| self.stage == Stage::Calling) else {
            let in_dialog = word.code().filter(|_| self.stage == Stage::Connected);
            let is_lost = matches!(in_dialog, Some(408 | 481)) && word.sip.method() != "BYE";
            return if is_lost { self.lost() } else { Vec::new() };
        };
        let row = sip_outcomes::final_response(code, self.is_cancelled);
        let description = word.with_response(|response| row.describe_response(response));
        match row.outcome {
            Outcome::Accepted if matches!(word.stream(), Stream::Removed | Stream::Useless) => {
                let end = LegEnd::UnusableAnswer;
                self.end(end, &sip_outcomes::on(end).describe_end(&[]))
            }
            Outcome::Accepted => {
                self.stage = Stage::Connected;
                vec![accepted(&description)]
            }
            Outcome::Redirect | Outcome::Authenticate | Outcome::RetryOnce(_)
                if word.is_followed() =>
            {
                Vec::new()
            }
            Outcome::Progress
            | Outcome::Declined
            | Outcome::Ended
            | Outcome::Cancelled
            | Outcome::Redirect
            | Outcome::Authenticate
            | Outcome::RetryOnce(_) => {
                self.beside.extend(beside::after(row.outcome));
                match row.outcome.event_when_spent() {
                    Some(event) => self.over(event, &description),
                    None => Vec::new(),
                }
            }
        }
    }

    /// The bridge asks.
    fn asks(&mut self, word: &Word<'_>) -> Vec<News> {
        match (word.sip.method(), self.stage) {
            ("CANCEL", Stage::Calling) => self.is_cancelled = true,
            ("BYE", Stage::Connected) => {
                let end = if self.becomes_group { LegEnd::Extended } else { LegEnd::LeftByUser };
                let told = self.end(end, &sip_outcomes::on(end).describe_end(&[]));
                if !self.talk.is_doomed {
                    return told;
                }
                // A session of which the network knows no more is lost, unless the user leaves first.
                let words = sip_outcomes::on(LegEnd::MsrpLost).describe_end(&[]);
                let lost = News::event(EventType::SessionEnded, &words);
                return told.into_iter().map(|news| news.or(lost.clone())).collect();
            }
            // The API has no text outside of a session: one is opened for it.
            ("MESSAGE", Stage::Calling) => {
                if let Some(Cause::Page { reports, .. }) = word.cause {
                    let id = super::super::super::rewrite::imdn_id(word.head.body);
                    self.talk.note_sent(id.into_iter().collect(), reports);
                    self.stage = Stage::Connected;
                    return vec![accepted("")];
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// The bridge answers, as its application wants.
    fn answers(&mut self, word: &Word<'_>) -> Vec<News> {
        let Some(code) = word.answers("INVITE").filter(|_| self.stage == Stage::Called) else {
            return Vec::new();
        };
        let end = match code {
            200..300 => {
                self.stage = Stage::Connected;
                let first = self.first.take().map(|first| self.talk.said(CPIM, first));
                let first = first.into_iter().flatten();
                // It may have been told with the invitation.
                return first.map(News::in_any_order).collect();
            }
            408 => LegEnd::NoReaction,
            480 | 486 | 600 | 603 => LegEnd::DeclinedByUser,
            _ => {
                self.stage = Stage::Over;
                return Vec::new();
            }
        };
        // Whether the client that has declined hears of it too, the tables leave open.
        let told = self.end(end, &sip_outcomes::on(end).describe_end(&[]));
        told.into_iter().map(News::perhaps).collect()
    }

    fn lost(&mut self) -> Vec<News> {
        let end = LegEnd::DialogLost;
        self.end(end, &sip_outcomes::on(end).describe_end(&[]))
    }

    fn end(&mut self, end: LegEnd, description: &str) -> Vec<News> {
        match sip_outcomes::on(end).outcome.event() {
            Some(event) => self.over(event, description),
            None => Vec::new(),
        }
    }

    /// One end is one event, and nothing is told behind it.
    fn over(&mut self, event: EventType, description: &str) -> Vec<News> {
        self.stage = Stage::Over;
        let mut told = self.talk.ends();
        told.push(News::event(event, description));
        told
    }

    /// Gives what may be told behind the end of the trace.
    pub(super) fn finish(&mut self) -> Vec<News> {
        if !self.talk.is_doomed || self.stage != Stage::Connected {
            return Vec::new();
        }
        let end = LegEnd::MsrpLost;
        let told = self.end(end, &sip_outcomes::on(end).describe_end(&[]));
        told.into_iter().map(News::perhaps).collect()
    }

    /// Tells whether messages are told still.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }
}

fn accepted(description: &str) -> News {
    let link = ["ChatSessionInformation".to_owned()];
    News::event(EventType::Accepted, description).with("rel", &link)
}

/// Tells whether the recorded bridge refuses an invitation for a reason that is none of a user's:
/// then nobody need have been asked.
pub(super) fn is_for_nobody(word: &Word<'_>) -> bool {
    let of_users = |code: u16| code < 300 || matches!(code, 408 | 480 | 486 | 487 | 600 | 603);
    word.outcome.is_some_and(|code| !of_users(code))
}
