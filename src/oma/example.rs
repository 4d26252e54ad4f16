//! An example of each document, for the description of the API.

use super::element::{Element, Leaf};
use super::outline::{Kind, Occurs, Outline, Part, Place};

/// Who says what an example shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The client: without what only the server sets.
    Client,
    /// The server.
    Server,
}

impl Outline {
    /// Makes an example; of parts that exclude each other it has the first.
    #[must_use]
    pub fn example(&self, speaker: Speaker) -> Element {
        let begun = match self.root {
            Some((namespace, name)) => Element::root(namespace, name),
            None => Element::rootless(Vec::new()),
        };
        self.fill(begun, speaker)
    }

    fn fill(&self, element: Element, speaker: Speaker) -> Element {
        let either = self.parts.iter().find(|part| part.occurs == Occurs::Either);
        let parts = self.parts.iter().filter(|part| {
            (part.occurs != Occurs::Either || Some(*part) == either)
                && part.is_said_by(speaker)
                && !DISPENSABLE.contains(&part.name)
        });
        parts.fold(element, |element, part| match part.place {
            Place::Attribute => element.attribute(part.name, part.text()),
            Place::ServerJson => element.json_text(part.name, part.text()),
            Place::Both | Place::Server => match part.occurs {
                Occurs::List(_) => element.items([part.element(speaker)]),
                Occurs::Once | Occurs::Maybe | Occurs::Either => {
                    element.with(part.element(speaker))
                }
            },
        })
    }
}

impl Part {
    /// Tells whether the part shows in what the speaker says.
    #[must_use]
    pub fn is_said_by(&self, speaker: Speaker) -> bool {
        match self.place {
            Place::Both | Place::Attribute => true,
            Place::Server | Place::ServerJson => speaker == Speaker::Server,
        }
    }

    fn element(&self, speaker: Speaker) -> Element {
        let leaf = match self.kind {
            Kind::Group(outline) => {
                return outline.fill(Element::group(self.name), speaker);
            }
            Kind::Number(least) => Leaf::Number(least.max(60).into()),
            Kind::Flag => Leaf::Flag(true),
            Kind::Text(_)
            | Kind::Line(_)
            | Kind::Address
            | Kind::Url
            | Kind::Moment
            | Kind::MediaType
            | Kind::OneOf(_)
            | Kind::AnyCase(_) => Leaf::Text(self.text()),
        };
        Element::leaf(self.name, leaf)
    }

    /// Gives an example of the part's value as text.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some((_, text)) = TEXTS.iter().find(|(name, _)| *name == self.name) {
            return (*text).to_owned();
        }
        match self.kind {
            Kind::Text(_) | Kind::Line(_) | Kind::Group(_) => self.name.to_owned(),
            Kind::Address => "tel:+19585550101".to_owned(),
            Kind::Url => "http://example.com/".to_owned(),
            Kind::Number(least) => least.max(60).to_string(),
            Kind::Flag => "true".to_owned(),
            Kind::Moment => "2011-07-28T17:51:59Z".to_owned(),
            Kind::MediaType => "text/plain".to_owned(),
            Kind::OneOf(names) => names.first().copied().unwrap_or_default().to_owned(),
            Kind::AnyCase(name) => name.to_owned(),
        }
    }
}

/// What examples can do without: a correlator of an example would be used by everybody who tries it,
/// and a name for a type that is the only one says nothing.
const DISPENSABLE: [&str; 2] = ["clientCorrelator", "type"];

/// Examples of parts by their names.
const TEXTS: [(&str, &str); 16] = [
    ("subject", "Hello friends"),
    ("originatorAddress", "tel:+19585550100"),
    ("originatorName", "Alice"),
    ("tParticipantName", "Bob"),
    ("senderName", "Bob"),
    ("name", "Bob"),
    ("text", "How are you?"),
    ("notifyURL", "http://application.example.com/chat/notifications/77777"),
    ("callbackData", "abcd"),
    ("rel", "ChatNotificationSubscription"),
    ("href", "http://example.com/1/chat/tel%3A%2B19585550100/subscriptions/sub001"),
    ("applicationTag", "myApp"),
    ("messageId", "SVC0002"),
    ("variables", "text"),
    ("code", "SVC0002"),
    ("detail", "Invalid input value for message part text: text is missing"),
];
