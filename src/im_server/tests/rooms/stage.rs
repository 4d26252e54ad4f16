//! A stage: the server with its focus, phones at home with real calls, subscriptions and MSRP
//! sessions, and a virtual clock.

mod phone;

use std::collections::BTreeMap;

use super::super::*;
use crate::im_server::{FocusSettings, MediaOutput, SeatId};
use crate::msrp::{self, FailureReport, Outgoing};
use crate::payload::conference::{self, View};
use crate::payload::{Cpim, Part, ResourceList, multipart, resource_list};
use crate::sip::{
    Body, Errand, EventType, Forks, Leg, LegInput, MethodForm, Refer, Reference, Route, Subscriber,
    Subscription, Uri, route,
};

pub(super) use phone::{Manner, Phone};
use phone::{Said, frame};

pub(super) struct Stage {
    pub(super) server: ImServer,
    pub(super) phones: BTreeMap<u32, Phone>,
    seats: BTreeMap<SeatId, String>,
    pub(super) now: Instant,
    /// All SIP that the server has sent, a line each.
    pub(super) sip: Vec<String>,
    /// All answers to requests that no phone has sent.
    pub(super) answers: Vec<Response>,
    /// All requests within dialogs that no phone has.
    pub(super) unclaimed: Vec<Request>,
    /// Where the bodies lie that were written without a copy.
    pub(super) bodies: std::collections::BTreeSet<usize>,
    messages: u32,
    branch: u32,
}

pub(super) const FACTORY: &str = "sip:conference-factory@example.com";
const SERVER: &str = "udp:192.0.2.1:5060";

impl Stage {
    pub(super) fn new(users: u32) -> Self {
        Self::with(users, |_| {})
    }

    pub(super) fn with(users: u32, change: impl FnOnce(&mut FocusSettings)) -> Self {
        let mut focus = FocusSettings { msrp_host: "192.0.2.1".to_owned(), ..Default::default() };
        change(&mut focus);
        let settings = Settings {
            local: hop(SERVER),
            home: Some(hop(HOME)),
            datagram: 0,
            max_transactions: 1_000_000,
            focus: Some(focus),
            ..Settings::default()
        };
        let start = Instant::now();
        Self {
            server: ImServer::new(start, settings, Random::seeded(1)),
            phones: (1..=users).map(|number| (number, Phone::new(number))).collect(),
            seats: BTreeMap::new(),
            now: start,
            sip: Vec::new(),
            answers: Vec::new(),
            unclaimed: Vec::new(),
            bodies: std::collections::BTreeSet::new(),
            messages: 0,
            branch: 0,
        }
    }

    pub(super) fn phone(&mut self, number: u32) -> &mut Phone {
        self.phones.get_mut(&number).unwrap()
    }

    /// Gives what a phone has been told since it was asked last.
    pub(super) fn told(&mut self, number: u32) -> Vec<String> {
        std::mem::take(&mut self.phone(number).told)
    }

    /// Lets a phone call, with a list of others where there is one.
    pub(super) fn call(&mut self, number: u32, target: &str, others: &[&str]) {
        let list = (!others.is_empty()).then(|| ResourceList::of(others.to_vec()).write());
        self.call_with(number, target, list.as_deref(), &[]);
    }

    pub(super) fn call_with(
        &mut self,
        number: u32,
        target: &str,
        list: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) {
        let now = self.now;
        let phone = self.phone(number);
        let session = phone.session();
        let sdp = phone.sdp(&session, "actpass");
        let mut call = phone.errand(target);
        call.body = Body { content_type: "application/sdp".into(), bytes: sdp.clone() };
        call.headers.extend(headers.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        if let Some(list) = list {
            let mut part = Part::new(resource_list::CONTENT_TYPE, list.to_vec());
            part.headers.push(("Content-Disposition".into(), "recipient-list".into()));
            let bytes = multipart::write(&[Part::new("application/sdp", sdp), part], "b");
            call.letter = Some(Body { content_type: multipart::content_type("b"), bytes });
            call.headers.push(("Require".into(), "recipient-list-invite".into()));
        }
        phone.leg = Some(Leg::call(now, call, phone.kit()));
        phone.media = Some(session);
        self.run();
    }

    /// Lets a phone subscribe to the state of its room.
    pub(super) fn watch(&mut self, number: u32) {
        let room = self.phone(number).room.clone();
        self.watch_at(number, &room, 3600);
    }

    pub(super) fn watch_at(&mut self, number: u32, target: &str, expires: u32) {
        let now = self.now;
        let phone = self.phone(number);
        let call = phone.errand(target);
        let errand = Errand {
            target: call.target,
            from: call.from,
            to: call.to,
            next_hops: call.next_hops,
            proxy: None,
            route: Vec::new(),
            headers: Vec::new(),
            contact_user: call.contact_user,
            contact_params: String::new(),
        };
        let subscription = Subscription {
            errand,
            event: EventType::new(conference::EVENT),
            accept: vec![conference::CONTENT_TYPE.to_owned()],
            expires,
            forks: Forks::Refuse,
            body: None,
        };
        phone.view = View::default();
        phone.watch = Some(Subscriber::subscribe(now, subscription, phone.kit()));
        self.run();
    }

    pub(super) fn unwatch(&mut self, number: u32) {
        let now = self.now;
        self.phone(number).watch.as_mut().unwrap().unsubscribe(now);
        self.run();
    }

    pub(super) fn refer(&mut self, number: u32, refer: Refer) {
        let now = self.now;
        self.phone(number).leg.as_mut().unwrap().refer(now, refer).unwrap();
        self.run();
    }

    pub(super) fn leave(&mut self, number: u32, reason: Option<crate::sip::Reason>) {
        let now = self.now;
        let phone = self.phone(number);
        phone.leg.as_mut().unwrap().bye(now, reason);
        if let Some(media) = &mut phone.media {
            media.close(now);
        }
        self.run();
    }

    /// Lets a phone say something to all.
    pub(super) fn say(&mut self, number: u32, text: &str) {
        let to = self.phone(number).room.clone();
        self.send(number, &Cpim::text(&from(number), &format!("<{to}>"), None, text));
    }

    pub(super) fn send(&mut self, number: u32, message: &Cpim) {
        self.send_raw(number, "message/cpim", message.write());
    }

    pub(super) fn send_raw(&mut self, number: u32, content_type: &str, body: Bytes) {
        let now = self.now;
        self.messages += 1;
        let message_id = format!("id{}", self.messages);
        let message = Outgoing {
            message_id,
            content_type: content_type.to_owned(),
            body,
            success_report: false,
            failure_report: FailureReport::Yes,
        };
        self.phone(number).media.as_mut().unwrap().send(now, message).unwrap();
        self.run();
    }

    /// Hands in a request as it is; gives the status of the answer.
    pub(super) fn knock(&mut self, source: &str, request: Request) -> u16 {
        self.answers.clear();
        let input = Input::Message { message: request.into(), source: hop(source) };
        self.server.handle(self.now, input);
        self.run();
        let answers = self.answers.iter().filter(|answer| answer.status.is_final());
        answers.map(|answer| answer.status.code()).last().unwrap_or_default()
    }

    /// A request as a phone would write it, with a branch of its own.
    pub(super) fn request(&mut self, number: u32, method: &str, uri: &str) -> Request {
        self.branch += 1;
        let (user, branch) = (user(number), self.branch);
        let via = format!("SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKx{branch}");
        let (from, call_id) = (format!("<{user}>;tag=x{branch}"), format!("raw{branch}"));
        let all = [("Via", &*via), ("From", &from), ("Call-ID", &call_id)];
        let mut request = request(method, uri, &all);
        request.headers.set("Contact", "<sip:raw@127.0.0.1:5070>");
        request
    }

    /// Lets time pass, timer by timer.
    pub(super) fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let phones = self.phones.values().filter_map(Phone::next_timeout);
            let next = phones.chain(self.server.next_timeout()).min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = next.max(self.now);
            self.server.handle(self.now, Input::Timeout);
            let now = self.now;
            self.phones.values_mut().for_each(|phone| phone.handle_timeout(now));
            self.run();
        }
        self.now = end;
    }

    /// Carries everything between all until nobody has more to say.
    pub(super) fn run(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(output) = self.server.poll() {
                is_quiet = false;
                match output {
                    Output::Send { bytes, hop } => self.carry_out(bytes, &hop),
                    Output::Media { seat, output } => self.carry_media(seat, output),
                }
            }
            for number in self.phones.keys().copied().collect::<Vec<_>>() {
                is_quiet &= !self.drain(number);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn carry_out(&mut self, bytes: Bytes, to: &Hop) {
        let message = decode(bytes);
        let line = match &message {
            Message::Request(request) => {
                let to = request.to().unwrap().uri.user_unescaped().unwrap_or_default();
                format!("{} {to}", request.method)
            }
            Message::Response(response) => {
                format!("{} {}", response.status.code(), response.cseq().unwrap().method)
            }
        };
        self.sip.push(line);
        assert_eq!(to.host, "127.0.0.1");
        let now = self.now;
        let key = match route(&message) {
            Route::Response(key) | Route::InDialog(key) => key,
            Route::Initial(_) => {
                let Message::Request(request) = message else { panic!("a response") };
                let number = self.number_of(&request.uri);
                let phone = self.phone(number);
                if request.method == Method::Invite && phone.invited.as_ref() != Some(&request) {
                    return phone.be_invited(now, request);
                }
                let input = LegInput::Message { message: request.into(), source: hop(SERVER) };
                return phone.leg.as_mut().unwrap().handle(now, input);
            }
            Route::Malformed => panic!("malformed"),
        };
        if let Message::Response(response) = &message
            && !self.phones.values().any(|phone| phone.has(&key))
        {
            return self.answers.push(response.clone());
        }
        let phone = self.phones.values_mut().find(|phone| phone.has(&key));
        match (phone, message) {
            (Some(phone), message) => phone.take(now, &key, message),
            (None, Message::Request(request)) => self.unclaimed.push(request),
            (None, Message::Response(_)) => {}
        }
    }

    /// Answers a request that no phone has.
    pub(super) fn answer_unclaimed(&mut self, request: &Request, code: u16) {
        let response = response_to(request, status(code), None);
        self.server
            .handle(self.now, Input::Message { message: response.into(), source: hop(HOME) });
        self.run();
    }

    /// Lets a phone that rings take its invitation.
    pub(super) fn accept(&mut self, number: u32) {
        let now = self.now;
        let phone = self.phone(number);
        let (mut leg, invite) = (phone.leg.take().unwrap(), phone.invited.clone().unwrap());
        phone.accept(now, &mut leg, &invite);
        phone.leg = Some(leg);
        self.run();
    }

    /// Lets a phone that rings refuse its invitation.
    pub(super) fn decline(&mut self, number: u32, code: u16) {
        let now = self.now;
        self.phone(number).leg.as_mut().unwrap().reject(now, status(code), Vec::new());
        self.run();
    }

    /// Lets a phone that reads at leisure read what lies there now.
    pub(super) fn catch_up(&mut self, number: u32) {
        let now = self.now;
        let phone = self.phone(number);
        let unread = phone.unread.take().unwrap_or_default();
        unread.iter().for_each(|bytes| phone.read(now, bytes));
        phone.unread = Some(Vec::new());
        self.run();
    }

    /// Lets a phone ask for somebody to be invited or sent away, and not for how it goes.
    pub(super) fn refer_quietly(&mut self, number: u32, reference: Reference) {
        self.refer(number, Refer { is_watched: false, ..Refer::to(reference) });
    }

    /// Hands in a SUBSCRIBE of a phone to the state of a room; gives the status of the answer.
    pub(super) fn ask_to_watch(&mut self, number: u32, room: &str, expires: u32) -> u16 {
        let mut request = self.request(number, "SUBSCRIBE", room);
        request.headers.set("Event", "conference");
        request.headers.set("Expires", &expires.to_string());
        self.knock(HOME, request)
    }

    /// Breaks the MSRP connection of a phone.
    pub(super) fn cut(&mut self, number: u32) {
        let now = self.now;
        let phone = self.phone(number);
        let seat = phone.seat.take().unwrap();
        phone.media.as_mut().unwrap().handle(now, msrp::Input::Closed);
        self.server.handle(now, Input::Media { seat, inputs: vec![msrp::Input::Closed] });
        self.run();
    }

    fn number_of(&self, uri: &Uri) -> u32 {
        let user = uri.user_unescaped().unwrap();
        user.strip_prefix("+195855501").unwrap().parse().unwrap()
    }

    fn carry_media(&mut self, seat: SeatId, output: MediaOutput) {
        let (now, seats) = (self.now, &mut self.seats);
        let mut of_seat = self.phones.values_mut().filter(|phone| phone.seat == Some(seat));
        match output {
            MediaOutput::Open { session_id } => drop(seats.insert(seat, session_id)),
            MediaOutput::Connect { port, .. } => {
                let number = u32::from(port) - 20_000;
                let phone = self.phones.get_mut(&number).unwrap();
                phone.seat = Some(seat);
                let input = msrp::Input::Connected;
                self.server.handle(now, Input::Media { seat, inputs: vec![input] });
            }
            MediaOutput::Write(bytes) => {
                if let Some(phone) = of_seat.next() {
                    phone.read(now, &bytes);
                }
            }
            MediaOutput::WriteParts(parts) => {
                self.bodies.insert(parts[1].as_ptr() as usize);
                if let Some(phone) = of_seat.next() {
                    phone.read(now, &parts.concat());
                }
            }
            MediaOutput::Close => {
                seats.remove(&seat);
                for phone in of_seat {
                    phone.seat = None;
                    if let Some(media) = &mut phone.media {
                        media.handle(now, msrp::Input::Closed);
                    }
                }
            }
        }
    }

    /// Carries what a phone says; tells whether it has said anything.
    fn drain(&mut self, number: u32) -> bool {
        let mut said = false;
        loop {
            let now = self.now;
            let phone = self.phone(number);
            let Some(output) = phone.poll(now) else { return said };
            said = true;
            let input = match output {
                Said::Sip(bytes) => Input::Message { message: decode(bytes), source: hop(HOME) },
                Said::Connect(session_id) => {
                    let seat = self.seats.iter().find(|(_, id)| **id == session_id);
                    let Some((seat, _)) = seat else { continue };
                    let (seat, phone) = (*seat, self.phone(number));
                    phone.seat = Some(seat);
                    let media = phone.media.as_mut().unwrap();
                    media.handle(now, msrp::Input::Connected);
                    continue;
                }
                Said::Frame(bytes) => {
                    let Some(seat) = self.phone(number).seat else { continue };
                    Input::Media { seat, inputs: vec![msrp::Input::Frame(frame(&bytes))] }
                }
            };
            self.server.handle(now, input);
        }
    }
}

/// The address of a phone.
pub(super) fn user(number: u32) -> String {
    format!("sip:+195855501{number:03}@example.com;user=phone")
}

pub(super) fn from(number: u32) -> String {
    format!("<{}>", user(number))
}

/// Means a phone that is to be invited.
pub(super) fn asked_in(number: u32) -> Reference {
    Reference::invite(Uri::parse(&user(number)).unwrap())
}

/// Means a phone that is to be sent away.
pub(super) fn sent_away(number: u32) -> Reference {
    Reference::bye(Uri::parse(&user(number)).unwrap(), MethodForm::Parameter)
}
