//! Participants of a group session, one and many (TS Chat 5.2.2.8, 5.2.2.15, 5.2.2.16).

use super::element::{Element, Namespace};
use super::field::{self, DocumentError};
use super::outline::{self, Kind, Outline, Part};
use super::reference::Link;
use super::session::STATUSES;
use crate::address::Address;
use crate::chat::{Newcomer, Participant, ParticipantStatus, Party};

/// A participant: the root `participantInformation` (TS Chat 5.2.2.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantInformation {
    /// The address.
    pub address: Address,
    /// The human readable name.
    pub name: Option<String>,
    /// Whether the participant has opened the session.
    pub is_originator: bool,
    /// The connection status; never taken from a request.
    pub status: Option<ParticipantStatus>,
    /// The client's tag, given back unchanged.
    pub client_correlator: Option<String>,
    /// The URL of the participant; never taken from a request.
    pub resource_url: Option<String>,
}

impl ParticipantInformation {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "ParticipantInformation",
        root: Some((Namespace::Chat, "participantInformation")),
        parts: &[
            outline::address("address"),
            outline::name("name"),
            Part::new("isOriginator", Kind::Flag).maybe(),
            Part::new("status", Kind::OneOf(STATUSES.names)).maybe().by_server(),
            outline::CLIENT_CORRELATOR,
            outline::RESOURCE_URL,
        ],
    };

    /// Names a participant as a client does.
    #[must_use]
    pub fn of(party: Party) -> Self {
        let Party { address, name } = party;
        Self {
            address,
            name,
            is_originator: false,
            status: None,
            client_correlator: None,
            resource_url: None,
        }
    }

    /// Reads the document as a client sends it (also TS Chat C.6.1). The root may be `participant`,
    /// as the appendix prints it.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = Self::root(tree)?;
        Ok(Self {
            address: field::address(root, "address")?,
            name: field::optional_line(root, "name", field::MAX_NAME)?,
            is_originator: field::flag(root, "isOriginator")?.unwrap_or(false),
            status: None,
            client_correlator: field::optional_line(root, "clientCorrelator", field::MAX_NAME)?,
            resource_url: None,
        })
    }

    /// Reads the document as a server shows it.
    pub(super) fn read_shown(tree: &Element) -> Result<Self, DocumentError> {
        let root = Self::root(tree)?;
        let status = field::optional_choice(root, "status", &STATUSES)?;
        let resource_url = field::optional_url(root, "resourceURL")?;
        Ok(Self { status, resource_url, ..Self::read(tree)? })
    }

    fn root(tree: &Element) -> Result<&Element, DocumentError> {
        let root = field::document(tree, PARTICIPANT)
            .or_else(|_| field::document(tree, "participantInformation"))?;
        Ok(field::document(root, "participantInformation").unwrap_or(root))
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        self.fill(Element::root(Namespace::Chat, "participantInformation"))
    }

    /// Writes the participant as one of several.
    pub(super) fn item(&self) -> Element {
        self.fill(Element::group(PARTICIPANT))
    }

    fn fill(&self, element: Element) -> Element {
        element
            .text("address", self.address.spelling())
            .maybe_text("name", self.name.as_deref())
            .maybe_flag("isOriginator", self.is_originator.then_some(true))
            .maybe_text("status", self.status.map(ParticipantStatus::as_str))
            .maybe_text("clientCorrelator", self.client_correlator.as_deref())
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }

    /// Shows a participant under its URL.
    #[must_use]
    pub fn shown(participant: Participant, resource_url: String) -> Self {
        let Participant { party, is_originator, status, client_correlator, .. } = participant;
        Self {
            is_originator,
            status: Some(status),
            client_correlator,
            resource_url: Some(resource_url),
            ..Self::of(party)
        }
    }

    /// Gives the participant as an order names it.
    #[must_use]
    pub fn newcomer(&self) -> Newcomer {
        Newcomer { client_correlator: self.client_correlator.clone(), ..Newcomer::of(self.party()) }
    }

    /// Gives the participant as the rules of a chat name it.
    #[must_use]
    pub fn party(&self) -> Party {
        Party { address: self.address.clone(), name: self.name.clone() }
    }
}

/// All participants of a session: the root `participantList` (TS Chat 5.2.2.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantList {
    /// The participants, at least one.
    pub participants: Vec<ParticipantInformation>,
    /// The URL of the list; never taken from a request.
    pub resource_url: Option<String>,
}

impl ParticipantList {
    /// What stands in the document.
    pub const OUTLINE: Outline = Outline {
        name: "ParticipantList",
        root: Some((Namespace::Chat, "participantList")),
        parts: &[PARTICIPANTS.list(1), outline::RESOURCE_URL],
    };

    /// Reads the document as a client sends it.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let root = field::document(tree, "participantList")?;
        Ok(Self { participants: read_all(root, 1)?, resource_url: None })
    }

    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Element {
        Element::root(Namespace::Chat, "participantList")
            .list(PARTICIPANT, self.participants.iter().map(ParticipantInformation::item))
            .maybe_text("resourceURL", self.resource_url.as_deref())
    }
}

/// Who is to be added, joins or joins again: a `participantInformation`, a `participantList`, or the
/// form of TS Chat C.6 (6.9.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewParticipants(pub Vec<ParticipantInformation>);

impl NewParticipants {
    /// What stands in the form (TS Chat C.6).
    pub const FORM: Outline = Outline {
        name: "NewParticipantsForm",
        root: None,
        parts: &[T_ADDRESSES, T_NAMES, CORRELATORS],
    };

    /// Reads the document that the root names, or the form.
    ///
    /// # Errors
    /// Names the part that is missing or wrong. A form must have as many names, and as many
    /// correlators, as addresses, or none.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let is_list = match tree.name() {
            "" => tree.children().iter().any(|child| child.name() == "participantList"),
            name => name == "participantList",
        };
        if is_list {
            return ParticipantList::read(tree).map(|list| Self(list.participants));
        }
        if field::is_flat(tree) {
            if tree.all(T_ADDRESS).next().is_some() {
                return read_flat(tree, true).map(Self);
            }
            if tree.all(PARTICIPANT).next().is_some() {
                return read_all(tree, 1).map(Self);
            }
        }
        ParticipantInformation::read(tree).map(|one| Self(vec![one]))
    }
}

/// Who is to be in the group session that a 1-1 session is extended to: a `participantList`, or the
/// form of TS Chat C.4 (6.6.5). Those who are in the 1-1 session may be repeated, but need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension(pub Vec<ParticipantInformation>);

impl Extension {
    /// What stands in the form (TS Chat C.4).
    pub const FORM: Outline = Outline {
        name: "ExtensionForm",
        root: None,
        parts: &[outline::address(O_ADDRESS).maybe(), outline::name(O_NAME), T_ADDRESSES, T_NAMES],
    };

    /// Reads the document, or the form.
    ///
    /// # Errors
    /// Names the part that is missing or wrong. A form must have as many names as addresses, or
    /// none.
    pub fn read(tree: &Element) -> Result<Self, DocumentError> {
        let is_form = field::is_flat(tree)
            && [O_ADDRESS, T_ADDRESS].iter().any(|name| tree.all(name).next().is_some());
        if !is_form {
            return ParticipantList::read(tree).map(|list| Self(list.participants));
        }
        let originator = field::optional(tree, O_ADDRESS)?.map(|_| read_originator(tree));
        let mut participants: Vec<_> = originator.into_iter().collect::<Result<_, _>>()?;
        participants.extend(read_flat(tree, false)?);
        Ok(Self(participants))
    }
}

/// How a participant stands now: an entry of `participantStatusNotification` (TS Chat 5.2.2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantStatusEntry {
    /// The address.
    pub address: Address,
    /// The human readable name.
    pub name: Option<String>,
    /// The connection status.
    pub status: Option<ParticipantStatus>,
    /// Whether the entry is about the user who is told.
    pub your_own: bool,
    /// Where the participant is a resource.
    pub links: Vec<Link>,
}

impl ParticipantStatusEntry {
    /// What stands in the entry.
    pub const OUTLINE: Outline = Outline {
        name: "ParticipantStatusEntry",
        root: None,
        parts: &[
            outline::address("address"),
            outline::name("name"),
            Part::new("status", Kind::OneOf(STATUSES.names)).maybe(),
            Part::new("yourown", Kind::Flag).maybe(),
            Link::PART,
        ],
    };

    /// Reads the entry.
    pub(super) fn read(element: &Element) -> Result<Self, DocumentError> {
        Ok(Self {
            address: field::address(element, "address")?,
            name: field::optional_line(element, "name", field::MAX_NAME)?,
            status: field::optional_choice(element, "status", &STATUSES)?,
            your_own: field::flag(element, "yourown")?.unwrap_or(false),
            links: Link::read_all(element)?,
        })
    }

    /// Writes the entry.
    pub(super) fn item(&self) -> Element {
        Element::group(PARTICIPANT)
            .text("address", self.address.spelling())
            .maybe_text("name", self.name.as_deref())
            .maybe_text("status", self.status.map(ParticipantStatus::as_str))
            .maybe_flag("yourown", self.your_own.then_some(true))
            .items(self.links.iter().map(Link::write))
    }
}

/// Reads the list of participants in a document, which must be at least so many.
pub(super) fn read_all(
    root: &Element,
    least: usize,
) -> Result<Vec<ParticipantInformation>, DocumentError> {
    let participants: Vec<_> =
        root.all(PARTICIPANT).map(ParticipantInformation::read).collect::<Result<_, _>>()?;
    demand(&participants, least)?;
    Ok(participants)
}

/// Demands a list of at least so many participants.
pub(super) fn demand<T>(participants: &[T], least: usize) -> Result<(), DocumentError> {
    match participants.len() {
        0 => Err(DocumentError::Missing { part: PARTICIPANT }),
        count if count < least => {
            Err(field::invalid(PARTICIPANT, format!("there must be at least {least}")))
        }
        _ => Ok(()),
    }
}

/// Reads the originator of a form (TS Chat C.4, C.5).
pub(super) fn read_originator(form: &Element) -> Result<ParticipantInformation, DocumentError> {
    let address = field::address(form, O_ADDRESS)?;
    let name = field::optional_line(form, O_NAME, field::MAX_NAME)?;
    let party = Party { address, name };
    Ok(ParticipantInformation { is_originator: true, ..ParticipantInformation::of(party) })
}

/// Reads the lists of a form, which pair by position; correlators belong to the participants where
/// they are `tagged` (TS Chat C.4 to C.6).
pub(super) fn read_flat(
    form: &Element,
    tagged: bool,
) -> Result<Vec<ParticipantInformation>, DocumentError> {
    let addresses: Vec<_> = form.all(T_ADDRESS).collect();
    if addresses.is_empty() {
        return Err(DocumentError::Missing { part: T_ADDRESS });
    }
    let names = paired(form, T_NAME, addresses.len())?;
    let tags = if tagged { paired(form, CORRELATOR, addresses.len())? } else { Vec::new() };
    let pairs = addresses.into_iter().enumerate();
    pairs
        .map(|(place, field)| {
            let address = field::address_of(field, T_ADDRESS)?;
            let name = names.get(place).cloned().flatten();
            let client_correlator = tags.get(place).cloned().flatten();
            let one = ParticipantInformation::of(Party { address, name });
            Ok(ParticipantInformation { client_correlator, ..one })
        })
        .collect()
}

/// Reads a list that has one text for each address, or none at all; an empty text is none.
fn paired(
    form: &Element,
    part: &'static str,
    count: usize,
) -> Result<Vec<Option<String>>, DocumentError> {
    let texts: Vec<_> = form
        .all(part)
        .map(|field| field::line(field, part, field::MAX_NAME))
        .map(|text| text.map(|text| Some(text).filter(|text| !text.is_empty())))
        .collect::<Result<_, _>>()?;
    if !texts.is_empty() && texts.len() != count {
        let right = format!("there must be none, or one for each {T_ADDRESS}");
        return Err(field::invalid(part, right));
    }
    Ok(texts)
}

/// The name of a participant in a list.
pub(super) const PARTICIPANT: &str = "participant";

/// The participants in a document.
pub(super) const PARTICIPANTS: Part =
    Part::new(PARTICIPANT, Kind::Group(&ParticipantInformation::OUTLINE));

const O_ADDRESS: &str = "originatorAddress";
const O_NAME: &str = "originatorName";
const T_ADDRESS: &str = "tParticipantAddress";
const T_NAME: &str = "tParticipantName";
const CORRELATOR: &str = "clientCorrelator";

/// The addresses in a form.
pub(super) const T_ADDRESSES: Part = Part::new(T_ADDRESS, Kind::Address).list(1);

/// The names in a form.
pub(super) const T_NAMES: Part = Part::new(T_NAME, Kind::Line(field::MAX_NAME)).list(0);

/// The correlators in a form.
const CORRELATORS: Part = Part::new(CORRELATOR, Kind::Line(field::MAX_NAME)).list(0);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::oma::{BodyKind, Format, read};

    const ONE: &str = "tParticipantAddress=tel%3A%2B19585550154&tParticipantName=John\
                       &clientCorrelator=12345";
    const TWO: &str = concat!(
        "tParticipantAddress=tel%3A%2B19585550154&tParticipantAddress=tel%3A%2B19585550155",
        "&tParticipantName=John&tParticipantName=Peter&clientCorrelator=12345",
        "&clientCorrelator=67890&"
    );
    const URL: &str = "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550151/groupSessions/gs001/participants";

    fn tree(text: &str) -> Element {
        let kind = match text.as_bytes().first() {
            Some(b'<') => BodyKind::Xml,
            Some(b'{') => BodyKind::Json,
            _ => BodyKind::Form,
        };
        read(kind, text.as_bytes()).unwrap()
    }

    fn added(text: &str) -> Result<Vec<ParticipantInformation>, DocumentError> {
        NewParticipants::read(&tree(text)).map(|added| added.0)
    }

    fn extended(text: &str) -> Result<Vec<(String, Option<String>)>, DocumentError> {
        let all = Extension::read(&tree(text))?.0;
        Ok(all.into_iter().map(|one| (one.address.to_string(), one.name)).collect())
    }

    fn rendered(element: &Element, format: Format) -> String {
        String::from_utf8(element.render(format)).unwrap()
    }

    fn john() -> ParticipantInformation {
        let address = Address::parse("tel:+19585550154").unwrap();
        let client_correlator = Some("12345".into());
        let john = ParticipantInformation::of(Party { address, name: Some("John".into()) });
        ParticipantInformation { client_correlator, ..john }
    }

    #[test]
    fn one_participant_is_added_in_every_format() {
        let root = |name: &str| {
            format!(
                "<c:{name} xmlns:c='urn:oma:xml:rest:netapi:chat:1'>\
                 <address>tel:+19585550154</address><name>John</name><status>Foo</status>\
                 <clientCorrelator>12345</clientCorrelator><resourceURL>x</resourceURL></c:{name}>"
            )
        };
        let json = r#"{"address":"tel:+19585550154","name":"John","clientCorrelator":12345}"#;
        for text in [
            ONE,
            &root("participantInformation"),
            &root("participant"),
            json,
            &format!(r#"{{"participantInformation":{json}}}"#),
            &format!(r#"{{"participant":{json}}}"#),
            &format!(r#"{{"participant":[{json}]}}"#),
            &format!(r#"{{"participantList":{{"participant":{json}}}}}"#),
            &format!(r#"{{"participantList":{{"participant":[{json}]}}}}"#),
        ] {
            assert_eq!(added(text), Ok(vec![john()]), "{text}");
        }
    }

    #[test]
    fn an_added_participant_is_shown_as_the_appendix_has_it() {
        let shown = ParticipantInformation {
            status: Some(ParticipantStatus::Invited),
            resource_url: Some(format!("{URL}/part004")),
            ..john()
        };
        assert_eq!(
            rendered(&shown.write(), Format::Xml),
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><chat:participantInformation \
                 xmlns:chat=\"urn:oma:xml:rest:netapi:chat:1\"><address>tel:+19585550154</address>\
                 <name>John</name><status>Invited</status><clientCorrelator>12345\
                 </clientCorrelator><resourceURL>{URL}/part004</resourceURL>\
                 </chat:participantInformation>"
            )
        );
        assert_eq!(
            rendered(&shown.write(), Format::Json),
            format!(
                "{{\"participantInformation\":{{\"address\":\"tel:+19585550154\",\
                 \"name\":\"John\",\"status\":\"Invited\",\"clientCorrelator\":\"12345\",\
                 \"resourceURL\":\"{URL}/part004\"}}}}"
            )
        );
        for format in [Format::Xml, Format::Json] {
            let again = tree(&rendered(&shown.write(), format));
            assert_eq!(ParticipantInformation::read_shown(&again), Ok(shown.clone()));
            assert_eq!(ParticipantInformation::read(&again), Ok(john()));
        }
    }

    #[test]
    fn many_are_added_and_the_whole_list_is_shown() {
        let participants = added(TWO).unwrap();
        let told = |one: &ParticipantInformation| {
            (one.name.clone().unwrap(), one.client_correlator.clone().unwrap())
        };
        let all: Vec<_> = participants.iter().map(told).collect();
        assert_eq!(all, [("John".into(), "12345".into()), ("Peter".into(), "67890".into())]);
        let alice = ParticipantInformation {
            is_originator: true,
            status: Some(ParticipantStatus::Connected),
            client_correlator: None,
            ..john()
        };
        let list = ParticipantList { participants: vec![alice, john()], resource_url: None };
        assert_eq!(
            rendered(&list.write(), Format::Xml),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<chat:participantList xmlns:chat="urn:oma:xml:rest:netapi:chat:1">"#,
                "<participant><address>tel:+19585550154</address><name>John</name>",
                "<isOriginator>true</isOriginator><status>Connected</status></participant>",
                "<participant><address>tel:+19585550154</address><name>John</name>",
                "<clientCorrelator>12345</clientCorrelator></participant></chat:participantList>"
            )
        );
        assert_eq!(
            rendered(&list.write(), Format::Json),
            concat!(
                r#"{"participantList":{"participant":[{"address":"tel:+19585550154","#,
                r#""name":"John","isOriginator":true,"status":"Connected"},"#,
                r#"{"address":"tel:+19585550154","name":"John","clientCorrelator":"12345"}]}}"#
            )
        );
        for format in [Format::Xml, Format::Json] {
            let again = ParticipantList::read(&tree(&rendered(&list.write(), format))).unwrap();
            assert_eq!(again.participants[1], john());
            assert!(again.participants[0].is_originator && again.participants[0].status.is_none());
        }
    }

    #[test]
    fn the_lists_of_a_form_pair_or_are_refused() {
        let names = |text: &str| -> Vec<_> {
            added(text).unwrap().into_iter().map(|one| one.name).collect()
        };
        let addresses = "tParticipantAddress=%2B1&tParticipantAddress=%2B2";
        assert_eq!(names(addresses), [None, None]);
        let one_name = format!("{addresses}&tParticipantName=&tParticipantName=B");
        assert_eq!(names(&one_name), [None, Some("B".into())]);
        for (more, part) in [
            ("&tParticipantName=A", "tParticipantName"),
            ("&tParticipantName=A&tParticipantName=B&tParticipantName=C", "tParticipantName"),
            ("&clientCorrelator=1", "clientCorrelator"),
        ] {
            let error = added(&format!("{addresses}{more}")).unwrap_err();
            assert_eq!(error.part(), part, "{error}");
        }
        assert_eq!(added("tParticipantAddress=0152").unwrap_err().part(), "tParticipantAddress");
        assert_eq!(added("x=y"), Err(DocumentError::Missing { part: "address" }));
    }

    #[test]
    fn a_session_is_extended_by_a_form_or_a_list() {
        let form = "originatorAddress=tel%3A%2B19585550151&originatorName=Alice\
                    &tParticipantAddress=tel%3A%2B19585550152&tParticipantName=Bob\
                    &tParticipantAddress=tel%3A%2B19585550153&tParticipantName=Ted";
        let all: Vec<(String, Option<String>)> = [
            ("tel:+19585550151", "Alice"),
            ("tel:+19585550152", "Bob"),
            ("tel:+19585550153", "Ted"),
        ]
        .map(|(address, name)| (address.into(), Some(name.into())))
        .into();
        assert_eq!(extended(form), Ok(all.clone()));
        let list = "<participantList><participant><address>tel:+19585550153</address>\
                    <name>Ted</name></participant></participantList>";
        assert_eq!(extended(list), Ok(vec![all[2].clone()]));
        let only_new = "tParticipantAddress=tel%3A%2B19585550153&tParticipantName=Ted";
        assert_eq!(extended(only_new), Ok(vec![all[2].clone()]));
        let missing = |part| Err(DocumentError::Missing { part });
        assert_eq!(extended("originatorAddress=%2B1"), missing("tParticipantAddress"));
        assert_eq!(extended(r#"{"participantList":{}}"#), missing("participant"));
        assert_eq!(extended(r#"{"participantList":{"participant":[{}]}}"#), missing("address"));
    }
}
