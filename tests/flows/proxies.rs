//! Two proxies between the bridge and the IM server, as an IMS has them: the edge, which every
//! request passes, and the home proxy, which knows the passwords and tells its users to come by it.

use std::time::Instant;

use bytes::Bytes;
use chatbridge::ids::Random;
use chatbridge::sip::{
    Algorithm, Asker, DigestServer, DigestSettings, Hop, Message, Method, NameAddr, Password,
    Request, Response, Status, Transport, Verdict, Via, response_to,
};

use crate::lines;
use crate::world::IM_SERVER;

/// The edge sits here, and is the outbound proxy of the bridge.
pub(crate) const EDGE: u16 = 5070;
/// The home proxy sits here, and is named by Service-Route.
pub(crate) const HOME: u16 = 5071;

/// The tag of what a proxy refuses itself.
const TAG: &str = "home";

/// A stateless loose router that stays on the path of what it forwards.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Where goes what names no other way.
    onward: u16,
    /// What guards the home.
    guard: Option<DigestServer>,
    /// The requests that were let pass, before they were changed.
    pub(crate) passed: Vec<Request>,
    /// Whether nobody is known here any more.
    pub(crate) has_forgotten: bool,
}

impl Proxy {
    pub(crate) fn two(now: Instant) -> Vec<Self> {
        let guard = DigestServer::new(now, DigestSettings::new("example.com"), Random::seeded(77));
        let proxy = |port, onward, guard| Self {
            port,
            onward,
            guard,
            passed: Vec::new(),
            has_forgotten: false,
        };
        vec![proxy(EDGE, HOME, None), proxy(HOME, IM_SERVER, Some(guard))]
    }

    /// Gives what goes out for a message that came in, and where to.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        message: Message,
        source: &Hop,
    ) -> Option<(u16, Bytes)> {
        match message {
            // What was refused here goes no further, and nor does the ACK of it.
            Message::Request(ack)
                if self.guard.is_some() && ack.to_tag().as_deref() == Some(TAG) =>
            {
                None
            }
            // What the IM server sends to a contact has been let in before.
            Message::Request(request) if source.port == IM_SERVER => {
                Some(self.forward_request(request))
            }
            Message::Request(request) => match self.refuse(now, &request) {
                Some(refusal) => Some((source.port, refusal.encode())),
                None => Some(self.forward_request(request)),
            },
            Message::Response(response) => self.forward_response(response),
        }
    }

    fn forward_request(&mut self, mut request: Request) -> (u16, Bytes) {
        self.passed.push(request.clone());
        if request.route().first().and_then(|route| route.uri.port()) == Some(self.port) {
            request.headers.take_first("Route");
        }
        let next = match request.route().first() {
            Some(route) => route.uri.port().expect("a Route with a port"),
            // A contact names its port, a user does not.
            None => request.uri.port().unwrap_or(self.onward),
        };
        let branch = request.via().expect("a Via").branch().expect("a branch").to_owned();
        let via = Via::new(&self.hop(), &format!("{branch}.{}", self.port));
        request.headers.push_front("Via", &via.to_string());
        if request.method == Method::Register {
            request.headers.push_front("Path", &self.name());
        } else if request.method == Method::Invite {
            request.headers.push_front("Record-Route", &self.name());
        }
        (next, request.encode())
    }

    fn forward_response(&self, mut response: Response) -> Option<(u16, Bytes)> {
        response.headers.take_first("Via");
        let next = response.via().ok()?.port?;
        let is_register = response.cseq().is_ok_and(|cseq| cseq.method == Method::Register);
        if is_register && response.status == Status::OK && self.guard.is_some() {
            let to = response.to().ok()?.without_tag();
            let user = lines::user(to.uri.as_str()).to_owned();
            response.headers.push("Service-Route", &format!("<sip:{user}@127.0.0.1:{HOME};lr>"));
            response.headers.push("P-Associated-URI", &to.to_string());
            response.headers.push("P-Associated-URI", &format!("<sip:{user}@example.com>"));
        }
        Some((next, response.encode()))
    }

    /// Asks for a password whoever comes anew: a registrar with 401, a proxy with 407.
    fn refuse(&mut self, now: Instant, request: &Request) -> Option<Response> {
        let asker = if request.method == Method::Register {
            Asker::Server
        } else if request.method == Method::Invite && request.to_tag().is_none() {
            Asker::Proxy
        } else {
            return None;
        };
        let guard = self.guard.as_mut()?;
        if self.has_forgotten && request.method == Method::Invite {
            return Some(response_to(request, Status::FORBIDDEN, Some(TAG)));
        }
        let named = lines::user(request.from().ok()?.uri.as_str()).to_owned();
        let password = |name: &str, _: Algorithm| {
            let is_his = name == format!("{named}@ims.example.com");
            is_his.then(|| Password::Text(format!("{named}'s secret")))
        };
        let verdict = guard.verify(now, request, asker, password);
        if matches!(verdict, Verdict::Granted { .. }) {
            return None;
        }
        let status = match asker {
            Asker::Server => Status::UNAUTHORIZED,
            Asker::Proxy => Status::PROXY_AUTHENTICATION_REQUIRED,
        };
        let mut refusal = response_to(request, status, Some(TAG));
        guard.challenge(now, &mut refusal, asker, verdict == Verdict::Stale);
        Some(refusal)
    }

    fn hop(&self) -> Hop {
        Hop::new(Transport::Udp, "127.0.0.1", self.port)
    }

    fn name(&self) -> String {
        let name = format!("<sip:127.0.0.1:{};lr>", self.port);
        NameAddr::parse(&name).expect("a good address").to_string()
    }
}
