//! What differs from run to run without meaning anything, put aside: identifiers, ports, times.

use std::net::{IpAddr, SocketAddr};

use super::aliases::Aliases;
use super::canonical;
use super::head::{Head, parameter};

/// Gives the first line: what a request is asked of, the phrase of an answer. A request within a
/// dialog of a run is asked of the Contact that this run has, of which the user stays.
pub(super) fn first_line(bytes: &[u8], aliases: &Aliases) -> Option<String> {
    let head = Head::read(bytes);
    let line = head.first_line();
    if let Some(rest) = line.strip_prefix("MSRP ") {
        return Some(format!("MSRP * {}", rest.split_once(' ').map_or("", |(_, kind)| kind)));
    }
    match requested(&head) {
        Some((method, uri)) if aliases.has_own_contacts() && is_within(&head) => {
            let user = uri.split_once('@').map_or("", |(user, _)| user);
            Some(format!("{method} {user}@*"))
        }
        Some((method, uri)) => Some(format!("{method} {}", masked(uri, aliases))),
        None => line.starts_with("SIP/2.0 ").then(|| line.to_owned()),
    }
}

/// Gives what a request that begins something is asked of.
pub(super) fn asked_of(bytes: &[u8], aliases: &Aliases) -> Option<String> {
    let head = Head::read(bytes);
    let (method, uri) = requested(&head).filter(|_| !is_within(&head))?;
    Some(format!("{method} {}", masked(uri, aliases)))
}

/// Gives method and URI of a SIP request.
fn requested<'a>(head: &'a Head<'_>) -> Option<(&'a str, &'a str)> {
    head.first_line().strip_suffix("SIP/2.0")?.trim_end().split_once(' ')
}

fn is_within(head: &Head<'_>) -> bool {
    let to = head.field("To").or_else(|| head.field("t"));
    to.is_some_and(|to| parameter(&to, "tag").is_some())
}

/// Gives the fields that say what a message means, by name in lower case and in their order, with
/// what each run draws anew put aside.
pub(super) fn named_fields(bytes: &[u8], aliases: &Aliases) -> Vec<(String, String)> {
    let head = Head::read(bytes);
    let named = head.fields().filter_map(|(name, value)| {
        let name = long_name(name);
        NAMED.contains(&name.as_str()).then(|| (name, masked(&value, aliases)))
    });
    named.collect()
}

/// Gives all fields likewise.
pub(super) fn all_fields(bytes: &[u8], aliases: &Aliases) -> Vec<(String, String)> {
    let head = Head::read(bytes);
    let all = head.fields().map(|(name, value)| {
        let name = long_name(name);
        let value = match name.as_str() {
            // The number is drawn, the method is not.
            "cseq" | "rack" => {
                format!("* {}", value.split_whitespace().last().unwrap_or_default())
            }
            "authorization" | "proxy-authenticate" | "proxy-authorization" | "www-authenticate" => {
                challenge(&value)
            }
            "date" if is_date(&value) => "*".to_owned(),
            drawn if DRAWN.contains(&drawn) => "*".to_owned(),
            _ => masked(&value, aliases),
        };
        (name, value)
    });
    all.collect()
}

/// Gives the lines of a body in the form in which those that mean the same are the same, with what
/// each run draws anew put aside; of an MSRP request, whether it goes on as well.
pub(super) fn body_lines(bytes: &[u8], aliases: &Aliases) -> Vec<String> {
    let head = Head::read(bytes);
    let content_type = head.field("Content-Type").or_else(|| head.field("c"));
    let mut lines = canonical::lines(&content_type.unwrap_or_default(), head.body, aliases);
    if bytes.starts_with(b"MSRP ")
        && let Some(flag) = bytes.trim_ascii_end().last()
    {
        lines.push(format!("flag: {}", char::from(*flag)));
    }
    lines
}

/// Puts aside, in a line of a session description, what each run draws anew.
pub(super) fn description(line: &str, aliases: &Aliases) -> String {
    if line.starts_with("o=") {
        return "o=*".to_owned();
    }
    // The port, the second word of RFC 8866 section 5.14; 0 says that there is none.
    if let Some((media, rest)) = line.strip_prefix("m=").and_then(|line| line.split_once(' ')) {
        let (port, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let port = if port.parse() == Ok(0_u32) { "0" } else { "*" };
        return format!("m={media} {port} {behind}");
    }
    masked(line, aliases)
}

/// Puts aside, in a field of CPIM or MIME, what each run draws anew.
pub(super) fn field(name: &str, value: &str, aliases: &Aliases) -> String {
    match name {
        "content-id" | "content-length" | "imdn.message-id" => "*".to_owned(),
        "datetime" if is_date(value) => "*".to_owned(),
        _ => masked(value, aliases),
    }
}

/// Tells whether something is a date, in the form of RFC 3339 or in that of SIP (RFC 3261 section
/// 20.17).
pub(super) fn is_date(text: &str) -> bool {
    let has_form = |form: &str| {
        let mut found = text.bytes();
        form.bytes().all(|wanted| {
            found.next().is_some_and(|found| match wanted {
                b'0' => found.is_ascii_digit(),
                b'a' => found.is_ascii_alphabetic(),
                wanted => found == wanted,
            })
        })
    };
    has_form("0000-00-00T00:00:00") || has_form("aaa, 00 aaa 0000 00:00:00 GMT")
}

/// Gives what is asked for by a challenge or a response to it (RFC 3261 section 22.4), without what
/// is computed.
fn challenge(value: &str) -> String {
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let said = rest.split(',').map(str::trim).filter(|part| {
        let name = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(name.as_str(), "realm" | "qop" | "algorithm")
    });
    format!("{scheme} {}", said.collect::<Vec<_>>().join(", "))
}

/// Puts aside, within a value: the values of parameters that are drawn, the session ids of MSRP
/// URIs, addresses and ports.
pub(super) fn masked(value: &str, aliases: &Aliases) -> String {
    let mut masked = String::with_capacity(value.len());
    for (index, part) in value.split(';').enumerate() {
        if index > 0 {
            masked.push(';');
        }
        let name = part.split('=').next().unwrap_or_default().trim();
        if part.contains('=') && DRAWN_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
            masked.push_str(name);
            masked.push_str("=*");
        } else {
            masked.push_str(&without_addresses(part, aliases));
        }
    }
    masked
}

/// Replaces IP addresses with what stands for them, without their ports, and the ids behind the authority of MSRP URIs.
fn without_addresses(text: &str, aliases: &Aliases) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        if let Some((scheme, _)) =
            word.split_once("://").filter(|(it, _)| it.ends_with("msrp") || it.ends_with("msrps"))
        {
            words.push(format!("{scheme}://*"));
            continue;
        }
        let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']');
        let mut kept = String::new();
        let mut rest = word;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (run, more) = rest.split_at(end);
            match address(run) {
                Some(host) => kept.push_str(&aliases.host(host)),
                None => kept.push_str(run),
            }
            let next = more.find(is_part).unwrap_or(more.len());
            kept.push_str(&more[..next]);
            rest = &more[next..];
        }
        words.push(kept);
    }
    words.join(" ")
}

fn address(run: &str) -> Option<IpAddr> {
    let run = run.trim_matches(':');
    let bare = run.trim_start_matches('[').trim_end_matches(']');
    let whole = run.parse::<SocketAddr>().map(|address| address.ip());
    whole.or_else(|_| bare.parse()).ok()
}

/// Gives a name in lower case and in its long form (RFC 3261 section 7.3.3).
fn long_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let long = COMPACT.iter().find(|(short, _)| *short == name).map(|(_, long)| *long);
    long.map_or(name, str::to_owned)
}

const COMPACT: &[(&str, &str)] = &[
    ("i", "call-id"),
    ("m", "contact"),
    ("e", "content-encoding"),
    ("l", "content-length"),
    ("c", "content-type"),
    ("o", "event"),
    ("f", "from"),
    ("r", "refer-to"),
    ("s", "subject"),
    ("k", "supported"),
    ("t", "to"),
    ("v", "via"),
    ("u", "allow-events"),
];

/// What a message means, of the fields of all three languages.
const NAMED: &[&str] = &[
    "accept-contact",
    "allow",
    "byte-range",
    "content-type",
    "event",
    "expires",
    "failure-report",
    "from",
    "p-asserted-identity",
    "p-asserted-service",
    "p-preferred-identity",
    "p-preferred-service",
    "reason",
    "refer-sub",
    "refer-to",
    "require",
    "session-expires",
    "status",
    "subscription-state",
    "success-report",
    "supported",
    "to",
    "unsupported",
    "warning",
];

/// Fields whose values each run draws anew, or that follow from those.
const DRAWN: &[&str] = &[
    "call-id",
    "content-length",
    "contribution-id",
    "conversation-id",
    "message-id",
    "p-charging-vector",
    "rseq",
    "session-id",
    "user-agent",
    "server",
];

const DRAWN_PARAMETERS: &[&str] =
    &["boundary", "branch", "cnonce", "nonce", "received", "response", "rport", "tag"];

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) {
        let of = |text: &str| body_lines(text.as_bytes(), &Aliases::default());
        assert_eq!(of(left), of(right), "{left}\n{right}");
    }

    fn other(left: &str, right: &str) {
        let of = |text: &str| body_lines(text.as_bytes(), &Aliases::default());
        assert_ne!(of(left), of(right), "{left}\n{right}");
    }

    #[test]
    fn documents_are_the_same_however_they_are_written() {
        let of =
            |xml: &str| format!("MESSAGE sip:a SIP/2.0\r\nc: message/imdn+xml; x=y\r\n\r\n{xml}");
        let plain =
            of("<imdn xmlns=\"u\" v='1'><message-id>a1</message-id><datetime>2023-11-14T22:13:20Z\
            </datetime><status><delivered/></status></imdn>");
        same(
            &plain,
            &of("<?xml version=\"1.0\"?>\r\n<!-- a > b -->\n<imdn  v=\"1\"\n xmlns='u' >\n\
                 <message-id> a1</message-id>\n  <datetime>2026-01-01T00:00:00Z</datetime>\
                 <status>\n<delivered></delivered >\n</status>\n</imdn >\n"),
        );
        for (old, new) in [
            ("delivered", "displayed"),
            ("v='1'", "v='2'"),
            ("'1'", "' 1'"),
            ("u\"", "w\""),
            ("a1", "b2"),
            ("2023-11-14T22:13:20Z", "garbage-no-date"),
        ] {
            other(&plain, &plain.replace(old, new));
        }
        // What is no document is compared as it is.
        for odd in
            ["<", "<a", "<a b", "<a b='", "<!--", "<?", "a<b", "</", "<>", "\u{e9}<\u{e9}=\"\u{e9}"]
        {
            same(&of(odd), &of(odd));
            other(&of(odd), &of("<other/>"));
        }
    }

    #[test]
    fn the_headers_of_a_message_are_a_set_and_its_content_is_compared_as_what_it_is() {
        let cpim = "MSRP t1 SEND\r\nTo-Path: msrp://a:1/b;tcp\r\nContent-Type: message/cpim\r\n\r\n\
            From: <sip:a>\r\nTo: <sip:b>\r\nDateTime: 2023-11-14T22:13:20Z\r\nNS: imdn <urn:i>\r\n\
            imdn.Message-ID: x1\r\n\r\nContent-Type: message/imdn+xml\r\nContent-Length: 20\r\n\r\n\
            <imdn a='1'  b='2'/>\r\n-------t1$\r\n";
        let turned = cpim
            .replace("From: <sip:a>\r\nTo: <sip:b>", "to:  <sip:b>\r\nFrom: <sip:a>")
            .replace("x1", "y2")
            .replace("20\r", "19\r")
            .replace("<imdn a='1'  b='2'/>", "<imdn b='2' a='1'/>");
        same(cpim, &turned);
        other(cpim, &cpim.replace("<sip:b>", "<sip:c>"));
        other(cpim, &cpim.replace("b='2'", "b='3'"));
        // A later piece has no header.
        let piece = |text: &str| {
            format!("MSRP t SEND\r\nContent-Type: message/cpim\r\n\r\n{text}\r\n-------t$\r\n")
        };
        other(&piece("ends here"), &piece("ends there"));
        other(&piece("and so: a\r\nb: c"), &piece("b: c\r\nand so: a"));
        // What a text says is no header.
        let text = |lines: &str| {
            cpim.replace("message/imdn+xml", "text/plain").replace("<imdn a='1'  b='2'/>", lines)
        };
        other(&text("b: 1\r\na: 2"), &text("a: 2\r\nb: 1"));
    }

    #[test]
    fn each_part_is_compared_as_what_it_is() {
        let of = |boundary: &str, types: (&str, &str), list: &str| {
            format!(
                "INVITE sip:a SIP/2.0\r\nContent-Type: multipart/mixed;boundary={boundary}\r\n\r\n\
                 --{boundary}\r\nContent-Type: {}\r\n\r\nv=0\r\no=- 1 1 IN IP4 h\r\n\r\n\
                 --{boundary}\r\nContent-Disposition: recipient-list\r\nContent-Type: {}\r\n\r\n\
                 {list}\r\n--{boundary}--\r\n",
                types.0, types.1
            )
        };
        let types = ("application/sdp", "application/resource-lists+xml");
        let one = of("x", types, "<list a='1' b='2'/>");
        same(
            &one,
            &of("\"y z\"", types, "<list b=\"2\" a=\"1\" ></list>").replace("--\"y z\"", "--y z"),
        );
        other(&one, &of("x", types, "<list a='1' b='3'/>"));
        other(&one, &of("x", (types.0, "text/plain"), "<list a='1' b='2'/>"));
    }

    #[test]
    fn a_text_is_compared_byte_by_byte() {
        let of = |text: &str| {
            format!("MSRP t SEND\r\nContent-Type: text/plain\r\n\r\n{text}\r\n-------t$\r\n")
        };
        for (left, right) in [
            ("o=yes dear!", "o=no, never"),
            ("ip 10.0.0.1", "ip 10.9.9.9"),
            ("a;tag=hello", "a;tag=never"),
            ("m=x 1 y", "m=x 2 y"),
            ("datetime: 1", "datetime: 2"),
            ("content-id: 1", "content-id: 2"),
            ("a ", "a"),
            ("a\r\n\r\nb", "a\r\nb"),
        ] {
            same(&of(left), &of(left));
            other(&of(left), &of(right));
        }
        let (left, right) = (of("text"), of("text").replace("t$\r\n", "t+\r\n"));
        other(&left, &right);
        let octets = |byte: u8| {
            let bytes = [&of("").into_bytes()[..41], &[byte][..]].concat();
            body_lines(&bytes, &Aliases::default())
        };
        assert_ne!(octets(0xfe), octets(0xff));
    }

    #[test]
    fn what_is_drawn_anew_is_put_aside_and_the_rest_stays() {
        let masked = |value: &str| masked(value, &Aliases::default());
        assert_eq!(
            masked("<sip:a@192.0.2.1:5060;lr>;tag=x1;+g.oma.sip-im"),
            "<sip:a@192.0.2.1;lr>;tag=*;+g.oma.sip-im"
        );
        assert_eq!(
            masked("SIP/2.0/UDP [2001:db8::1]:5060;branch=z9;rport"),
            "SIP/2.0/UDP 2001:db8::1;branch=*;rport"
        );
        assert_eq!(masked("a=path:msrp://192.0.2.1:2855/s1;tcp"), "a=path:msrp://*;tcp");
        assert_eq!(masked("abc face 100rel"), "abc face 100rel");
        assert_eq!(
            challenge("Digest realm=\"a\", nonce=\"n\", qop=\"auth\", opaque=\"o\""),
            "Digest realm=\"a\", qop=\"auth\""
        );
        let invite = b"INVITE sip:a SIP/2.0\r\nk: timer\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\n\
            c: application/sdp\r\n\r\n\
            o=- 1 1 IN IP4 a\r\nt=0 0\r\nm=message 7 TCP/MSRP *\r\nm=message 0 TCP/MSRP *\r\n";
        let none = Aliases::default();
        let named = [("content-type", "application/sdp"), ("supported", "timer")];
        let mut found = named_fields(invite, &none);
        found.sort();
        assert_eq!(found, named.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(all_fields(invite, &none)[1], ("call-id".to_owned(), "*".to_owned()));
        assert_eq!(all_fields(invite, &none)[2], ("cseq".to_owned(), "* INVITE".to_owned()));
        assert_eq!(
            body_lines(invite, &none),
            ["o=*", "t=0 0", "m=message * TCP/MSRP *", "m=message 0 TCP/MSRP *"]
        );
    }
}
