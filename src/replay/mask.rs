//! What differs from run to run without meaning anything, put aside: identifiers, ports, times.

use std::net::{IpAddr, SocketAddr};

use super::aliases::Aliases;
use super::canonical;
use super::date::is_date;
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
        Some((method, uri)) => Some(format!("{method} {}", masked(URI, uri, aliases))),
        None => called(line).or_else(|| Some(line.to_owned()).filter(|line| is_answer(line))),
    }
}

fn is_answer(line: &str) -> bool {
    line.starts_with("SIP/2.0 ") || line.starts_with("HTTP/")
}

/// Gives what is called for by HTTP, without the ids that a bridge has drawn.
fn called(line: &str) -> Option<String> {
    let (call, version) = line.rsplit_once(" HTTP/")?;
    let (path, query) = call.split_at(call.find('?').unwrap_or(call.len()));
    let mut before = "";
    let segments = path.split('/').map(|segment| {
        let is_id = COLLECTIONS.contains(&before) && !segment.is_empty();
        before = segment;
        if is_id { "*" } else { segment }
    });
    Some(format!("{}{query} HTTP/{version}", segments.collect::<Vec<_>>().join("/")))
}

/// Gives what a request that begins something is asked of.
pub(super) fn asked_of(bytes: &[u8], aliases: &Aliases) -> Option<String> {
    let head = Head::read(bytes);
    let (method, uri) = requested(&head).filter(|_| !is_within(&head))?;
    Some(format!("{method} {}", masked(URI, uri, aliases)))
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
        NAMED.contains(&name.as_str()).then(|| {
            let value = masked(&name, &value, aliases);
            (name, value)
        })
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
            "message-id" => aliases.message(&value).to_owned(),
            drawn if DRAWN.contains(&drawn) => "*".to_owned(),
            field => masked(field, &value, aliases),
        };
        (name, value)
    });
    all.collect()
}

/// Gives the lines of a body in the form in which those that mean the same are the same, with what
/// each run draws anew put aside; of an MSRP request, of which message it is and whether it goes on as
/// well.
pub(super) fn body_lines(bytes: &[u8], aliases: &Aliases) -> Vec<String> {
    let head = Head::read(bytes);
    let content_type = head.field("Content-Type").or_else(|| head.field("c"));
    let mut lines = canonical::lines(&content_type.unwrap_or_default(), head.body, aliases);
    if bytes.starts_with(b"MSRP ")
        && let Some(flag) = bytes.trim_ascii_end().last()
    {
        let message = head.field("Message-ID");
        lines.extend(message.map(|id| format!("message: {}", aliases.message(&id))));
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
    // The name of the session, and about it (RFC 8866 sections 5.3 and 5.4).
    match line.starts_with("s=") || line.starts_with("i=") {
        true => line.to_owned(),
        false => masked("", line, aliases),
    }
}

/// Puts aside, in a value or text of a document, the ports of a URI; nothing else is drawn there.
pub(super) fn word_of_document(text: &str, aliases: &Aliases) -> String {
    let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let is_uri = text.contains(':') && SCHEMES.contains(&scheme.as_str());
    match is_uri && !text.contains(char::is_whitespace) {
        true => masked(URI, text, aliases),
        false => text.to_owned(),
    }
}

/// Puts aside, in a field of CPIM or MIME, what each run draws anew.
pub(super) fn field(name: &str, value: &str, aliases: &Aliases) -> String {
    match name {
        "content-id" | "content-length" | "imdn.message-id" => "*".to_owned(),
        "datetime" if is_date(value) => "*".to_owned(),
        _ => masked(name, value, aliases),
    }
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

/// Puts aside, within the value of a field, the values of parameters that are drawn there, the ports
/// of addresses and the session ids of MSRP URIs. What is only a text is all of it a text.
pub(super) fn masked(name: &str, value: &str, aliases: &Aliases) -> String {
    if TEXTS.contains(&name) {
        return value.to_owned();
    }
    let drawn = DRAWN_PARAMETERS.iter().find(|(fields, _)| fields.contains(&name));
    let drawn = drawn.map_or(&[][..], |(_, drawn)| *drawn);
    let mut masked = String::with_capacity(value.len());
    for part in parts(value) {
        let (part, separator) = match part.strip_suffix([';', ',']) {
            Some(bare) => (bare, &part[bare.len()..]),
            None => (part, ""),
        };
        let (word, is) = part.split_once('=').unwrap_or((part, ""));
        if part.contains('=') && drawn.contains(&word.trim().to_ascii_lowercase().as_str()) {
            let behind = is.trim_start().find(char::is_whitespace);
            masked.push_str(word.trim_start());
            masked.push_str("=*");
            masked.push_str(behind.map_or("", |at| &is.trim_start()[at..]));
        } else if HOSTED.contains(&name) {
            masked.push_str(&without_addresses(&without_names(part, aliases), aliases));
        } else {
            masked.push_str(&without_addresses(part, aliases));
        }
        masked.push_str(separator);
    }
    masked
}

/// Cuts a value behind each semicolon and comma outside of quotes and angle brackets.
fn parts(value: &str) -> Vec<&str> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped, mut is_uri) = (false, false, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '<' | '>' if !is_quoted => is_uri = c == '<',
            ';' | ',' if !is_quoted && !is_uri => {
                parts.push(&value[begin..=at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[begin..]);
    parts
}

/// Replaces the names of hosts in a Via or a Contact where whatever host it is has another one in
/// its place, with their ports.
fn without_names(part: &str, aliases: &Aliases) -> String {
    let begin = match (part.trim_start().starts_with("SIP/2.0/"), part.find("sip")) {
        (true, _) => part.rfind(' ').map(|at| at + 1),
        (false, scheme) => scheme.and_then(|at| {
            let uri = at + part[at..].find(':')? + 1;
            let end = part[uri..].find([';', '>', '?']).map_or(part.len(), |end| uri + end);
            Some(part[uri..end].rfind('@').map_or(uri, |user| uri + user + 1))
        }),
    };
    let Some(begin) = begin else { return part.to_owned() };
    let host = &part[begin..];
    let host = &host[..host.find([':', ';', '>', '?', ' ', '[']).unwrap_or(host.len())];
    if host.is_empty() || host.parse::<IpAddr>().is_ok() {
        return part.to_owned();
    }
    let Some(alias) = aliases.name() else { return part.to_owned() };
    let rest = &part[begin + host.len()..];
    let port =
        rest.strip_prefix(':').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    format!("{}{alias}{}", &part[..begin], port.unwrap_or(rest))
}

/// Gives an MSRP URI without its port and its session id (RFC 4975 section 6).
fn without_session(uri: &str, aliases: &Aliases) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    if !scheme.ends_with("msrp") && !scheme.ends_with("msrps") {
        return None;
    }
    let (authority, session) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let host = match address(host) {
        Some(host) => aliases.host(host),
        None => {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            aliases.name().unwrap_or(name).to_owned()
        }
    };
    let session = if session.is_empty() { "" } else { "/*" };
    Some(format!("{scheme}://{user}{host}{session}"))
}

/// Replaces IP addresses with what stands for them, without their ports, and the ids of MSRP URIs.
fn without_addresses(text: &str, aliases: &Aliases) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        if let Some(uri) = without_session(word, aliases) {
            words.push(uri);
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
    "p-charging-vector",
    "rseq",
    "session-id",
    "user-agent",
    "server",
];

/// Parameters whose values each run draws anew, by the fields that have them.
const DRAWN_PARAMETERS: &[(&[&str], &[&str])] = &[
    (&["via"], &["branch", "received", "rport"]),
    (&["from", "to"], &["tag"]),
    (&["content-type"], &["boundary"]),
    (&["authentication-info"], &["cnonce", "nextnonce", "rspauth"]),
];

/// Fields that only people read.
const TEXTS: &[&str] = &["content-description", "organization", "subject"];
/// Fields in which an end names the host that it is on.
const HOSTED: &[&str] = &["contact", "via"];
/// No field: a URI.
const URI: &str = "";
/// Schemes of URIs in documents.
const SCHEMES: &[&str] =
    &["http", "https", "im", "msrp", "msrps", "pres", "sip", "sips", "tel", "ws", "wss"];

/// Segments of paths behind which an id stands that a bridge has drawn.
const COLLECTIONS: &[&str] = &[
    "channels",
    "groupSessions",
    "messages",
    "participants",
    "polls",
    "sessions",
    "subscriptions",
];

#[cfg(test)]
mod tests {
    use super::super::aliases::Pair;
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
        let masked = |value: &str| masked("via", value, &Aliases::default());
        assert_eq!(
            masked("<sip:a@192.0.2.1:5060;lr>;branch=x1;+g.oma.sip-im"),
            "<sip:a@192.0.2.1;lr>;branch=*;+g.oma.sip-im"
        );
        assert_eq!(
            masked("SIP/2.0/UDP [2001:db8::1]:5060;branch=z9;rport"),
            "SIP/2.0/UDP 2001:db8::1;branch=*;rport"
        );
        assert_eq!(masked("a=path:msrp://192.0.2.1:2855/s1;tcp"), "a=path:msrp://192.0.2.1/*;tcp");
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

    #[test]
    fn what_is_drawn_is_put_aside_where_it_is_drawn_only() {
        let none = Aliases::default();
        for (name, value, wanted) in [
            ("from", "\"a;tag=b\" <sip:a;tag=c>;tag=d", "\"a;tag=b\" <sip:a;tag=c>;tag=*"),
            ("from", "<sip:a>;tag=d e", "<sip:a>;tag=* e"),
            ("contact", "<sip:a@h:1>;tag=d", "<sip:a@h:1>;tag=d"),
            ("subject", "x;tag=hello at 10.0.0.1:80", "x;tag=hello at 10.0.0.1:80"),
            (
                "via",
                "SIP/2.0/UDP a;branch=1;rport=7, SIP/2.0/TCP b;branch=2",
                "SIP/2.0/UDP a;branch=*;rport=*, SIP/2.0/TCP b;branch=*",
            ),
            (
                "content-type",
                "multipart/mixed; boundary=\"a;b\"; c=d",
                "multipart/mixed;boundary=*; c=d",
            ),
            (
                "to-path",
                "msrp://r.x:9/y;tcp msrp://[::1]:1/z;tcp",
                "msrp://r.x/*;tcp msrp://::1/*;tcp",
            ),
            ("use-path", "msrps://a@10.0.0.1:2855;tcp", "msrps://a@10.0.0.1;tcp"),
        ] {
            assert_eq!(masked(name, value, &none), wanted);
        }
        for (line, wanted) in [
            (
                "POST /a/1/chat/tel%3A%2B1/sessions/s7/messages/m%2F1/status?x=sessions/y HTTP/1.1",
                "POST /a/1/chat/tel%3A%2B1/sessions/*/messages/*/status?x=sessions/y HTTP/1.1",
            ),
            ("GET /sessions/ HTTP/1.1", "GET /sessions/ HTTP/1.1"),
            ("HTTP/1.1 201 Created", "HTTP/1.1 201 Created"),
        ] {
            let whole = format!("{line}\r\n\r\n");
            assert_eq!(first_line(whole.as_bytes(), &none).as_deref(), Some(wanted));
        }
        for (text, wanted) in [
            ("sip:a@10.0.0.1:5060;x=y", "sip:a@10.0.0.1;x=y"),
            ("10.0.0.1:5060", "10.0.0.1:5060"),
            ("sip: 10.0.0.1:5060", "sip: 10.0.0.1:5060"),
            ("a;tag=hello", "a;tag=hello"),
        ] {
            assert_eq!(word_of_document(text, &none), wanted);
        }
    }

    #[test]
    fn whatever_host_was_recorded_has_another_one_in_its_place_in_a_run() {
        let recorded = Pair::of_run(std::iter::empty(), std::iter::empty()).left;
        for (name, value, wanted) in [
            ("via", "SIP/2.0/UDP alice.pc.example:5060;branch=1", "SIP/2.0/UDP *;branch=*"),
            ("via", "SIP/2.0/UDP 10.0.0.1:5060;branch=1", "SIP/2.0/UDP *;branch=*"),
            ("contact", "<sip:a@pc.example:5060;lr>;expires=1", "<sip:a@*;lr>;expires=1"),
            ("contact", "\"x\" <sips:pc.example>", "\"x\" <sips:*>"),
            ("contact", "sip:a@[::1]:5060", "sip:a@*"),
            ("contact", "<tel:+1>", "<tel:+1>"),
            ("contact", "*", "*"),
            ("from", "<sip:a@pc.example>", "<sip:a@pc.example>"),
            ("to-path", "msrp://r.x:9/y;tcp", "msrp://*/*;tcp"),
        ] {
            assert_eq!(masked(name, value, &recorded), wanted);
        }
    }
}
