//! What must be told of a group that the bridge hosts for its user: each participant has a dialog
//! with it, and what happens there is what a focus elsewhere would say of them.

use std::collections::BTreeMap;

use super::super::script::{Cause, user};
use super::news::News;
use super::participants::Participants;
use super::talk::Talk;
use super::word::Word;
use crate::bridge::group_outcomes::{self, GroupEnd};
use crate::bridge::roster_outcomes::Seen;
use crate::chat::EventType;
use crate::chat::ParticipantStatus::{Connected, Disconnected, Invited};
use crate::payload::conference::{Disconnection, Status};

/// A group that the bridge hosts.
#[derive(Debug)]
pub(super) struct Hosted {
    pub(super) own: String,
    participants: Participants,
    /// Who takes part in which dialog.
    members: BTreeMap<usize, Member>,
    is_over: bool,
    pub(super) talk: Talk,
}

#[derive(Debug)]
struct Member {
    who: String,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    There,
    Gone,
}

impl Hosted {
    /// Begins with the first INVITE of the host.
    pub(super) fn new(word: &Word<'_>) -> Self {
        let own = user(&word.sip.from.address);
        Self {
            participants: Participants::new(&own),
            members: BTreeMap::new(),
            is_over: false,
            talk: Talk::of_group(&own),
            own,
        }
    }

    /// Takes a message of either side.
    pub(super) fn take(&mut self, word: &Word<'_>) -> Vec<News> {
        if self.is_over {
            return Vec::new();
        }
        if !word.ours && word.asks("INVITE") && word.is_first() {
            return self.invites(word);
        }
        let Some(member) = self.members.get_mut(&word.dialog) else { return Vec::new() };
        let seen = match (word.ours, word.code(), word.sip.method()) {
            (true, Some(code @ 200..), "INVITE") if member.stage == Stage::Asked => {
                answered(code, word.is_followed_in_dialog())
            }
            (true, None, "BYE") if member.stage == Stage::There => {
                Some(gone(Disconnection::Departed))
            }
            (false, None, "BYE") if matches!(word.cause, Some(Cause::Leave)) => return self.ends(),
            (false, None, "BYE") if member.stage == Stage::There => {
                Some(gone(Disconnection::Booted))
            }
            _ => None,
        };
        let Some(seen) = seen else { return Vec::new() };
        let is_there = seen.status == Some(Status::Connected);
        member.stage = if is_there { Stage::There } else { Stage::Gone };
        self.participants.note_seen(&member.who, &seen);
        let mut told: Vec<News> = self.participants.news().into_iter().collect();
        let is_deserted = self.members.values().all(|member| member.stage == Stage::Gone);
        if is_deserted && !is_there {
            // How many it takes to go on is a matter of configuration.
            self.is_over = true;
            self.participants.note(&self.own, Disconnected);
            let open = self.participants.news().into_iter();
            let event = News::event(EventType::SessionEnded, "");
            told.extend(open.chain([event]).map(News::perhaps));
        }
        told
    }

    /// The host invites: the first INVITE opens the group for all, one for somebody new adds him.
    fn invites(&mut self, word: &Word<'_>) -> Vec<News> {
        let who = user(&word.sip.to.address);
        match word.cause {
            Some(Cause::Group { whom, .. }) => {
                self.participants.note(&self.own, Connected);
                for who in whom {
                    self.participants.note(who, Invited);
                }
            }
            Some(Cause::Add { whom }) => self.participants.note(whom, Invited),
            _ => {}
        }
        self.members.insert(word.dialog, Member { who, stage: Stage::Asked });
        self.participants.news().into_iter().collect()
    }

    /// The host leaves, and the group ends with its originator (TS Chat Figure 12).
    fn ends(&mut self) -> Vec<News> {
        self.is_over = true;
        self.participants.note(&self.own, Disconnected);
        let words = group_outcomes::on(GroupEnd::EndedByOriginator).describe(&[]);
        let mut told = self.talk.ends();
        told.extend(self.participants.news());
        told.push(News::event(EventType::SessionEnded, &words));
        told
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Says of an invited one what a focus would: there, or not, and why.
fn answered(code: u16, is_tried_again: bool) -> Option<Seen> {
    match code {
        200..300 => Some(Seen { status: Some(Status::Connected), method: None, cause: None }),
        _ if is_tried_again => None,
        486 | 600 => Some(Seen { cause: Some(code), ..gone(Disconnection::Busy) }),
        _ => Some(Seen { cause: Some(code), ..gone(Disconnection::Failed) }),
    }
}

fn gone(method: Disconnection) -> Seen {
    Seen { status: Some(Status::Disconnected), method: Some(method), cause: None }
}
