//! Notifications: what all of them have, and the six of TS Chat 5.2.2.3 to 5.2.2.9.

use super::element::{Content, Element, Namespace};
use super::field::{self, Choices, DocumentError};
use super::message::{self, ChatMessage, IsComposing, MessageBody};
use super::outline::{self, Kind, Outline, Part};
use super::participant::{
    PARTICIPANT, PARTICIPANTS, ParticipantInformation, ParticipantStatusEntry, demand,
};
use super::reference::{CallbackReference, Link};
use crate::chat::{EventType, MessageStatus, Party};

/// A notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// What the application wanted to find in each notification.
    pub callback_data: Option<String>,
    /// What the notification is about, and the subscription that it comes from.
    pub links: Vec<Link>,
    /// What it tells.
    pub told: Told,
    /// What tells it from others, the same whenever it is repeated; JSON only.
    pub id: Option<String>,
}

/// What a notification tells; each has a root element of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// An event that needs no more than its name: `chatEventNotification` (TS Chat 5.2.2.3).
    ChatEvent {
        /// The event.
        event: EventType,
        /// Its cause in words.
        description: Option<String>,
    },
    /// Somebody invites to a 1-1 session: `sessionInvitationNotification` (TS Chat 5.2.2.4).
    SessionInvitation {
        /// The initial message.
        subject: String,
        /// Who invites.
        originator: Party,
        /// Who is invited.
        terminating: Party,
    },
    /// Somebody invites to a group session: `groupSessionInvitationNotification` (TS Chat 5.2.2.5).
    GroupInvitation {
        /// The initial message.
        subject: String,
        /// Who is in the session or invited to it, at least two, the originator first.
        participants: Vec<ParticipantInformation>,
    },
    /// A message, or that one is being written: `messageNotification` (TS Chat 5.2.2.6).
    Message {
        /// Who sent it.
        sender: Party,
        /// Which of the two.
        body: MessageBody,
    },
    /// Who has come to a group session, and who has gone: `participantStatusNotification`
    /// (TS Chat 5.2.2.7).
    ParticipantStatus {
        /// At least those who changed; never empty.
        participants: Vec<ParticipantStatusEntry>,
    },
    /// What became of a message: `messageDeliveryStatusNotification` (TS Chat 5.2.2.9).
    DeliveryStatus {
        /// The status.
        status: MessageStatus,
        /// The code of the error.
        error_code: Option<String>,
        /// The error in words.
        description: Option<String>,
    },
}

impl Notification {
    /// What stands in each of the documents.
    pub const OUTLINES: [Outline; 6] = [
        notification(
            "ChatEventNotification",
            CHAT_EVENT,
            &[
                CallbackReference::CALLBACK_DATA,
                Link::PART,
                Part::new("eventType", Kind::OneOf(EVENTS.names)),
                Part::new("eventDescription", Kind::Text(None)).maybe(),
                ID,
            ],
        ),
        notification(
            "SessionInvitationNotification",
            SESSION_INVITATION,
            &[
                CallbackReference::CALLBACK_DATA,
                Link::PART,
                SUBJECT,
                outline::address("originatorAddress"),
                said_name("originatorName"),
                outline::address("tParticipantAddress"),
                said_name("tParticipantName"),
                ID,
            ],
        ),
        notification(
            "GroupSessionInvitationNotification",
            GROUP_INVITATION,
            &[CallbackReference::CALLBACK_DATA, Link::PART, SUBJECT, PARTICIPANTS.list(2), ID],
        ),
        notification(
            "MessageNotification",
            MESSAGE,
            &[
                CallbackReference::CALLBACK_DATA,
                Link::PART,
                outline::address("senderAdress"),
                outline::address("senderAddress").in_json(),
                said_name("senderName"),
                Part::new("chatMessage", Kind::Group(&ChatMessage::OUTLINE)).either(),
                Part::new("isComposing", Kind::Group(&IsComposing::OUTLINE)).either(),
                ID,
            ],
        ),
        notification(
            "ParticipantStatusNotification",
            PARTICIPANT_STATUS,
            &[
                CallbackReference::CALLBACK_DATA,
                Link::PART,
                Part::new(PARTICIPANT, Kind::Group(&ParticipantStatusEntry::OUTLINE)).list(1),
                ID,
            ],
        ),
        notification(
            "MessageDeliveryStatusNotification",
            DELIVERY_STATUS,
            &[
                CallbackReference::CALLBACK_DATA,
                Link::PART,
                Part::new("status", Kind::OneOf(message::STATUSES.names)),
                Part::new("errorCode", Kind::Text(None)).maybe(),
                Part::new("description", Kind::Text(None)).maybe(),
                ID,
            ],
        ),
    ];

    /// Reads the document that the root names.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = match (tree.name(), tree.children()) {
            ("", [member]) => member,
            _ => tree,
        };
        let text = |part| -> Result<_, DocumentError> {
            field::optional(root, part)?
                .map(|field| field::text(field, part, field::MAX_CALLBACK_DATA))
                .transpose()
        };
        let told = match root.name() {
            CHAT_EVENT => Told::ChatEvent {
                event: field::choice(field::required(root, "eventType")?, "eventType", &EVENTS)?,
                description: text("eventDescription")?,
            },
            SESSION_INVITATION => Told::SessionInvitation {
                subject: subject(root)?,
                originator: party(root, "originatorAddress", "originatorName")?,
                terminating: party(root, "tParticipantAddress", "tParticipantName")?,
            },
            GROUP_INVITATION => {
                Told::GroupInvitation { subject: subject(root)?, participants: invited(root)? }
            }
            MESSAGE => Told::Message { sender: sender(root)?, body: body(root)? },
            PARTICIPANT_STATUS => Told::ParticipantStatus { participants: entries(root)? },
            DELIVERY_STATUS => Told::DeliveryStatus {
                status: field::choice(
                    field::required(root, "status")?,
                    "status",
                    &message::STATUSES,
                )?,
                error_code: text("errorCode")?,
                description: text("description")?,
            },
            other => {
                let found = super::shortened(other);
                return Err(DocumentError::WrongRoot { expected: "a notification", found });
            }
        };
        let links = Link::read_all(root)?;
        let id = field::optional_line(root, "id", field::MAX_NAME)?;
        Ok(Self { callback_data: text("callbackData")?, links, told, id })
    }

    /// Writes the document.
    #[must_use]
    pub fn into_document(self) -> Element {
        let begun = Element::root(Namespace::Chat, self.told.root())
            .maybe_text("callbackData", self.callback_data.as_deref())
            .items(self.links.iter().map(Link::write));
        let document = self.told.fill(begun);
        match self.id {
            Some(id) => document.json_text("id", id),
            None => document,
        }
    }
}

impl Told {
    /// Gives the name of the root element.
    fn root(&self) -> &'static str {
        match self {
            Self::ChatEvent { .. } => CHAT_EVENT,
            Self::SessionInvitation { .. } => SESSION_INVITATION,
            Self::GroupInvitation { .. } => GROUP_INVITATION,
            Self::Message { .. } => MESSAGE,
            Self::ParticipantStatus { .. } => PARTICIPANT_STATUS,
            Self::DeliveryStatus { .. } => DELIVERY_STATUS,
        }
    }

    /// Writes what is told behind what all notifications have.
    fn fill(self, element: Element) -> Element {
        match self {
            Self::ChatEvent { event, description } => element
                .text("eventType", event.as_str())
                .maybe_text("eventDescription", description.as_deref()),
            Self::SessionInvitation { subject, originator, terminating } => element
                .text("subject", subject)
                .text("originatorAddress", originator.address.spelling())
                .maybe_text("originatorName", originator.name.as_deref())
                .text("tParticipantAddress", terminating.address.spelling())
                .maybe_text("tParticipantName", terminating.name.as_deref()),
            Self::GroupInvitation { subject, participants } => element
                .text("subject", subject)
                .list(PARTICIPANT, participants.iter().map(ParticipantInformation::item)),
            // The draft spells the address with one `d`; JSON has it in both spellings.
            Self::Message { sender, body } => element
                .text("senderAdress", sender.address.spelling())
                .json_text("senderAddress", sender.address.spelling())
                .maybe_text("senderName", sender.name.as_deref())
                .with(match body {
                    MessageBody::Chat(message) => message.into_document(),
                    MessageBody::Composing(composing) => composing.write(),
                }),
            Self::ParticipantStatus { participants } => {
                element.list(PARTICIPANT, participants.iter().map(ParticipantStatusEntry::item))
            }
            Self::DeliveryStatus { status, error_code, description } => element
                .text("status", status.as_str())
                .maybe_text("errorCode", error_code.as_deref())
                .maybe_text("description", description.as_deref()),
        }
    }
}

/// What a long poll gives: the root `notificationList` of the Notification Channel API.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationList(pub Vec<Element>);

impl NotificationList {
    /// Reads the notifications in the document.
    ///
    /// # Errors
    /// Names the part of a notification that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Vec<Notification>, DocumentError> {
        let lists = match tree.name() {
            LIST => std::slice::from_ref(tree),
            _ => tree.children(),
        };
        let members = lists.iter().filter(|list| list.name() == LIST).flat_map(Element::children);
        members.map(Notification::read).collect()
    }

    /// Writes the document: in JSON an array of objects with one member each (`null` when empty),
    /// in XML the notifications with their roots.
    #[must_use]
    pub fn write(self) -> Element {
        let root = Element::root(Namespace::Channel, LIST);
        Element { content: Content::Documents(self.0), ..root }
    }
}

const fn notification(name: &'static str, root: &'static str, parts: &'static [Part]) -> Outline {
    Outline { name, root: Some((Namespace::Chat, root)), parts }
}

fn subject(root: &Element) -> Result<String, DocumentError> {
    field::text(field::required(root, "subject")?, "subject", usize::MAX)
}

fn party(
    root: &Element,
    address: &'static str,
    name: &'static str,
) -> Result<Party, DocumentError> {
    let name = field::optional(root, name)?.map(|field| field::text(field, name, usize::MAX));
    Ok(Party { address: field::address(root, address)?, name: name.transpose()? })
}

/// Reads the sender under the draft's spelling of its address, or under the right one.
fn sender(root: &Element) -> Result<Party, DocumentError> {
    let misspelt = field::optional(root, "senderAdress")?;
    let part = match (misspelt, field::optional(root, "senderAddress")?) {
        (None, Some(_)) => "senderAddress",
        (Some(_), _) | (None, None) => "senderAdress",
    };
    party(root, part, "senderName")
}

fn body(root: &Element) -> Result<MessageBody, DocumentError> {
    match (field::optional(root, "chatMessage")?, field::optional(root, "isComposing")?) {
        (Some(message), None) => {
            let resource_url = field::optional_url(message, "resourceURL")?;
            let message = ChatMessage::read(message)?;
            Ok(MessageBody::Chat(ChatMessage { resource_url, ..message }))
        }
        (None, Some(composing)) => IsComposing::read(composing).map(MessageBody::Composing),
        (None, None) => Err(DocumentError::Missing { part: "chatMessage" }),
        (Some(_), Some(_)) => Err(DocumentError::Repeated { part: "chatMessage" }),
    }
}

fn invited(root: &Element) -> Result<Vec<ParticipantInformation>, DocumentError> {
    let all = root.all(PARTICIPANT).map(ParticipantInformation::read_shown);
    let participants = all.collect::<Result<Vec<_>, _>>()?;
    demand(&participants, 2)?;
    Ok(participants)
}

fn entries(root: &Element) -> Result<Vec<ParticipantStatusEntry>, DocumentError> {
    let all = root.all(PARTICIPANT).map(ParticipantStatusEntry::read);
    let participants = all.collect::<Result<Vec<_>, _>>()?;
    demand(&participants, 1)?;
    Ok(participants)
}

const CHAT_EVENT: &str = "chatEventNotification";
const SESSION_INVITATION: &str = "sessionInvitationNotification";
const GROUP_INVITATION: &str = "groupSessionInvitationNotification";
const MESSAGE: &str = "messageNotification";
const PARTICIPANT_STATUS: &str = "participantStatusNotification";
const DELIVERY_STATUS: &str = "messageDeliveryStatusNotification";
const LIST: &str = "notificationList";

/// The id that JSON shows.
const ID: Part = Part::new("id", Kind::Line(field::MAX_NAME)).maybe().in_json();

/// A subject as the network has brought it, of any length.
const SUBJECT: Part = Part::new("subject", Kind::Text(None));

/// A name as the network has brought it.
const fn said_name(part: &'static str) -> Part {
    Part::new(part, Kind::Text(None)).maybe()
}

const EVENTS: Choices<EventType> = Choices {
    names: &[
        "SessionCancelled",
        "SessionEnded",
        "Declined",
        "Accepted",
        "MessageSuccess",
        "MessageFailure",
    ],
    values: &[
        EventType::SessionCancelled,
        EventType::SessionEnded,
        EventType::Declined,
        EventType::Accepted,
        EventType::MessageSuccess,
        EventType::MessageFailure,
    ],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::address::Address;
    use crate::chat::{Composing, ParticipantStatus, ReportRequest};
    use crate::oma::{BodyKind, Format, read};

    #[test]
    fn an_invitation_to_a_group_links_to_what_accepts_and_what_declines() {
        let alice = ParticipantInformation {
            is_originator: true,
            ..ParticipantInformation::of(party("tel:+19585550151", "Alice"))
        };
        let bob = ParticipantInformation {
            status: Some(ParticipantStatus::Invited),
            ..ParticipantInformation::of(party("tel:+19585550152", "Bob"))
        };
        let url = "http://h/groupSessions/s1/participants/p2";
        let notification = Notification {
            callback_data: Some("abcd".into()),
            links: vec![
                Link::new("ParticipantInformation", url),
                Link::new("ParticipantSessionStatus", format!("{url}/status")),
            ],
            told: Told::GroupInvitation { subject: "Hi".into(), participants: vec![alice, bob] },
            id: Some("n1".into()),
        };
        assert_eq!(
            rendered(&notification, Format::Xml),
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                 <chat:groupSessionInvitationNotification \
                 xmlns:chat=\"urn:oma:xml:rest:netapi:chat:1\"><callbackData>abcd</callbackData>\
                 <link rel=\"ParticipantInformation\" href=\"{url}\"/>\
                 <link rel=\"ParticipantSessionStatus\" href=\"{url}/status\"/>\
                 <subject>Hi</subject><participant><address>tel:+19585550151</address>\
                 <name>Alice</name><isOriginator>true</isOriginator></participant><participant>\
                 <address>tel:+19585550152</address><name>Bob</name><status>Invited</status>\
                 </participant></chat:groupSessionInvitationNotification>"
            )
        );
        assert_eq!(
            rendered(&notification, Format::Json),
            format!(
                "{{\"groupSessionInvitationNotification\":{{\"callbackData\":\"abcd\",\"link\":[\
                 {{\"rel\":\"ParticipantInformation\",\"href\":\"{url}\"}},\
                 {{\"rel\":\"ParticipantSessionStatus\",\"href\":\"{url}/status\"}}],\
                 \"subject\":\"Hi\",\"participant\":[{{\"address\":\"tel:+19585550151\",\
                 \"name\":\"Alice\",\"isOriginator\":true}},{{\"address\":\"tel:+19585550152\",\
                 \"name\":\"Bob\",\"status\":\"Invited\"}}],\"id\":\"n1\"}}}}"
            )
        );
    }

    #[test]
    fn who_has_come_and_gone_is_told_with_a_mark_at_the_own_entry() {
        let notification = Notification {
            callback_data: None,
            links: vec![Link::new("ParticipantList", "http://h/p")],
            told: Told::ParticipantStatus { participants: vec![entry(true), entry(false)] },
            id: None,
        };
        assert_eq!(
            rendered(&notification, Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:participantStatusNotification "#,
                r#"xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                r#"<link rel="ParticipantList" href="http://h/p"/>"#,
                "<participant><address>tel:+1</address><name>Ann</name>",
                "<status>Disconnected</status><yourown>true</yourown>",
                r#"<link rel="ParticipantInformation" href="http://h/p/1"/></participant>"#,
                "<participant><address>tel:+1</address><name>Ann</name>",
                "<status>Disconnected</status>",
                r#"<link rel="ParticipantInformation" href="http://h/p/1"/></participant>"#,
                "</chat:participantStatusNotification>"
            )
        );
        assert_eq!(
            rendered(&notification, Format::Json),
            concat!(
                r#"{"participantStatusNotification":{"link":[{"rel":"ParticipantList","#,
                r#""href":"http://h/p"}],"participant":[{"address":"tel:+1","name":"Ann","#,
                r#""status":"Disconnected","yourown":true,"link":[{"rel":"#,
                r#""ParticipantInformation","href":"http://h/p/1"}]},{"address":"tel:+1","#,
                r#""name":"Ann","status":"Disconnected","link":[{"rel":"#,
                r#""ParticipantInformation","href":"http://h/p/1"}]}]}}"#
            )
        );
    }

    #[test]
    fn every_notification_is_read_as_it_was_written_alone_and_in_a_list() {
        for told in all() {
            let links = vec![Link::new("ChatNotificationSubscription", "http://h/sub1")];
            let callback_data = Some("a <b>\n".into());
            let json = Notification { callback_data, links, told, id: Some("n1".into()) };
            let xml = Notification { id: None, ..json.clone() };
            for (kind, format, wanted) in
                [(BodyKind::Xml, Format::Xml, &xml), (BodyKind::Json, Format::Json, &json)]
            {
                let again = |bytes: &[u8]| read(kind, bytes).unwrap();
                let body = json.clone().into_document().render(format);
                assert_eq!(Notification::read(&again(&body)).as_ref(), Ok(wanted));
                let document = json.clone().into_document();
                let list = NotificationList(vec![document.clone(), document]).write();
                let wanted = Ok(vec![wanted.clone(), wanted.clone()]);
                assert_eq!(NotificationList::read(&again(&list.render(format))), wanted);
                let none = NotificationList(Vec::new()).write().render(format);
                assert_eq!(NotificationList::read(&again(&none)), Ok(Vec::new()));
            }
        }
    }

    #[test]
    fn a_sender_is_known_in_both_spellings() {
        for spelling in ["senderAdress", "senderAddress"] {
            let text = format!(
                "{{\"messageNotification\":{{\"{spelling}\":\"tel:+1\",\
                 \"chatMessage\":{{\"text\":\"Hi\"}}}}}}"
            );
            let told = Notification::read(&read(BodyKind::Json, text.as_bytes()).unwrap());
            assert!(matches!(told.unwrap().told, Told::Message { .. }), "{text}");
        }
    }

    #[test]
    fn a_faulty_notification_is_named() {
        let fault = |text: &str| {
            let tree = read(BodyKind::Json, text.as_bytes()).unwrap();
            Notification::read(&tree).unwrap_err().part()
        };
        assert_eq!(fault(r#"{"chatMessage":{}}"#), "a notification");
        assert_eq!(fault(r#"{"chatEventNotification":{}}"#), "eventType");
        assert_eq!(fault(r#"{"participantStatusNotification":{}}"#), "participant");
        assert_eq!(fault(r#"{"messageNotification":{"senderAdress":"tel:+1"}}"#), "chatMessage");
        let one = r#"{"groupSessionInvitationNotification":{"subject":"x",
            "participant":{"address":"tel:+1"}}}"#;
        assert_eq!(fault(one), "participant");
    }

    fn all() -> Vec<Told> {
        let (alice, bob) = (party("tel:+1", "Alice"), party("tel:+2", "Bob"));
        let shown = ParticipantInformation {
            is_originator: true,
            status: Some(ParticipantStatus::Connected),
            resource_url: Some("http://h/p/1".into()),
            ..ParticipantInformation::of(alice.clone())
        };
        let other = ParticipantInformation::of(bob.clone());
        let message = ChatMessage {
            text: "Hi".into(),
            report_request: ReportRequest { delivered: true, displayed: true, failed: false },
            resource_url: Some("http://h/m".into()),
        };
        let composing = IsComposing(Composing::idle());
        let sender = alice.clone();
        vec![
            Told::ChatEvent { event: EventType::SessionEnded, description: Some("SIP BYE".into()) },
            Told::SessionInvitation {
                subject: "Hi".into(),
                originator: alice.clone(),
                terminating: bob,
            },
            Told::GroupInvitation { subject: String::new(), participants: vec![shown, other] },
            Told::Message { sender: alice, body: MessageBody::Chat(message) },
            Told::Message { sender, body: MessageBody::Composing(composing) },
            Told::ParticipantStatus { participants: vec![entry(true), entry(false)] },
            Told::DeliveryStatus {
                status: MessageStatus::Failed,
                error_code: Some("408".into()),
                description: Some("no answer".into()),
            },
        ]
    }

    fn entry(your_own: bool) -> ParticipantStatusEntry {
        ParticipantStatusEntry {
            address: Address::parse("tel:+1").unwrap(),
            name: Some("Ann".into()),
            status: Some(ParticipantStatus::Disconnected),
            your_own,
            links: vec![Link::new("ParticipantInformation", "http://h/p/1")],
        }
    }

    fn party(address: &str, name: &str) -> Party {
        Party { address: Address::parse(address).unwrap(), name: Some(name.into()) }
    }

    fn rendered(notification: &Notification, format: Format) -> String {
        String::from_utf8(notification.clone().into_document().render(format)).unwrap()
    }
}
