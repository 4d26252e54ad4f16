//! What every store has to do: one suite, run for each of them.
//!
//! A further store gets its tests by one more [`suite!`] with a [`Bench`] of its own.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use time::OffsetDateTime;

use super::sqlite_tests::SqliteBench;
use super::{
    AnswerRecord, Batch, Change, ChannelRecord, Contents, Created, NotificationRecord,
    SessionRecord, Store, SubscriptionRecord,
};
use crate::address::Address;
use crate::chat::{
    Composing, ComposingState, EventType, MessageStatus, Notice, NoticeKind, NotificationFormat,
    Participant, ParticipantStatus, Party, ReportRequest, SessionKind,
};
use crate::ids::{ChannelId, MessageId, NotificationId, ParticipantId, SessionId, SubscriptionId};
use crate::oma::{Element, Leaf, Namespace};
use crate::store::backlog::{Content, Loss};
use crate::store::correlators::Correlation;
use crate::store::subscriptions::Subscription;

/// Where stores of one kind are tried.
pub(super) trait Bench: Default {
    type Store: Store;

    /// Opens the store: empty the first time, then with what the one before has left.
    fn open(&mut self) -> Self::Store;
}

/// Runs the suite for a bench, each case as a test of its own.
macro_rules! suite {
    ($name:ident, $bench:ident) => {
        mod $name {
            super::suite!(@cases $bench:
                an_empty_store_holds_nothing
                everything_comes_back_as_it_was_put
                what_was_begun_is_done_once_that_is_said
                to_put_is_to_replace
                what_has_ended_is_gone
                what_waits_for_an_ended_subscription_goes_with_it
                the_order_is_that_of_coming
                a_batch_that_nobody_awaits_is_written
                what_is_written_behind_is_written
                many_commits_at_once_are_all_told
                a_store_that_is_closed_is_left_whole
            );
        }
    };
    (@cases $bench:ident: $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                super::$case(super::$bench::default()).await;
            }
        )*
    };
}

use suite;

suite!(memory, MemoryBench);
suite!(sqlite, SqliteBench);

#[derive(Default)]
struct MemoryBench(super::Memory);

impl Bench for MemoryBench {
    type Store = super::Memory;

    fn open(&mut self) -> super::Memory {
        self.0.clone()
    }
}

async fn an_empty_store_holds_nothing(mut bench: impl Bench) {
    let store = bench.open();
    assert_eq!(store.load().await.unwrap(), Contents::default());
    store.commit(Vec::new().into()).await.unwrap();
    assert!(store.health().is_good());
    assert_eq!(store.health().fault(), None);
}

async fn everything_comes_back_as_it_was_put(mut bench: impl Bench) {
    let everything = everything();
    let store = bench.open();
    store.commit(puts(&everything)).await.unwrap();
    assert_eq!(store.load().await.unwrap(), everything);
    drop(store);
    assert_eq!(bench.open().load().await.unwrap(), everything);
}

async fn what_was_begun_is_done_once_that_is_said(mut bench: impl Bench) {
    let store = bench.open();
    let mut everything = everything();
    store.commit(puts(&everything)).await.unwrap();
    let begun = &mut everything.answers[1];
    assert!(begun.is_begun);
    store.write_behind(Change::FinishAnswer(begun.correlation.clone()).into());
    begun.is_begun = false;
    store.commit(Change::EndSession(SessionId::new("x")).into()).await.unwrap();
    assert_eq!(store.load().await.unwrap(), everything);
    // What is forgotten and asked anew is another one.
    let again = &mut everything.answers[2];
    again.is_begun = true;
    store.commit(Change::PutAnswer(again.clone()).into()).await.unwrap();
    store.commit(Change::ForgetAnswer(again.correlation.clone()).into()).await.unwrap();
    again.is_begun = false;
    store.commit(Change::PutAnswer(again.clone()).into()).await.unwrap();
    assert_eq!(store.load().await.unwrap(), everything);
}

async fn to_put_is_to_replace(mut bench: impl Bench) {
    let store = bench.open();
    let mut everything = everything();
    store.commit(puts(&everything)).await.unwrap();
    store.commit(puts(&everything)).await.unwrap();
    assert_eq!(store.load().await.unwrap(), everything);
    let later = everything.channels[0].expires + time::Duration::seconds(7);
    everything.channels[0].expires = later;
    everything.notifications[0].id = NotificationId::new("n1-lost");
    let first = everything.notifications[0].clone();
    let id = everything.channels[0].id.clone();
    let changes = vec![Change::RenewChannel(id, later), Change::PutNotification(first)];
    store.commit(changes.into()).await.unwrap();
    assert_eq!(store.load().await.unwrap(), everything);
}

async fn what_has_ended_is_gone(mut bench: impl Bench) {
    let store = bench.open();
    let everything = everything();
    store.commit(puts(&everything)).await.unwrap();
    store.commit(ends(&everything)).await.unwrap();
    assert_eq!(store.load().await.unwrap(), Contents::default());
    // To end what is not there is nothing, and brings nothing about.
    store.commit(ends(&everything)).await.unwrap();
    let channel = &everything.channels[0];
    store.commit(Change::RenewChannel(channel.id.clone(), channel.expires).into()).await.unwrap();
    assert_eq!(store.load().await.unwrap(), Contents::default());
}

async fn what_waits_for_an_ended_subscription_goes_with_it(mut bench: impl Bench) {
    let store = bench.open();
    let mut everything = everything();
    let mut other = everything.notifications[0].clone();
    (other.sequence, other.subscription) = (900, SubscriptionId::new("other"));
    everything.notifications.push(other.clone());
    store.commit(puts(&everything)).await.unwrap();
    for record in &everything.subscriptions {
        let end = Change::EndSubscription(record.subscription.id.clone());
        store.commit(end.into()).await.unwrap();
    }
    let left = store.load().await.unwrap();
    assert_eq!((left.subscriptions, left.notifications), (Vec::new(), vec![other]));
}

async fn the_order_is_that_of_coming(mut bench: impl Bench) {
    let store = bench.open();
    let all: Vec<SessionRecord> = ["z", "a", "m"].into_iter().map(session).collect();
    for record in &all {
        store.commit(Change::PutSession(record.clone()).into()).await.unwrap();
    }
    let mut waiting: Vec<NotificationRecord> = everything().notifications;
    waiting.reverse();
    let puts: Vec<Change> = waiting.iter().cloned().map(Change::PutNotification).collect();
    store.commit(puts.into()).await.unwrap();
    waiting.reverse();
    let contents = store.load().await.unwrap();
    assert_eq!((contents.sessions, contents.notifications), (all, waiting));
}

async fn a_batch_that_nobody_awaits_is_written(mut bench: impl Bench) {
    let store = bench.open();
    drop(store.commit(Change::PutSession(session("s")).into()));
    drop(store);
    assert_eq!(bench.open().load().await.unwrap().sessions, [session("s")]);
}

async fn what_is_written_behind_is_written(mut bench: impl Bench) {
    let store = bench.open();
    let everything = everything();
    store.commit(puts(&everything)).await.unwrap();
    store.write_behind(ends(&everything));
    store.commit(Change::PutSession(session("later")).into()).await.unwrap();
    let contents = store.load().await.unwrap();
    assert_eq!(contents, Contents { sessions: vec![session("later")], ..Contents::default() });
    store.write_behind(Change::EndSession(SessionId::new("later")).into());
    drop(store);
    assert_eq!(bench.open().load().await.unwrap(), Contents::default());
}

async fn many_commits_at_once_are_all_told(mut bench: impl Bench) {
    let store = bench.open();
    let names: Vec<String> = (0..500).map(|number| format!("s{number}")).collect();
    let put = |name: &String| store.commit(Change::PutSession(session(name)).into());
    let outcomes: Vec<_> = names.iter().map(put).collect();
    for outcome in outcomes {
        outcome.await.unwrap();
    }
    let sessions = store.load().await.unwrap().sessions;
    assert_eq!(sessions.len(), names.len());
    assert!(sessions.iter().zip(&names).all(|(session, name)| session.id.as_str() == name));
}

async fn a_store_that_is_closed_is_left_whole(mut bench: impl Bench) {
    let store = bench.open();
    drop(store.commit(Change::PutSession(session("s")).into()));
    store.close().await.unwrap();
    // The file is free before the store is dropped.
    assert_eq!(bench.open().load().await.unwrap().sessions, [session("s")]);
}

fn puts(contents: &Contents) -> Batch {
    let mut changes: Vec<Change> = Vec::new();
    changes.extend(contents.subscriptions.iter().cloned().map(Change::PutSubscription));
    changes.extend(contents.channels.iter().cloned().map(Change::PutChannel));
    changes.extend(contents.notifications.iter().cloned().map(Change::PutNotification));
    changes.extend(contents.answers.iter().cloned().map(Change::PutAnswer));
    changes.extend(contents.sessions.iter().cloned().map(Change::PutSession));
    changes.into()
}

fn ends(contents: &Contents) -> Batch {
    let mut changes: Vec<Change> = Vec::new();
    let subscriptions = contents.subscriptions.iter();
    changes.extend(subscriptions.map(|s| Change::EndSubscription(s.subscription.id.clone())));
    changes.extend(contents.channels.iter().map(|c| Change::EndChannel(c.id.clone())));
    changes.extend(contents.notifications.iter().map(|n| Change::EndNotification(n.sequence)));
    changes.extend(contents.answers.iter().map(|a| Change::ForgetAnswer(a.correlation.clone())));
    changes.extend(contents.sessions.iter().map(|s| Change::EndSession(s.id.clone())));
    changes.into()
}

/// Gives contents with every field in every state.
fn everything() -> Contents {
    let full = subscription("full", Some("tel:+19585550100"));
    let notice = |kind| {
        let (user, session) = (address("tel:+19585550100"), SessionId::new("s"));
        let of = SessionKind::Pair;
        Arc::new(Notice { user, session, of, at: at(1), kind })
    };
    let mut contents: Vec<Content> = kinds().into_iter().map(notice).map(Content::Notice).collect();
    let oldest = notice(kinds().remove(0));
    contents.push(Content::Lost(Loss { count: u64::from(u32::MAX) + 1, oldest }));
    Contents {
        subscriptions: vec![full, subscription("bare", None)],
        channels: vec![channel("full", Some("text")), channel("bare", None)],
        notifications: contents
            .into_iter()
            .zip(1..)
            .map(|(content, sequence)| NotificationRecord {
                sequence,
                id: NotificationId::new(format!("n{sequence}")),
                subscription: SubscriptionId::new("full"),
                content,
            })
            .collect(),
        answers: vec![answer("first"), answer("second, begun"), answer("third")],
        sessions: vec![session("s"), session("g")],
    }
}

/// Gives a notice of every kind.
pub(super) fn kinds() -> Vec<NoticeKind> {
    let alice = Party { address: address("sip:alice@example.com"), name: Some("Al \"A\"".into()) };
    let bob = Party { address: Address::anonymous(), name: None };
    let reports = ReportRequest { delivered: true, displayed: false, failed: true };
    let idle = Composing::idle();
    let active = Composing {
        state: ComposingState::Active,
        last_active: Some(at(-5)),
        content_type: Some("text/plain".into()),
        refresh: std::num::NonZeroU32::new(60),
    };
    let mut kinds = vec![
        NoticeKind::Invited {
            subject: "Hi \u{1F600}".into(),
            originator: alice.clone(),
            terminating: bob.clone(),
        },
        NoticeKind::Message {
            id: MessageId::new("m"),
            sender: alice.clone(),
            text: "a\r\n\u{7f}\"'\\".into(),
            reports,
            echo: false,
        },
        NoticeKind::Message {
            id: MessageId::new("m"),
            sender: bob.clone(),
            text: String::new(),
            reports: ReportRequest::default(),
            echo: true,
        },
        NoticeKind::Composing { sender: alice, composing: active, echo: true },
        NoticeKind::Composing { sender: bob, composing: idle, echo: false },
    ];
    kinds.extend(EventType::ALL.map(|event| NoticeKind::Event {
        event,
        description: Some("SIP 486 Busy Here".into()),
        message: None,
    }));
    let (event, message) = (EventType::MessageSuccess, Some(MessageId::new("m")));
    kinds.push(NoticeKind::Event { event, description: None, message });
    kinds.extend(MessageStatus::ALL.map(|status| NoticeKind::Delivery {
        message: MessageId::new("m"),
        status,
        error_code: None,
        description: Some("d".into()),
        participant: None,
    }));
    kinds.push(NoticeKind::Delivery {
        message: MessageId::new("m"),
        status: MessageStatus::Failed,
        error_code: Some("408".into()),
        description: None,
        participant: Some(ParticipantId::new("p")),
    });
    let participants: Vec<_> = ParticipantStatus::ALL.map(participant).into();
    let subject = "Trip".into();
    kinds.push(NoticeKind::GroupInvited { subject, participants: participants.clone() });
    kinds.push(NoticeKind::ParticipantStatus { participants });
    kinds
}

fn participant(status: ParticipantStatus) -> Participant {
    let is_first = status == ParticipantStatus::Connected;
    Participant {
        id: ParticipantId::new(status.as_str()),
        party: Party { address: address("tel:+19585550101"), name: Some("Bob".into()) },
        is_originator: is_first,
        status,
        your_own: !is_first,
        client_correlator: is_first.then(|| "c".into()),
    }
}

fn subscription(id: &str, optional: Option<&str>) -> SubscriptionRecord {
    let text = || optional.map(str::to_owned);
    let subscription = Subscription {
        id: SubscriptionId::new(id),
        user: address("sip:alice@example.com"),
        user_base: "http://here/1/chat/alice".into(),
        resource_url: format!("http://here/1/chat/alice/subscriptions/{id}"),
        notify_url: "http://there/".into(),
        callback_data: text(),
        format: optional.map_or(NotificationFormat::Xml, |_| NotificationFormat::Json),
        client_correlator: text(),
        duration: optional.map(|_| u32::MAX),
        expires: None,
        echo: optional.is_some(),
    };
    SubscriptionRecord { subscription: Arc::new(subscription), expires: optional.map(|_| at(9)) }
}

fn channel(id: &str, optional: Option<&str>) -> ChannelRecord {
    let text = || optional.map(str::to_owned);
    ChannelRecord {
        id: ChannelId::new(id),
        user: address("tel:+19585550100"),
        channel_type: "longPOLLING".into(),
        application_tag: text(),
        client_correlator: text(),
        resource_url: format!("http://here/1/notificationchannel/x/channels/{id}"),
        callback_url: format!("http://here/1/notificationchannel/x/callbacks/{id}"),
        channel_url: format!("http://here/1/notificationchannel/x/polls/{id}"),
        max_notifications: u32::MAX,
        expires: at(100_000),
    }
}

fn answer(correlator: &str) -> AnswerRecord {
    let document = Element::root(Namespace::Chat, "chatMessage")
        .attribute("rel", "x")
        .text("text", "a<b")
        .with(Element::leaf("flag", Leaf::Flag(true)))
        .maybe_number("number", Some(u64::MAX));
    AnswerRecord {
        correlation: Correlation {
            user: address("sip:alice@example.com"),
            collection: "sessions".into(),
            correlator: correlator.into(),
        },
        content: crate::digest::sha256(correlator.as_bytes()),
        at: at(3),
        created: Created { location: "http://here/x".into(), document },
        is_begun: correlator.ends_with("begun"),
    }
}

fn session(id: &str) -> SessionRecord {
    let kind = if id.starts_with('g') { SessionKind::Group } else { SessionKind::Pair };
    SessionRecord { id: SessionId::new(id), user: address("tel:+19585550100"), kind }
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
        + time::Duration::nanoseconds(123_456_789)
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}
