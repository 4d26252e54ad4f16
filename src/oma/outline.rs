//! What stands in each document: the parts in their order, how often each comes, and of which kind.
//!
//! The tables of TS Chat 5.2.2 as values. Tests hold the readers and writers of this folder to
//! them, and the XML schema of the project; the description of the API is made from them.

use super::element::Namespace;

/// A type of TS Chat 5.2.2, of the Common schema or of the Notification Channel API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// The name of the type, such as `ChatMessage`.
    pub name: &'static str,
    /// The namespace and name of the root element, where the type has one.
    pub root: Option<(Namespace, &'static str)>,
    /// The parts, in the order in which they are written.
    pub parts: &'static [Part],
}

/// An element, or an attribute, of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// How often it comes.
    pub occurs: Occurs,
    /// Who sets it, and where it shows.
    pub place: Place,
}

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text of any content, of at most so many characters.
    Text(Option<usize>),
    /// A text without line breaks, controls and bidirectional controls, of at most so many
    /// characters.
    Line(usize),
    /// The address of a user (TS Chat section 6).
    Address,
    /// An absolute URL.
    Url,
    /// A whole number from this one to [`u32::MAX`].
    Number(u32),
    /// A truth value.
    Flag,
    /// A date and time of RFC 3339.
    Moment,
    /// A media type, or its first half alone (RFC 3994 section 3.3).
    MediaType,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// This text, in small or large letters.
    AnyCase(&'static str),
    /// Further parts.
    Group(&'static Outline),
}

/// How often a part comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurs {
    /// Exactly once.
    Once,
    /// Once or not at all.
    Maybe,
    /// Exactly one of the parts that are so marked comes.
    Either,
    /// As a list of at least so many.
    List(usize),
}

/// Who sets a part, and where it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In requests and in answers.
    Both,
    /// In what the server says; requests need not have it, and nothing is taken from it there.
    Server,
    /// In what the server says in JSON; the XML schema does not have it.
    ServerJson,
    /// As an attribute in XML.
    Attribute,
}

impl Part {
    /// A part that comes exactly once, in requests and in answers.
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, occurs: Occurs::Once, place: Place::Both }
    }

    /// Makes it optional.
    pub(super) const fn maybe(self) -> Self {
        Self { occurs: Occurs::Maybe, ..self }
    }

    /// Makes it one of several, of which exactly one comes.
    pub(super) const fn either(self) -> Self {
        Self { occurs: Occurs::Either, ..self }
    }

    /// Makes it a list of at least so many.
    pub(super) const fn list(self, least: usize) -> Self {
        Self { occurs: Occurs::List(least), ..self }
    }

    /// Lets only the server set it.
    pub(super) const fn by_server(self) -> Self {
        Self { place: Place::Server, ..self }
    }

    /// Lets only the server set it, and only in JSON.
    pub(super) const fn in_json(self) -> Self {
        Self { place: Place::ServerJson, ..self }
    }

    /// Makes it an attribute.
    pub(super) const fn attribute(self) -> Self {
        Self { place: Place::Attribute, ..self }
    }
}

/// The tag of a client, which is given back unchanged.
pub(super) const CLIENT_CORRELATOR: Part =
    Part::new("clientCorrelator", Kind::Line(super::field::MAX_NAME)).maybe();

/// The URL of what the document shows.
pub(super) const RESOURCE_URL: Part = Part::new("resourceURL", Kind::Url).maybe().by_server();

/// A name of a user.
pub(super) const fn name(part: &'static str) -> Part {
    Part::new(part, Kind::Line(super::field::MAX_NAME)).maybe()
}

/// An address of a user.
pub(super) const fn address(part: &'static str) -> Part {
    Part::new(part, Kind::Address)
}

/// The subject of a session.
pub(super) const SUBJECT: Part = Part::new("subject", Kind::Line(super::field::MAX_SUBJECT));

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::element::{Content, Element, Leaf};
    use super::super::*;
    use super::*;

    /// A reader, with the writer behind it.
    type Way = fn(&Element) -> Result<Element, DocumentError>;

    /// Every document that a client sends, and the way of it through its reader and its writer.
    const DOCUMENTS: [(Outline, Way); 12] = [
        (ChatNotificationSubscription::OUTLINE, |tree| {
            ChatNotificationSubscription::read(tree).map(|document| document.write())
        }),
        (ChatSubscriptionList::OUTLINE, |tree| {
            ChatSubscriptionList::read(tree).map(|document| document.write())
        }),
        (ChatMessage::OUTLINE, |tree| ChatMessage::read(tree).map(|document| document.write())),
        (IsComposing::OUTLINE, |tree| IsComposing::read(tree).map(|document| document.write())),
        (MessageDeliveryStatus::OUTLINE, |tree| {
            MessageDeliveryStatus::read(tree).map(|document| document.write())
        }),
        (ParticipantSessionStatus::REQUEST, |tree| {
            ParticipantSessionStatus::read(tree).map(|document| document.write())
        }),
        (ChatSessionInformation::OUTLINE, |tree| {
            ChatSessionInformation::read(tree).map(|document| document.write())
        }),
        (GroupChatSessionInformation::OUTLINE, |tree| {
            GroupChatSessionInformation::read(tree).map(|document| document.write())
        }),
        (ParticipantList::OUTLINE, |tree| {
            ParticipantList::read(tree).map(|document| document.write())
        }),
        (ParticipantInformation::OUTLINE, |tree| {
            ParticipantInformation::read(tree).map(|document| document.write())
        }),
        (NotificationChannel::OUTLINE, |tree| {
            NotificationChannel::read(tree).map(|document| document.write())
        }),
        (NotificationChannelLifetime::OUTLINE, |tree| {
            NotificationChannelLifetime::read(tree).map(|document| document.write())
        }),
    ];

    fn documents() -> Vec<(Outline, Way)> {
        let notifications = Notification::OUTLINES.map(|outline| {
            let way: Way = |tree| Notification::read(tree).map(|document| document.into_document());
            (outline, way)
        });
        DOCUMENTS.into_iter().chain(notifications).collect()
    }

    #[test]
    fn readers_and_writers_know_every_part_in_its_order() {
        for (outline, way) in documents() {
            for form in [Fill::All, Fill::Least, Fill::OtherChoice] {
                let made = root(&outline, form);
                for (kind, format) in [(BodyKind::Xml, Format::Xml), (BodyKind::Json, Format::Json)]
                {
                    let body = made.render(format);
                    let text = String::from_utf8_lossy(&body);
                    let written = way(&read(kind, &body).unwrap());
                    let written = written.unwrap_or_else(|error| panic!("{error}: {text}"));
                    let again = written.render(format);
                    assert_eq!(String::from_utf8_lossy(&again), text, "{}", outline.name);
                }
            }
        }
    }

    #[test]
    fn a_part_that_is_missing_repeated_or_wrong_is_named() {
        for (outline, way) in documents() {
            for part in outline.parts.iter().filter(|part| is_taken(part)) {
                let fault = |values: &[Element]| {
                    let made = without(root(&outline, Fill::All), "senderAddress");
                    let made = with(made, part, values);
                    let body = made.render(Format::Json);
                    let told = String::from_utf8_lossy(&body).into_owned();
                    (way(&read(BodyKind::Json, &body).unwrap()).err(), told)
                };
                let named = |(found, told): (Option<DocumentError>, String)| {
                    let error = found.unwrap_or_else(|| panic!("{} passes: {told}", part.name));
                    assert_eq!(error.part(), part.name, "{told}");
                    error
                };
                let right = value(part, Fill::All);
                if matches!(part.occurs, Occurs::Once) {
                    assert!(matches!(named(fault(&[])), DocumentError::Missing { .. }));
                }
                if !matches!(part.occurs, Occurs::List(_)) {
                    named(fault(&[right.clone(), right]));
                }
                for (wrong, allowed) in wrong(part) {
                    let error = named(fault(&[wrong]));
                    if let Some(wanted) = allowed {
                        let DocumentError::NotAllowed { allowed, .. } = error else {
                            panic!("{error}")
                        };
                        assert_eq!(allowed, wanted);
                    }
                }
            }
        }
    }

    /// Which of the parts a made document has.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fill {
        All,
        Least,
        /// The last one of those that exclude each other, instead of the first.
        OtherChoice,
    }

    /// Makes a document of the parts that a client sends, or of all where the server alone sends it.
    fn root(outline: &Outline, fill: Fill) -> Element {
        let (namespace, name) = outline.root.unwrap();
        fill_in(Element::root(namespace, name), outline, fill)
    }

    fn fill_in(mut element: Element, outline: &Outline, fill: Fill) -> Element {
        let choice: Vec<_> =
            outline.parts.iter().filter(|part| part.occurs == Occurs::Either).collect();
        let chosen = if fill == Fill::OtherChoice { choice.last() } else { choice.first() };
        for part in outline.parts {
            if part.name == "senderAddress" {
                element = element.json_text("senderAddress", "tel:+19585550100");
            }
            if !is_taken(part) {
                continue;
            }
            let count = match (part.occurs, fill) {
                (Occurs::Once, _) | (Occurs::Maybe, Fill::All | Fill::OtherChoice) => 1,
                (Occurs::Maybe, Fill::Least) => 0,
                (Occurs::Either, _) => usize::from(chosen == Some(&part)),
                (Occurs::List(least), Fill::Least) => least,
                (Occurs::List(_), Fill::All | Fill::OtherChoice) => most(part),
            };
            // What the writer writes whether it was there or not.
            let count =
                if ["channelData", "isOriginator"].contains(&part.name) { 1 } else { count };
            element = match (part.place, part.occurs) {
                (Place::Attribute, _) if part.name == "type" => {
                    element.attribute("xsi:type", "nc:LongPollingData")
                }
                (Place::Attribute, _) => {
                    let value = value(part, fill).value().unwrap().into_owned();
                    element.attribute(part.name, value)
                }
                // A list that JSON shows even when it is empty.
                (_, Occurs::List(_)) if part.name == "chatNotificationSubscription" => {
                    element.list(part.name, vec![value(part, fill); count])
                }
                (_, Occurs::List(_)) => element.items(values(part, fill, count)),
                _ => vec![value(part, fill); count].into_iter().fold(element, Element::with),
            };
        }
        element
    }

    fn most(part: &Part) -> usize {
        if let Kind::OneOf(names) = part.kind { names.len() } else { 3 }
    }

    /// Makes a list; the values of an enumeration come in their order.
    fn values(part: &Part, fill: Fill, count: usize) -> Vec<Element> {
        let first = |place: usize, element: Element| match (part.kind, place) {
            (Kind::OneOf(names), place) => leaf(part, names[place]),
            // The first participant of a session is the originator.
            (Kind::Group(_), 1..) => without(element, "isOriginator"),
            _ => element,
        };
        (0..count).map(|place| first(place, value(part, fill))).collect()
    }

    fn value(part: &Part, fill: Fill) -> Element {
        match part.kind {
            Kind::Text(_) => leaf(part, "a <b>\nc"),
            Kind::Line(_) => leaf(part, "Hello & \"goodbye\""),
            Kind::Address => leaf(part, "tel:+19585550100"),
            Kind::Url => leaf(part, "http://example.com/x?y=z"),
            Kind::Number(least) => Element::leaf(part.name, Leaf::Number(least.max(7).into())),
            Kind::Flag => Element::leaf(part.name, Leaf::Flag(true)),
            Kind::Moment => leaf(part, "2011-07-28T17:51:59Z"),
            Kind::MediaType => leaf(part, "text/plain"),
            Kind::OneOf(names) => leaf(part, names.last().unwrap()),
            Kind::AnyCase(name) => leaf(part, &name.to_uppercase()),
            Kind::Group(outline) => fill_in(Element::group(part.name), outline, fill),
        }
    }

    fn wrong(part: &Part) -> Vec<(Element, Option<&'static [&'static str]>)> {
        let text = |text: &str| (leaf(part, text), None);
        match part.kind {
            Kind::Text(None) | Kind::Group(_) => Vec::new(),
            Kind::Text(Some(limit)) => vec![text(&"x".repeat(limit + 1))],
            Kind::Line(limit) => vec![text(&"x".repeat(limit + 1)), text("a\nb")],
            Kind::Address => vec![text("0152"), text("tel:0152"), text("")],
            Kind::Url => vec![text("ftp://x"), text("x"), text("")],
            Kind::Number(least) => {
                let below = (least > 0).then(|| text("0"));
                let wrong = [text("-1"), text("1.5"), text("many"), text("4294967296")];
                wrong.into_iter().chain(below).collect()
            }
            Kind::Flag => vec![(leaf(part, "yes"), Some(&["true", "false"]))],
            Kind::Moment => vec![text("yesterday")],
            Kind::MediaType => vec![text("a b"), text("/")],
            Kind::OneOf(names) => vec![(leaf(part, "Other"), Some(names))],
            Kind::AnyCase(_) => vec![(leaf(part, "Other"), None)],
        }
    }

    /// Tells whether something is taken from a part where a client sends it.
    fn is_taken(part: &Part) -> bool {
        match part.place {
            Place::Both | Place::Attribute => true,
            Place::Server | Place::ServerJson => false,
        }
    }

    fn leaf(part: &Part, text: &str) -> Element {
        Element::leaf(part.name, Leaf::Text(text.to_owned()))
    }

    fn without(mut element: Element, name: &str) -> Element {
        if let Content::Children(children) = &mut element.content {
            children.retain(|child| child.name() != name);
        }
        element
    }

    /// Puts other values in the place of a part.
    fn with(element: Element, part: &Part, values: &[Element]) -> Element {
        values.iter().cloned().fold(without(element, part.name), Element::with)
    }
}
