//! What differs from run to run without meaning anything, put aside: identifiers, ports, times.

use super::canonical;
use super::head::Head;

/// Gives the fields that say what a message means, by name in lower case and in their order, with
/// what each run draws anew put aside.
pub(super) fn named_fields(bytes: &[u8]) -> Vec<(String, String)> {
    let head = Head::read(bytes);
    let named = head.fields().filter_map(|(name, value)| {
        let name = long_name(name);
        NAMED.contains(&name.as_str()).then(|| (name, masked(&value)))
    });
    named.collect()
}

/// Gives all fields likewise.
pub(super) fn all_fields(bytes: &[u8]) -> Vec<(String, String)> {
    let head = Head::read(bytes);
    let all = head.fields().map(|(name, value)| {
        let name = long_name(name);
        let value = if DRAWN.contains(&name.as_str()) { "*".to_owned() } else { masked(&value) };
        (name, value)
    });
    all.collect()
}

/// Gives the lines of a body in the form in which those that mean the same are the same, with what
/// each run draws anew put aside.
pub(super) fn body_lines(bytes: &[u8]) -> Vec<String> {
    let head = Head::read(bytes);
    let content_type = head.field("Content-Type").or_else(|| head.field("c"));
    canonical::lines(&content_type.unwrap_or_default(), head.body)
}

/// Puts aside, in a line of a body, what each run draws anew.
pub(super) fn masked_line(line: &str) -> String {
    if line.starts_with("o=") {
        return "o=*".to_owned();
    }
    // The port, the second word of RFC 8866 section 5.14.
    if let Some((media, rest)) = line.strip_prefix("m=").and_then(|line| line.split_once(' ')) {
        let behind = rest.split_once(' ').map_or("", |(_, behind)| behind);
        return format!("m={media} * {behind}");
    }
    match line.split_once(':') {
        Some((name, _)) if DRAWN_IN_BODIES.contains(&name.to_ascii_lowercase().as_str()) => {
            format!("{name}: *")
        }
        Some(_) | None => masked(line),
    }
}

/// Puts aside, within a value: the values of parameters that are drawn, the session ids of MSRP
/// URIs, addresses and ports.
pub(super) fn masked(value: &str) -> String {
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
            masked.push_str(&without_addresses(part));
        }
    }
    masked
}

/// Replaces IP addresses with their ports, and the ids behind the authority of MSRP URIs.
fn without_addresses(text: &str) -> String {
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
            kept.push_str(if is_address(run) { "*" } else { run });
            let next = more.find(is_part).unwrap_or(more.len());
            kept.push_str(&more[..next]);
            rest = &more[next..];
        }
        words.push(kept);
    }
    words.join(" ")
}

fn is_address(run: &str) -> bool {
    let run = run.trim_matches(':');
    let bare = run.trim_start_matches('[').trim_end_matches(']');
    run.parse::<std::net::SocketAddr>().is_ok() || bare.parse::<std::net::IpAddr>().is_ok()
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
    "p-asserted-service",
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
    "unsupported",
    "warning",
];

/// Fields whose values each run draws anew, or that follow from those.
const DRAWN: &[&str] = &[
    "authorization",
    "call-id",
    "content-length",
    "contribution-id",
    "conversation-id",
    "cseq",
    "date",
    "from-path",
    "message-id",
    "p-charging-vector",
    "proxy-authenticate",
    "proxy-authorization",
    "rack",
    "rseq",
    "session-id",
    "to-path",
    "use-path",
    "user-agent",
    "server",
    "www-authenticate",
];

/// Fields of CPIM and MIME headers likewise.
const DRAWN_IN_BODIES: &[&str] = &["content-id", "content-length", "datetime", "imdn.message-id"];

const DRAWN_PARAMETERS: &[&str] =
    &["boundary", "branch", "cnonce", "nonce", "received", "response", "rport", "tag"];

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) {
        assert_eq!(body_lines(left.as_bytes()), body_lines(right.as_bytes()), "{left}\n{right}");
    }

    fn other(left: &str, right: &str) {
        assert_ne!(body_lines(left.as_bytes()), body_lines(right.as_bytes()), "{left}\n{right}");
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
                 <message-id> b2</message-id>\n  <datetime>2026-01-01T00:00:00Z</datetime>\
                 <status>\n<delivered></delivered >\n</status>\n</imdn >\n"),
        );
        for (old, new) in
            [("delivered", "displayed"), ("v='1'", "v='2'"), ("'1'", "' 1'"), ("u\"", "w\"")]
        {
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
    fn what_is_drawn_anew_is_put_aside_and_the_rest_stays() {
        assert_eq!(
            masked("<sip:a@192.0.2.1:5060;lr>;tag=x1;+g.oma.sip-im"),
            "<sip:a@*;lr>;tag=*;+g.oma.sip-im"
        );
        assert_eq!(
            masked("SIP/2.0/UDP [2001:db8::1]:5060;branch=z9;rport"),
            "SIP/2.0/UDP *;branch=*;rport"
        );
        assert_eq!(masked("a=path:msrp://192.0.2.1:2855/s1;tcp"), "a=path:msrp://*;tcp");
        assert_eq!(masked("abc face 100rel"), "abc face 100rel");
        let invite =
            b"INVITE sip:a SIP/2.0\r\nk: timer\r\nCall-ID: x\r\n\r\no=- 1 1 IN IP4 a\r\nt=0 0\r\nm=message 7 TCP/MSRP *\r\n";
        assert_eq!(named_fields(invite), [("supported".to_owned(), "timer".to_owned())]);
        assert_eq!(all_fields(invite)[1], ("call-id".to_owned(), "*".to_owned()));
        assert_eq!(body_lines(invite), ["o=*", "t=0 0", "m=message * TCP/MSRP *"]);
    }
}
