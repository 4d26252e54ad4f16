//! What differs from run to run without meaning anything, put aside: identifiers, ports, times.

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

/// Gives the lines of a body, with what each run draws anew put aside. Descriptions and CPIM
/// header fields are lines; of other bodies white space at the ends of lines means nothing.
pub(super) fn body_lines(bytes: &[u8]) -> Vec<String> {
    let head = Head::read(bytes);
    let text = String::from_utf8_lossy(head.body);
    let lines = text.lines().map(|line| {
        let line = line.trim();
        if line.starts_with("o=") {
            return "o=*".to_owned();
        }
        // The port, the second word of RFC 8866 section 5.14.
        if let Some((media, rest)) = line.strip_prefix("m=").and_then(|line| line.split_once(' ')) {
            let behind = rest.split_once(' ').map_or("", |(_, behind)| behind);
            return format!("m={media} * {behind}");
        }
        if line.starts_with("--") {
            return "--*".to_owned();
        }
        match line.split_once(':') {
            Some((name, _)) if DRAWN_IN_BODIES.contains(&name.to_ascii_lowercase().as_str()) => {
                format!("{name}: *")
            }
            Some(_) | None => masked(line),
        }
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// Puts aside, within a value: the values of parameters that are drawn, the session ids of MSRP
/// URIs, addresses and ports.
fn masked(value: &str) -> String {
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
const DRAWN_IN_BODIES: &[&str] =
    &["content-id", "content-length", "datetime", "imdn.message-id", "<datetime>"];

const DRAWN_PARAMETERS: &[&str] =
    &["boundary", "branch", "cnonce", "nonce", "received", "response", "rport", "tag"];

#[cfg(test)]
mod tests {
    use super::*;

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
