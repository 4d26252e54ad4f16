//! The header fields of a message, in order, in the words of `rsip`.

use std::fmt;
use std::ops::Range;

use super::grammar::{is_token, split_once_outside, split_outside, trimmed};
use super::header_name::{Known, Name, of_rsip, to_rsip};

/// The header fields of a message, in the order of the wire.
///
/// Values are kept verbatim (folds undone, outer white space off). Names are looked up whatever
/// their case, in long or compact form (RFC 3261 section 7.3). No value can break out of its line:
/// what would is turned into a space on its way in.
///
/// All fields share one text, so that a message costs two allocations however many it has; they
/// turn into an `rsip::Headers`, and out of one.
#[derive(Clone, Default)]
pub struct Headers {
    /// What the fields point into. What has been replaced stays in it unread, until `tidy`.
    text: String,
    fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: FieldName,
    value: Span,
}

#[derive(Debug, Clone, Copy)]
enum FieldName {
    Known(Known),
    Other(Span),
}

/// A stretch of the text, in bytes.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

/// Where the decoder found a name, unless it is known.
pub(super) enum Place {
    Known(Known),
    At(Range<usize>),
}

impl Span {
    /// Beyond 4 GB, which no message reaches, nothing is found any more.
    fn new(range: Range<usize>) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

impl Headers {
    /// No header at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// No header yet, but room for so many, whose names and values have so many bytes.
    pub(super) fn with_room(fields: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), fields: Vec::with_capacity(fields) }
    }

    /// A copy of the headers of these names and no others, in their order and in no more room than
    /// they need.
    pub(super) fn only(&self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| Name::of(name)).collect::<Vec<_>>();
        let is_one = |field: &&Field| names.iter().any(|name| field.is_called(*name, &self.text));
        let fields: Vec<&Field> = self.fields.iter().filter(is_one).collect();
        let bytes = fields.iter().map(|field| field.value.len() + field.name_len()).sum();
        let mut copy = Self::with_room(fields.len(), bytes);
        for field in fields {
            copy.adopt(field.name(&self.text), field.value.of(&self.text));
        }
        copy
    }

    /// Adds a header behind the others. A name that is no token adds nothing.
    pub fn push(&mut self, name: &str, value: &str) {
        if let Some(field) = self.write_safe(name, value) {
            self.fields.push(field);
        }
    }

    /// Adds a header before all others: `Via` and `Record-Route` on their way through a proxy.
    pub fn push_front(&mut self, name: &str, value: &str) {
        if let Some(field) = self.write_safe(name, value) {
            self.fields.insert(0, field);
        }
    }

    /// Makes this the only header of its name, in the place of the first, or at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let Some(field) = self.write_safe(name, value) else { return };
        let mut fresh = Some(field);
        let (text, name) = (&self.text, Name::of(name));
        self.fields.retain_mut(|old| {
            if !old.is_called(name, text) {
                return true;
            }
            fresh.take().map(|field| *old = field).is_some()
        });
        self.fields.extend(fresh);
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        let (text, name) = (&self.text, Name::of(name));
        self.fields.retain(|field| !field.is_called(name, text));
    }

    /// Takes the first element off a list header: the top `Via`, the first `Route`. The others
    /// stay where they are, also those of the same line.
    pub fn take_first(&mut self, name: &str) -> Option<String> {
        let (text, name) = (&self.text, Name::of(name));
        let mut taken = None;
        self.fields.retain_mut(|field| {
            if taken.is_some() || !field.is_called(name, text) {
                return true;
            }
            // Empty elements are none (see `list`), and leave with the first that is one.
            let mut rest = field.value.of(text);
            while taken.is_none() && !rest.is_empty() {
                let (first, more) = split_once_outside(rest, b',').unwrap_or((rest, ""));
                taken = Some(trimmed(first).to_owned()).filter(|first| !first.is_empty());
                rest = trimmed(more);
            }
            // What is left is the end of the value.
            field.value.start = field.value.end.saturating_sub(rest.len() as u32);
            !rest.is_empty()
        });
        taken
    }

    /// Adds copies of every header of this name in another message, verbatim and in order.
    pub fn copy(&mut self, name: &str, other: &Self) {
        let name = Name::of(name);
        for field in other.fields.iter().filter(|field| field.is_called(name, &other.text)) {
            self.adopt(field.name(&other.text), field.value.of(&other.text));
        }
    }

    /// The value of the first header of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = Name::of(name);
        let field = self.fields.iter().find(|field| field.is_called(name, &self.text))?;
        Some(field.value.of(&self.text))
    }

    /// The value of the first header of a known name.
    pub(super) fn value_of(&self, known: Known) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.is_known(known))?;
        Some(field.value.of(&self.text))
    }

    /// Whether a header of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The values of all headers of this name, line by line.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let (text, name) = (&self.text, Name::of(name));
        let called = self.fields.iter().filter(move |field| field.is_called(name, text));
        called.map(|field| field.value.of(text))
    }

    /// The elements of a list header over all its lines: split at commas outside quotes and `<>`,
    /// empty elements left out.
    pub fn list<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.all(name)
            .flat_map(|line| split_outside(line, b','))
            .filter(|element| !element.is_empty())
    }

    /// The values of all headers of a known name, line by line.
    pub(super) fn lines_of(&self, known: Known) -> impl Iterator<Item = &str> {
        let called = self.fields.iter().filter(move |field| field.is_known(known));
        called.map(|field| field.value.of(&self.text))
    }

    /// Shows every element of a list header to `visit`, and counts them; a line that is plainly one
    /// element is passed over.
    pub(super) fn try_each<E>(
        &self,
        known: Known,
        is_plain: fn(&str) -> bool,
        visit: impl Fn(&str) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut count = 0;
        for line in self.lines_of(known) {
            if is_plain(line) {
                count += 1;
                continue;
            }
            for element in split_outside(line, b',').filter(|element| !element.is_empty()) {
                visit(element)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Whether a list of tokens holds this one, whatever the case: `Require`, `Supported`, `Allow`.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }

    /// Every header as name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = &self.text;
        self.fields.iter().map(move |field| (field.name_str(text), field.value.of(text)))
    }

    /// Takes over what stands in the words of `rsip`, as far as it can stand in a message.
    pub fn of_rsip(theirs: &rsip::Headers) -> Self {
        theirs.iter().map(of_rsip).collect()
    }

    /// Gives the same in the words of `rsip`, for who works with them.
    pub fn to_rsip(&self) -> rsip::Headers {
        let say =
            |field: &Field| to_rsip(field.name(&self.text), field.value.of(&self.text).to_owned());
        self.fields.iter().map(say).collect::<Vec<_>>().into()
    }

    /// How many header fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// No header yet, but room for those that the decoder is about to find.
    pub(super) fn awaited() -> Self {
        Self { text: String::new(), fields: Vec::with_capacity(USUAL_COUNT) }
    }

    /// Adds what the decoder found at this place of a text that it gives us in the end.
    pub(super) fn adopt_at(&mut self, name: Place, value: Range<usize>) {
        let name = match name {
            Place::Known(known) => FieldName::Known(known),
            Place::At(range) => FieldName::Other(Span::new(range)),
        };
        self.fields.push(Field { name, value: Span::new(value) });
    }

    /// Takes the text in which the decoder found all fields. There a line holds no line break,
    /// and escaped controls in quoted strings are lawful (RFC 4475 section 3.1.1.2).
    pub(super) fn found_in(&mut self, text: String) {
        self.text = text;
    }

    /// Adds what another message holds, or what is sound for another reason.
    pub(super) fn adopt(&mut self, name: Name<'_>, value: &str) {
        let field = Field { name: self.write_name(name), value: self.write(value) };
        self.fields.push(field);
    }

    /// Writes a header that cannot break the message around it.
    fn write_safe(&mut self, name: &str, value: &str) -> Option<Field> {
        if !is_token(name) {
            return None;
        }
        self.tidy();
        let is_wild = |byte: u8| byte.is_ascii_control() && byte != b'\t';
        let value = if value.bytes().any(is_wild) {
            let tame = value.replace(|c: char| c.is_ascii_control() && c != '\t', " ");
            self.write(trimmed(&tame))
        } else {
            self.write(trimmed(value))
        };
        Some(Field { name: self.write_name(Name::of(name)), value })
    }

    fn write_name(&mut self, name: Name<'_>) -> FieldName {
        match name {
            Name::Known(known) => FieldName::Known(known),
            Name::Other(other) => FieldName::Other(self.write(other)),
        }
    }

    fn write(&mut self, piece: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(piece);
        Span::new(start..self.text.len())
    }

    /// Lets go of what nobody reads any more, once it is worth the work.
    fn tidy(&mut self) {
        if self.text.len() < TIDY_FROM {
            return;
        }
        let read: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        if read < self.text.len() / 4 {
            let old = std::mem::take(self);
            old.fields.iter().for_each(|field| {
                self.adopt(field.name(&old.text), field.value.of(&old.text));
            });
        }
    }
}

/// How many header fields a message of an IMS core has.
const USUAL_COUNT: usize = 24;

/// The length of a text that may be worth tidying up.
const TIDY_FROM: usize = 8 * 1024;

impl Field {
    fn is_known(&self, known: Known) -> bool {
        matches!(self.name, FieldName::Known(mine) if mine == known)
    }

    fn is_called(&self, name: Name<'_>, text: &str) -> bool {
        match (self.name, name) {
            (FieldName::Known(mine), Name::Known(known)) => mine == known,
            (FieldName::Other(mine), Name::Other(other)) => {
                mine.len() == other.len() && mine.of(text).eq_ignore_ascii_case(other)
            }
            (FieldName::Known(_), Name::Other(_)) | (FieldName::Other(_), Name::Known(_)) => false,
        }
    }

    fn name(self, text: &str) -> Name<'_> {
        match self.name {
            FieldName::Known(known) => Name::Known(known),
            FieldName::Other(span) => Name::Other(span.of(text)),
        }
    }

    /// How many bytes of the text its name has.
    fn name_len(&self) -> usize {
        match self.name {
            FieldName::Known(_) => 0,
            FieldName::Other(span) => span.len(),
        }
    }

    fn name_str(self, text: &str) -> &str {
        match self.name {
            FieldName::Known(known) => known.as_str(),
            FieldName::Other(span) => span.of(text),
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The lines as they go on the wire, without the empty line behind them.
impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, value)| write!(f, "{name}: {value}\r\n"))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.push(name.as_ref(), value.as_ref());
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::{Headers, TIDY_FROM};
    use crate::sip::header_name::Name;

    #[test]
    fn what_is_set_again_and_again_takes_no_more_room() {
        let mut headers = Headers::from_iter([("To", "x"), ("X-Thing", "y")]);
        headers.adopt(Name::of("Subject"), "\"\\\u{7}\"");
        for round in 0..10_000 {
            headers.set("Via", &format!("SIP/2.0/UDP a;branch=z9hG4bK{round}"));
        }
        assert!(headers.text.len() < 2 * TIDY_FROM);
        let all: Vec<_> = headers.iter().collect();
        let via = ("Via", "SIP/2.0/UDP a;branch=z9hG4bK9999");
        assert_eq!(all, [("To", "x"), ("X-Thing", "y"), ("Subject", "\"\\\u{7}\""), via]);
    }

    #[test]
    fn the_words_of_rsip_come_and_go() {
        let headers = Headers::from_iter([("v", "SIP/2.0/UDP a"), ("x-Thing", "1"), ("To", "y")]);
        let theirs = headers.to_rsip();
        assert!(matches!(theirs.iter().next(), Some(rsip::Header::Via(_))));
        assert_eq!(Headers::of_rsip(&theirs), headers);
    }

    #[test]
    fn what_a_peer_wrote_beyond_ascii_is_written_as_it_came() {
        let mut headers = Headers::default();
        headers.push("Subject", "caf\u{e9} \u{85}\u{7f}\u{1}");
        assert_eq!(headers.get("Subject"), Some("caf\u{e9} \u{85}"));
    }

    #[test]
    fn names_are_found_in_any_case_and_in_compact_form() {
        let headers =
            Headers::from_iter([("v", "SIP/2.0/UDP a"), ("x-Thing", "1"), ("r", "<sip:b>")]);
        assert_eq!(headers.get("VIA"), Some("SIP/2.0/UDP a"));
        assert_eq!(headers.get("X-THING"), Some("1"));
        assert_eq!(headers.get("Refer-To"), Some("<sip:b>"));
        assert_eq!(
            headers.to_string(),
            "Via: SIP/2.0/UDP a\r\nx-Thing: 1\r\nRefer-To: <sip:b>\r\n"
        );
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let mut headers = Headers::new();
        headers.push("Subject", "lunch\r\nRoute: <sip:evil>\0");
        headers.push("X\r\nRoute", "a");
        headers.set("Subject:", "b");
        assert_eq!(headers.to_string(), "Subject: lunch  Route: <sip:evil>\r\n");
    }

    #[test]
    fn setting_an_unknown_header_leaves_other_unknown_headers_alone() {
        let mut headers =
            Headers::from_iter([("P-A", "1"), ("P-B", "2"), ("P-A", "3"), ("To", "4")]);
        headers.set("p-a", "5");
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("p-a", "5"), ("P-B", "2"), ("To", "4")]);
        headers.remove("P-B");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn lists_run_over_lines_and_commas() {
        let mut headers = Headers::from_iter([
            ("Via", "SIP/2.0/UDP a, SIP/2.0/TCP b"),
            ("To", "x"),
            ("v", "SIP/2.0/TLS c"),
        ]);
        let vias: Vec<_> = headers.list("Via").collect();
        assert_eq!(vias, ["SIP/2.0/UDP a", "SIP/2.0/TCP b", "SIP/2.0/TLS c"]);
        assert_eq!(headers.take_first("Via").as_deref(), Some("SIP/2.0/UDP a"));
        assert_eq!(headers.get("Via"), Some("SIP/2.0/TCP b"));
        headers.push_front("Via", "SIP/2.0/UDP z");
        let vias: Vec<_> = headers.list("Via").collect();
        assert_eq!(vias, ["SIP/2.0/UDP z", "SIP/2.0/TCP b", "SIP/2.0/TLS c"]);
    }

    #[test]
    fn the_first_element_is_the_first_that_says_something() {
        let mut headers =
            Headers::from_iter([("Route", ""), ("Route", " , ,<sip:a>,"), ("Route", "<sip:b>")]);
        assert_eq!(headers.take_first("route").as_deref(), Some("<sip:a>"));
        assert_eq!(headers.take_first("route").as_deref(), Some("<sip:b>"));
        assert_eq!(headers.take_first("route"), None);
    }

    #[test]
    fn tokens_of_a_list_are_found_whatever_their_case() {
        let headers = Headers::from_iter([("k", "timer, 100rel")]);
        assert!(headers.lists("Supported", "100REL"));
        assert!(!headers.lists("Supported", "replaces"));
    }
}
