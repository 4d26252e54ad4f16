//! Notices as notifications: which one, with which links, for which subscription (TS Chat Tables 1
//! and 2).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::element::Element;
use super::message::{ChatMessage, IsComposing, MessageBody};
use super::notification::{Notification, Told};
use super::participant::{ParticipantInformation, ParticipantStatusEntry};
use super::reference::Link;
use crate::chat::{
    EventType, Notice, NoticeKind, Participant, ParticipantStatus, Party, ReportRequest,
    SessionKind,
};
use crate::ids::{MessageId, NotificationId, ParticipantId, SessionId};

/// The subscription that a notification is written for.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// `{serverRoot}/{apiVersion}/chat/{userId}`, as the client spelled it.
    pub user_base: &'a str,
    /// The URL of the subscription.
    pub subscription_url: &'a str,
    /// What the application wants to find in each notification.
    pub callback_data: Option<&'a str>,
    /// The id of the notification; JSON shows it.
    pub id: &'a NotificationId,
}

/// Writes a notice as the notification that TS Chat 5.2.2.3 to 5.2.2.9 have for it.
#[must_use]
pub fn document(notice: &Notice, to: &Recipient<'_>) -> Element {
    let place = Place { user_base: to.user_base, session: &notice.session, of: notice.of };
    let (mut links, told) = told(&notice.kind, &place);
    links.push(Link::new("ChatNotificationSubscription", to.subscription_url));
    let notification = Notification {
        callback_data: to.callback_data.map(str::to_owned),
        links,
        told,
        id: Some(to.id.as_str().to_owned()),
    };
    notification.into_document()
}

/// Gives the links of a notice, but for the one to the subscription, and what it tells.
fn told(kind: &NoticeKind, place: &Place<'_>) -> (Vec<Link>, Told) {
    match kind {
        NoticeKind::Invited { subject, originator, terminating } => {
            let links = vec![place.session(), place.session_status()];
            let (originator, terminating) = (originator.clone(), terminating.clone());
            let subject = subject.clone();
            (links, Told::SessionInvitation { subject, originator, terminating })
        }
        NoticeKind::Event { event, description, message } => {
            let link = place.of_event(*event, message.as_ref());
            let (event, description) = (*event, description.clone());
            (vec![link], Told::ChatEvent { event, description })
        }
        NoticeKind::Message { id, sender, text, reports, echo: _ } => {
            message(place, &Arrived { id, sender, text, reports: *reports })
        }
        NoticeKind::Composing { sender, composing, echo: _ } => {
            let body = MessageBody::Composing(IsComposing(composing.clone()));
            (vec![place.session()], Told::Message { sender: sender.clone(), body })
        }
        NoticeKind::Delivery { message, status, error_code, description, participant } => {
            let told = Told::DeliveryStatus {
                status: *status,
                error_code: error_code.clone(),
                description: description.clone(),
            };
            let about = participant.as_ref().map(|id| place.participant(id));
            ([place.message(message)].into_iter().chain(about).collect(), told)
        }
        NoticeKind::GroupInvited { subject, participants } => {
            let own = participants.iter().find(|participant| participant.your_own);
            let links = own.map(|own| {
                let status = format!("{}/status", place.participant(&own.id).href);
                vec![place.participant(&own.id), Link::new("ParticipantSessionStatus", status)]
            });
            let shown = |it: &Participant| {
                ParticipantInformation::shown(it.clone(), place.participant(&it.id).href)
            };
            let participants = participants.iter().map(shown).collect();
            let told = Told::GroupInvitation { subject: subject.clone(), participants };
            (links.unwrap_or_default(), told)
        }
        NoticeKind::ParticipantStatus { participants } => {
            let list = format!("{}/participants", place.session_url());
            let links = vec![place.session(), Link::new("ParticipantList", list)];
            let participants = participants.iter().map(|it| entry(place, it)).collect();
            (links, Told::ParticipantStatus { participants })
        }
    }
}

/// Shows how a participant stands; one who has gone is no resource any more (TS Chat 6.10.6).
fn entry(place: &Place<'_>, participant: &Participant) -> ParticipantStatusEntry {
    let Participant { id, party, status, your_own, .. } = participant.clone();
    let is_gone = status == ParticipantStatus::Disconnected;
    ParticipantStatusEntry {
        address: party.address,
        name: party.name,
        status: Some(status),
        your_own,
        links: if is_gone { Vec::new() } else { vec![place.participant(&id)] },
    }
}

/// A message that came.
struct Arrived<'a> {
    id: &'a MessageId,
    sender: &'a Party,
    text: &'a str,
    reports: ReportRequest,
}

fn message(place: &Place<'_>, arrived: &Arrived<'_>) -> (Vec<Link>, Told) {
    let link = place.message(arrived.id);
    let resource_url = Some(link.href.clone());
    let wants_report = arrived.reports.delivered || arrived.reports.displayed;
    let status = wants_report.then(|| place.message_status(arrived.id));
    let links = [link].into_iter().chain(status).collect();
    let (text, report_request) = (arrived.text.to_owned(), arrived.reports);
    let body = MessageBody::Chat(ChatMessage { text, report_request, resource_url });
    (links, Told::Message { sender: arrived.sender.clone(), body })
}

/// Where the resources of the notice's session are (the columns `Link rel` and `Link href`).
struct Place<'a> {
    user_base: &'a str,
    session: &'a SessionId,
    of: SessionKind,
}

impl Place<'_> {
    fn session(&self) -> Link {
        let rel = match self.of {
            SessionKind::Pair => "ChatSessionInformation",
            SessionKind::Group => "GroupChatSessionInformation",
        };
        Link::new(rel, self.session_url())
    }

    fn participant(&self, id: &ParticipantId) -> Link {
        let href = format!("{}/participants/{}", self.session_url(), segment(id.as_str()));
        Link::new("ParticipantInformation", href)
    }

    fn session_status(&self) -> Link {
        let href = format!("{}/status", self.session_url());
        Link::new("ParticipantSessionStatus", href)
    }

    fn message(&self, id: &MessageId) -> Link {
        let href = format!("{}/messages/{}", self.session_url(), segment(id.as_str()));
        Link::new("ChatMessage", href)
    }

    fn message_status(&self, id: &MessageId) -> Link {
        let href = format!("{}/status", self.message(id).href);
        Link::new("MessageDeliveryStatus", href)
    }

    /// Events of a message point to the message, the others to the session.
    fn of_event(&self, event: EventType, message: Option<&MessageId>) -> Link {
        match (event, message) {
            (EventType::MessageSuccess | EventType::MessageFailure, Some(id)) => self.message(id),
            (EventType::MessageSuccess | EventType::MessageFailure, None)
            | (
                EventType::SessionCancelled
                | EventType::SessionEnded
                | EventType::Declined
                | EventType::Accepted,
                _,
            ) => self.session(),
        }
    }

    fn session_url(&self) -> String {
        let collection = match self.of {
            SessionKind::Pair => "sessions",
            SessionKind::Group => "groupSessions",
        };
        format!("{}/{collection}/{}", self.user_base, segment(self.session.as_str()))
    }
}

/// Gives an id as one segment of a URL's path.
fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

/// Characters that stand as they are in a path segment (the unreserved ones of RFC 3986 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use time::OffsetDateTime;

    use super::*;
    use crate::address::Address;
    use crate::chat::{Composing, ComposingState, MessageStatus};
    use crate::oma::{Format, NotificationList};

    #[test]
    fn an_invitation_links_to_what_accepts_and_what_declines() {
        let (originator, terminating) =
            (party("tel:+19585550151", "Alice"), party("tel:+2", "Bob"));
        let kind = NoticeKind::Invited { subject: "Hi <3".into(), originator, terminating };
        assert_eq!(
            xml(kind.clone()),
            concat!(
                r#"<chat:sessionInvitationNotification xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<callbackData>abcd</callbackData>",
                r#"<link rel="ChatSessionInformation" href="http://h/1/chat/tel%3A%2B2/sessions/s1"/>"#,
                r#"<link rel="ParticipantSessionStatus" "#,
                r#"href="http://h/1/chat/tel%3A%2B2/sessions/s1/status"/>"#,
                r#"<link rel="ChatNotificationSubscription" href="http://h/sub1"/>"#,
                "<subject>Hi &lt;3</subject><originatorAddress>tel:+19585550151</originatorAddress>",
                "<originatorName>Alice</originatorName><tParticipantAddress>tel:+2</tParticipantAddress>",
                "<tParticipantName>Bob</tParticipantName></chat:sessionInvitationNotification>"
            )
        );
        assert_eq!(
            json(kind),
            concat!(
                r#"{"sessionInvitationNotification":{"callbackData":"abcd","link":["#,
                r#"{"rel":"ChatSessionInformation","href":"http://h/1/chat/tel%3A%2B2/sessions/s1"},"#,
                r#"{"rel":"ParticipantSessionStatus","#,
                r#""href":"http://h/1/chat/tel%3A%2B2/sessions/s1/status"},"#,
                r#"{"rel":"ChatNotificationSubscription","href":"http://h/sub1"}],"#,
                r#""subject":"Hi <3","originatorAddress":"tel:+19585550151","originatorName":"Alice","#,
                r#""tParticipantAddress":"tel:+2","tParticipantName":"Bob","id":"n1"}}"#
            )
        );
    }

    #[test]
    fn a_message_links_to_its_status_when_reports_are_wanted() {
        let reports = ReportRequest { delivered: true, displayed: true, failed: false };
        assert_eq!(
            json(told("Hello", reports)),
            concat!(
                r#"{"messageNotification":{"callbackData":"abcd","link":[{"rel":"ChatMessage","#,
                r#""href":"http://h/1/chat/tel%3A%2B2/sessions/s1/messages/m%2F1"},"#,
                r#"{"rel":"MessageDeliveryStatus","#,
                r#""href":"http://h/1/chat/tel%3A%2B2/sessions/s1/messages/m%2F1/status"},"#,
                r#"{"rel":"ChatNotificationSubscription","href":"http://h/sub1"}],"#,
                r#""senderAdress":"tel:+1","senderAddress":"tel:+1","senderName":"Alice","#,
                r#""chatMessage":{"text":"Hello","reportRequest":["Delivered","Displayed"],"#,
                r#""resourceURL":"http://h/1/chat/tel%3A%2B2/sessions/s1/messages/m%2F1"},"id":"n1"}}"#
            )
        );
        assert_eq!(
            xml(told("Hello", ReportRequest::default())),
            concat!(
                r#"<chat:messageNotification xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                r#"<callbackData>abcd</callbackData><link rel="ChatMessage" "#,
                r#"href="http://h/1/chat/tel%3A%2B2/sessions/s1/messages/m%2F1"/>"#,
                r#"<link rel="ChatNotificationSubscription" href="http://h/sub1"/>"#,
                "<senderAdress>tel:+1</senderAdress><senderName>Alice</senderName><chatMessage>",
                "<text>Hello</text><resourceURL>http://h/1/chat/tel%3A%2B2/sessions/s1/messages/m%2F1",
                "</resourceURL></chatMessage></chat:messageNotification>"
            )
        );
    }

    #[test]
    fn composing_comes_as_a_message_notification() {
        let state = ComposingState::Active;
        let composing = Composing { state, ..Composing::idle() };
        let kind =
            NoticeKind::Composing { sender: party("tel:+1", "Alice"), composing, echo: false };
        assert_eq!(
            xml(kind),
            concat!(
                r#"<chat:messageNotification xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                r#"<callbackData>abcd</callbackData><link rel="ChatSessionInformation" "#,
                r#"href="http://h/1/chat/tel%3A%2B2/sessions/s1"/>"#,
                r#"<link rel="ChatNotificationSubscription" href="http://h/sub1"/>"#,
                "<senderAdress>tel:+1</senderAdress><senderName>Alice</senderName>",
                "<isComposing><state>active</state></isComposing></chat:messageNotification>"
            )
        );
    }

    #[test]
    fn events_and_reports_link_to_what_they_are_about() {
        let ended = event(EventType::SessionEnded, Some("SIP BYE"), None);
        assert_eq!(
            json(ended),
            concat!(
                r#"{"chatEventNotification":{"callbackData":"abcd","link":["#,
                r#"{"rel":"ChatSessionInformation","href":"http://h/1/chat/tel%3A%2B2/sessions/s1"},"#,
                r#"{"rel":"ChatNotificationSubscription","href":"http://h/sub1"}],"#,
                r#""eventType":"SessionEnded","eventDescription":"SIP BYE","id":"n1"}}"#
            )
        );
        let success = json(event(EventType::MessageSuccess, None, Some("m1")));
        assert!(success.contains(
            r#"{"rel":"ChatMessage","href":"http://h/1/chat/tel%3A%2B2/sessions/s1/messages/m1"}"#
        ));
        let failed = NoticeKind::Delivery {
            message: MessageId::new("m1"),
            status: MessageStatus::Failed,
            error_code: Some("408".into()),
            description: Some("no answer".into()),
            participant: None,
        };
        assert_eq!(
            xml(failed),
            concat!(
                r#"<chat:messageDeliveryStatusNotification "#,
                r#"xmlns:chat="urn:oma:xml:rest:netapi:chat:1"><callbackData>abcd</callbackData>"#,
                r#"<link rel="ChatMessage" "#,
                r#"href="http://h/1/chat/tel%3A%2B2/sessions/s1/messages/m1"/>"#,
                r#"<link rel="ChatNotificationSubscription" href="http://h/sub1"/>"#,
                "<status>Failed</status><errorCode>408</errorCode>",
                "<description>no answer</description></chat:messageDeliveryStatusNotification>"
            )
        );
    }

    /// TS Chat Table 2.
    #[test]
    fn what_is_told_of_a_group_links_to_its_participants() {
        let participant = |id: &str, address: &str, status, your_own: bool| Participant {
            id: ParticipantId::new(id),
            party: party(address, "A"),
            is_originator: !your_own,
            status,
            your_own,
            client_correlator: None,
        };
        let participants = vec![
            participant("p1", "tel:+1", ParticipantStatus::Connected, false),
            participant("p2", "tel:+2", ParticipantStatus::Invited, true),
        ];
        let group = "http://h/1/chat/tel%3A%2B2/groupSessions/s1";
        let subject = "Trip".to_owned();
        let invited =
            json(NoticeKind::GroupInvited { subject, participants: participants.clone() });
        for part in [
            format!(r#"{{"rel":"ParticipantInformation","href":"{group}/participants/p2"}}"#),
            format!(
                r#"{{"rel":"ParticipantSessionStatus","href":"{group}/participants/p2/status"}}"#
            ),
            format!(r#""status":"Invited","resourceURL":"{group}/participants/p2"}}"#),
            r#""isOriginator":true"#.to_owned(),
        ] {
            assert!(invited.contains(&part), "{part} in {invited}");
        }
        let gone = participant("p3", "tel:+3", ParticipantStatus::Disconnected, false);
        let participants = [&participants[1..], &[gone]].concat();
        let told = json(NoticeKind::ParticipantStatus { participants });
        for part in [
            format!(r#"{{"rel":"GroupChatSessionInformation","href":"{group}"}}"#),
            format!(r#"{{"rel":"ParticipantList","href":"{group}/participants"}}"#),
            r#""status":"Invited","yourown":true,"link":[{"rel":"ParticipantInformation""#.into(),
        ] {
            assert!(told.contains(&part), "{part} in {told}");
        }
        assert!(!told.contains("participants/p3"), "who has gone is no resource: {told}");
    }

    #[test]
    fn a_list_holds_documents_with_their_roots() {
        let one = written(event(EventType::Accepted, None, None), None);
        let list = NotificationList(vec![one.clone(), one]).write();
        let json = String::from_utf8(list.render(Format::Json)).unwrap();
        assert!(json.starts_with(r#"{"notificationList":[{"chatEventNotification":{"link":["#));
        assert_eq!(json.matches(r#"{"chatEventNotification":"#).count(), 2);
        let xml = String::from_utf8(list.render(Format::Xml)).unwrap();
        assert!(xml.contains(concat!(
            r#"<nc:notificationList xmlns:nc="urn:oma:xml:rest:netapi:notificationchannel:1">"#,
            r#"<chat:chatEventNotification xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#
        )));
        let empty = NotificationList(Vec::new()).write();
        assert_eq!(empty.render(Format::Json), br#"{"notificationList":null}"#);
        assert!(empty.render(Format::Xml).ends_with(
            br#"<nc:notificationList xmlns:nc="urn:oma:xml:rest:netapi:notificationchannel:1"/>"#
        ));
    }

    fn party(address: &str, name: &str) -> Party {
        Party { address: Address::parse(address).unwrap(), name: Some(name.into()) }
    }

    fn told(text: &str, reports: ReportRequest) -> NoticeKind {
        let (id, sender) = (MessageId::new("m/1"), party("tel:+1", "Alice"));
        NoticeKind::Message { id, sender, text: text.into(), reports, echo: false }
    }

    fn event(event: EventType, description: Option<&str>, message: Option<&str>) -> NoticeKind {
        let (description, message) = (description.map(str::to_owned), message.map(MessageId::new));
        NoticeKind::Event { event, description, message }
    }

    fn written(kind: NoticeKind, callback_data: Option<&str>) -> Element {
        let of = match kind {
            NoticeKind::GroupInvited { .. } | NoticeKind::ParticipantStatus { .. } => {
                SessionKind::Group
            }
            NoticeKind::Invited { .. }
            | NoticeKind::Event { .. }
            | NoticeKind::Message { .. }
            | NoticeKind::Composing { .. }
            | NoticeKind::Delivery { .. } => SessionKind::Pair,
        };
        let notice = Notice {
            of,
            user: Address::parse("tel:+2").unwrap(),
            session: SessionId::new("s1"),
            at: OffsetDateTime::UNIX_EPOCH,
            kind,
        };
        let recipient = Recipient {
            user_base: "http://h/1/chat/tel%3A%2B2",
            subscription_url: "http://h/sub1",
            callback_data,
            id: &NotificationId::new("n1"),
        };
        document(&notice, &recipient)
    }

    fn json(kind: NoticeKind) -> String {
        String::from_utf8(written(kind, Some("abcd")).render(Format::Json)).unwrap()
    }

    fn xml(kind: NoticeKind) -> String {
        let text = String::from_utf8(written(kind, Some("abcd")).render(Format::Xml)).unwrap();
        text.strip_prefix(r#"<?xml version="1.0" encoding="UTF-8"?>"#).unwrap().to_owned()
    }
}
