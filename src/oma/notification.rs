//! Notices as documents: which root, with which links, for which subscription (TS Chat Table 1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::element::{Content, Element, Namespace};
use super::message::{ChatMessage, IsComposing};
use super::reference::Link;
use crate::chat::{Composing, EventType, MessageStatus, Notice, NoticeKind, Party, ReportRequest};
use crate::ids::{MessageId, NotificationId, SessionId};

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
    let place = Place { user_base: to.user_base, session: &notice.session };
    let body = match &notice.kind {
        NoticeKind::Invited { subject, originator, terminating } => {
            Begun::new("sessionInvitationNotification", to)
                .links(&[place.session(), place.session_status()])
                .element
                .text("subject", subject)
                .text("originatorAddress", originator.address.spelling())
                .maybe_text("originatorName", originator.name.as_deref())
                .text("tParticipantAddress", terminating.address.spelling())
                .maybe_text("tParticipantName", terminating.name.as_deref())
        }
        NoticeKind::Event { event, description, message } => {
            Begun::new("chatEventNotification", to)
                .links(&[place.of_event(*event, message.as_ref())])
                .element
                .text("eventType", event.as_str())
                .maybe_text("eventDescription", description.as_deref())
        }
        NoticeKind::Message { id, sender, text, reports, echo: _ } => {
            message(to, &place, &Arrived { id, sender, text, reports: *reports })
        }
        NoticeKind::Composing { sender, composing, echo: _ } => {
            self::composing(to, &place, sender, composing)
        }
        NoticeKind::Delivery { message, status, error_code, description, participant: _ } => {
            Begun::new("messageDeliveryStatusNotification", to)
                .links(&[place.message(message)])
                .element
                .text("status", MessageStatus::as_str(*status))
                .maybe_text("errorCode", error_code.as_deref())
                .maybe_text("description", description.as_deref())
        }
        NoticeKind::GroupInvited { subject, .. } => {
            Begun::new("groupSessionInvitationNotification", to).element.text("subject", subject)
        }
        NoticeKind::ParticipantStatus { .. } => {
            Begun::new("participantStatusNotification", to).element
        }
    };
    body.json_text("id", to.id.as_str())
}

/// What a long poll gives: the root `notificationList` of the Notification Channel API.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationList(pub Vec<Element>);

impl NotificationList {
    /// Writes the document: in JSON an array of objects with one member each (`null` when empty),
    /// in XML the notifications with their roots.
    #[must_use]
    pub fn write(self) -> Element {
        let root = Element::root(Namespace::Channel, "notificationList");
        Element { content: Content::Documents(self.0), ..root }
    }
}

/// A message that came.
struct Arrived<'a> {
    id: &'a MessageId,
    sender: &'a Party,
    text: &'a str,
    reports: ReportRequest,
}

fn message(to: &Recipient<'_>, place: &Place<'_>, arrived: &Arrived<'_>) -> Element {
    let link = place.message(arrived.id);
    let resource_url = Some(link.href.clone());
    let wants_report = arrived.reports.delivered || arrived.reports.displayed;
    let status = wants_report.then(|| place.message_status(arrived.id));
    let links: Vec<Link> = [link].into_iter().chain(status).collect();
    let (text, report_request) = (arrived.text.to_owned(), arrived.reports);
    Begun::new(MESSAGE_NOTIFICATION, to)
        .links(&links)
        .sender(arrived.sender)
        .element
        .with(ChatMessage { text, report_request, resource_url }.write())
}

fn composing(
    to: &Recipient<'_>,
    place: &Place<'_>,
    sender: &Party,
    composing: &Composing,
) -> Element {
    Begun::new(MESSAGE_NOTIFICATION, to)
        .links(&[place.session()])
        .sender(sender)
        .element
        .with(IsComposing(composing.clone()).write())
}

/// A notification on its way: what all begin with.
struct Begun<'a> {
    element: Element,
    to: &'a Recipient<'a>,
}

impl<'a> Begun<'a> {
    fn new(root: &'static str, to: &'a Recipient<'a>) -> Self {
        let element =
            Element::root(Namespace::Chat, root).maybe_text("callbackData", to.callback_data);
        Self { element, to }
    }

    /// Adds the links, the one to the subscription behind the others.
    fn links(mut self, links: &[Link]) -> Self {
        let href = self.to.subscription_url.to_owned();
        let subscription = Link { rel: "ChatNotificationSubscription", href };
        self.element = self.element.items(links.iter().chain([&subscription]).map(Link::write));
        self
    }

    /// Adds the sender. The draft spells its address with one `d`; JSON has it in both spellings.
    fn sender(mut self, sender: &Party) -> Self {
        self.element = self
            .element
            .text("senderAdress", sender.address.spelling())
            .json_text("senderAddress", sender.address.spelling())
            .maybe_text("senderName", sender.name.as_deref());
        self
    }
}

/// Where the resources of the notice's session are (the columns `Link rel` and `Link href`).
struct Place<'a> {
    user_base: &'a str,
    session: &'a SessionId,
}

impl Place<'_> {
    fn session(&self) -> Link {
        Link { rel: "ChatSessionInformation", href: self.session_url() }
    }

    fn session_status(&self) -> Link {
        let href = format!("{}/status", self.session_url());
        Link { rel: "ParticipantSessionStatus", href }
    }

    fn message(&self, id: &MessageId) -> Link {
        let href = format!("{}/messages/{}", self.session_url(), segment(id.as_str()));
        Link { rel: "ChatMessage", href }
    }

    fn message_status(&self, id: &MessageId) -> Link {
        let href = format!("{}/status", self.message(id).href);
        Link { rel: "MessageDeliveryStatus", href }
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
        format!("{}/sessions/{}", self.user_base, segment(self.session.as_str()))
    }
}

/// Gives an id as one segment of a URL's path.
fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

/// Characters that stand as they are in a path segment (the unreserved ones of RFC 3986 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const MESSAGE_NOTIFICATION: &str = "messageNotification";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use time::OffsetDateTime;

    use super::*;
    use crate::address::Address;
    use crate::chat::ComposingState;
    use crate::oma::Format;

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
        let notice = Notice {
            user: Address::parse("tel:+2").unwrap(),
            session: SessionId::new("s1"),
            of: crate::chat::SessionKind::Pair,
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
