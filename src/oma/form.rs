//! Form-encoded bodies (TS Chat Appendix C): fields side by side, lists as repeated names.

use percent_encoding::percent_decode_str;

use super::element::{Element, Leaf};
use super::{MAX_NODES, ReadError, admitted};

/// Reads a form. The names of the lists' fields repeat; the tree has no root.
pub(super) fn read(text: &str) -> Result<Element, ReadError> {
    // The decoder below replaces what is not UTF-8; separators are ASCII, so that the whole can be
    // judged at once.
    if percent_decode_str(text).decode_utf8().is_err() {
        return Err(ReadError::NotUtf8);
    }
    let mut members = Vec::new();
    for (name, value) in form_urlencoded::parse(text.trim_ascii().as_bytes()) {
        if members.len() == MAX_NODES {
            return Err(ReadError::TooMany);
        }
        // The printed examples break lines behind each `&`.
        let name = name.trim_ascii().to_owned();
        let value = admitted(&name, value.into_owned())?;
        members.push(Element::leaf(name, Leaf::Text(value)));
    }
    Ok(Element::rootless(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<Vec<(String, String)>, ReadError> {
        let pair = |field: &Element| {
            (field.name().to_owned(), field.value().unwrap_or_default().into_owned())
        };
        read(text).map(|tree| tree.children().iter().map(pair).collect())
    }

    #[test]
    fn fields_are_decoded_and_kept_in_order() {
        let read =
            fields("text=How%20are+you%3F&reportRequest=Displayed&\n\nreportRequest=Failed&");
        let wanted =
            [("text", "How are you?"), ("reportRequest", "Displayed"), ("reportRequest", "Failed")];
        assert_eq!(read, Ok(wanted.map(|(name, value)| (name.into(), value.into())).into()));
    }

    #[test]
    fn lists_of_participants_pair_by_position() {
        let read = fields(concat!(
            "tParticipantAddress=tel%3A%2B19585550154&tParticipantAddress=tel%3A%2B19585550155",
            "&tParticipantName=John&tParticipantName=Peter&clientCorrelator=12345",
            "&clientCorrelator=67890&"
        ))
        .unwrap_or_default();
        let values = |name: &str| -> Vec<&str> {
            read.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(values("tParticipantAddress"), ["tel:+19585550154", "tel:+19585550155"]);
        assert_eq!(values("tParticipantName"), ["John", "Peter"]);
        assert_eq!(values("clientCorrelator"), ["12345", "67890"]);
    }

    #[test]
    fn what_is_hostile_is_refused() {
        assert_eq!(fields("a=%ff"), Err(ReadError::NotUtf8));
        assert_eq!(fields("a=%C3&b=%A9"), Err(ReadError::NotUtf8));
        assert_eq!(fields("a=x%00y"), Err(ReadError::ControlCharacter { part: "a".into() }));
        assert_eq!(fields(&"a=1&".repeat(100_000)), Err(ReadError::TooMany));
    }
}
