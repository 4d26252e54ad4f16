//! A running server, the users of its API, and how long a test waits at most.

use std::sync::Arc;
use std::time::Duration;

use chatbridge::app::Running;
use chatbridge::config::{Config, StoreKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, RequestBuilder};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::contract::Contract;
use super::document::{Format, Node, write};
use super::ears::{Ears, Way};
use super::schema;

/// The longest that a test waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const ALICE: &str = "tel:+19585550100";
pub(crate) const BOB: &str = "tel:+19585550101";
pub(crate) const CAROL: &str = "tel:+19585550102";

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.unwrap_or_else(|_| panic!("no end after {LIMIT:?}: {what}"))
}

/// A server with its clients.
pub(crate) struct World {
    running: Running,
    http: Client,
    contract: Arc<OnceCell<Contract>>,
    pub(crate) root: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a server that is set in its own way; its ports are chosen by the system.
    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        let anywhere = "127.0.0.1:0".parse().unwrap();
        config.rest.listen = anywhere;
        config.sip.listen = anywhere;
        config.im_server.listen = anywhere;
        config.msrp.listen = anywhere;
        config.msrp.ports = 1;
        // Most tests leave something unread: they need not wait until the server has seen that.
        config.notify.farewell = Duration::ZERO;
        config.store.kind = StoreKind::Memory;
        set(&mut config);
        let running = within("start", Running::start(&config)).await.unwrap();
        let scheme = if config.rest.certificate.is_some() { "https" } else { "http" };
        let root = format!("{scheme}://{}{}", running.rest(), config.rest.base_path);
        let redirect = reqwest::redirect::Policy::none();
        let http = Client::builder().no_proxy().redirect(redirect);
        // Who is shown a certificate that nobody knows has a test of its own.
        let http = http.tls_danger_accept_invalid_certs(true).build().unwrap();
        Self { running, http, contract: Arc::default(), root }
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    pub(crate) fn user(&self, address: &str, format: Format) -> User {
        let (http, root) = (self.http.clone(), self.root.clone());
        let (contract, address) = (Arc::clone(&self.contract), address.to_owned());
        User { http, contract, root, address, format }
    }

    /// Says goodbye to all sessions and closes all sockets.
    pub(crate) async fn stop(self) {
        self.stop_after(Duration::from_secs(5)).await;
    }

    /// Stops, and waits no longer than `drain` for the sessions.
    pub(crate) async fn stop_after(self, drain: Duration) {
        within("stop", self.running.stop(drain)).await;
        schema::judge();
    }
}

/// One user's client.
#[derive(Clone)]
pub(crate) struct User {
    http: Client,
    contract: Arc<OnceCell<Contract>>,
    pub(crate) root: String,
    pub(crate) address: String,
    pub(crate) format: Format,
}

impl User {
    /// Gives `{serverRoot}/{apiVersion}/chat/{userId}` with `rest` behind it.
    pub(crate) fn url(&self, rest: &str) -> String {
        format!("{}/1/chat/{}{rest}", self.root, escaped(&self.address))
    }

    /// Gives the URL of the user's channels.
    pub(crate) fn channels(&self) -> String {
        format!("{}/1/notificationchannel/{}/channels", self.root, escaped(&self.address))
    }

    pub(crate) async fn get(&self, url: &str) -> Seen {
        self.send(self.request(Method::GET, url)).await
    }

    pub(crate) async fn delete(&self, url: &str) -> Seen {
        self.send(self.request(Method::DELETE, url)).await
    }

    /// Posts a document of the user's format.
    pub(crate) async fn post(&self, url: &str, root: &str, fields: &[(&str, &str)]) -> Seen {
        self.post_raw(url, self.format.media_type(), &write(self.format, root, fields)).await
    }

    pub(crate) async fn post_raw(&self, url: &str, media_type: &str, body: &str) -> Seen {
        let request = self.request(Method::POST, url).header("content-type", media_type);
        self.send(request.body(body.to_owned())).await
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url).header("accept", self.format.media_type())
    }

    pub(crate) fn event_stream(&self, url: &str) -> RequestBuilder {
        self.http.get(url).header("accept", "text/event-stream")
    }

    /// Sends a request; the answer must be one that the description of the API has.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Seen {
        let request = request.build().unwrap();
        let (method, url) = (request.method().clone(), request.url().to_string());
        let what = format!("{method} {url}");
        let seen = within(&what, async {
            let response = self.http.execute(request).await;
            let response = response.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.text().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            Seen { what: what.clone(), status, headers, body }
        })
        .await;
        if let Some(path) = url.strip_prefix(&self.root) {
            self.contract.get_or_init(|| self.fetch_contract()).await.hold(&method, path, &seen);
        }
        if seen.header("content-type") == "application/xml" && !seen.body.is_empty() {
            schema::note(&seen.body);
        }
        seen
    }

    /// Fetches the description of the API, on a connection that is no longer there afterwards.
    async fn fetch_contract(&self) -> Contract {
        let request = self.http.get(format!("{}/openapi.json", self.root));
        let text = within("the description", async {
            let response = request.header("connection", "close").send().await.unwrap();
            response.text().await.unwrap()
        });
        Contract::read(&text.await)
    }

    /// Subscribes to everything; what comes is in the user's format and carries `data`.
    pub(crate) async fn listen(&self, way: Way, data: &str) -> Ears {
        Ears::open(self, way, data, "").await
    }

    /// Opens a session and gives its URL.
    pub(crate) async fn invite(&self, whom: &str, subject: &str) -> String {
        let fields = [
            ("subject", subject),
            ("originatorAddress", &self.address),
            ("tParticipantAddress", whom),
        ];
        let seen = self.post(&self.url("/sessions"), "chatSessionInformation", &fields).await;
        seen.shows(201).header("location").to_owned()
    }

    /// Answers an invitation: `Connected` or `Disconnected`.
    pub(crate) async fn answer(&self, session: &str, status: &str) -> Seen {
        let url = format!("{session}/status");
        self.post(&url, "participantSessionStatus", &[("status", status)]).await
    }

    /// Sends a message.
    pub(crate) async fn say(&self, session: &str, text: &str, reports: &[&str]) -> Seen {
        let mut fields = vec![("text", text)];
        fields.extend(reports.iter().map(|report| ("reportRequest", *report)));
        self.post(&format!("{session}/messages"), "chatMessage", &fields).await
    }

    /// Reports on a message that was received.
    pub(crate) async fn report(&self, status_url: &str, status: &str) -> Seen {
        let fields = [("status", status), ("userId", &self.address)];
        self.post(status_url, "messageDeliveryStatus", &fields).await
    }
}

/// Two users with one ear each.
pub(crate) struct Pair {
    pub(crate) alice: User,
    pub(crate) bob: User,
    pub(crate) alice_hears: Ears,
    pub(crate) bob_hears: Ears,
}

/// The two ends of a running session, as URLs.
pub(crate) struct Ends {
    pub(crate) alice: String,
    pub(crate) bob: String,
}

impl Pair {
    /// Lets Alice speak XML and Bob JSON, both at channels.
    pub(crate) async fn polling(world: &World) -> Self {
        Self::open(world, (Format::Xml, Format::Json), Way::Poll).await
    }

    pub(crate) async fn open(world: &World, formats: (Format, Format), way: Way) -> Self {
        let (alice, bob) = (world.user(ALICE, formats.0), world.user(BOB, formats.1));
        let alice_hears = alice.listen(way, "for Alice").await;
        let bob_hears = bob.listen(way, "for Bob").await;
        Self { alice, bob, alice_hears, bob_hears }
    }

    /// Lets Alice invite Bob, who is told but has not answered.
    pub(crate) async fn invited(&mut self, subject: &str) -> Ends {
        let alice = self.alice.invite(&self.bob.address, subject).await;
        let told = self.bob_hears.next().await;
        assert_eq!(told.name, "sessionInvitationNotification", "{told:?}");
        assert_eq!(told.text("subject"), subject);
        Ends { alice, bob: told.link("ChatSessionInformation").to_owned() }
    }

    /// Lets Alice and Bob begin to chat.
    pub(crate) async fn connected(&mut self, subject: &str) -> Ends {
        let ends = self.invited(subject).await;
        self.bob.answer(&ends.bob, "Connected").await.shows(200);
        self.alice_hears.event("Accepted").await;
        ends
    }

    /// Shows that nothing else is on its way to either of them, as Carol finds out.
    pub(crate) async fn hear_nothing_else(&mut self, world: &World) {
        let carol = world.user(CAROL, Format::Json);
        let all = [(&self.alice, &mut self.alice_hears), (&self.bob, &mut self.bob_hears)];
        hear_nothing_else(&carol, all).await;
    }
}

/// Shows that nothing else is on its way to any of these: what each is told next is that `caller`
/// invites it, and then that it does not any more. The sessions before go their own ways, and what one
/// of them still has to tell may be overtaken by the invitation; so the caller calls all of them
/// before it asks the first one again, and all that is told meanwhile is heard.
pub(crate) async fn hear_nothing_else<const N: usize>(
    caller: &User,
    mut all: [(&User, &mut Ears); N],
) {
    let mut calls = Vec::new();
    for (user, ears) in &mut all {
        let call = caller.invite(&user.address, "nothing else").await;
        let told = ears.next().await;
        assert_eq!(told.name, "sessionInvitationNotification", "{told:?}");
        assert_eq!(told.text("subject"), "nothing else");
        calls.push((call, told.link("ChatSessionInformation").to_owned()));
    }
    for ((call, invitation), (_, ears)) in calls.iter().zip(&mut all) {
        caller.delete(call).await.shows(204);
        let told = ears.event("SessionCancelled").await;
        assert_eq!(told.link("ChatSessionInformation"), invitation);
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Seen {
    what: String,
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    /// Demands a status.
    pub(crate) fn shows(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}: {}", self.what, self.body);
        self
    }

    /// Demands a `requestError` with a status, a code, and a variable that has `part` in it.
    pub(crate) fn fails(&self, status: u16, id: &str, part: &str) -> &Self {
        self.shows(status);
        let error = self.document();
        assert_eq!(error.name, "requestError", "{}", self.body);
        let kind = if id.starts_with("POL") { "policyException" } else { "serviceException" };
        let exception = error.find(kind).unwrap_or_else(|| panic!("{}: {}", self.what, self.body));
        assert_eq!(exception.text("messageId"), id, "{}: {}", self.what, self.body);
        assert!(!exception.text("text").is_empty(), "{}", self.body);
        let variables = exception.all("variables");
        let named =
            part.is_empty() || variables.iter().any(|variable| variable.text.contains(part));
        assert!(named, "{}: no {part} in {}", self.what, self.body);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn format(&self) -> Format {
        match self.header("content-type") {
            "application/xml" => Format::Xml,
            "application/json" => Format::Json,
            other => panic!("{}: {other:?} is none of ours", self.what),
        }
    }

    pub(crate) fn document(&self) -> Node {
        Node::read(self.format(), &self.body)
    }
}

/// Escapes an address for a path segment.
pub(crate) fn escaped(address: &str) -> String {
    /// All but the unreserved characters of RFC 3986 section 2.3.
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(address, RESERVED).to_string()
}
