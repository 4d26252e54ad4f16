//! A phone: one user with real calls, a subscription and an MSRP session.

use std::sync::Arc;

use bytes::BytesMut;

use super::super::super::*;
use super::{SERVER, user};
use crate::im_server::SeatId;
use crate::msrp::{self, Limits, Parser};
use crate::payload::conference::{self, Extent, Merged, View};
use crate::payload::{Conference, Cpim, multipart};
use crate::sip::{
    Body, Call, DialogKey, Kit, Leg, LegEvent, LegInput, LegOutput, Local, NameAddr, Subscriber,
    SubscriberEvent, Timers, Uri, UsageInput, UsageOutput,
};

/// How a phone takes an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Accepts, and connects.
    Accepts,
    /// Accepts, and waits to be connected to.
    AcceptsPassively,
    /// Accepts with a description that is of no use to anybody.
    AcceptsUselessly,
    /// Refuses.
    Refuses(u16),
    /// Rings on.
    Rings,
}

/// One user with all it has.
pub(crate) struct Phone {
    pub(crate) manner: Manner,
    pub(crate) leg: Option<Leg>,
    pub(crate) media: Option<msrp::Session>,
    pub(crate) watch: Option<Subscriber>,
    pub(crate) view: View,
    /// Whether it takes what is written to it.
    pub(crate) reads: bool,
    /// What lies unread, where it reads at leisure.
    pub(crate) unread: Option<Vec<Bytes>>,
    /// Whether its descriptions say that it knows of private messages.
    pub(crate) knows_private: bool,
    pub(crate) seat: Option<SeatId>,
    /// What it has said, and nobody has carried yet.
    pub(crate) said: std::collections::VecDeque<Said>,
    /// The session-id of the focus.
    pub(crate) peer: String,
    /// What it has been told, in order.
    pub(crate) told: Vec<String>,
    /// The INVITE that it has got last.
    pub(crate) invited: Option<Request>,
    /// The conference documents, as they came.
    pub(crate) documents: Vec<Conference>,
    /// The URI of the room that it is in.
    pub(crate) room: String,
    /// Who has let it in, as the network asserts.
    pub(crate) asserted: Option<String>,
    pub(crate) number: u32,
}

/// What a phone wants to have carried.
pub(crate) enum Said {
    Sip(Bytes),
    Connect(String),
    Frame(Bytes),
}

impl Phone {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            manner: Manner::Accepts,
            leg: None,
            media: None,
            watch: None,
            view: View::default(),
            reads: true,
            unread: None,
            knows_private: true,
            seat: None,
            said: std::collections::VecDeque::new(),
            peer: String::new(),
            told: Vec::new(),
            invited: None,
            documents: Vec::new(),
            room: String::new(),
            asserted: None,
            number,
        }
    }

    pub(crate) fn kit(&mut self) -> Kit {
        self.number += 1000;
        let local = Local::new(hop(HOME), "phone");
        let random = Random::seeded(self.number.into());
        Kit { local: Arc::new(local), timers: Timers::default(), random }
    }

    pub(crate) fn own(&self) -> u32 {
        self.number % 1000
    }

    pub(crate) fn session(&mut self) -> msrp::Session {
        self.number += 1000;
        let uri = format!("msrp://127.0.0.1:{}/p{};tcp", 20_000 + self.own(), self.number);
        let random = Random::seeded(self.number.into());
        msrp::Session::new(msrp::Uri::parse(&uri).unwrap(), Limits::default(), random)
    }

    pub(crate) fn sdp(&self, session: &msrp::Session, setup: &str) -> Bytes {
        let chatroom = if self.knows_private { "a=chatroom:private-messages\r\n" } else { "" };
        let port = 20_000 + self.own();
        Bytes::from(format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=message {port} TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
             a=accept-wrapped-types:text/plain message/imdn+xml application/im-iscomposing+xml\r\n\
             a=path:{}\r\na=setup:{setup}\r\n{chatroom}",
            session.path()
        ))
    }

    pub(crate) fn errand(&self, target: &str) -> Call {
        let target = Uri::parse(target).unwrap();
        Call {
            from: NameAddr::new(Uri::parse(&user(self.own())).unwrap()),
            to: NameAddr::new(target.clone()),
            target,
            next_hops: vec![hop(SERVER)],
            proxy: None,
            route: Vec::new(),
            orig: false,
            headers: Vec::new(),
            contact_user: Some(format!("phone{}", self.own())),
            contact_params: String::new(),
            body: Body { content_type: String::new(), bytes: Bytes::new() },
            letter: None,
        }
    }

    /// Accepts the invitation that it was told of, and connects, or waits to be connected to.
    pub(crate) fn accept(&mut self, now: Instant, leg: &mut Leg, invite: &Request) {
        let passive = self.manner == Manner::AcceptsPassively;
        let mut session = self.session();
        let setup = if passive { "passive" } else { "active" };
        let bytes = self.sdp(&session, setup);
        leg.accept(now, Body { content_type: "application/sdp".into(), bytes });
        let content_type = invite.content_type().unwrap();
        let parts = multipart::leaves(content_type, invite.body.clone()).unwrap();
        let side = if passive { msrp::Setup::Passive } else { msrp::Setup::Active };
        let path = path_of(&parts[0].body);
        self.peer = path.first().session_id().unwrap().to_owned();
        session.open(now, path, side);
        self.media = Some(session);
    }

    pub(crate) fn be_invited(&mut self, now: Instant, invite: Request) {
        self.told.push("invited".to_owned());
        self.room = invite.contact().unwrap().unwrap().uri.to_string();
        let kit = self.kit();
        let mut leg = Leg::answering(now, invite.clone(), hop(SERVER), kit);
        match self.manner {
            Manner::Accepts | Manner::AcceptsPassively => self.accept(now, &mut leg, &invite),
            Manner::AcceptsUselessly => {
                let bytes = Bytes::from_static(b"v=1\r\n");
                leg.accept(now, Body { content_type: "application/sdp".into(), bytes });
            }
            Manner::Refuses(code) => leg.reject(now, status(code), Vec::new()),
            Manner::Rings => leg.ring(now),
        }
        self.leg = Some(leg);
        self.invited = Some(invite);
    }

    pub(crate) fn has(&self, key: &DialogKey) -> bool {
        let leg = self.leg.as_ref().is_some_and(|leg| leg.local_tag() == key.tag);
        leg || self.watch.as_ref().is_some_and(|watch| watch.local_tag() == key.tag)
    }

    pub(crate) fn take(&mut self, now: Instant, key: &DialogKey, message: Message) {
        let source = hop(SERVER);
        match &mut self.leg {
            Some(leg) if leg.local_tag() == key.tag => {
                leg.handle(now, LegInput::Message { message, source });
            }
            Some(_) | None => {
                if let Some(watch) = &mut self.watch {
                    watch.handle(now, UsageInput::Message { message, source });
                }
            }
        }
        // What comes first is heard first.
        while let Some(said) = self.listen(now) {
            self.said.push_back(said);
        }
    }

    pub(crate) fn read(&mut self, now: Instant, bytes: &[u8]) {
        if let Some(unread) = &mut self.unread {
            return unread.push(Bytes::copy_from_slice(bytes));
        }
        if let (true, Some(media)) = (self.reads, &mut self.media) {
            media.handle(now, msrp::Input::Frame(frame(bytes)));
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let leg = self.leg.as_ref().and_then(Leg::next_timeout);
        let watch = self.watch.as_ref().and_then(Subscriber::next_timeout);
        let media = self.media.as_ref().and_then(msrp::Session::next_timeout);
        [leg, watch, media].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(leg) = &mut self.leg {
            leg.handle(now, LegInput::Timeout);
        }
        if let Some(watch) = &mut self.watch {
            watch.handle(now, UsageInput::Timeout);
        }
        if let Some(media) = &mut self.media {
            media.handle(now, msrp::Input::Timeout);
        }
    }

    pub(crate) fn poll(&mut self, now: Instant) -> Option<Said> {
        self.said.pop_front().or_else(|| self.listen(now))
    }

    pub(crate) fn listen(&mut self, now: Instant) -> Option<Said> {
        while let Some(output) = self.leg.as_mut().and_then(Leg::poll) {
            match output {
                LegOutput::Send { bytes, .. } => return Some(Said::Sip(bytes)),
                LegOutput::Event(event) => self.hear_call(now, &event),
                LegOutput::Spare { .. } => {}
            }
        }
        while let Some(output) = self.watch.as_mut().and_then(Subscriber::poll) {
            match output {
                UsageOutput::Send { bytes, .. } => return Some(Said::Sip(bytes)),
                UsageOutput::Event(event) => self.hear_news(event),
                UsageOutput::Spare { .. } => {}
            }
        }
        while let Some(output) = self.media.as_mut().and_then(msrp::Session::poll) {
            match output {
                msrp::Output::Write(bytes) => return Some(Said::Frame(bytes)),
                msrp::Output::WriteParts(parts) => return Some(Said::Frame(parts.concat().into())),
                msrp::Output::Connect { .. } => {
                    return Some(Said::Connect(self.peer.clone()));
                }
                msrp::Output::Close => self.seat = None,
                msrp::Output::Event(event) => self.hear_message(event),
            }
        }
        None
    }

    pub(crate) fn hear_call(&mut self, now: Instant, event: &LegEvent) {
        match event {
            LegEvent::Established { response } => {
                let contact = response.contact().unwrap().unwrap();
                self.room = contact.uri.to_string();
                let asserted = response.headers.get("P-Asserted-Identity");
                self.asserted = asserted.map(str::to_owned);
                self.told.push(format!("in {}", contact.param("isfocus").is_none()));
                let setup = if String::from_utf8_lossy(&response.body).contains("setup:passive") {
                    msrp::Setup::Active
                } else {
                    msrp::Setup::Passive
                };
                let path = path_of(&response.body);
                self.peer = path.first().session_id().unwrap().to_owned();
                self.media.as_mut().unwrap().open(now, path, setup);
            }
            LegEvent::Refused { response } => {
                let warning = response.headers.get("Warning").unwrap_or_default();
                let line = format!("refused {} {warning}", response.status.code());
                self.told.push(line.trim_end().to_owned());
            }
            LegEvent::Ended { reasons } => {
                let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                self.told.push(format!("bye {}", reasons.join(" ")).trim_end().to_owned());
                if let Some(media) = &mut self.media {
                    media.close(now);
                }
            }
            LegEvent::CancelledByPeer { .. } => self.told.push("cancelled".to_owned()),
            LegEvent::Referral { news, .. } => self.told.push(format!("{news:?}")),
            LegEvent::Progress(_) | LegEvent::Confirmed | LegEvent::ByeDone => {}
            LegEvent::NoAnswer(_)
            | LegEvent::Cancelled
            | LegEvent::Expired
            | LegEvent::Answer { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::SessionExpired
            | LegEvent::NoAck
            | LegEvent::Offer { .. }
            | LegEvent::Lost { .. }
            | LegEvent::Referred { .. } => self.told.push(format!("{event:?}")),
        }
    }

    pub(crate) fn hear_news(&mut self, event: SubscriberEvent) {
        match event {
            SubscriberEvent::Notified { body: Some(body), .. } => {
                let document = Conference::parse(&body.bytes).unwrap();
                let whole = document.state == Extent::Full;
                let kind = if whole { "full" } else { "partial" };
                let version = document.version.unwrap();
                let users: Vec<_> = document.users.iter().map(shown).collect();
                self.told.push(format!("{kind} {version}: {}", users.join(", ")));
                assert!(matches!(self.view.merge(&document), Merged::Taken { .. }), "{kind}");
                self.documents.push(document);
            }
            SubscriberEvent::Notified { body: None, .. } | SubscriberEvent::Accepted { .. } => {}
            SubscriberEvent::Failed { why, .. } => self.told.push(format!("unwatched {why:?}")),
            SubscriberEvent::Ended { why, .. } => self.told.push(format!("over {why:?}")),
        }
    }

    pub(crate) fn hear_message(&mut self, event: msrp::Event) {
        match event {
            msrp::Event::Message(message) => {
                let wrapper = Cpim::parse(message.body).unwrap();
                let from = View::key(wrapper.from_uri().unwrap());
                let from = from.strip_prefix("tel:+195855501").unwrap().to_owned();
                let text = wrapper.text_content().unwrap_or_else(|| wrapper.content_type.clone());
                self.told.push(format!("{from}: {text}"));
            }
            msrp::Event::Sent { message_id } if self.reads => {
                self.told.push(format!("{message_id} sent"));
            }
            msrp::Event::Failed { message_id, code, .. } => {
                self.told.push(format!("{message_id} failed {code}"));
            }
            msrp::Event::Nickname { nickname, code, .. } => {
                self.told.push(format!("{} {code}", nickname.unwrap_or_default()));
            }
            msrp::Event::Sent { .. }
            | msrp::Event::Bound
            | msrp::Event::Report { .. }
            | msrp::Event::NicknameAsked(_)
            | msrp::Event::Interrupted
            | msrp::Event::Path(_)
            | msrp::Event::Broken(_) => {}
        }
    }
}

fn shown(user: &conference::User) -> String {
    let endpoint = user.foremost().unwrap();
    let key = View::key(&user.entity);
    let mut line = key.strip_prefix("tel:+195855501").unwrap_or(&key).to_owned();
    line += if user.is_own { "* " } else { " " };
    line += endpoint.status.unwrap().as_str();
    for more in [endpoint.disconnection.map(|how| how.as_str()), endpoint.reason.as_deref()] {
        line += &more.map(|more| format!(" {more}")).unwrap_or_default();
    }
    line
}

pub(crate) fn path_of(sdp: &[u8]) -> msrp::Path {
    let text = String::from_utf8_lossy(sdp);
    let line = text.lines().find_map(|line| line.strip_prefix("a=path:")).unwrap();
    msrp::Path::parse(line).unwrap()
}

pub(crate) fn frame(bytes: &[u8]) -> msrp::Frame {
    Parser::new(Limits::default()).next(&mut BytesMut::from(bytes)).unwrap().unwrap()
}
