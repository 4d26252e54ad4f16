//! Lists of recipients (RFC 4826), as INVITE and REFER carry them (RFC 5366, RFC 5368), with who is
//! told of whom (RFC 5364).

use bytes::Bytes;
use thiserror::Error;

use super::xml::{Element, XmlError, write_attribute};

/// The media type of the documents.
pub const CONTENT_TYPE: &str = "application/resource-lists+xml";

/// The Content-Disposition of a list of those who are to be reached.
pub const RECIPIENTS: &str = "recipient-list";

/// The Content-Disposition of a list that tells a recipient who the others are (RFC 5366 section
/// 5.1).
pub const HISTORY: &str = "recipient-list-history; handling=optional";

/// Who stands in a list in place of those who are not to be named (RFC 5364 section 4).
pub const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// The namespace of the lists (RFC 4826 section 3.2).
const NAMESPACE: &str = "urn:ietf:params:xml:ns:resource-lists";
/// The namespace of who is told of whom. Peers spell its last letters as they like, and it is found
/// by the name of the attribute alone.
const COPY_CONTROL: &str = "urn:ietf:params:xml:ns:copycontrol";
/// The deepest nesting of lists that is read.
const MAX_LISTS: usize = 16;

/// A list of recipients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceList {
    /// The recipients, each once, in the order of the document.
    pub entries: Vec<Entry>,
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address, as written.
    pub uri: String,
    /// The name, for people.
    pub display_name: Option<String>,
    /// What the others are told of this one.
    pub copy: CopyControl,
    /// Whether the others may be told no more than that there is somebody.
    pub anonymize: bool,
    /// How many this entry stands for, where it stands for nobody by name.
    pub count: Option<u32>,
}

/// What the others are told of a recipient (RFC 5364 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyControl {
    /// It is one of those that are meant.
    #[default]
    To,
    /// It is told for information.
    Cc,
    /// The others do not hear of it.
    Bcc,
}

/// Why bytes are not a list of recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResourceListError {
    /// Not XML that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another root element, or one of another namespace.
    #[error("the root element is not resource-lists of RFC 4826")]
    NotALists,
    /// A list within more than 16 others.
    #[error("lists nest deeper than {MAX_LISTS}")]
    TooDeep,
    /// An entry that stands elsewhere: nobody fetches documents for others.
    #[error("an entry refers to another document")]
    Reference,
    /// An entry without an address.
    #[error("an entry has no uri")]
    NoUri,
}

impl ResourceListError {
    /// Tells whether there is nothing wrong with the list but its length.
    #[must_use]
    pub fn is_too_long(self) -> bool {
        matches!(self, Self::Xml(XmlError::TooLong | XmlError::TooManyElements))
    }
}

impl Entry {
    /// Makes an entry for one of those that are meant.
    #[must_use]
    pub fn to(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            display_name: None,
            copy: CopyControl::To,
            anonymize: false,
            count: None,
        }
    }

    fn read(element: &Element) -> Result<Self, ResourceListError> {
        let uri = element.attribute("uri").filter(|uri| !uri.is_empty());
        Ok(Self {
            uri: uri.ok_or(ResourceListError::NoUri)?.to_owned(),
            display_name: element.text_of(NAMESPACE, "display-name"),
            copy: match element.attribute("copyControl") {
                Some("cc") => CopyControl::Cc,
                Some("bcc") => CopyControl::Bcc,
                Some(_) | None => CopyControl::To,
            },
            anonymize: matches!(element.attribute("anonymize"), Some("true" | "1")),
            count: element.attribute("count").and_then(|count| count.parse().ok()),
        })
    }

    fn write(&self, out: &mut String) {
        out.push_str("<entry");
        write_attribute(out, "uri", &self.uri);
        let copy = match self.copy {
            CopyControl::To => "to",
            CopyControl::Cc => "cc",
            CopyControl::Bcc => "bcc",
        };
        write_attribute(out, "cp:copyControl", copy);
        if self.anonymize {
            write_attribute(out, "cp:anonymize", "true");
        }
        if let Some(count) = self.count {
            write_attribute(out, "cp:count", &count.to_string());
        }
        match &self.display_name {
            Some(name) => {
                out.push('>');
                super::xml::write_leaf(out, "display-name", name);
                out.push_str("</entry>\r\n");
            }
            None => out.push_str("/>\r\n"),
        }
    }
}

impl ResourceList {
    /// Makes a list of those that are meant.
    #[must_use]
    pub fn of<S: Into<String>>(uris: impl IntoIterator<Item = S>) -> Self {
        Self { entries: uris.into_iter().map(Entry::to).collect() }
    }

    /// Reads a document: all of its lists as one, each address once. Two spellings of one address
    /// are two entries here: whose they are is not for this reader to know.
    ///
    /// # Errors
    /// Names what makes it no list that anybody should follow.
    pub fn parse(bytes: &[u8]) -> Result<Self, ResourceListError> {
        let root = Element::read_list(bytes)?;
        if root.name != "resource-lists" || !root.belongs_to(NAMESPACE) {
            return Err(ResourceListError::NotALists);
        }
        let mut list = Self::default();
        let mut known = std::collections::BTreeSet::new();
        let mut open: Vec<(usize, &Element)> = vec![(0, &root)];
        while let Some((depth, element)) = open.pop() {
            if depth > MAX_LISTS {
                return Err(ResourceListError::TooDeep);
            }
            let mut within = Vec::new();
            for child in element.children(NAMESPACE) {
                match child.name.as_str() {
                    "list" => within.push((depth + 1, child)),
                    "entry" => {
                        let entry = Entry::read(child)?;
                        if known.insert(entry.uri.to_ascii_lowercase()) {
                            list.entries.push(entry);
                        }
                    }
                    "entry-ref" | "external" => return Err(ResourceListError::Reference),
                    _ => {}
                }
            }
            open.extend(within.into_iter().rev());
        }
        Ok(list)
    }

    /// Gives the list as each recipient may read it (RFC 5366 section 5.1): without those that
    /// nobody hears of, and with those that are not to be named as a number.
    #[must_use]
    pub fn history(&self) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for copy in [CopyControl::To, CopyControl::Cc] {
            let alike = || self.entries.iter().filter(move |entry| entry.copy == copy);
            entries.extend(alike().filter(|entry| !entry.anonymize).cloned());
            let hidden = alike().filter(|entry| entry.anonymize).count();
            if let Some(count) = u32::try_from(hidden).ok().filter(|hidden| *hidden > 0) {
                let nobody = Entry { copy, count: Some(count), ..Entry::to(ANONYMOUS) };
                entries.push(nobody);
            }
        }
        Self { entries }
    }

    /// Writes a document with one list.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<resource-lists");
        write_attribute(&mut out, "xmlns", NAMESPACE);
        write_attribute(&mut out, "xmlns:cp", COPY_CONTROL);
        out.push_str(">\r\n<list>\r\n");
        self.entries.iter().for_each(|entry| entry.write(&mut out));
        out.push_str("</list>\r\n</resource-lists>\r\n");
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_of_the_rfc_is_read_in_both_spellings_of_its_namespace() {
        for namespace in
            ["urn:ietf:params:xml:ns:copycontrol", "urn:ietf:params:xml:ns:copyControl"]
        {
            let text = format!(
                "<?xml version=\"1.0\"?>\n<resource-lists xmlns=\"{NAMESPACE}\" xmlns:cp=\"{namespace}\">\n\
                 <list><entry uri=\"sip:bill@example.com\" cp:copyControl=\"to\"/>\
                 <entry uri=\"sip:randy@example.net\" cp:copyControl=\"to\" cp:anonymize=\"true\"/>\
                 <entry uri=\"sip:eddy@example.com\" cp:copyControl=\"to\" cp:anonymize=\"true\"/>\
                 <entry uri=\"sip:joe@example.org\" cp:copyControl=\"cc\"/>\
                 <entry uri=\"sip:carol@example.net\" cp:copyControl=\"cc\" cp:anonymize=\"true\"/>\
                 <entry uri=\"sip:ted@example.net\" cp:copyControl=\"bcc\"/>\
                 <entry uri=\"sip:andy@example.com\" cp:copyControl=\"bcc\"/></list>\n</resource-lists>"
            );
            let list = ResourceList::parse(text.as_bytes()).unwrap();
            assert_eq!(list.entries.len(), 7);
            let history = list.history();
            let told = history.entries.iter().map(|it| (it.uri.as_str(), it.copy, it.count));
            assert_eq!(
                told.collect::<Vec<_>>(),
                [
                    ("sip:bill@example.com", CopyControl::To, None),
                    (ANONYMOUS, CopyControl::To, Some(2)),
                    ("sip:joe@example.org", CopyControl::Cc, None),
                    (ANONYMOUS, CopyControl::Cc, Some(1)),
                ]
            );
            assert_eq!(ResourceList::parse(&history.write()).unwrap().entries.len(), 3);
        }
    }

    #[test]
    fn s8_duplicates_are_one_entry_and_lists_may_nest() {
        let text = format!(
            "<resource-lists xmlns='{NAMESPACE}'><list name='a'><entry uri='sip:a@x'>\
             <display-name>Ann</display-name></entry><list><entry uri='SIP:a@x'/>\
             <entry uri='sip:b@x'/></list></list><list><entry uri='sip:c@x'/><x:y xmlns:x='u'/></list>\
             </resource-lists>"
        );
        let list = ResourceList::parse(text.as_bytes()).unwrap();
        let uris: Vec<_> = list.entries.iter().map(|entry| entry.uri.as_str()).collect();
        assert_eq!(uris, ["sip:a@x", "sip:b@x", "sip:c@x"]);
        assert_eq!(list.entries.first().unwrap().display_name.as_deref(), Some("Ann"));
    }

    #[test]
    fn s8_hostile_lists_are_refused() {
        let lists =
            |inner: &str| format!("<resource-lists xmlns='{NAMESPACE}'>{inner}</resource-lists>");
        let entries = "<entry uri='sip:a@b'/>".repeat(100_000);
        for (text, fault) in [
            (lists(&format!("<list>{entries}</list>")), ResourceListError::Xml(XmlError::TooLong)),
            (format!("<!DOCTYPE a []>{}", lists("")), ResourceListError::Xml(XmlError::DocType)),
            (lists("<list><entry uri='&x;'/></list>"), XmlError::UnknownEntity.into()),
            (lists("<list><entry-ref ref='x'/></list>"), ResourceListError::Reference),
            (lists("<list><external anchor='http://x'/></list>"), ResourceListError::Reference),
            (lists("<list><entry/></list>"), ResourceListError::NoUri),
            (lists(&("<list>".repeat(17) + &"</list>".repeat(17))), ResourceListError::TooDeep),
            ("<list/>".to_owned(), ResourceListError::NotALists),
            ("<resource-lists xmlns='urn:x'/>".to_owned(), ResourceListError::NotALists),
        ] {
            assert_eq!(ResourceList::parse(text.as_bytes()), Err(fault), "{:.80}", text);
            assert_eq!(fault.is_too_long(), fault == XmlError::TooLong.into());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(uris in proptest::collection::btree_set("[a-z&<>\"']{1,9}", 0..9), name in proptest::option::of("[!-~]{1,9}")) {
            let mut list = ResourceList::of(uris);
            list.entries.iter_mut().for_each(|entry| entry.display_name = name.clone());
            prop_assert_eq!(ResourceList::parse(&list.write()), Ok(list));
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes: Vec<u8>) {
            let _ = ResourceList::parse(&bytes);
        }
    }
}
