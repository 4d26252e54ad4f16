//! A focus that the test plays itself, message by message, at the far end.

use std::collections::VecDeque;

use bytes::Bytes;
use chatbridge::bridge::GroupSettings;
use chatbridge::chat::{
    Answer, Command, Extended, GroupInvitation, Newcomer, OutgoingMessage, Participant, Refusal,
};
use chatbridge::ids::{MessageId, ParticipantId, SessionId};
use chatbridge::sip::{
    Message, Method, NameAddr, Request, RequestBuilder, Status, Uri, Via, response_to,
};

use crate::far_end::{answer_sdp, far_hop, offer_sdp};
use crate::world::{ALICE, BOB, World, address, party};

const SDP: &str = "application/sdp";

/// Those who are not at the bridge.
pub(crate) const CAROL: &str = "tel:+447700900003";
pub(crate) const DAVE: &str = "tel:+447700900004";

/// The URI of the group, at the far end.
pub(crate) const ROOM: &str = "sip:room1@127.0.0.1:5090";

/// A group of Alice's with the focus at the far end.
pub(crate) struct Room {
    pub(crate) world: World,
    pub(crate) session: SessionId,
    /// The INVITE that has opened the session, or has joined it again.
    pub(crate) invite: Request,
    /// The SUBSCRIBE of the current subscription.
    pub(crate) subscribe: Option<Request>,
    notified: u32,
    said: u32,
}

pub(crate) fn newcomer(text: &str) -> Newcomer {
    Newcomer::of(party(text))
}

/// A bridge whose only neighbour is the focus.
pub(crate) fn world(change: impl FnOnce(&mut GroupSettings)) -> World {
    World::with(|settings| {
        settings.core = Some(far_hop());
        change(&mut settings.group);
    })
}

impl World {
    /// POST /groupSessions by Alice, up to the INVITE.
    pub(crate) fn open_group(&mut self, others: &[&str]) -> Result<SessionId, Refusal> {
        self.open_group_that(others, None)
    }

    /// As [`Self::open_group`], in place of a 1-1 session where there is one.
    pub(crate) fn open_group_that(
        &mut self,
        others: &[&str],
        extends: Option<(SessionId, Extended)>,
    ) -> Result<SessionId, Refusal> {
        let (session, extends) = match extends {
            Some((session, extends)) => (session, Some(extends)),
            None => (self.next_session(), None),
        };
        let group = self.begin_group(GroupInvitation {
            session,
            user: address(ALICE),
            subject: "Trip".to_owned(),
            originator: newcomer(ALICE),
            others: others.iter().map(|other| newcomer(other)).collect(),
            client_correlator: None,
            extends,
        });
        self.run();
        group
    }

    /// Gives an order, runs until all is quiet, and gives the answer, also one that comes later.
    pub(crate) fn ask(&mut self, session: &SessionId, command: Command) -> Result<Answer, Refusal> {
        let answer = self.order(session, command)?;
        let Answer::Later(id) = answer else { return Ok(answer) };
        self.late(id).expect("the answer has come")
    }

    /// The focus accepts, as an honest one does.
    pub(crate) fn focus_accepts(&mut self, invite: &Request) {
        self.focus_accepts_as(invite, &format!("<{ROOM}>;isfocus"), &answer_sdp());
    }

    /// As [`Self::focus_accepts`]; the core asserts who that is.
    pub(crate) fn focus_accepts_by(&mut self, invite: &Request, asserted: Option<&str>) {
        let asserted = asserted.map(|it| ("P-Asserted-Identity", format!("<{it}>")));
        let contact = ("Contact", format!("<{ROOM}>;isfocus"));
        let mut response = response_to(invite, Status::OK, Some("far"));
        for (name, value) in [Some(contact), asserted].into_iter().flatten() {
            response.headers.push(name, &value);
        }
        response.headers.push("Content-Type", SDP);
        response.body = answer_sdp().into_bytes().into();
        self.far_end_sends(&response.into());
    }

    /// As [`Self::focus_accepts`], with this Contact and this description.
    pub(crate) fn focus_accepts_as(&mut self, invite: &Request, contact: &str, body: &str) {
        let mut response = response_to(invite, Status::OK, Some("far"));
        response.headers.push("Contact", contact);
        response.headers.push("Content-Type", "application/sdp");
        response.body = Bytes::copy_from_slice(body.as_bytes());
        self.far_end_sends(&response.into());
    }

    /// The focus invites Bob to the group of Carol and Dave.
    pub(crate) fn focus_invites(
        &mut self,
        headers: &[(&str, &str)],
        list: Option<&str>,
    ) -> Request {
        self.focus_invites_from((ROOM, ROOM), headers, list)
    }

    /// As [`Self::focus_invites`], by a focus of this name with this Contact.
    pub(crate) fn focus_invites_from(
        &mut self,
        (room, contact): (&str, &str),
        headers: &[(&str, &str)],
        list: Option<&str>,
    ) -> Request {
        let offer = offer_sdp();
        let body = match list {
            None => return self.focus_invites_with((room, contact), headers, (SDP, &offer)),
            Some(list) => format!(
                "--b\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--b\r\n\
                 Content-Type: application/resource-lists+xml\r\n\
                 Content-Disposition: recipient-list-history; handling=optional\r\n\r\n\
                 <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>{list}\
                 </list></resource-lists>\r\n--b--\r\n"
            ),
        };
        self.focus_invites_with((room, contact), headers, ("multipart/mixed;boundary=b", &body))
    }

    /// As [`Self::focus_invites_from`], with this body.
    pub(crate) fn focus_invites_with(
        &mut self,
        (room, contact): (&str, &str),
        headers: &[(&str, &str)],
        body: (&str, &str),
    ) -> Request {
        let bob = "sip:+19585550101@example.com;user=phone";
        self.focus_invites_whom((room, contact, bob), headers, body)
    }

    /// As [`Self::focus_invites_with`], for whom it calls.
    pub(crate) fn focus_invites_whom(
        &mut self,
        (room, contact, whom): (&str, &str, &str),
        headers: &[(&str, &str)],
        (content_type, body): (&str, &str),
    ) -> Request {
        let number = self.next_dialog();
        let mut invite = RequestBuilder::new(Method::Invite, uri(whom))
            .via(&Via::new(&far_hop(), &format!("z9hG4bKfocus{number}")))
            .from(&name_addr(&format!("<{room}>;tag=room{number}")))
            .to(&name_addr(&format!("<{whom}>")))
            .call_id(&format!("room{number}@far.example"))
            .cseq(1)
            .contact(&name_addr(&format!("<{contact}>;isfocus")))
            .header("Subject", "Hike");
        for (name, value) in headers {
            invite = invite.header(name, value);
        }
        let invite = invite.body(content_type, Bytes::copy_from_slice(body.as_bytes()));
        let invite = invite.build();
        self.far_end_sends(&invite.clone().into());
        invite
    }
}

impl Room {
    /// A running session of Alice with Bob and Carol, who are invited; with its subscription.
    pub(crate) fn open() -> Self {
        Self::open_with(|_| {})
    }

    pub(crate) fn open_with(change: impl FnOnce(&mut GroupSettings)) -> Self {
        let mut world = world(change);
        // Bob is not here: he lives where Carol does.
        world.unsubscribe(BOB);
        let session = world.open_group(&[BOB, CAROL]).expect("a good invitation");
        let invite = world.far_end_got(&Method::Invite);
        world.focus_accepts(&invite);
        let mut room = Self::adopt(world, session, invite);
        room.take_subscription();
        let told = "alice: alice Connected (own), bob Invited, tel:+447700900003 Invited";
        assert_eq!(room.world.told(), [told]);
        room.world.sent();
        room
    }

    /// A session that the test has brought about itself.
    pub(crate) fn adopt(world: World, session: SessionId, invite: Request) -> Self {
        Self { world, session, invite, subscribe: None, notified: 0, said: 0 }
    }

    /// The focus accepts the SUBSCRIBE that has come.
    pub(crate) fn take_subscription(&mut self) {
        let subscribe = self.got(&Method::Subscribe);
        let contact = format!("<{ROOM}>;isfocus");
        let headers = [("Expires", "3600")];
        self.reply(&subscribe, 200, &[headers[0], ("Contact", &contact)]);
        self.subscribe = Some(subscribe);
    }

    /// The focus answers a request.
    pub(crate) fn reply(&mut self, request: &Request, code: u16, headers: &[(&str, &str)]) {
        let status = Status::new(code).expect("a status");
        let mut response = response_to(request, status, Some("far"));
        for (name, value) in headers {
            response.headers.push(name, value);
        }
        self.world.far_end_sends(&response.into());
    }

    /// The focus tells how the conference stands; `users` are elements.
    pub(crate) fn notify(&mut self, extent: &str, version: u32, users: &str) -> u16 {
        self.notify_last("active;expires=3600", (extent, version, users))
    }

    /// The focus tells of its participants, and how the subscription stands.
    pub(crate) fn notify_last(
        &mut self,
        state: &str,
        (extent, version, users): (&str, u32, &str),
    ) -> u16 {
        let body = format!(
            "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{ROOM}\" \
             state=\"{extent}\" version=\"{version}\"><users>{users}</users></conference-info>"
        );
        self.notify_with(state, Some(("application/conference-info+xml", &body)))
    }

    /// The focus sends a NOTIFY; gives the status of the answer.
    pub(crate) fn notify_with(&mut self, state: &str, body: Option<(&str, &str)>) -> u16 {
        self.notify_raw(state, body.map(|(content_type, body)| (content_type, body.as_bytes())))
    }

    /// The focus sends a NOTIFY with whatever octets; gives the status of the answer.
    pub(crate) fn notify_raw(&mut self, state: &str, body: Option<(&str, &[u8])>) -> u16 {
        let subscribe = self.subscribe.clone().expect("a subscription");
        self.notified += 1;
        let cseq = 100 + self.notified;
        let contact = subscribe.contact().expect("a Contact").expect("one Contact").uri;
        let mut notify = RequestBuilder::new(Method::Notify, contact)
            .via(&Via::new(&far_hop(), &format!("z9hG4bKnotify{cseq}")))
            .from(&subscribe.to().expect("a To").without_tag().with_tag("far"))
            .to(&subscribe.from().expect("a From"))
            .call_id(subscribe.call_id().expect("a Call-ID"))
            .cseq(cseq)
            .contact(&name_addr(&format!("<{ROOM}>;isfocus")))
            .header("Event", "conference")
            .header("Subscription-State", state);
        if let Some((content_type, body)) = body {
            notify = notify.body(content_type, Bytes::copy_from_slice(body));
        }
        self.world.far_end_sends(&notify.build().into());
        self.world.far_end_heard(&Method::Notify).status.code()
    }

    /// The focus goes on elsewhere; gives the status of the answer to its UPDATE.
    pub(crate) fn moves(&mut self, cseq: u32, to: &str) -> u16 {
        let invite = self.invite.clone();
        let contact = invite.contact().expect("a Contact").expect("one Contact").uri;
        let update = RequestBuilder::new(Method::Update, contact)
            .via(&Via::new(&far_hop(), &format!("z9hG4bKupdate{cseq}")))
            .from(&invite.to().expect("a To").without_tag().with_tag("far"))
            .to(&invite.from().expect("a From"))
            .call_id(invite.call_id().expect("a Call-ID"))
            .cseq(cseq)
            .contact(&name_addr(&format!("<{to}>;isfocus")));
        self.world.far_end_sends(&update.build().into());
        let answer = self.world.far_end.iter().find_map(|message| match message {
            Message::Response(answer) if answer.cseq().is_ok_and(|it| it.number == cseq) => {
                Some(answer.status.code())
            }
            Message::Response(_) | Message::Request(_) => None,
        });
        answer.expect("an answer")
    }

    /// The focus hangs up.
    pub(crate) fn bye(&mut self, reason: Option<&str>) {
        let headers: Vec<_> = reason.map(|reason| ("Reason", reason)).into_iter().collect();
        let invite = self.invite.clone();
        self.world.far_end_asks(&invite, (Method::Bye, 900), &headers, None);
    }

    /// Takes what Alice's applications were told.
    pub(crate) fn told(&mut self) -> Vec<String> {
        self.world.told()
    }

    /// Gives an order of Alice's.
    pub(crate) fn ask(&mut self, command: Command) -> Result<Answer, Refusal> {
        let session = self.session.clone();
        self.world.ask(&session, command)
    }

    /// Gives an order of Alice's whose answer is not here yet.
    pub(crate) fn begin(&mut self, command: Command) -> chatbridge::chat::AnswerId {
        let session = self.session.clone();
        match self.world.order(&session, command) {
            Ok(Answer::Later(id)) => id,
            other => panic!("the answer is here: {other:?}"),
        }
    }

    /// Sends a message of Alice's.
    pub(crate) fn send(&mut self, text: &str) -> Result<MessageId, Refusal> {
        self.said += 1;
        let id = MessageId::new(format!("msg{:03}", self.said));
        let (text, reports) = (text.to_owned(), chatbridge::chat::ReportRequest::default());
        self.ask(Command::Send(OutgoingMessage { id: id.clone(), text, reports }))?;
        Ok(id)
    }

    /// Somebody says something through the focus.
    pub(crate) fn says(&mut self, from: &str, id: &str, (content_type, text): (&str, &str)) {
        let cpim = format!(
            "From: {from}\r\nTo: <{ROOM}>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
             imdn.Message-ID: {id}\r\nimdn.Disposition-Notification: positive-delivery\r\n\
             DateTime: 2023-11-14T22:13:20Z\r\n\r\nContent-Type: {content_type}\r\n\r\n{text}"
        );
        self.world.far_end_says("message/cpim", &cpim, false);
    }

    /// Shows the participants.
    pub(crate) fn participants(&mut self) -> Vec<Participant> {
        match self.ask(Command::Describe) {
            Ok(Answer::Group(info)) => info.participants,
            other => panic!("no group is shown: {other:?}"),
        }
    }

    /// Finds a participation.
    pub(crate) fn id_of(&mut self, user: &str) -> ParticipantId {
        let user = address(user);
        let all = self.participants();
        let found = all.into_iter().find(|it| it.party.address == user);
        found.expect("a participant").id
    }

    /// Takes the oldest request of this method, and leaves all others.
    pub(crate) fn got(&mut self, method: &Method) -> Request {
        let is_it = |message: &Message| match message {
            Message::Request(request) => request.method == *method,
            Message::Response(_) => false,
        };
        let index = self.world.far_end.iter().position(is_it);
        match index.and_then(|index| self.world.far_end.remove(index)) {
            Some(Message::Request(request)) => request,
            Some(Message::Response(_)) | None => panic!("the focus was sent no {method}"),
        }
    }

    /// The requests of this method that the focus has been sent.
    pub(crate) fn got_all(&mut self, method: &Method) -> Vec<Request> {
        let all: VecDeque<_> = std::mem::take(&mut self.world.far_end);
        let mut requests = Vec::new();
        for message in all {
            if let Message::Request(request) = message
                && request.method == *method
            {
                requests.push(request);
            }
        }
        requests
    }
}

/// A user of a conference with one endpoint.
pub(crate) fn user(uri: &str, status: &str) -> String {
    user_with(uri, "", &format!("<status>{status}</status>"))
}

/// A user of a conference who has gone.
pub(crate) fn gone(uri: &str, method: &str, reason: &str) -> String {
    user_with(
        uri,
        "",
        &format!(
            "<status>disconnected</status><disconnection-method>{method}</disconnection-method>\
             <disconnection-info><reason>{reason}</reason></disconnection-info>"
        ),
    )
}

/// A user with what stands in its endpoint.
pub(crate) fn user_with(uri: &str, attributes: &str, endpoint: &str) -> String {
    format!(
        "<user entity=\"{uri}\" state=\"full\" {attributes}><endpoint entity=\"{uri}\">{endpoint}\
         </endpoint></user>"
    )
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).expect("a URI")
}

fn name_addr(text: &str) -> NameAddr {
    NameAddr::parse(text).expect("a name-addr")
}
