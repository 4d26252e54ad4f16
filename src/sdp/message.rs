//! What an MSRP media line says (RFC 4975 section 8), and who connects (RFC 6135).

use super::{Attribute, Media, Sdp, find};
use crate::digest::Fingerprint;

/// An MSRP media line with everything that belongs to it; also the model of the one we write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageMedia {
    /// The address of the `c=` line; where there is none, the one of the path's first URI.
    pub host: String,
    /// The port of the `m=` line; `0` refuses the media, `9` never listens.
    pub port: u16,
    /// Plain or TLS.
    pub proto: Protocol,
    /// The URIs of `a=path`, separated by single spaces; empty where there is none.
    pub path: String,
    /// The types that may stand at the root of a message.
    pub accept_types: Vec<String>,
    /// The types that may stand inside a container only.
    pub accept_wrapped_types: Vec<String>,
    /// Who connects; `None` also for `holdconn`, which is to be ignored (RFC 6135 section 4.2.1).
    pub setup: Option<Setup>,
    /// In which direction messages flow.
    pub direction: Direction,
    /// The size in bytes of the largest message that the peer wants; a hint.
    pub max_size: Option<u64>,
    /// Whether middleboxes may anchor the media at the `c=` and `m=` lines (RFC 6714).
    pub cema: bool,
    /// The fingerprints of which the certificate has to have one (RFC 8122 section 5); those of the
    /// media count, or else those of the session.
    pub fingerprints: Vec<Fingerprint>,
    /// What a chat room, or a participant that knows of them, can do: `nickname`,
    /// `private-messages` (RFC 7701 section 8); absent where nothing is said of chat rooms.
    pub chatroom: Option<Vec<String>>,
}

/// The transport of an MSRP media line (RFC 4975 section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `TCP/MSRP`.
    Tcp,
    /// `TCP/TLS/MSRP`.
    Tls,
}

/// Who opens the connection (RFC 4145, as RFC 6135 uses it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The describing end connects.
    Active,
    /// The describing end listens.
    Passive,
    /// The describing end does either.
    ActPass,
}

/// In which direction messages flow, seen from the describing end (RFC 4975 section 8.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways, the default.
    #[default]
    SendRecv,
    /// The describing end only sends.
    SendOnly,
    /// The describing end only receives.
    RecvOnly,
    /// Neither way.
    Inactive,
}

/// Chooses our side of `a=setup` in an answer.
///
/// A peer that says nothing follows RFC 4975 section 8.5, where the offerer connects. An `actpass`
/// offer is answered `active`: the connection then also works from behind a NAT, and deployed
/// clients expect it.
#[must_use]
pub fn answer_setup(offered: Option<Setup>) -> Setup {
    match offered {
        Some(Setup::ActPass | Setup::Passive) => Setup::Active,
        Some(Setup::Active) | None => Setup::Passive,
    }
}

/// Reads our side of `a=setup` out of the answer to our `actpass` offer.
///
/// An answer without it comes from RFC 4975, where the offerer connects; so does one that wrongly
/// repeats `actpass`.
#[must_use]
pub fn offerer_setup(answered: Option<Setup>) -> Setup {
    match answered {
        Some(Setup::Active) => Setup::Passive,
        Some(Setup::Passive | Setup::ActPass) | None => Setup::Active,
    }
}

impl MessageMedia {
    pub(super) fn read(sdp: &Sdp, line: &Media, proto: Protocol) -> Self {
        let path = words(line.attribute("path")).join(" ");
        let connection = line.connection.as_ref().or(sdp.connection.as_ref());
        let host = connection
            .map(|connection| connection.address.clone())
            .or_else(|| path_host(&path).map(str::to_owned))
            .unwrap_or_default();
        Self {
            host,
            port: line.port,
            proto,
            accept_types: words(line.attribute("accept-types")),
            accept_wrapped_types: words(line.attribute("accept-wrapped-types")),
            setup: line
                .attribute("setup")
                .or_else(|| find(&sdp.attributes, "setup"))
                .and_then(Setup::parse),
            direction: Direction::of(line, sdp),
            max_size: line.attribute("max-size").and_then(|size| size.trim().parse().ok()),
            cema: line.attribute("msrp-cema").is_some(),
            fingerprints: fingerprints(line, sdp),
            chatroom: line.attribute("chatroom").map(|tokens| words(Some(tokens))),
            path,
        }
    }

    /// Tells whether a message of this type may be sent as it is (RFC 4975 section 8.6).
    #[must_use]
    pub fn accepts(&self, content_type: &str) -> bool {
        accepted_by(&self.accept_types, content_type)
    }

    /// Tells whether the describing end says that it can do this in a chat room (RFC 7701 section
    /// 8).
    #[must_use]
    pub fn can_in_chatrooms(&self, token: &str) -> bool {
        self.chatroom.iter().flatten().any(|known| known.eq_ignore_ascii_case(token))
    }

    /// Tells whether a message of this type may be sent inside a container.
    #[must_use]
    pub fn accepts_wrapped(&self, content_type: &str) -> bool {
        self.accepts(content_type) || accepted_by(&self.accept_wrapped_types, content_type)
    }
}

impl Protocol {
    /// Reads the transport of an `m=` line, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Tcp, Self::Tls].into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text))
    }

    /// Gives the name as it stands in an `m=` line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP/MSRP",
            Self::Tls => "TCP/TLS/MSRP",
        }
    }
}

impl Setup {
    /// Reads the value of `a=setup`, in any case; `None` for `holdconn` and the unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::ActPass]
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// Gives the value of `a=setup`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        }
    }
}

impl Direction {
    /// Gives the name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Gives the direction that answers this one (RFC 3264 section 6.1).
    #[must_use]
    pub fn answer(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }

    /// The media's own attribute counts, else the session's, else both ways (RFC 8866 section 6.7).
    fn of(line: &Media, sdp: &Sdp) -> Self {
        [&line.attributes, &sdp.attributes]
            .into_iter()
            .flatten()
            .find_map(|attribute| {
                [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
                    .into_iter()
                    .find(|one| one.as_str().eq_ignore_ascii_case(&attribute.name))
            })
            .unwrap_or_default()
    }
}

/// Cuts the host out of the first URI of a path, without the brackets of an IPv6 literal.
pub(super) fn path_host(path: &str) -> Option<&str> {
    let (_, rest) = path.split(' ').next()?.split_once("://")?;
    let authority = rest.split('/').next()?;
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    let host = match host_port.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?.0,
        None => host_port.rsplit_once(':').map_or(host_port, |(host, _)| host),
    };
    (!host.is_empty()).then_some(host)
}

fn fingerprints(line: &Media, sdp: &Sdp) -> Vec<Fingerprint> {
    let of = |attributes: &[Attribute]| -> Vec<Fingerprint> {
        let named = attributes.iter().filter(|it| it.name.eq_ignore_ascii_case("fingerprint"));
        // What cannot be read must not be taken for none.
        let read = |it: &Attribute| {
            let value = it.value.as_deref().unwrap_or_default();
            Fingerprint::parse(value).unwrap_or_else(Fingerprint::unreadable)
        };
        named.map(read).collect()
    };
    let own = of(&line.attributes);
    if own.is_empty() { of(&sdp.attributes) } else { own }
}

fn words(value: Option<&str>) -> Vec<String> {
    value.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
}

/// An entry with parameters matches the type without them, `*` stands for any type or subtype
/// (RFC 4975 section 8.6).
fn accepted_by(entries: &[String], content_type: &str) -> bool {
    let wanted = essence(content_type);
    entries.iter().map(|entry| essence(entry)).any(|entry| {
        entry == "*" || entry == "*/*" || entry.eq_ignore_ascii_case(wanted) || {
            let wildcard = entry.strip_suffix("/*");
            wildcard.zip(wanted.split_once('/')).is_some_and(|(family, (wanted_family, _))| {
                family.eq_ignore_ascii_case(wanted_family)
            })
        }
    })
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}
