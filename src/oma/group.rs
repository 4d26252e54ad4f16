//! `groupChatSessionInformation` (TS Chat 5.2.2.14).

use super::element::{Element, Namespace};
use super::field::{self, DocumentError};
use super::outline::{self, Outline};
use super::participant::{
    PARTICIPANT, PARTICIPANTS, ParticipantInformation, T_ADDRESSES, T_NAMES, read_all, read_flat,
    read_originator,
};

/// A group session: the root `groupChatSessionInformation` (TS Chat 5.2.2.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChatSessionInformation {
    /// The initial message to the participants.
    pub subject: String,
    /// The participants, the originator first; never empty.
    pub participants: Vec<ParticipantInformation>,
    /// The client's tag, given back unchanged.
    pub client_correlator: Option<String>,
    /// The URL of the session; never taken from a request.
    pub resource_url: Option<String>,
}

impl GroupChatSessionInformation {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "GroupChatSessionInformation",
        root: Some((Namespace::Chat, ROOT)),
        parts: &[
            outline::SUBJECT,
            PARTICIPANTS.list(1),
            outline::CLIENT_CORRELATOR,
            outline::RESOURCE_URL,
        ],
    };

    /// What stands in the form (TS Chat C.5).
    pub const FORM: Outline = Outline {
        name: "GroupChatSessionInformationForm",
        root: None,
        parts: &[
            outline::SUBJECT,
            outline::address("originatorAddress"),
            outline::name("originatorName"),
            T_ADDRESSES,
            T_NAMES,
            outline::CLIENT_CORRELATOR,
        ],
    };

    /// Reads the document as a client sends it to open a session (also TS Chat C.5).
    ///
    /// The first participant is the originator, unless another one is marked so: that one is put
    /// first.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, ROOT)?;
        let subject =
            field::line(field::required(root, "subject")?, "subject", field::MAX_SUBJECT)?;
        let participants = if field::is_flat(root) && root.all(PARTICIPANT).next().is_none() {
            let mut participants = vec![read_originator(root)?];
            participants.extend(read_flat(root, false)?);
            participants
        } else {
            originator_first(read_all(root, 1)?)?
        };
        let client_correlator = field::optional_line(root, "clientCorrelator", field::MAX_NAME)?;
        Ok(Self { subject, participants, client_correlator, resource_url: None })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Chat, ROOT)
            .text("subject", &self.subject)
            .list(PARTICIPANT, self.participants.iter().map(ParticipantInformation::item))
            .maybe_text("clientCorrelator", self.client_correlator.as_deref())
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

/// Puts the originator first and marks it.
fn originator_first(
    mut participants: Vec<ParticipantInformation>,
) -> Result<Vec<ParticipantInformation>, DocumentError> {
    let mut marked = (0..participants.len()).filter(|place| {
        participants.get(*place).is_some_and(|participant| participant.is_originator)
    });
    let (originator, another) = (marked.next(), marked.next());
    if another.is_some() {
        return Err(field::invalid("isOriginator", "only one participant is the originator"));
    }
    if let Some(before) = participants.get_mut(..=originator.unwrap_or(0)) {
        before.rotate_right(1);
    }
    if let Some(originator) = participants.first_mut() {
        originator.is_originator = true;
    }
    Ok(participants)
}

const ROOT: &str = "groupChatSessionInformation";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::chat::ParticipantStatus;
    use crate::oma::{BodyKind, Format, read};

    const FORM: &str = "subject=Hello%20friends&originatorAddress=tel%3A%2B19585550151\
        &originatorName=Alice&tParticipantAddress=tel%3A%2B19585550152&tParticipantName=Bob\
        &tParticipantAddress=tel%3A%2B19585550153&tParticipantName=Ted&clientCorrelator=12345";
    const JSON: &str = r#"{"groupChatSessionInformation": {"subject": "Hello friends",
        "participant": [
            {"address": "tel:+19585550151", "name": "Alice", "isOriginator": "true"},
            {"address": "tel:+19585550152", "name": "Bob", "isOriginator": false},
            {"address": "tel:+19585550153", "name": "Ted"}],
        "clientCorrelator": "12345"}}"#;
    const XML: &str = r#"<chat:groupChatSessionInformation
          xmlns:chat="urn:oma:xml:rest:netapi:chat:1"><subject>Hello friends</subject>
          <participant><address>tel:+19585550151</address><name>Alice</name></participant>
          <participant><address>tel:+19585550152</address><name>Bob</name></participant>
          <participant><address>tel:+19585550153</address><name>Ted</name>
            <status>Connected</status></participant>
          <clientCorrelator>12345</clientCorrelator><resourceURL>http://evil.example/</resourceURL>
        </chat:groupChatSessionInformation>"#;

    fn session(kind: BodyKind, text: &str) -> Result<GroupChatSessionInformation, DocumentError> {
        GroupChatSessionInformation::read(&read(kind, text.as_bytes()).unwrap())
    }

    fn rendered(session: &GroupChatSessionInformation, format: Format) -> String {
        String::from_utf8(session.write().render(format)).unwrap()
    }

    #[test]
    fn the_same_session_in_three_formats() {
        let from_form = session(BodyKind::Form, FORM).unwrap();
        assert_eq!(session(BodyKind::Json, JSON), Ok(from_form.clone()));
        assert_eq!(session(BodyKind::Xml, XML), Ok(from_form.clone()));
        let rootless = JSON.replacen(r#"{"groupChatSessionInformation": "#, "", 1);
        let rootless = rootless.replacen("}}", "}", 1);
        assert_eq!(session(BodyKind::Json, &rootless), Ok(from_form.clone()));
        let names: Vec<_> = from_form.participants.iter().map(|one| one.name.as_deref()).collect();
        assert_eq!(names, [Some("Alice"), Some("Bob"), Some("Ted")]);
        assert!(from_form.participants[0].is_originator);
    }

    #[test]
    fn a_new_session_is_shown_as_the_appendix_has_it() {
        let url = "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/groupSessions/sess001";
        let mut shown = session(BodyKind::Form, FORM).unwrap();
        shown.participants.pop();
        shown.resource_url = Some(url.into());
        for (place, participant) in shown.participants.iter_mut().enumerate() {
            let statuses = [ParticipantStatus::Connected, ParticipantStatus::Invited];
            participant.status = Some(statuses[place]);
            participant.resource_url = Some(format!("{url}/participants/part00{}", place + 1));
        }
        assert_eq!(
            rendered(&shown, Format::Xml),
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><chat:groupChatSessionInformation \
                 xmlns:chat=\"urn:oma:xml:rest:netapi:chat:1\"><subject>Hello friends</subject>\
                 <participant><address>tel:+19585550151</address><name>Alice</name>\
                 <isOriginator>true</isOriginator><status>Connected</status>\
                 <resourceURL>{url}/participants/part001</resourceURL></participant>\
                 <participant><address>tel:+19585550152</address><name>Bob</name>\
                 <status>Invited</status><resourceURL>{url}/participants/part002</resourceURL>\
                 </participant><clientCorrelator>12345</clientCorrelator>\
                 <resourceURL>{url}</resourceURL></chat:groupChatSessionInformation>"
            )
        );
        assert_eq!(
            rendered(&shown, Format::Json),
            format!(
                "{{\"groupChatSessionInformation\":{{\"subject\":\"Hello friends\",\
                 \"participant\":[{{\"address\":\"tel:+19585550151\",\"name\":\"Alice\",\
                 \"isOriginator\":true,\"status\":\"Connected\",\
                 \"resourceURL\":\"{url}/participants/part001\"}},\
                 {{\"address\":\"tel:+19585550152\",\"name\":\"Bob\",\"status\":\"Invited\",\
                 \"resourceURL\":\"{url}/participants/part002\"}}],\
                 \"clientCorrelator\":\"12345\",\"resourceURL\":\"{url}\"}}}}"
            )
        );
    }

    #[test]
    fn who_is_marked_as_originator_comes_first() {
        let told = |marked: &[usize]| {
            let one = |place: usize| {
                let mark = if marked.contains(&place) { ",\"isOriginator\":1" } else { "" };
                format!("{{\"address\":\"tel:+{place}\"{mark}}}")
            };
            let all = [one(1), one(2), one(3)].join(",");
            let session =
                session(BodyKind::Json, &format!("{{\"subject\":\"x\",\"participant\":[{all}]}}"))?;
            let all = session.participants.iter();
            let told: Vec<_> = all.map(|p| format!("{}{}", p.address, p.is_originator)).collect();
            Ok(told.join(" "))
        };
        let first = "tel:+1true tel:+2false tel:+3false".to_owned();
        assert_eq!(told(&[]), Ok(first.clone()));
        assert_eq!(told(&[1]), Ok(first));
        assert_eq!(told(&[3]), Ok("tel:+3true tel:+1false tel:+2false".to_owned()));
        let error: DocumentError = told(&[1, 3]).unwrap_err();
        assert_eq!(error.part(), "isOriginator");
    }

    #[test]
    fn a_faulty_session_is_named() {
        let missing = |part| Err(DocumentError::Missing { part });
        let empty = r#"{"groupChatSessionInformation":{"subject":"x","participant":[]}}"#;
        let with = |participant: &str| empty.replace("[]", participant);
        assert_eq!(session(BodyKind::Xml, "<groupChatSessionInformation/>"), missing("subject"));
        assert_eq!(session(BodyKind::Json, empty), missing("participant"));
        assert_eq!(session(BodyKind::Json, &with("[{}]")), missing("address"));
        assert_eq!(session(BodyKind::Form, "subject=x"), missing("originatorAddress"));
        let alone = "subject=x&originatorAddress=%2B1";
        assert_eq!(session(BodyKind::Form, alone), missing("tParticipantAddress"));
        let wrong = with(r#"[{"address":"tel:+1","isOriginator":"maybe"}]"#);
        assert_eq!(session(BodyKind::Json, &wrong).unwrap_err().part(), "isOriginator");
        let hostile = FORM.replace("Ted", "Ted%0D%0ARoute:%20x");
        assert_eq!(session(BodyKind::Form, &hostile).unwrap_err().part(), "tParticipantName");
    }
}
