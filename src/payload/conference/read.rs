//! The lenient reader: unknown elements are passed over, unknown words count as absent.

use super::{Conference, ConferenceError, Disconnection, Endpoint, Extent, Joining};
use super::{NAMESPACE, Status, User, meaning};
use crate::payload::xml::Element;

impl Conference {
    /// Reads a document; the root may do without a namespace, as in RFC 4579.
    ///
    /// # Errors
    /// Names what makes it no state of a conference.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConferenceError> {
        let root = Element::read_list(bytes)?;
        if root.name != "conference-info" || !root.belongs_to(NAMESPACE) {
            return Err(ConferenceError::NotAConference);
        }
        let description = root.child(NAMESPACE, "conference-description");
        let conference = root.child(NAMESPACE, "conference-state");
        let users = root.child(NAMESPACE, "users");
        let number = |element: Option<&Element>, name: &str| {
            element.and_then(|it| it.text_of(NAMESPACE, name)).and_then(|text| text.parse().ok())
        };
        let listed = users.into_iter().flat_map(|users| users.children(NAMESPACE));
        Ok(Self {
            entity: root.attribute("entity").unwrap_or_default().to_owned(),
            state: extent(&root).unwrap_or_default(),
            version: root.attribute("version").and_then(|version| version.parse().ok()),
            subject: description.and_then(|it| it.text_of(NAMESPACE, "subject")),
            maximum_user_count: number(description, "maximum-user-count"),
            user_count: number(conference, "user-count"),
            users_state: users.and_then(extent),
            users: listed.filter(|child| child.name == "user").map(User::read).collect(),
        })
    }
}

impl User {
    fn read(element: &Element) -> Self {
        let endpoints = element.children(NAMESPACE).filter(|child| child.name == "endpoint");
        Self {
            entity: element.attribute("entity").unwrap_or_default().to_owned(),
            state: extent(element).unwrap_or_default(),
            is_own: matches!(element.attribute("yourown"), Some("true" | "1")),
            display_text: element.text_of(NAMESPACE, "display-text"),
            endpoints: endpoints.map(Endpoint::read).collect(),
        }
    }
}

impl Endpoint {
    fn read(element: &Element) -> Self {
        let text = |name: &str| element.text_of(NAMESPACE, name);
        let info = element.child(NAMESPACE, "disconnection-info");
        Self {
            entity: element.attribute("entity").unwrap_or_default().to_owned(),
            state: extent(element).unwrap_or_default(),
            display_text: text("display-text"),
            status: text("status").and_then(|word| meaning(&Status::WORDS, &word)),
            joining: text("joining-method").and_then(|word| meaning(&Joining::WORDS, &word)),
            disconnection: text("disconnection-method")
                .and_then(|word| meaning(&Disconnection::WORDS, &word)),
            reason: info.and_then(|info| info.text_of(NAMESPACE, "reason")),
        }
    }
}

fn extent(element: &Element) -> Option<Extent> {
    meaning(&Extent::WORDS, element.attribute("state")?)
}
