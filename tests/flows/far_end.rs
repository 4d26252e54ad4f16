//! The far end: a peer that the test plays itself, message by message, on port 5090.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chatbridge::ids::SessionId;
use chatbridge::msrp::{
    ByteRange, FailureReport, Frame, Kind, Method as MsrpMethod, Path, Status as MsrpStatus, Text,
    TransactionId,
};
use chatbridge::sip::{
    Hop, Message, Method, NameAddr, Request, RequestBuilder, Response, Status, Transport, Uri, Via,
    response_to,
};

use crate::world::{ALICE, BOB, FAR_END, World};

/// The MSRP URI of the far end.
pub(crate) const FAR_PATH: &str = "msrp://127.0.0.1:2900/far;tcp";

const TAG: &str = "far";

/// Describes a chat at the far end; `port` 0 takes the stream away.
pub(crate) fn sdp(port: u16, accept_types: &str, setup: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=message {port} TCP/MSRP *\r\na=accept-types:{accept_types}\r\n\
         a=accept-wrapped-types:*\r\na=path:{FAR_PATH}\r\na=setup:{setup}\r\n"
    )
}

/// The description of an honest far end that answers.
pub(crate) fn answer_sdp() -> String {
    sdp(2900, "message/cpim text/plain application/im-iscomposing+xml", "passive")
}

/// The description of an honest far end that offers.
pub(crate) fn offer_sdp() -> String {
    sdp(2900, "message/cpim text/plain application/im-iscomposing+xml", "actpass")
}

impl World {
    /// A bridge whose only neighbour is the far end.
    pub(crate) fn facing_far_end() -> Self {
        Self::with(|settings| settings.core = Some(far_hop()))
    }

    /// Alice invites Bob, who lives at the far end: gives the session and the INVITE.
    pub(crate) fn invite_far_end(&mut self) -> (SessionId, Request) {
        let session = self.invite(ALICE, BOB, "Hi");
        let invite = self.far_end_got(&Method::Invite);
        (session, invite)
    }

    /// The far end accepts, as an honest one does.
    pub(crate) fn far_end_accepts(&mut self, invite: &Request) {
        self.far_end_answers(invite, 200, &[], Some(("application/sdp", &answer_sdp())));
    }

    /// Brings a running session between Alice and the far end about.
    pub(crate) fn talk_to_far_end(&mut self) -> (SessionId, Request) {
        let (session, invite) = self.invite_far_end();
        self.far_end_accepts(&invite);
        assert_eq!(self.told(), ["alice: Accepted (SIP 200 OK)"]);
        self.sent();
        (session, invite)
    }

    /// Takes the oldest request of this method that the far end was sent; passes over all before.
    pub(crate) fn far_end_got(&mut self, method: &Method) -> Request {
        while let Some(message) = self.far_end.pop_front() {
            if let Message::Request(request) = message
                && request.method == *method
            {
                return request;
            }
        }
        panic!("the far end was sent no {method}");
    }

    /// Takes the oldest final response with this method that the far end was sent.
    pub(crate) fn far_end_heard(&mut self, method: &Method) -> Response {
        while let Some(message) = self.far_end.pop_front() {
            if let Message::Response(response) = message
                && response.cseq().is_ok_and(|cseq| cseq.method == *method)
                && response.status.is_final()
            {
                return response;
            }
        }
        panic!("the far end was sent no final response to its {method}");
    }

    /// The far end answers.
    pub(crate) fn far_end_answers(
        &mut self,
        request: &Request,
        code: u16,
        headers: &[(&str, &str)],
        body: Option<(&str, &str)>,
    ) {
        let status = Status::new(code).expect("a status");
        let mut response = response_to(request, status, Some(TAG));
        if status.class() == 2 {
            response.headers.push("Contact", "<sip:far@127.0.0.1:5090>");
        }
        for (name, value) in headers {
            response.headers.push(name, value);
        }
        if let Some((content_type, body)) = body {
            response.headers.push("Content-Type", content_type);
            response.body = Bytes::copy_from_slice(body.as_bytes());
        }
        self.far_end_sends(&response.into());
    }

    /// The far end says something in the dialog that our INVITE made.
    pub(crate) fn far_end_asks(
        &mut self,
        invite: &Request,
        (method, cseq): (Method, u32),
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) {
        let uri = invite.contact().expect("a Contact").expect("one Contact").uri;
        let from = invite.to().expect("a To").without_tag().with_tag(TAG);
        let to = invite.from().expect("a From");
        let call_id = invite.call_id().expect("a Call-ID");
        let mut request = RequestBuilder::new(method, uri)
            .via(&Via::new(&far_hop(), &format!("z9hG4bKfar{cseq}")))
            .from(&from)
            .to(&to)
            .call_id(call_id)
            .cseq(cseq);
        if !headers.iter().any(|(name, _)| *name == "Contact") {
            request = request.contact(&name_addr("<sip:far@127.0.0.1:5090>"));
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body("application/sdp", Bytes::copy_from_slice(body.as_bytes()));
        }
        self.far_end_sends(&request.build().into());
    }

    /// The far end, as Carol, invites Bob.
    pub(crate) fn far_end_invites(&mut self, content_type: &str, body: &str) -> Request {
        self.far_end_invites_with(&[("Subject", "Hello")], content_type, body)
    }

    /// As [`Self::far_end_invites`], with these headers.
    pub(crate) fn far_end_invites_with(
        &mut self,
        headers: &[(&str, &str)],
        content_type: &str,
        body: &str,
    ) -> Request {
        self.far_end_calls(BOB_AT_BRIDGE, headers, (content_type, body))
    }

    /// The far end, as Carol, invites whomever this URI names, with these headers.
    pub(crate) fn far_end_invites_to(&mut self, target: &str, headers: &[(&str, &str)]) -> Request {
        self.far_end_calls(target, headers, ("application/sdp", &offer_sdp()))
    }

    fn far_end_calls(
        &mut self,
        target: &str,
        headers: &[(&str, &str)],
        (content_type, body): (&str, &str),
    ) -> Request {
        let number = self.next_dialog();
        let mut invite = RequestBuilder::new(Method::Invite, uri(target))
            .via(&Via::new(&far_hop(), &format!("z9hG4bKinvite{number}")))
            .from(&name_addr("<sip:carol@far.example>;tag=carol"))
            .to(&name_addr(&format!("<{BOB_AT_BRIDGE}>")))
            .call_id(&format!("call{number}@far.example"))
            .cseq(1)
            .contact(&name_addr("<sip:carol@127.0.0.1:5090>"));
        for (name, value) in headers {
            invite = invite.header(name, value);
        }
        let invite = invite.body(content_type, Bytes::copy_from_slice(body.as_bytes())).build();
        self.far_end_sends(&invite.clone().into());
        invite
    }

    /// The far end sends its INVITE anew, as one who was refused does (RFC 3261 section 8.1.3.5).
    pub(crate) fn far_end_calls_anew(
        &mut self,
        refused: &Request,
        (content_type, body): (&str, &str),
    ) -> Request {
        let number = self.next_dialog();
        let branch = format!("z9hG4bKinvite{number}");
        let mut invite = RequestBuilder::new(Method::Invite, refused.uri.clone())
            .via(&Via::new(&far_hop(), &branch))
            .from(&refused.from().expect("a From"))
            .to(&refused.to().expect("a To"))
            .call_id(refused.call_id().expect("a Call-ID"))
            .cseq(refused.cseq().expect("a CSeq").number + 1)
            .contact(&refused.contact().expect("a Contact").expect("one Contact"));
        for name in ["Subject", "P-Asserted-Identity", "Contribution-ID"] {
            if let Some(value) = refused.headers.get(name) {
                invite = invite.header(name, value);
            }
        }
        let invite = invite.body(content_type, Bytes::copy_from_slice(body.as_bytes())).build();
        self.far_end_sends(&invite.clone().into());
        invite
    }

    /// The far end, as Bob, sends Alice a MESSAGE.
    pub(crate) fn far_end_pages(
        &mut self,
        (from, to): (&str, &str),
        content_type: &str,
        body: &str,
    ) {
        self.pages += 1;
        let number = self.pages;
        let message = RequestBuilder::new(Method::Message, uri(to))
            .via(&Via::new(&far_hop(), &format!("z9hG4bKpage{number}")))
            .from(&name_addr(&format!("<{from}>;tag=page{number}")))
            .to(&name_addr(&format!("<{to}>")))
            .call_id(&format!("page{number}@far.example"))
            .cseq(1)
            .body(content_type, Bytes::copy_from_slice(body.as_bytes()));
        self.far_end_sends(&message.build().into());
    }

    /// The far end takes its INVITE back.
    pub(crate) fn far_end_cancels(&mut self, invite: &Request, reason: Option<&str>) {
        let mut cancel = RequestBuilder::new(Method::Cancel, invite.uri.clone())
            .via(&invite.via().expect("a Via"))
            .from(&invite.from().expect("a From"))
            .to(&invite.to().expect("a To"))
            .call_id(invite.call_id().expect("a Call-ID"))
            .cseq(1);
        if let Some(reason) = reason {
            cancel = cancel.header("Reason", reason);
        }
        self.far_end_sends(&cancel.build().into());
    }

    /// The far end says something in the dialog that its own INVITE made.
    pub(crate) fn far_end_goes_on(
        &mut self,
        accepted: &Response,
        (method, cseq): (Method, u32),
        headers: &[(&str, &str)],
    ) {
        self.far_end_goes_on_with(accepted, (method, cseq), headers, None);
    }

    /// As [`Self::far_end_goes_on`], with this description.
    pub(crate) fn far_end_goes_on_with(
        &mut self,
        accepted: &Response,
        (method, cseq): (Method, u32),
        headers: &[(&str, &str)],
        sdp: Option<&str>,
    ) {
        let uri = accepted.contact().expect("a Contact").expect("one Contact").uri;
        let mut request = RequestBuilder::new(method, uri)
            .via(&Via::new(&far_hop(), &format!("z9hG4bKcarol{cseq}")))
            .from(&accepted.from().expect("a From"))
            .to(&accepted.to().expect("a To"))
            .call_id(accepted.call_id().expect("a Call-ID"))
            .cseq(cseq);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(sdp) = sdp {
            request = request.body("application/sdp", Bytes::copy_from_slice(sdp.as_bytes()));
        }
        self.far_end_sends(&request.build().into());
    }

    /// Takes the text of the oldest message that the far end has received over MSRP.
    pub(crate) fn far_end_read(&mut self) -> Frame {
        loop {
            let frame = self.far_frames.pop_front().expect("a SEND with a body");
            if frame.body.is_some() {
                return frame;
            }
        }
    }

    /// The far end sends a message over MSRP.
    pub(crate) fn far_end_says(&mut self, content_type: &str, body: &str, success_report: bool) {
        let number = self.far_frames_made();
        let mut frame = self.far_frame(MsrpMethod::Send, number);
        let size = body.len() as u64;
        frame.message_id = Some(Text::new(&format!("far-m{number}")));
        frame.byte_range = Some(ByteRange { start: 1, end: Some(size), total: Some(size) });
        frame.success_report = success_report.then_some(true);
        frame.failure_report = Some(FailureReport::Yes);
        frame.content_type = Some(Text::new(content_type));
        frame.body = Some(Bytes::copy_from_slice(body.as_bytes()));
        self.far_end_writes(&frame);
    }

    /// The far end answers a SEND over MSRP.
    pub(crate) fn far_end_takes(&mut self, message: &Frame) {
        let mut bytes = BytesMut::new();
        message.answer(200).expect("a request that wants an answer").write(&mut bytes);
        self.far_end_writes_bytes(&bytes);
    }

    /// The far end reports on a message over MSRP.
    pub(crate) fn far_end_reports(&mut self, message: &Frame, code: u16) {
        let number = self.far_frames_made();
        let mut frame = self.far_frame(MsrpMethod::Report, number);
        let size = message.body.as_ref().map_or(0, Bytes::len) as u64;
        frame.message_id = message.message_id.clone();
        frame.byte_range = Some(ByteRange { start: 1, end: Some(size), total: Some(size) });
        frame.status = Some(MsrpStatus { namespace: 0, code, comment: None });
        self.far_end_writes(&frame);
    }

    /// Lets all timers run out, and demands that nobody is left.
    pub(crate) fn demand_rest(&mut self) {
        self.wait(Duration::from_secs(600));
        assert!(self.is_at_rest(), "somebody is left");
    }

    fn far_frame(&self, method: MsrpMethod, number: usize) -> Frame {
        let tid = TransactionId::new(&format!("far{number:05}")).expect("an identifier");
        let bridge = self.far_frames_from.clone().expect("the bridge has connected");
        Frame::request(method, tid, bridge, Path::parse(FAR_PATH).expect("a path"))
    }

    fn far_end_writes(&mut self, frame: &Frame) {
        let mut bytes = BytesMut::new();
        frame.write(&mut bytes);
        self.far_end_writes_bytes(&bytes);
    }
}

/// Tells whether a frame is a SEND that says nothing but that its sender is there.
pub(crate) fn is_binding(frame: &Frame) -> bool {
    matches!(frame.kind, Kind::Request(MsrpMethod::Send)) && frame.body.is_none()
}

pub(crate) fn far_hop() -> Hop {
    Hop::new(Transport::Udp, "127.0.0.1", FAR_END)
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).expect("a URI")
}

fn name_addr(text: &str) -> NameAddr {
    NameAddr::parse(text).expect("a name-addr")
}

pub(crate) const BOB_AT_BRIDGE: &str = "sip:+19585550101@example.com;user=phone";
