//! A handset at the embedded IM server: it registers from outside with its password, and is called.

use std::net::SocketAddr;

use chatbridge::config::{Config, CoreTransport};
use chatbridge::ids::Random;
use chatbridge::sip::{
    Credentials, Decoded, DigestClient, Message, Method, NameAddr, Password, Request,
    RequestBuilder, Response, Status, Uri, WireLimits, decode_datagram, response_to,
};
use tokio::net::UdpSocket;

use super::document::Format;
use super::ears::Way;
use super::world::{ALICE, Pair, World, within};

pub(crate) const HANDSET: &str = "+19585550150";

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_password_registers_is_called_and_calls() {
    let world = World::with(|config| with_accounts(config, "tel:+19585550150=open sesame")).await;
    let mut handset = Handset::start(&world, "open sesame").await;
    assert_eq!(handset.register().await, [401, 200]);

    let alice = world.user(ALICE, Format::Json);
    let mut hears = alice.listen(Way::Poll, "handset").await;
    alice.invite(&format!("tel:{HANDSET}"), "to the handset").await;
    let invite = handset.request(Method::Invite).await;
    handset.answer(&invite, 603).await;
    handset.request(Method::Ack).await;
    let told = hears.event("Declined").await;
    assert_eq!(told.text("eventDescription"), "SIP 603 Decline");

    assert_eq!(handset.invite(ALICE).await, [407, 100]);
    let told = hears.next().await;
    assert_eq!(told.name, "sessionInvitationNotification", "{told:?}");
    assert_eq!(told.text("originatorAddress"), format!("tel:{HANDSET}"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_none_does_not_get_in() {
    let world = World::with(|config| with_accounts(config, "tel:+19585550150=open sesame")).await;
    let mut thief = Handset::start(&world, "open barley").await;
    assert_eq!(thief.register().await, [401, 403]);
    assert_eq!(thief.invite(ALICE).await, [407, 403]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_proves_itself_to_its_im_server_over_tcp() {
    let world = World::with(|config| config.core.transport = CoreTransport::Tcp).await;
    let mut pair = Pair::polling(&world).await;
    let ends = pair.connected("over TCP").await;
    pair.bob.delete(&ends.bob).await.shows(204);
    pair.alice_hears.event("SessionEnded").await;
    world.stop().await;
}

pub(crate) fn with_accounts(config: &mut Config, accounts: &str) {
    let variable = ("CHATBRIDGE_IM_SERVER_ACCOUNTS".to_owned(), accounts.to_owned());
    config.im_server.accounts = Config::read("", [variable]).unwrap().im_server.accounts;
}

/// A user agent that speaks SIP over UDP.
pub(crate) struct Handset {
    socket: UdpSocket,
    server: SocketAddr,
    digest: DigestClient,
    random: Random,
    cseq: u32,
}

impl Handset {
    pub(crate) async fn start(world: &World, password: &str) -> Self {
        let credentials = Credentials {
            username: HANDSET.to_owned(),
            password: Password::Text(password.to_owned()),
            realms: vec!["example.com".to_owned()],
        };
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            server: world.running().im_server().unwrap(),
            digest: DigestClient::new(credentials),
            random: Random::seeded(1),
            cseq: 0,
        }
    }

    /// Registers, and gives the codes of the answers.
    pub(crate) async fn register(&mut self) -> Vec<u16> {
        let own = format!("sip:{HANDSET}@example.com;user=phone");
        self.attempt(Method::Register, "sip:example.com", &own).await
    }

    /// Calls somebody, and gives the codes of the first answers.
    async fn invite(&mut self, whom: &str) -> Vec<u16> {
        let number = whom.trim_start_matches("tel:");
        let uri = format!("sip:{number}@example.com;user=phone");
        self.attempt(Method::Invite, &uri, &uri).await
    }

    /// Sends a request, and once more with the answer to its challenge.
    async fn attempt(&mut self, method: Method, uri: &str, to: &str) -> Vec<u16> {
        let mut codes = Vec::new();
        for _ in 0..2 {
            let mut request = self.write(method.clone(), uri, to);
            self.digest.authorize(&mut request);
            self.send(request.encode().as_ref()).await;
            let response = self.response().await;
            codes.push(response.status.code());
            if self.digest.learn(&mut self.random, &response).is_err() {
                break;
            }
        }
        codes
    }

    fn write(&mut self, method: Method, uri: &str, to: &str) -> Request {
        self.cseq += 1;
        let at = self.socket.local_addr().unwrap();
        let parse = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
        let own = format!("sip:{HANDSET}@example.com;user=phone");
        let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
                     a=accept-wrapped-types:*\r\na=path:msrp://127.0.0.1:2855/handset;tcp\r\n";
        RequestBuilder::new(method, Uri::parse(uri).unwrap())
            .header("Via", &format!("SIP/2.0/UDP {at};branch=z9hG4bK{}", self.random.token()))
            .from(&parse(&own).with_tag("handset"))
            .to(&parse(to))
            .call_id("call@handset")
            .cseq(self.cseq)
            .contact(&parse(&format!("sip:{HANDSET}@{at}")))
            .body("application/sdp", bytes::Bytes::from_static(offer.as_bytes()))
            .build()
    }

    pub(crate) async fn answer(&self, request: &Request, code: u16) {
        let response = response_to(request, Status::new(code).unwrap(), Some("handset"));
        self.send(response.encode().as_ref()).await;
    }

    /// Accepts an invitation with this description.
    pub(crate) async fn accept(&self, invite: &Request, sdp: &str) {
        let at = self.socket.local_addr().unwrap();
        let mut response = response_to(invite, Status::OK, Some("handset"));
        for line in invite.headers.all("Record-Route") {
            response.headers.push("Record-Route", line);
        }
        response.headers.push("Contact", &format!("<sip:{HANDSET}@{at}>"));
        response.headers.push("Content-Type", "application/sdp");
        response.body = bytes::Bytes::copy_from_slice(sdp.as_bytes());
        self.send(response.encode().as_ref()).await;
        self.request(Method::Ack).await;
    }

    /// Asks something within the dialog of an invitation; gives the code of the answer.
    pub(crate) async fn ask(
        &mut self,
        invite: &Request,
        (method, headers): (Method, &[(&str, &str)]),
    ) -> u16 {
        self.cseq += 1;
        let at = self.socket.local_addr().unwrap();
        let target = invite.contact().unwrap().unwrap().uri;
        let mut request = RequestBuilder::new(method, target)
            .header("Via", &format!("SIP/2.0/UDP {at};branch=z9hG4bK{}", self.random.token()))
            .from(&invite.to().unwrap().with_tag("handset"))
            .to(&invite.from().unwrap())
            .call_id(invite.call_id().unwrap())
            .cseq(self.cseq);
        for line in invite.headers.all("Record-Route") {
            request = request.header("Route", line);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.send(request.build().encode().as_ref()).await;
        self.response().await.status.code()
    }

    async fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).await.unwrap();
    }

    pub(crate) async fn request(&self, method: Method) -> Request {
        loop {
            if let Message::Request(request) = self.message().await
                && request.method == method
            {
                return request;
            }
        }
    }

    async fn response(&self) -> Response {
        loop {
            if let Message::Response(response) = self.message().await {
                return response;
            }
        }
    }

    async fn message(&self) -> Message {
        let mut datagram = vec![0; 65_536];
        let received = within("a SIP message", self.socket.recv(&mut datagram)).await.unwrap();
        datagram.truncate(received);
        match decode_datagram(datagram.into(), &WireLimits::default()) {
            Decoded::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }
}
