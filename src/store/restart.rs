//! What was kept over a restart, back in the directories.

use std::sync::Arc;

use super::backlog::{Content, Queued};
use super::channels::Channels;
use super::correlators::Correlators;
use super::durable::{AnswerRecord, Change, Contents, Created, SessionRecord};
use super::keeper::Keeper;
use super::subscriptions::{Subscription, Subscriptions};
use crate::address::Address;
use crate::chat::{Notice, SessionKind};
use crate::ids::MessageId;

/// The directories that are filled.
#[derive(Debug, Clone, Copy)]
pub struct Directories<'a> {
    /// Who is told of events.
    pub subscriptions: &'a Subscriptions,
    /// The channels that applications poll.
    pub channels: &'a Channels,
    /// What was answered to requests that may be repeated.
    pub correlators: &'a Correlators<Created>,
}

/// What is left to do after a restart, for those who tell the applications.
#[derive(Debug, Default)]
pub struct Remembered {
    /// The notifications that wait, in their order.
    pub waiting: Vec<Queued>,
    /// The messages that were being handed to sessions that were up: nobody knows whether they were
    /// sent.
    pub unsettled: Vec<(SessionRecord, MessageId)>,
    /// The sessions that were up: nobody has told their end.
    pub ended: Vec<SessionRecord>,
    /// The next free sequence number.
    pub next_sequence: u64,
}

/// Fills the directories. What has run out meanwhile goes with their next sweep, as it would have
/// gone without a restart.
#[must_use]
pub fn restore(contents: Contents, keeper: &Keeper, into: Directories<'_>) -> Remembered {
    let mut known = std::collections::HashMap::new();
    for record in contents.subscriptions {
        let subscription = Subscription {
            expires: record.expires.map(|at| keeper.instant(at)),
            ..Arc::unwrap_or_clone(record.subscription)
        };
        let subscription = into.subscriptions.restore(subscription);
        known.insert(subscription.id.clone(), subscription);
    }
    contents.channels.into_iter().for_each(|record| into.channels.restore(record));
    let mut unsettled = Vec::new();
    for AnswerRecord { correlation, content, at, created, is_begun } in contents.answers {
        let at = keeper.instant(at);
        if is_begun {
            unsettled.extend(message_of(&created, &correlation.user, &contents.sessions));
            into.correlators.restore_begun(at, (correlation, content));
        } else {
            let weight = created.weight();
            into.correlators.restore(at, (correlation, content), (created, weight));
        }
    }
    let next_sequence = contents.notifications.last().map_or(0, |last| last.sequence + 1);
    let (mut waiting, mut orphans) = (Vec::new(), Vec::new());
    for record in contents.notifications {
        let Some(subscription) = known.get(&record.subscription) else {
            orphans.push(Change::EndNotification(record.sequence));
            continue;
        };
        waiting.push(Queued {
            id: record.id,
            sequence: Some(record.sequence),
            subscription: Arc::clone(subscription),
            since: keeper.instant(notice_of(&record.content).at),
            content: record.content,
        });
    }
    keeper.write_behind(orphans);
    Remembered { waiting, unsettled, ended: contents.sessions, next_sequence }
}

/// Gives the message that was being handed to a 1-1 session that was up, by its URL, and the session.
fn message_of(
    created: &Created,
    user: &Address,
    up: &[SessionRecord],
) -> Option<(SessionRecord, MessageId)> {
    let (session, id) = created.location.split_once("/sessions/")?.1.split_once("/messages/")?;
    let is_its = |record: &&SessionRecord| {
        record.id.as_str() == session && record.user == *user && record.kind == SessionKind::Pair
    };
    up.iter().find(is_its).map(|record| (record.clone(), MessageId::new(id)))
}

/// Gives the notice whose age is that of the notification.
fn notice_of(content: &Content) -> &Notice {
    match content {
        Content::Notice(notice) => notice,
        Content::Lost(loss) => &loss.oldest,
    }
}
