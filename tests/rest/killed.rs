//! The program, killed at random moments under load: what it has acknowledged is not lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::restart::Place;
use super::world::{ALICE, BOB, escaped, within};

/// How often the program is killed.
const KILLS: u32 = 6;

/// How many clients of Alice send at a time.
const SENDERS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the seed plays a failure again")]
async fn f1_nothing_acknowledged_is_lost_and_what_comes_twice_keeps_its_id() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let place = Place::new();
    let mut bridge = Bridge::start(&place.file(), 0);
    let port = bridge.port;
    let (alice, bob) = (User::new(ALICE, port), User::new(BOB, port));
    within("subscriptions", async { tokio::join!(alice.subscribe(), bob.subscribe()) }).await;
    let record = Arc::new(Record::default());
    for round in 0..KILLS {
        let mut load = JoinSet::new();
        load.spawn(alice.clone().listen());
        load.spawn(bob.clone().listen());
        load.spawn(chat(round, alice.clone(), bob.clone(), Arc::clone(&record)));
        // Some die before anybody has said a word, others in the midst of it.
        let most = [3, 40, 400][random.random_range(0..3)];
        let more = random.random_range(0..most);
        let until = alice.count() + bob.count() + more;
        within("notifications", async {
            loop {
                let (alices, bobs) = (alice.changed.notified(), bob.changed.notified());
                if alice.count() + bob.count() >= until {
                    return;
                }
                tokio::select! {
                    () = alices => {}
                    () = bobs => {}
                }
            }
        })
        .await;
        bridge.kill();
        load.shutdown().await;
        bridge = Bridge::start(&place.file(), port);
    }
    let acknowledged = record.sent.lock().unwrap().len();
    println!("{acknowledged} messages, {} and {} notifications", alice.count(), bob.count());
    within("the rest", async { tokio::join!(alice.drain(), bob.drain()) }).await;
    judge(&record, &alice.heard(), &bob.heard());
}

/// Holds what was heard to what was acknowledged.
fn judge(record: &Record, alice: &[Heard], bob: &[Heard]) {
    for heard in [alice, bob] {
        let mut by_id = BTreeMap::new();
        let mut by_content = BTreeMap::new();
        for Heard { id, content } in heard {
            assert_eq!(by_id.entry(id).or_insert(content), &content, "{id}");
            assert_eq!(by_content.entry(content).or_insert(id), &id, "{content}");
        }
    }
    // What Alice was told to be delivered, Bob has.
    let sent = record.sent.lock().unwrap();
    let bob_has: Vec<&str> = distinct(bob, "message ");
    let known: BTreeSet<&str> = bob_has.iter().copied().collect();
    for url in distinct(alice, "Delivered ") {
        if let Some(text) = sent.get(url) {
            assert!(known.contains(text.as_str()), "{text} was delivered, and is lost");
        }
    }
    // What one client has sent comes in its order.
    for sender in 0..SENDERS * KILLS as usize {
        let prefix = format!("{sender}:");
        let numbers = bob_has.iter().filter_map(|text| text.strip_prefix(&prefix));
        let numbers: Vec<u32> = numbers.map(|number| number.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "sender {sender}: {numbers:?}");
    }
    // Every session that somebody knows of has ended once.
    let opened = record.opened.lock().unwrap();
    let ends = distinct(alice, "end ");
    for session in opened.iter() {
        assert_eq!(ends.iter().filter(|end| *end == session).count(), 1, "{session}");
    }
    let ends = distinct(bob, "end ");
    for (_, session) in distinct(bob, "invited ").iter().filter_map(|it| it.split_once(' ')) {
        assert_eq!(ends.iter().filter(|end| **end == session).count(), 1, "{session}");
    }
}

/// Gives the contents that begin so, each at its first coming.
fn distinct<'a>(heard: &'a [Heard], prefix: &str) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let contents = heard.iter().filter_map(|heard| heard.content.strip_prefix(prefix));
    contents.filter(|content| seen.insert(*content)).collect()
}

/// What the program has acknowledged.
#[derive(Default)]
struct Record {
    /// The sessions that Alice has opened.
    opened: Mutex<Vec<String>>,
    /// The texts of the messages that she has sent, by their URLs.
    sent: Mutex<BTreeMap<String, String>>,
}

/// Lets Alice invite Bob and send to him, until the program dies.
async fn chat(round: u32, alice: User, bob: User, record: Arc<Record>) -> Option<()> {
    let invitation = json!({"chatSessionInformation": {"subject": format!("round{round}"),
        "originatorAddress": ALICE, "tParticipantAddress": BOB}});
    let session = alice.post(&alice.url("/sessions"), &invitation).await?;
    record.opened.lock().unwrap().push(session.clone());
    let invited = bob.wait_for(&format!("invited round{round} ")).await;
    let accepting = json!({"participantSessionStatus": {"status": "Connected"}});
    bob.post(&format!("{invited}/status"), &accepting).await;
    alice.wait_for(&format!("accepted {session}")).await;
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (alice, record) = (alice.clone(), Arc::clone(&record));
        let (url, sender) = (format!("{session}/messages"), sender + SENDERS * round as usize);
        senders.spawn(async move {
            for number in 0.. {
                let text = format!("{sender}:{number}");
                let message =
                    json!({"chatMessage": {"text": text, "reportRequest": ["Delivered"]}});
                match alice.try_post(&url, &message).await {
                    Some((201, location)) => {
                        record.sent.lock().unwrap().insert(location, text);
                    }
                    // Too much waits: later.
                    Some(_) => tokio::task::yield_now().await,
                    None => return,
                }
            }
        });
    }
    senders.join_all().await;
    Some(())
}

/// A notification, cut to what matters.
#[derive(Debug, Clone)]
struct Heard {
    id: String,
    content: String,
}

/// A user with a channel that outlives the program.
#[derive(Clone)]
struct User {
    http: Client,
    root: String,
    address: &'static str,
    channel: Arc<Mutex<String>>,
    heard: Arc<Mutex<Vec<Heard>>>,
    changed: Arc<Notify>,
}

impl User {
    fn new(address: &'static str, port: u16) -> Self {
        // The client looks for a provider of TLS even where it speaks none.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build().unwrap();
        let root = format!("http://127.0.0.1:{port}");
        let (channel, heard, changed) = Default::default();
        Self { http, root, address, channel, heard, changed }
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/1/chat/{}{rest}", self.root, escaped(self.address))
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    async fn subscribe(&self) {
        let base = format!("{}/1/notificationchannel/{}", self.root, escaped(self.address));
        let wish = json!({"notificationChannel": {"channelType": "LongPolling"}});
        let (_, made) = self.ask(Method::POST, &format!("{base}/channels"), &wish).await.unwrap();
        let made = &made["notificationChannel"];
        let poll = made["channelData"]["channelURL"].as_str().unwrap();
        poll.clone_into(&mut self.channel.lock().unwrap());
        let target = json!({"notifyURL": made["callbackURL"]});
        let wish = json!({"chatNotificationSubscription": {"callbackReference": target}});
        self.post(&self.url("/subscriptions"), &wish).await.unwrap();
    }

    /// Polls until the program dies.
    async fn listen(self) -> Option<()> {
        loop {
            self.poll().await?;
        }
    }

    /// Polls until nothing is left.
    async fn drain(&self) {
        while self.poll().await.expect("the program runs") > 0 {}
    }

    async fn poll(&self) -> Option<usize> {
        let url = self.channel.lock().unwrap().clone();
        let (_, list) = self.ask(Method::GET, &url, &Value::Null).await?;
        let list = list["notificationList"].as_array().cloned().unwrap_or_default();
        self.heard.lock().unwrap().extend(list.iter().map(Heard::read));
        self.changed.notify_waiters();
        Some(list.len())
    }

    /// Waits until something is heard that begins so, and gives the rest of it.
    async fn wait_for(&self, prefix: &str) -> String {
        loop {
            let changed = self.changed.notified();
            let heard = self.heard();
            let found = heard.iter().find_map(|heard| heard.content.strip_prefix(prefix));
            if let Some(rest) = found {
                return rest.to_owned();
            }
            changed.await;
        }
    }

    /// Creates something and gives its URL; nothing where the program is dead.
    async fn post(&self, url: &str, body: &Value) -> Option<String> {
        let (status, location) = self.try_post(url, body).await?;
        assert!(status < 300, "{status} for {body}");
        Some(location)
    }

    async fn try_post(&self, url: &str, body: &Value) -> Option<(u16, String)> {
        let response = self.http.post(url).json_body(body).send().await.ok()?;
        let status = response.status().as_u16();
        let location = response.headers().get("location");
        let location = location.map_or("", |location| location.to_str().unwrap()).to_owned();
        response.bytes().await.ok()?;
        Some((status, location))
    }

    async fn ask(&self, method: Method, url: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.request(method, url).header("accept", "application/json");
        let response = request.json_body(body).send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        assert!(status < 300, "{status}: {text}");
        Some((status, serde_json::from_str(&text).unwrap()))
    }
}

/// Puts a document in a request.
trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}

impl Heard {
    fn read(document: &Value) -> Self {
        let (name, body) = document.as_object().unwrap().iter().next().unwrap();
        let link = |rel: &str| {
            let links = body["link"].as_array().unwrap();
            let found = links.iter().find(|link| link["rel"] == rel);
            found.map_or("", |link| link["href"].as_str().unwrap()).to_owned()
        };
        let session = link("ChatSessionInformation");
        let content = match (name.as_str(), body["eventType"].as_str()) {
            ("sessionInvitationNotification", _) => {
                format!("invited {} {session}", body["subject"].as_str().unwrap())
            }
            ("messageNotification", _) => {
                format!("message {}", body["chatMessage"]["text"].as_str().unwrap())
            }
            ("messageDeliveryStatusNotification", _) => {
                format!("{} {}", body["status"].as_str().unwrap(), link("ChatMessage"))
            }
            (_, Some("Accepted")) => format!("accepted {session}"),
            (_, Some("SessionEnded" | "Declined" | "SessionCancelled")) => format!("end {session}"),
            (_, Some(event)) => format!("{event} {} {session}", link("ChatMessage")),
            (other, None) => panic!("{other}: {body}"),
        };
        Self { id: body["id"].as_str().unwrap().to_owned(), content }
    }
}

/// The program.
struct Bridge {
    child: Child,
    port: u16,
}

impl Bridge {
    /// Starts it with a store, and waits until it is ready; port 0 is chosen by the system.
    fn start(store: &Path, port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
            .env("CHATBRIDGE_REST_LISTEN", format!("127.0.0.1:{port}"))
            .env("CHATBRIDGE_SIP_LISTEN", "127.0.0.1:0")
            .env("CHATBRIDGE_IM_SERVER_LISTEN", "127.0.0.1:0")
            .env("CHATBRIDGE_MSRP_LISTEN", "127.0.0.1:0")
            .env("CHATBRIDGE_MSRP_PORTS", "1")
            .env("CHATBRIDGE_NOTIFY_POLL_S", "1")
            .env("CHATBRIDGE_STORE_PATH", store)
            .env("CHATBRIDGE_LOG_FILTER", "error")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines: Vec<String> = stdout
            .lines()
            .map(Result::unwrap)
            .take_while(|line| !line.starts_with("Ctrl"))
            .collect();
        let rest = lines.iter().find_map(|line| line.split_once("http://127.0.0.1:"));
        let (_, place) = rest.unwrap_or_else(|| panic!("no banner: {lines:?}"));
        let port = place.split('/').next().unwrap().parse().unwrap();
        Self { child, port }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // One that was killed is dead already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
