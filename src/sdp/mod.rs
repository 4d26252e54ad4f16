//! Session descriptions (RFC 8866) with an `m=message` line (RFC 4975 section 8).
//!
//! [`Sdp`] is any description, read with limits; [`MessageMedia`] is what its MSRP line says;
//! [`Sdp::usable`] judges whether a chat can run on it and names the fault for a `488`.

mod message;
mod parse;
mod usable;
mod write;

pub use message::{Direction, MessageMedia, Protocol, Setup, answer_setup, offerer_setup};
pub use parse::{MAX_BYTES, MAX_LINES, SdpError};
pub use usable::{MAX_HOPS, Unusable};
pub use write::{Local, write, write_answer};

/// The media type of a session description.
pub const CONTENT_TYPE: &str = "application/sdp";

/// A session description, in the order and spelling in which it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sdp {
    /// The `o=` line; absent in sloppy descriptions.
    pub origin: Option<Origin>,
    /// The `s=` line.
    pub session_name: String,
    /// The `c=` line of the session.
    pub connection: Option<Connection>,
    /// The `a=` lines of the session.
    pub attributes: Vec<Attribute>,
    /// The media descriptions, in order (RFC 3264 needs it).
    pub media: Vec<Media>,
}

/// Who described the session, and in which version (RFC 8866 section 5.2).
///
/// The numbers are kept as written: peers exceed 64 bits, and an unchanged line is what says that
/// a new offer changes nothing (RFC 4975 section 8.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The user name, `-` for none.
    pub username: String,
    /// The session id.
    pub session_id: String,
    /// The version of the description.
    pub version: String,
    /// The address of the describing machine.
    pub address: String,
}

/// Where media is received (RFC 8866 section 5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `IP4` or `IP6`.
    pub address_type: String,
    /// An IP literal without brackets, or a domain name; TTL and count are cut off.
    pub address: String,
}

/// One media description: an `m=` line and the lines below it (RFC 8866 section 5.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The media, `message` for MSRP.
    pub kind: String,
    /// The port; `0` refuses or closes the media.
    pub port: u16,
    /// The transport, `TCP/MSRP` or `TCP/TLS/MSRP` for MSRP.
    pub protocol: String,
    /// The formats, `*` for MSRP.
    pub formats: Vec<String>,
    /// The `c=` line of this media.
    pub connection: Option<Connection>,
    /// The `a=` lines of this media.
    pub attributes: Vec<Attribute>,
}

/// An `a=` line (RFC 8866 section 5.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name before the colon.
    pub name: String,
    /// What stands after the colon; a property attribute has none.
    pub value: Option<String>,
}

impl Sdp {
    /// Finds what the first live MSRP line says, or the first one at all where none is live.
    ///
    /// `None` where no `m=message` line speaks MSRP. The result is a description, not a verdict:
    /// see [`Sdp::usable`].
    #[must_use]
    pub fn message(&self) -> Option<MessageMedia> {
        let (line, protocol) = self.message_line()?;
        Some(MessageMedia::read(self, line, protocol))
    }

    /// Tells whether `newer` changes nothing (RFC 3264 section 8: same version in the `o=` line).
    #[must_use]
    pub fn is_repeated_by(&self, newer: &Self) -> bool {
        self.origin.is_some() && self.origin == newer.origin
    }

    fn message_line(&self) -> Option<(&Media, Protocol)> {
        let mut lines = self.media.iter().filter_map(|media| Some((media, media.msrp()?)));
        let first = lines.next()?;
        if first.0.port != 0 {
            return Some(first);
        }
        Some(lines.find(|(media, _)| media.port != 0).unwrap_or(first))
    }
}

impl Media {
    /// Gives the value of the first attribute of that name, empty for a property attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }

    fn is_message(&self) -> bool {
        self.kind.eq_ignore_ascii_case("message")
    }

    fn msrp(&self) -> Option<Protocol> {
        self.is_message().then(|| Protocol::parse(&self.protocol)).flatten()
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
        .map(|attribute| attribute.value.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Fingerprint;

    #[test]
    fn an_offer_is_written_as_deployed_servers_want_it() {
        let expected = "v=0\r\n\
            o=- 3909000000 1 IN IP4 192.0.2.10\r\n\
            s=-\r\n\
            c=IN IP4 192.0.2.10\r\n\
            t=0 0\r\n\
            m=message 2855 TCP/MSRP *\r\n\
            a=accept-types:message/cpim application/im-iscomposing+xml\r\n\
            a=accept-wrapped-types:text/plain message/imdn+xml\r\n\
            a=path:msrp://192.0.2.10:2855/sessid;tcp\r\n\
            a=setup:actpass\r\n\
            a=sendrecv\r\n";
        assert_eq!(write(&local()), expected.as_bytes());
        assert_eq!(read(expected).usable(), Ok(local().media));
    }

    #[test]
    fn ipv6_and_tls_are_written_and_read() {
        let mut local = local();
        local.host = "[2001:db8::1]".into();
        local.media.host = "2001:db8::1".into();
        local.media.proto = Protocol::Tls;
        local.media.path = "msrps://[2001:db8::1]:2855/sessid;tcp".into();
        local.media.max_size = Some(100_000);
        local.media.fingerprints = vec![Fingerprint::of(b"certificate")];
        let text = String::from_utf8(write(&local).to_vec()).unwrap();
        assert!(text.contains("o=- 3909000000 1 IN IP6 2001:db8::1\r\n"), "{text}");
        assert!(text.contains("c=IN IP6 2001:db8::1\r\n"), "{text}");
        assert!(text.contains("m=message 2855 TCP/TLS/MSRP *\r\n"), "{text}");
        assert_eq!(read(&text).usable(), Ok(local.media));
    }

    #[test]
    fn a_middlebox_is_welcome_where_that_is_said() {
        let mut local = local();
        local.media.cema = true;
        let text = String::from_utf8(write(&local).to_vec()).unwrap();
        assert!(text.ends_with("a=sendrecv\r\na=msrp-cema\r\n"), "{text}");
        assert_eq!(read(&text).usable(), Ok(local.media));
    }

    /// RFC 8122 section 5: those of the media go before those of the session, and what proves
    /// nothing is not nothing.
    #[test]
    fn fingerprints_are_those_of_the_media_or_of_the_session() {
        let ours = Fingerprint::of(b"c");
        let tls = "m=message 1 TCP/TLS/MSRP *\r\na=path:msrps://h:1/s;tcp\r\n";
        let of = |session: &str, media: &str| {
            read(&format!("{session}{tls}{media}")).message().unwrap().fingerprints
        };
        let line = format!("a=fingerprint:{ours}\r\n");
        assert_eq!(of("", ""), []);
        assert_eq!(of(&line, ""), std::slice::from_ref(&ours));
        assert_eq!(of("a=fingerprint:sha-256 00:11\r\n", &line), [ours]);
        for useless in ["sha-1 00:11", "", "nonsense"] {
            let found = of("", &format!("a=fingerprint:{useless}\r\n"));
            assert_eq!(found.len(), 1, "{useless}");
            assert!(!found[0].is_of(b"c"));
        }
    }

    /// RFC 6135 section 4.2, and what deployed peers make of it.
    #[test]
    fn quirk_17_somebody_always_connects() {
        use Setup::{ActPass, Active, Passive};
        let offered = |text: &str| {
            let setup = if text.is_empty() { String::new() } else { format!("a=setup:{text}\r\n") };
            let text = format!("m=message 1 TCP/MSRP *\r\na=path:msrp://h:1/s;tcp\r\n{setup}");
            read(&text).message().unwrap().setup
        };
        for (text, setup, as_answerer, as_offerer) in [
            ("", None, Passive, Active),
            ("active", Some(Active), Passive, Passive),
            ("actpass", Some(ActPass), Active, Active),
            ("ActPass", Some(ActPass), Active, Active),
            // To be ignored (section 4.2.1) as if it were not there.
            ("holdconn", None, Passive, Active),
            ("nonsense", None, Passive, Active),
            // An offerer must not say so; then it is we who connect.
            ("passive", Some(Passive), Active, Active),
        ] {
            assert_eq!(offered(text), setup, "{text}");
            assert_eq!(answer_setup(setup), as_answerer, "{text}");
            assert_eq!(offerer_setup(setup), as_offerer, "{text}");
        }
        assert_eq!(offered("active\r\na=connection:new\r\na=connection:new"), Some(Active));
    }

    #[test]
    fn an_answer_has_a_line_for_each_line_of_the_offer() {
        let offer = read(
            "m=audio 4000 RTP/AVP 0 8\r\nm=message 0 TCP/MSRP *\r\n\
             m=message 9 tcp/msrp *\r\nm=message 10 TCP/MSRP *\r\n",
        );
        let text = String::from_utf8(write_answer(&local(), &offer).to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(
            lines,
            [
                "m=audio 0 RTP/AVP 0 8",
                "m=message 0 TCP/MSRP *",
                "m=message 2855 TCP/MSRP *",
                "m=message 0 TCP/MSRP *"
            ]
        );
        assert_eq!(read(&text).usable(), Ok(local().media));
    }

    #[test]
    fn no_value_breaks_out_of_its_line() {
        let evil = "x\r\na=path:msrp://evil:1/x;tcp\nm=audio 1 RTP/AVP 0";
        let tame = local();
        let mut wild = local();
        wild.host = evil.into();
        wild.media.host = evil.into();
        wild.media.path = evil.into();
        wild.media.accept_types = vec![evil.into()];
        let text = String::from_utf8(write(&wild).to_vec()).unwrap();
        let lines = |bytes: &[u8]| bytes.split(|byte| matches!(byte, b'\r' | b'\n')).count();
        assert_eq!(lines(text.as_bytes()), lines(&write(&tame)));
        assert_eq!(read(&text).media.len(), 1);
    }

    #[test]
    fn roles_follow_rfc_6135() {
        for (offered, answer) in [
            (Some(Setup::ActPass), Setup::Active),
            (Some(Setup::Passive), Setup::Active),
            (Some(Setup::Active), Setup::Passive),
            (None, Setup::Passive),
        ] {
            assert_eq!(answer_setup(offered), answer);
        }
        for (answered, ours) in [
            (Some(Setup::Active), Setup::Passive),
            (Some(Setup::Passive), Setup::Active),
            (Some(Setup::ActPass), Setup::Active),
            (None, Setup::Active),
        ] {
            assert_eq!(offerer_setup(answered), ours);
        }
    }

    #[test]
    fn types_match_with_wildcards_and_parameters() {
        let mut media = local().media;
        media.accept_types =
            ["Message/CPIM", "image/*", "text/plain;charset=utf-8"].map(Into::into).into();
        media.accept_wrapped_types = ["text/html"].map(Into::into).into();
        for (content_type, root, wrapped) in [
            ("message/cpim", true, true),
            ("IMAGE/png", true, true),
            ("text/plain; format=flowed", true, true),
            ("text/html", false, true),
            ("images/png", false, false),
            ("image", false, false),
        ] {
            assert_eq!(media.accepts(content_type), root, "{content_type}");
            assert_eq!(media.accepts_wrapped(content_type), wrapped, "{content_type}");
        }
        media.accept_wrapped_types = vec!["*".into()];
        assert!(media.accepts_wrapped("video/mp4"));
    }

    #[test]
    fn a_repeated_origin_says_that_nothing_changed() {
        let (first, same) =
            (read("o=- 1 1 IN IP4 a\r\n"), read("o=- 1 1 IN IP4 a\r\nm=message 0 x *"));
        assert!(first.is_repeated_by(&same));
        assert!(!first.is_repeated_by(&read("o=- 1 2 IN IP4 a\r\n")));
        assert!(!read("s=-").is_repeated_by(&read("s=-")));
    }

    #[test]
    fn s10_what_a_chat_cannot_run_on_is_named() {
        let line = "m=message 2855 TCP/MSRP *\r\n";
        let types = "a=accept-types:message/cpim\r\n";
        let path = "a=path:msrp://192.0.2.1:2855/s;tcp\r\n";
        let hops = format!("a=path:{}\r\n", "msrp://192.0.2.1:1/s;tcp ".repeat(100));
        for (text, fault) in [
            ("s=-\r\nm=audio 4000 RTP/AVP 0\r\n".to_owned(), Unusable::NoMessageLine),
            ("m=message 2855 TCP/SIP *\r\n".to_owned(), Unusable::WrongProtocol),
            (format!("m=message 0 TCP/MSRP *\r\n{types}{path}"), Unusable::Refused),
            (format!("{line}{types}"), Unusable::NoPath),
            (format!("{line}{types}a=path: \r\n"), Unusable::NoPath),
            (format!("{line}{types}{hops}"), Unusable::TooManyHops),
            (format!("{line}{types}a=path:http://192.0.2.1:1/s\r\n"), Unusable::BadPath),
            (format!("{line}{types}a=path:192.0.2.1\r\n"), Unusable::BadPath),
            (format!("{line}{types}a=path:msrp://192.0.2.1/s;tcp\r\n"), Unusable::BadPath),
            (format!("{line}{types}a=path:msrp://:2855/s;tcp\r\n"), Unusable::BadPath),
            (format!("{line}{types}a=path:msrp://192.0.2.1:+5/s;tcp\r\n"), Unusable::BadPath),
            (format!("{line}{types}a=path:msrp://192.0.2.1:0/s;tcp\r\n"), Unusable::BadPath),
            (format!("{line}{types}a=path:msrp://[::1]/s;tcp\r\n"), Unusable::BadPath),
            (format!("{line}{types}a=path:msrps://a:1/s;tcp\r\n"), Unusable::SchemeMismatch),
            (format!("{line}{path}"), Unusable::NoAcceptTypes),
            (format!("{line}{path}a=accept-types:image/*\r\n"), Unusable::NoCommonType),
        ] {
            assert_eq!(read(&text).usable(), Err(fault.clone()), "{text}");
            let warning = fault.to_string();
            assert!((300..=399).contains(&fault.warning()), "{warning}");
            assert!(!warning.contains(['"', '\\', '\r', '\n']), "{warning}");
        }
    }

    #[test]
    fn s10_what_is_odd_and_still_a_chat() {
        let usable = |more: &str| {
            let text = format!(
                "c=IN IP4 192.0.2.1/127\r\n{more}a=accept-types:message/cpim\r\n\
                 a=path:msrp://198.51.100.1:2855/s;tcp\r\n"
            );
            read(&text).usable().unwrap()
        };
        let held = usable(
            "a=inactive\r\na=setup:active\r\nm=message 9 tcp/msrp *\r\na=setup:holdconn\r\n",
        );
        assert_eq!((held.direction, held.setup, held.port), (Direction::Inactive, None, 9));
        assert_eq!(held.host, "192.0.2.1");
        let one_way =
            usable("a=inactive\r\nm=message 2855/1 TCP/MSRP\r\na=SendOnly\r\na=setup: ACTIVE\r\n");
        assert_eq!((one_way.direction, one_way.setup), (Direction::SendOnly, Some(Setup::Active)));
        assert_eq!(one_way.direction.answer(), Direction::RecvOnly);
        let second = usable(
            "m=message 0 TCP/MSRP *\r\na=path:msrp://a:1/x;tcp\r\nm=message 2856 TCP/MSRP *\r\n\
             c=IN IP6 [2001:db8::2]\r\nc=IN IP4 192.0.2.7\r\na=connection:new\r\na=max-size:x\r\n",
        );
        assert_eq!(
            (second.host.as_str(), second.port, second.max_size),
            ("2001:db8::2", 2856, None)
        );
    }

    #[test]
    fn without_a_connection_line_the_path_gives_the_host() {
        for (path, host) in [
            ("msrp://a.example.com:1/x;tcp", "a.example.com"),
            ("msrp://user@[2001:db8::3]:1/x;tcp msrp://b:1/y;tcp", "2001:db8::3"),
            ("nonsense", ""),
        ] {
            let message = read(&format!("m=message 1 TCP/MSRP *\r\na=path:{path}\r\n")).message();
            assert_eq!(message.unwrap().host, host);
        }
    }

    #[test]
    fn s10_descriptions_beyond_the_limits_are_refused() {
        let long_line = format!("a={}\r\n", "x".repeat(70_000));
        let many_lines = "a=x\r\n".repeat(257);
        let lines_within = "a=x\r\n".repeat(256);
        let many_paths =
            "m=message 1 TCP/MSRP *\r\n".to_owned() + &"a=path:msrp://a:1/s;tcp\r\n".repeat(1000);
        for (text, fault) in [
            (long_line.as_str(), SdpError::TooLong),
            (many_lines.as_str(), SdpError::TooManyLines),
            (many_paths.as_str(), SdpError::TooLong),
            ("", SdpError::Empty),
            ("\r\n\r\n", SdpError::Empty),
            ("v=1\r\n", SdpError::Version { line: 1 }),
            ("v=0\r\nnonsense\r\n", SdpError::NotALine { line: 2 }),
            ("v=0\r\nxy=z\r\n", SdpError::NotALine { line: 2 }),
            ("v=0\r\n=z\r\n", SdpError::NotALine { line: 2 }),
            ("v=0\r\nM=z\r\n", SdpError::NotALine { line: 2 }),
            ("a=x\0y\r\n", SdpError::ControlCharacter { line: 1 }),
            ("a=x\ry\r\n", SdpError::ControlCharacter { line: 1 }),
            ("m=message\r\n", SdpError::Media { line: 1 }),
            ("m=message 70000 TCP/MSRP *\r\n", SdpError::Media { line: 1 }),
            ("m=message +1 TCP/MSRP *\r\n", SdpError::Media { line: 1 }),
            ("m=message -1 TCP/MSRP *\r\n", SdpError::Media { line: 1 }),
            ("c=IN IP4\r\n", SdpError::Connection { line: 1 }),
            ("c=IN IP4 /1\r\n", SdpError::Connection { line: 1 }),
            ("o=- 1 1\r\n", SdpError::Origin { line: 1 }),
        ] {
            assert_eq!(Sdp::parse(text.as_bytes()), Err(fault), "{text:.60}");
        }
        assert_eq!(read(&lines_within).attributes.len(), 256);
        assert_eq!(Sdp::parse(b"s=caf\xe9\r\n").unwrap().session_name, "caf\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_offer_survives_a_round_trip(local in locals()) {
            let sdp = Sdp::parse(&write(&local)).unwrap();
            prop_assert_eq!(sdp.message(), Some(local.media));
        }

        #[test]
        fn no_bytes_cause_a_panic(noise: Vec<u8>, text in "([vosctmab]=(message|TCP/MSRP|[0-9]| |a=path:|msrp://|[a\\[\\]:;/*]){0,9}\r?\n){0,9}") {
            let _ = Sdp::parse(&noise);
            if let Ok(sdp) = Sdp::parse(text.as_bytes()) {
                let _ = sdp.usable();
                prop_assert!(Sdp::parse(&write_answer(&local(), &sdp)).is_ok());
            }
        }
    }

    fn read(text: &str) -> Sdp {
        Sdp::parse(text.as_bytes()).unwrap()
    }

    fn local() -> Local {
        let types = |list: [&str; 2]| list.map(str::to_owned).to_vec();
        Local {
            session_id: 3_909_000_000,
            version: 1,
            host: "192.0.2.10".into(),
            media: MessageMedia {
                host: "192.0.2.10".into(),
                port: 2855,
                proto: Protocol::Tcp,
                path: "msrp://192.0.2.10:2855/sessid;tcp".into(),
                accept_types: types(["message/cpim", "application/im-iscomposing+xml"]),
                accept_wrapped_types: types(["text/plain", "message/imdn+xml"]),
                setup: Some(Setup::ActPass),
                direction: Direction::SendRecv,
                max_size: None,
                cema: false,
                fingerprints: Vec::new(),
                chatroom: None,
            },
        }
    }

    fn locals() -> impl Strategy<Value = Local> {
        let host = proptest::sample::select(vec!["192.0.2.1", "2001:db8::1", "a.example.com"]);
        let types = || proptest::collection::vec("[a-z]{1,5}/[a-z*]{1,5}", 0..4);
        let setups = vec![Setup::Active, Setup::Passive, Setup::ActPass];
        let directions = vec![
            Direction::SendRecv,
            Direction::SendOnly,
            Direction::RecvOnly,
            Direction::Inactive,
        ];
        (
            (any::<u64>(), any::<u64>(), host, any::<u16>(), any::<bool>()),
            "(msrps?://[a-z]{1,5}:[0-9]{1,4}/[a-z]{1,5};tcp( msrp://b:1/c;tcp)?)?",
            (types(), types()),
            proptest::option::of(proptest::sample::select(setups)),
            proptest::sample::select(directions),
            (proptest::option::of(any::<u64>()), any::<bool>()),
        )
            .prop_map(|(numbers, path, types, setup, direction, (max_size, cema))| {
                let (session_id, version, host, port, tls) = numbers;
                let media = MessageMedia {
                    host: host.to_owned(),
                    port,
                    proto: if tls { Protocol::Tls } else { Protocol::Tcp },
                    path,
                    accept_types: types.0,
                    accept_wrapped_types: types.1,
                    setup,
                    direction,
                    max_size,
                    cema,
                    fingerprints: tls.then(|| Fingerprint::of(b"x")).into_iter().collect(),
                    chatroom: cema.then(|| vec!["nickname".to_owned()]),
                };
                Local { session_id, version, host: host.to_owned(), media }
            })
    }
}
