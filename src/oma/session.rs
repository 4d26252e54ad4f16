//! `chatSessionInformation` and `participantSessionStatus` (TS Chat 5.2.2.13, 5.2.2.12).

use super::element::{Element, Namespace};
use super::field::{self, Choices, DocumentError};
use super::outline::{self, Kind, Outline, Part};
use crate::address::Address;
use crate::chat::{Command, Invitation, ParticipantStatus, Party, SessionInfo};
use crate::ids::{ParticipantId, SessionId};

/// A 1-1 session: the root `chatSessionInformation` (TS Chat 5.2.2.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatSessionInformation {
    /// The initial message to the participant.
    pub subject: String,
    /// The address of the originator.
    pub originator_address: Address,
    /// The name of the originator.
    pub originator_name: Option<String>,
    /// The address of the terminating participant.
    pub t_participant_address: Address,
    /// The name of the terminating participant.
    pub t_participant_name: Option<String>,
    /// The status of the terminating participant; never taken from a request.
    pub status: Option<ParticipantStatus>,
    /// The client's tag, given back unchanged.
    pub client_correlator: Option<String>,
    /// The URL of the session; never taken from a request.
    pub resource_url: Option<String>,
}

impl ChatSessionInformation {
    /// What stands in the document; the form of TS Chat C.2 has the same.
    pub const OUTLINE: Outline = Outline {
        name: "ChatSessionInformation",
        root: Some((Namespace::Chat, "chatSessionInformation")),
        parts: &[
            outline::SUBJECT,
            outline::address("originatorAddress"),
            outline::name("originatorName"),
            outline::address("tParticipantAddress"),
            outline::name("tParticipantName"),
            Part::new("status", Kind::OneOf(STATUSES.names)).maybe().by_server(),
            outline::CLIENT_CORRELATOR,
            outline::RESOURCE_URL,
        ],
    };

    /// Shows a session.
    #[must_use]
    pub fn of(info: SessionInfo, resource_url: String) -> Self {
        Self {
            subject: info.subject,
            originator_address: info.originator.address,
            originator_name: info.originator.name,
            t_participant_address: info.terminating.address,
            t_participant_name: info.terminating.name,
            status: Some(info.status),
            client_correlator: info.client_correlator,
            resource_url: Some(resource_url),
        }
    }

    /// Reads the document as a client sends it to open a session (also TS Chat C.2).
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "chatSessionInformation")?;
        let subject = field::required(root, "subject")?;
        let name = |part| field::optional_line(root, part, field::MAX_NAME);
        Ok(Self {
            subject: field::line(subject, "subject", field::MAX_SUBJECT)?,
            originator_address: field::address(root, "originatorAddress")?,
            originator_name: name("originatorName")?,
            t_participant_address: field::address(root, "tParticipantAddress")?,
            t_participant_name: name("tParticipantName")?,
            status: None,
            client_correlator: name("clientCorrelator")?,
            resource_url: None,
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Chat, "chatSessionInformation")
            .text("subject", &self.subject)
            .text("originatorAddress", self.originator_address.spelling())
            .maybe_text("originatorName", self.originator_name.as_deref())
            .text("tParticipantAddress", self.t_participant_address.spelling())
            .maybe_text("tParticipantName", self.t_participant_name.as_deref())
            .maybe_text("status", self.status.map(ParticipantStatus::as_str))
            .maybe_text("clientCorrelator", self.client_correlator.as_deref())
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }

    /// Makes it the order that opens the session.
    #[must_use]
    pub fn into_invitation(self, session: SessionId, user: Address) -> Invitation {
        let Self { subject, client_correlator, .. } = self;
        let originator = Party { address: self.originator_address, name: self.originator_name };
        let terminating =
            Party { address: self.t_participant_address, name: self.t_participant_name };
        Invitation { session, user, subject, originator, terminating, client_correlator }
    }
}

/// The status of a participant: the root `participantSessionStatus` (TS Chat 5.2.2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParticipantSessionStatus {
    /// The status.
    pub status: ParticipantStatus,
}

impl ParticipantSessionStatus {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "ParticipantSessionStatus",
        root: Some((Namespace::Chat, "participantSessionStatus")),
        parts: &[Part::new("status", Kind::OneOf(STATUSES.names))],
    };

    /// What stands in a request, as a document or as the form of TS Chat C.3.
    pub const REQUEST: Outline = Outline {
        name: "ParticipantSessionStatusRequest",
        parts: &[Part::new("status", Kind::OneOf(ANSWERS.names))],
        ..Self::OUTLINE
    };

    /// Reads the document as a client sends it to accept or decline (also TS Chat C.3).
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "participantSessionStatus")?;
        let status = field::choice(field::required(root, "status")?, "status", &ANSWERS)?;
        Ok(Self { status })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Chat, "participantSessionStatus")
            .text("status", self.status.as_str())
    }

    /// Makes it the order that it stands for in the name of a participant of a group.
    ///
    /// # Errors
    /// `Invited` is the server's to say.
    pub fn command_for(&self, participant: ParticipantId) -> Result<Command, DocumentError> {
        match self.status {
            ParticipantStatus::Connected => Ok(Command::AcceptAs(participant)),
            ParticipantStatus::Disconnected => Ok(Command::DeclineAs(participant)),
            ParticipantStatus::Invited => {
                Err(DocumentError::NotAllowed { part: "status", allowed: ANSWERS.names })
            }
        }
    }

    /// Makes it the order that it stands for.
    ///
    /// # Errors
    /// `Invited` is the server's to say.
    pub fn command(&self) -> Result<Command, DocumentError> {
        match self.status {
            ParticipantStatus::Connected => Ok(Command::Accept),
            ParticipantStatus::Disconnected => Ok(Command::Decline),
            ParticipantStatus::Invited => {
                Err(DocumentError::NotAllowed { part: "status", allowed: ANSWERS.names })
            }
        }
    }
}

/// The values of TS Chat 5.2.3.1.
pub(super) const STATUSES: Choices<ParticipantStatus> = Choices {
    names: &["Invited", "Connected", "Disconnected"],
    values: &[
        ParticipantStatus::Invited,
        ParticipantStatus::Connected,
        ParticipantStatus::Disconnected,
    ],
};

/// What a client may say of itself.
const ANSWERS: Choices<ParticipantStatus> = Choices {
    names: &["Connected", "Disconnected"],
    values: &[ParticipantStatus::Connected, ParticipantStatus::Disconnected],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oma::{BodyKind, Format, read};

    const FORM: &str = concat!(
        "subject=Hello%20friends&originatorAddress=tel%3A%2B19585550151&originatorName=Alice",
        "&tParticipantAddress=tel%3A%2B19585550152&tParticipantName=Bob&clientCorrelator=12345"
    );
    const JSON: &str = r#"{"chatSessionInformation": {
        "subject": "Hello friends", "originatorAddress": "tel:+19585550151",
        "originatorName": "Alice", "tParticipantAddress": "tel:+19585550152",
        "tParticipantName": "Bob", "clientCorrelator": 12345}}"#;
    const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <chat:chatSessionInformation xmlns:chat="urn:oma:xml:rest:netapi:chat:1">
          <subject>Hello friends</subject>
          <originatorAddress> tel:+19585550151 </originatorAddress>
          <originatorName>Alice</originatorName>
          <tParticipantAddress>tel:+19585550152</tParticipantAddress>
          <tParticipantName>Bob</tParticipantName>
          <status>Connected</status>
          <clientCorrelator>12345</clientCorrelator>
          <resourceURL>http://evil.example/</resourceURL>
        </chat:chatSessionInformation>"#;

    fn session(kind: BodyKind, text: &str) -> Result<ChatSessionInformation, DocumentError> {
        ChatSessionInformation::read(&read(kind, text.as_bytes()).unwrap())
    }

    fn status(text: &str) -> Result<ParticipantSessionStatus, DocumentError> {
        let kind = if text.starts_with('{') { BodyKind::Json } else { BodyKind::Form };
        ParticipantSessionStatus::read(&read(kind, text.as_bytes()).unwrap())
    }

    fn rendered(element: &Element, format: Format) -> String {
        String::from_utf8(element.render(format)).unwrap()
    }

    #[test]
    fn the_same_session_in_three_formats() {
        let from_form = session(BodyKind::Form, FORM).unwrap();
        assert_eq!(session(BodyKind::Json, JSON), Ok(from_form.clone()));
        assert_eq!(session(BodyKind::Xml, XML), Ok(from_form.clone()));
        let rootless =
            JSON.replacen(r#"{"chatSessionInformation": "#, "", 1).replacen("}}", "}", 1);
        assert_eq!(session(BodyKind::Json, &rootless), Ok(from_form.clone()));
        assert_eq!((from_form.status, &from_form.resource_url), (None, &None));
    }

    #[test]
    fn a_new_session_is_shown_as_the_appendix_prints_it() {
        let user = Address::parse("tel:+19585550151").unwrap();
        let order =
            session(BodyKind::Form, FORM).unwrap().into_invitation(SessionId::new("sess001"), user);
        let info = SessionInfo {
            subject: order.subject,
            originator: order.originator,
            terminating: order.terminating,
            status: ParticipantStatus::Invited,
            client_correlator: order.client_correlator,
        };
        let url = "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/sessions/sess001";
        let document = ChatSessionInformation::of(info, url.into()).write();
        assert_eq!(
            rendered(&document, Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:chatSessionInformation xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<subject>Hello friends</subject>",
                "<originatorAddress>tel:+19585550151</originatorAddress>",
                "<originatorName>Alice</originatorName>",
                "<tParticipantAddress>tel:+19585550152</tParticipantAddress>",
                "<tParticipantName>Bob</tParticipantName><status>Invited</status>",
                "<clientCorrelator>12345</clientCorrelator><resourceURL>",
                "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/sessions/sess001",
                "</resourceURL></chat:chatSessionInformation>"
            )
        );
        assert_eq!(
            rendered(&document, Format::Json),
            concat!(
                r#"{"chatSessionInformation":{"subject":"Hello friends","#,
                r#""originatorAddress":"tel:+19585550151","originatorName":"Alice","#,
                r#""tParticipantAddress":"tel:+19585550152","tParticipantName":"Bob","#,
                r#""status":"Invited","clientCorrelator":"12345","resourceURL":"#,
                r#""http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/sessions/sess001"}}"#
            )
        );
    }

    #[test]
    fn a_faulty_session_is_named() {
        let missing = |part| Err(DocumentError::Missing { part });
        assert_eq!(session(BodyKind::Form, "subject=x"), missing("originatorAddress"));
        assert_eq!(session(BodyKind::Form, &FORM.replace("subject", "x")), missing("subject"));
        assert_eq!(
            session(BodyKind::Form, &format!("{FORM}&subject=y")),
            Err(DocumentError::Repeated { part: "subject" })
        );
        let wrong = session(BodyKind::Form, &FORM.replace("tel%3A%2B19585550152", "0152"));
        assert_eq!(wrong.map_err(|error| error.part()), Err("tParticipantAddress"));
        assert_eq!(
            session(BodyKind::Xml, "<chatMessage><text>x</text></chatMessage>"),
            Err(DocumentError::WrongRoot {
                expected: "chatSessionInformation",
                found: "chatMessage".into()
            })
        );
    }

    #[test]
    fn nothing_that_could_break_a_header_passes() {
        for hostile in ["%0D%0ARoute:%20x", "%0A", "%E2%80%AE", "%E2%80%A8", "%C2%85"] {
            for (field, part) in
                [("Hello", "subject"), ("Alice", "originatorName"), ("Bob", "tParticipantName")]
            {
                let text = FORM.replace(field, &format!("{field}{hostile}"));
                let error = session(BodyKind::Form, &text).unwrap_err();
                assert!(matches!(error, DocumentError::Invalid { .. }), "{error}");
                assert_eq!(error.part(), part);
            }
        }
        let nul = Element::group("").text("subject", "a\0b");
        assert_eq!(ChatSessionInformation::read(&nul).unwrap_err().part(), "subject");
        let long = FORM.replace("Hello", &"x".repeat(2000));
        assert_eq!(session(BodyKind::Form, &long).unwrap_err().part(), "subject");
    }

    #[test]
    fn a_status_accepts_or_declines() {
        let accepted = status("status=Connected").unwrap();
        assert_eq!(accepted.command(), Ok(Command::Accept));
        assert_eq!(
            rendered(&accepted.write(), Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:participantSessionStatus xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<status>Connected</status></chat:participantSessionStatus>"
            )
        );
        let body = r#"{"participantSessionStatus":{"status":"Disconnected"}}"#;
        let declined = status(body).unwrap();
        assert_eq!(declined.command(), Ok(Command::Decline));
        assert_eq!(rendered(&declined.write(), Format::Json), body);
        assert_eq!(
            status(r#"{"status":"Invited"}"#),
            Err(DocumentError::NotAllowed {
                part: "status",
                allowed: &["Connected", "Disconnected"]
            })
        );
    }
}
