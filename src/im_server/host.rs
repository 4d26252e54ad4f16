//! The host of chats: a focus of its own beside a user agent, for rooms that belong to one of its
//! users (OMA IM, "chat hosted by a participant").
//!
//! ```text
//!  the host's own INVITE ──▶ factory ──▶ room ──INVITE, in the host's name──▶ IM server ──▶ others
//!  INVITE, SUBSCRIBE, REFER of the others ──IM server──▶ room
//! ```
//! It shares the address of its user agent, and is told apart by the URIs of its requests
//! ([`HostNames`]). The name of the factory is drawn at the start and never leaves this process:
//! whoever calls it is the user agent itself. Who has sent anything else is the business of whoever
//! hands it in, as with every focus.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::domain::same_host;
use super::door::Sender;
use super::focus::{Focus, FocusOutput, FocusSettings};
use super::refusal::Clerk;
use super::{Element, Input, Output, policy};
use crate::ids::Random;
use crate::msrp;
use crate::sip::{Hop, Message, Method, Request, Status, Uri, reply_hop, stamp_answer};

/// A focus whose rooms belong to the users of a user agent.
#[derive(Debug)]
pub struct Host {
    focus: Focus,
    names: HostNames,
    clerk: Clerk,
    outputs: VecDeque<Output>,
}

/// By which URIs a host is told apart from the user agent whose address it shares.
#[derive(Debug, Clone)]
pub struct HostNames {
    local: Hop,
    factory: String,
    rooms: String,
}

/// How the names of all rooms begin that a user agent hosts.
const HOSTED: &str = "hosted-";

/// Tells whether a URI may be that of a room that the user agent at its address hosts.
pub(super) fn may_be_hosted(uri: &Uri) -> bool {
    let user = uri.user_unescaped().unwrap_or_default().to_ascii_lowercase();
    user.strip_prefix(HOSTED).is_some_and(|rest| !rest.is_empty())
}

/// How far the sender of a request is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It is the user agent itself.
    Own,
    /// It belongs to our trust domain (RFC 3325): what it asserts is so.
    Trusted,
    /// It is let in, but not believed.
    Known,
}

impl HostNames {
    /// Draws the names of a host at `local`.
    #[must_use]
    pub fn draw(local: Hop, random: &mut Random) -> Self {
        let token = |random: &mut Random| random.token().to_ascii_lowercase();
        let factory = format!("host-{}", token(random));
        Self { local, factory, rooms: format!("{HOSTED}{}-", token(random)) }
    }

    /// Gives the URI at which the user agent asks for a room; `None` where its address makes none.
    #[must_use]
    pub fn factory(&self) -> Option<Uri> {
        Uri::sip(Some(&self.factory), &self.local.authority()).ok()
    }

    /// Tells whether a request is for the host.
    #[must_use]
    pub fn mean(&self, uri: &Uri) -> bool {
        let is_here = uri.hop().is_some_and(|hop| {
            same_host(&hop.host, &self.local.host) && hop.port == self.local.port
        });
        let user = uri.user_unescaped().unwrap_or_default().to_ascii_lowercase();
        is_here && (user == self.factory || user.starts_with(&self.rooms))
    }

    /// Prepares a request for the host: leaves in it what its sender may say of itself, and tells
    /// whether it may come in at all. Only the user agent knows the factory.
    pub fn admit(&self, request: &mut Request, trust: Option<Trust>) -> bool {
        let user = request.uri.user_unescaped().unwrap_or_default();
        let trust = if user.eq_ignore_ascii_case(&self.factory) { Some(Trust::Own) } else { trust };
        match trust {
            Some(Trust::Own) => policy::introduce(&mut request.headers, &Sender::Home),
            Some(Trust::Trusted) => {}
            Some(Trust::Known) => policy::distrust(&mut request.headers),
            // Within a dialog the tags that were drawn for it are the proof.
            None => {
                policy::distrust(&mut request.headers);
                return request.to_tag().is_some();
            }
        }
        true
    }
}

impl Host {
    /// Makes a host without rooms; of `settings`, the names are those of `names`.
    #[must_use]
    pub fn new(names: HostNames, settings: FocusSettings, mut random: Random) -> Self {
        let clerk = Clerk::new(&settings.user_agent, &mut random);
        let limits = msrp::Limits {
            response_wait: settings.msrp.response_wait.min(LONGEST_SERVICE),
            ..*settings.msrp
        };
        let settings = FocusSettings {
            msrp: Arc::new(limits),
            local: names.local.clone(),
            factory: names.factory.clone(),
            rooms: String::new(),
            ad_hoc: names.rooms.clone(),
            ..settings
        };
        Self { focus: Focus::new(settings, random), names, clerk, outputs: VecDeque::new() }
    }

    /// Gives the names by which requests for it are known.
    #[must_use]
    pub fn names(&self) -> &HostNames {
        &self.names
    }

    /// Counts the rooms that are not over.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.focus.rooms()
    }

    fn take(&mut self, now: Instant, request: Request, source: Hop) {
        let is_ping = request.method == Method::Options && request.to_tag().is_none();
        let answer = if is_ping {
            let mut answer = self.clerk.answer(&request, Status::OK);
            answer.headers.push("Allow", &self.focus.allow());
            answer.headers.push("Allow-Events", crate::payload::conference::EVENT);
            Some(answer)
        } else {
            let denied = self.focus.take(now, request.clone(), source.clone()).err();
            denied.map(|denial| self.clerk.refuse(&request, &denial.into()))
        };
        // An ACK is never answered, not even one that nobody waits for.
        if let Some(mut answer) = answer.filter(|_| request.method != Method::Ack) {
            stamp_answer(&mut answer, &source);
            let hop = answer.via().map_or(source.clone(), |via| reply_hop(&via, &source));
            self.outputs.push_back(Output::Send { bytes: answer.encode(), hop });
        }
    }
}

impl Element for Host {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Message { message, source } if self.focus.owns(&message, &source) => {
                self.focus.handle_sip(now, message, source);
            }
            Input::Message { message: Message::Request(request), source } => {
                self.take(now, request, source);
            }
            // A response that nobody waits for.
            Input::Message { message: Message::Response(_), .. } => {}
            Input::SendFailed { hop } => self.focus.handle_failure(now, &hop),
            Input::Media { seat, inputs } => self.focus.handle_media(now, seat, inputs),
            Input::Timeout => self.focus.handle_timeout(now),
            Input::Stop => self.focus.stop(now),
        }
        while let Some(output) = self.focus.poll() {
            self.outputs.push_back(match output {
                FocusOutput::Sip { bytes, hop } => Output::Send { bytes, hop },
                FocusOutput::Media { seat, output } => Output::Media { seat, output },
            });
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.focus.next_timeout()
    }
}

/// How long a participant of a hosted room may leave a message unanswered, from when it has come to
/// the room: its sender waits for the answer of the slowest, and no longer than 30 s (RFC 4975
/// section 7.1.1).
const LONGEST_SERVICE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sip::{NameAddr, RequestBuilder, Transport};

    fn names() -> HostNames {
        let local = Hop::new(Transport::Udp, "192.0.2.1", 5080);
        HostNames::draw(local, &mut Random::seeded(1))
    }

    fn request(uri: &Uri, to: &str) -> Request {
        let address = |text: &str| NameAddr::parse(text).unwrap();
        RequestBuilder::new(Method::Subscribe, uri.clone())
            .header("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1")
            .from(&address("<sip:a@x>;tag=a"))
            .to(&address(to))
            .call_id("c")
            .cseq(1)
            .header("P-Asserted-Identity", "<sip:somebody@x>")
            .header("P-Preferred-Identity", "<sip:me@x>")
            .build()
    }

    #[test]
    fn what_is_for_the_host_is_known_by_names_that_nobody_else_has() {
        let names = names();
        let factory = names.factory().unwrap();
        assert!(names.mean(&factory));
        let room = format!("sip:{}1@192.0.2.1:5080", names.rooms);
        assert!(names.mean(&Uri::parse(&room).unwrap()));
        assert!(names.mean(&Uri::parse(&room.to_uppercase().replace("SIP:", "sip:")).unwrap()));
        for uri in [
            room.replace("5080", "5060"),
            room.replace("192.0.2.1", "192.0.2.2"),
            "sip:host-@192.0.2.1:5080".to_owned(),
            "sip:192.0.2.1:5080".to_owned(),
            "tel:+19585550100".to_owned(),
        ] {
            assert!(!names.mean(&Uri::parse(&uri).unwrap()), "{uri}");
        }
    }

    #[test]
    fn who_is_not_believed_asserts_nothing_and_strangers_stay_outside() {
        let names = names();
        let room = Uri::parse(&format!("sip:{}1@192.0.2.1:5080", names.rooms)).unwrap();
        let asserted = |uri: &Uri, to: &str, trust| {
            let mut request = request(uri, to);
            let is_in = names.admit(&mut request, trust);
            let asserted = request.headers.get("P-Asserted-Identity").map(str::to_owned);
            (is_in, asserted.unwrap_or_default())
        };
        let somebody = "<sip:somebody@x>".to_owned();
        let nobody = String::new();
        assert_eq!(asserted(&room, "<sip:r@x>", Some(Trust::Trusted)), (true, somebody.clone()));
        assert_eq!(asserted(&room, "<sip:r@x>", Some(Trust::Own)), (true, somebody.clone()));
        assert_eq!(asserted(&room, "<sip:r@x>", Some(Trust::Known)), (true, nobody.clone()));
        assert_eq!(asserted(&room, "<sip:r@x>", None), (false, nobody.clone()));
        assert_eq!(asserted(&room, "<sip:r@x>;tag=t", None), (true, nobody));
        let factory = names.factory().unwrap();
        assert_eq!(asserted(&factory, "<sip:r@x>", None), (true, somebody), "its name is the key");
    }
}
