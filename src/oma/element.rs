//! The neutral tree between the documents and the formats.

use std::borrow::Cow;

use super::{Format, json, xml};

/// One element of a document: an XML element, a JSON member, a field of a form.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    pub(super) name: Cow<'static, str>,
    pub(super) namespace: Option<Namespace>,
    pub(super) attributes: Vec<(Cow<'static, str>, String)>,
    pub(super) content: Content,
    pub(super) shape: Shape,
}

/// What stands in an [`Element`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// A value.
    Leaf(Leaf),
    /// Further elements.
    Children(Vec<Element>),
    /// Whole documents, each with its root (`notificationList`).
    Documents(Vec<Element>),
}

/// A value, with what JSON must know of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A text.
    Text(String),
    /// A number, bare in JSON.
    Number(u64),
    /// A truth value, bare in JSON.
    Flag(bool),
}

/// How an element shows itself besides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Stands alone.
    Single,
    /// One of a list: JSON puts it and its neighbours of the same name into an array.
    Item,
    /// The list of that name is empty: JSON writes `[]`, XML nothing.
    EmptyList,
    /// Not part of the XML schema: written in JSON only.
    JsonOnly,
}

/// The namespaces of root elements, and the prefix that each is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// The Chat API.
    Chat,
    /// The Notification Channel API.
    Channel,
    /// What all the RESTful network APIs share.
    Common,
}

impl Namespace {
    /// Gives the name of the namespace.
    #[must_use]
    pub fn urn(self) -> &'static str {
        match self {
            Self::Chat => "urn:oma:xml:rest:netapi:chat:1",
            Self::Channel => "urn:oma:xml:rest:netapi:notificationchannel:1",
            Self::Common => "urn:oma:xml:rest:netapi:common:1",
        }
    }

    /// Gives the prefix that the namespace is written with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Channel => "nc",
            Self::Common => "common",
        }
    }
}

impl Element {
    /// Begins a document.
    #[must_use]
    pub fn root(namespace: Namespace, name: &'static str) -> Self {
        Self { namespace: Some(namespace), ..Self::group(name) }
    }

    /// Begins an element that holds further ones.
    #[must_use]
    pub fn group(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            namespace: None,
            attributes: Vec::new(),
            content: Content::Children(Vec::new()),
            shape: Shape::Single,
        }
    }

    /// Makes an element that holds a value.
    #[must_use]
    pub fn leaf(name: impl Into<Cow<'static, str>>, value: Leaf) -> Self {
        Self { content: Content::Leaf(value), ..Self::group(name) }
    }

    /// Makes a tree whose members stand without a root: JSON without one, or a form.
    pub(super) fn rootless(members: Vec<Self>) -> Self {
        Self { content: Content::Children(members), ..Self::group("") }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Adds an element; a whole document becomes a plain part of this one.
    #[must_use]
    pub fn with(mut self, child: Self) -> Self {
        self.push(Self { namespace: None, ..child });
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, name: &'static str, value: impl Into<String>) -> Self {
        self.with(Self::leaf(name, Leaf::Text(value.into())))
    }

    /// Adds a text where there is one.
    #[must_use]
    pub fn maybe_text(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a number where there is one.
    #[must_use]
    pub fn maybe_number(self, name: &'static str, value: Option<impl Into<u64>>) -> Self {
        match value {
            Some(value) => self.with(Self::leaf(name, Leaf::Number(value.into()))),
            None => self,
        }
    }

    /// Adds a truth value where there is one.
    #[must_use]
    pub fn maybe_flag(self, name: &'static str, value: Option<bool>) -> Self {
        match value {
            Some(value) => self.with(Self::leaf(name, Leaf::Flag(value))),
            None => self,
        }
    }

    /// Adds a text that only JSON shows.
    #[must_use]
    pub(super) fn json_text(self, name: &'static str, value: impl Into<String>) -> Self {
        let leaf = Self::leaf(name, Leaf::Text(value.into()));
        self.with(Self { shape: Shape::JsonOnly, ..leaf })
    }

    /// Adds the items of a list; no items, no list.
    #[must_use]
    pub(super) fn items(mut self, items: impl IntoIterator<Item = Self>) -> Self {
        for item in items {
            self.push(Self { namespace: None, shape: Shape::Item, ..item });
        }
        self
    }

    /// Adds the items of a list that JSON shows even when it is empty.
    #[must_use]
    pub(super) fn list(
        mut self,
        name: &'static str,
        items: impl IntoIterator<Item = Self>,
    ) -> Self {
        let before = self.children().len();
        self = self.items(items);
        if self.children().len() == before {
            self.push(Self { shape: Shape::EmptyList, ..Self::group(name) });
        }
        self
    }

    fn push(&mut self, child: Self) {
        if let Content::Children(children) = &mut self.content {
            children.push(child);
        }
    }

    /// Gives the name; empty for a body that came without a root.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the elements in this one.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        match &self.content {
            Content::Leaf(_) => &[],
            Content::Children(children) | Content::Documents(children) => children,
        }
    }

    /// Gives the elements of one name in this one.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Self> {
        self.children().iter().filter(move |child| child.name == name)
    }

    /// Gives the value as text, where the element holds one.
    #[must_use]
    pub fn value(&self) -> Option<Cow<'_, str>> {
        match &self.content {
            Content::Leaf(leaf) => Some(leaf.as_text()),
            Content::Children(_) | Content::Documents(_) => None,
        }
    }

    /// Estimates how long the document is, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len());
        let content = match &self.content {
            Content::Leaf(leaf) => leaf.as_text().len(),
            Content::Children(children) | Content::Documents(children) => {
                children.iter().map(Self::weight).sum()
            }
        };
        2 * self.name.len() + 8 + attributes.sum::<usize>() + content
    }

    /// Writes the document.
    #[must_use]
    pub fn render(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Xml => xml::write(self),
            Format::Json => json::write(self),
        }
    }
}

impl Leaf {
    /// Gives the value as it stands in XML.
    #[must_use]
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => number.to_string().into(),
            Self::Flag(true) => "true".into(),
            Self::Flag(false) => "false".into(),
        }
    }
}
