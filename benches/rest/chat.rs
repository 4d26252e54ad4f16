//! Alice and Bob chat: so many sessions between the two, with a connection for each.

use std::collections::HashMap;
use std::fmt;
use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::client::{Answer, Connection, request};
use super::far_end::FarEnd;
use super::process::Server;

pub(crate) const ALICE: &str = "tel%3A%2B19585550100";
const BOB: &str = "tel%3A%2B19585550101";

/// How many messages of a session may be sent and not delivered.
const WINDOW: usize = 16;

/// What a span of time has seen.
pub(crate) struct Run {
    pub(crate) rate: f64,
    pub(crate) refused: u64,
    answered: Vec<Duration>,
    delivered: Vec<Duration>,
    cpu: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for all in [&self.answered, &self.delivered] {
            for part in [50, 99] {
                let at = all.len().saturating_sub(1) * part / 100;
                let ms = all.get(at).map_or(0.0, |it| it.as_secs_f64() * 1e3);
                write!(f, "{ms:.2} ms | ")?;
            }
        }
        write!(f, "{:.0} µs", self.cpu * 1e6)
    }
}

/// The chat.
pub(crate) struct Chat {
    /// Where messages are posted to, one for each connection.
    collections: Vec<String>,
    book: Arc<Book>,
    /// Whether messages go on, and are not only answered.
    is_delivered: bool,
    /// Those who poll for the two, or the far end.
    readers: Vec<JoinHandle<()>>,
}

/// What is under way, and what was seen.
#[derive(Default)]
pub(crate) struct Book {
    /// By the id of the message: when it was posted, and in which session.
    posted: Mutex<HashMap<String, Posted>>,
    delivered: Mutex<Vec<Duration>>,
    windows: Vec<Semaphore>,
    /// Counts the messages that Bob was told of.
    heard: AtomicU64,
    is_over: AtomicBool,
}

enum Posted {
    At(Instant, usize),
    /// It was delivered before its 201 was read.
    Delivered,
}

impl Chat {
    /// Chats with nobody: all is only answered.
    pub(crate) fn with_nobody(sessions: usize) -> Self {
        let collections = vec![format!("/1/chat/{ALICE}/sessions/0123456789/messages"); sessions];
        let readers = Vec::new();
        Self { collections, book: Book::new(sessions), is_delivered: false, readers }
    }

    /// Opens so many sessions of Alice's with a far end that is no user of the bridge. Nobody has
    /// subscribed, and nobody polls.
    pub(crate) async fn with_far_end(server: &Server, far_end: FarEnd, sessions: usize) -> Self {
        let book = Book::new(sessions);
        let far_end = tokio::spawn(far_end.run(Arc::clone(&book)));
        let mut connection = Connection::open(server.address).await;
        let mut collections = Vec::new();
        for _ in 0..sessions {
            let session = invite(&mut connection).await;
            // The far end has answered when the session is connected.
            while !shown(&mut connection, &session).await.contains("\"Connected\"") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            collections.push(format!("{session}/messages"));
        }
        Self { collections, book, is_delivered: true, readers: vec![far_end] }
    }

    /// Opens so many sessions between two users of the bridge, who both poll for what they are told.
    pub(crate) async fn between_users(server: &Server, sessions: usize) -> Self {
        let book = Book::new(sessions);
        let mut connection = Connection::open(server.address).await;
        let alice = listen(&mut connection, ALICE, "?echo=false").await;
        let bob = listen(&mut connection, BOB, "?echo=false").await;
        let mut polls = Connection::open(server.address).await;
        let mut collections = Vec::new();
        for _ in 0..sessions {
            let session = invite(&mut connection).await;
            let told = polls.exchange(&request("GET", &bob, "")).await;
            let other = told.body.split("\"href\":\"").skip(1).find_map(|href| {
                let url = href.split('"').next()?;
                url.contains("/sessions/").then(|| url.to_owned())
            });
            let status = format!("{}/status", other.expect("a link to the session"));
            let body = "{\"participantSessionStatus\":{\"status\":\"Connected\"}}";
            let accepted = connection.exchange(&request("POST", &status, body)).await;
            assert_eq!(accepted.status, 200, "{}", accepted.body);
            collections.push(format!("{session}/messages"));
        }
        let readers = [(alice, true), (bob, false)].map(|(url, is_alice)| {
            tokio::spawn(read(server.address, url, Arc::clone(&book), is_alice))
        });
        Self { collections, book, is_delivered: true, readers: readers.into() }
    }

    /// Chats for a while.
    pub(crate) async fn run(&mut self, server: &Server, span: Duration) -> Run {
        self.book.is_over.store(false, Ordering::Relaxed);
        self.book.delivered.lock().unwrap().clear();
        let heard = self.book.heard.load(Ordering::Relaxed);
        let (cpu, began) = (server.cpu(), Instant::now());
        let writers: Vec<_> = (self.collections.iter().enumerate())
            .map(|(session, url)| {
                let (book, url) = (Arc::clone(&self.book), url.clone());
                tokio::spawn(write(server.address, (session, url), book, self.is_delivered))
            })
            .collect();
        tokio::time::sleep(span).await;
        self.book.is_over.store(true, Ordering::Relaxed);
        let (mut answered, mut refused) = (Vec::new(), 0);
        for writer in writers {
            let (mut own, failed) = writer.await.unwrap();
            answered.append(&mut own);
            refused += failed;
        }
        // What is under way counts when it is delivered, and so does the time that it takes.
        if self.is_delivered {
            let told = || self.book.heard.load(Ordering::Relaxed) - heard;
            while !self.book.posted.lock().unwrap().is_empty() || told() < answered.len() as u64 {
                assert!(began.elapsed() < span + Duration::from_secs(60), "messages are lost");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let (seconds, count) = (began.elapsed().as_secs_f64(), answered.len() as f64);
        let mut delivered = take(&mut *self.book.delivered.lock().unwrap());
        answered.sort();
        delivered.sort();
        let (rate, cpu) = (count / seconds, (server.cpu() - cpu) / count);
        Run { rate, refused, answered, delivered, cpu }
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

/// Has Alice invite Bob; gives the URL of the session.
async fn invite(connection: &mut Connection) -> String {
    let body = "{\"chatSessionInformation\":{\"subject\":\"Hello\",\
                \"originatorAddress\":\"tel:+19585550100\",\
                \"tParticipantAddress\":\"tel:+19585550101\"}}";
    let url = format!("/1/chat/{ALICE}/sessions");
    let invited = connection.exchange(&request("POST", &url, body)).await;
    assert_eq!(invited.status, 201, "{}", invited.body);
    invited.location().to_owned()
}

async fn shown(connection: &mut Connection, url: &str) -> String {
    connection.exchange(&request("GET", url, "")).await.body
}

/// Opens a channel, subscribes with it, and gives the URL to poll.
async fn listen(connection: &mut Connection, user: &str, query: &str) -> String {
    let channel = open_channel(connection, user).await;
    subscribe(connection, (user, query), &channel.1).await;
    channel.0
}

/// Opens a channel; gives the URL to poll and the one to notify.
pub(crate) async fn open_channel(connection: &mut Connection, user: &str) -> (String, String) {
    let url = format!("/1/notificationchannel/{user}/channels");
    let body = "{\"notificationChannel\":{\"channelType\":\"LongPolling\"}}";
    let opened = connection.exchange(&request("POST", &url, body)).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    (opened.member("channelURL").to_owned(), opened.member("callbackURL").to_owned())
}

pub(crate) async fn subscribe(connection: &mut Connection, (user, query): (&str, &str), url: &str) {
    let body = format!(
        "{{\"chatNotificationSubscription\":{{\"callbackReference\":\
         {{\"notifyURL\":\"{url}\",\"notificationFormat\":\"JSON\"}}}}}}"
    );
    let at = format!("/1/chat/{user}/subscriptions{query}");
    let made = connection.exchange(&request("POST", &at, &body)).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// Posts until it is over; gives how long the answers took, and how many were refusals.
async fn write(
    address: std::net::SocketAddr,
    (session, url): (usize, String),
    book: Arc<Book>,
    is_delivered: bool,
) -> (Vec<Duration>, u64) {
    let body = format!(
        "{{\"chatMessage\":{{\"text\":\"{}\",\"reportRequest\":[\"Delivered\"]}}}}",
        "Hello, this is a message. ".repeat(8)
    );
    let request = request("POST", &url, &body);
    let mut connection = Connection::open(address).await;
    let (mut took, mut refused) = (Vec::new(), 0);
    while !book.is_over.load(Ordering::Relaxed) {
        if is_delivered {
            book.windows[session].acquire().await.unwrap().forget();
        }
        let at = Instant::now();
        let answer = connection.exchange(&request).await;
        match answer.status {
            201 if is_delivered => {
                took.push(at.elapsed());
                book.post(id_of(answer.location()), at, session);
            }
            201 => took.push(at.elapsed()),
            _ => {
                refused += 1;
                book.windows[session].add_permits(1);
            }
        }
    }
    (took, refused)
}

/// Polls until the server ends.
async fn read(address: std::net::SocketAddr, url: String, book: Arc<Book>, is_alice: bool) {
    let mut connection = Connection::open(address).await;
    let request = request("GET", &url, "");
    while let Some(Answer { body: told, .. }) = connection.try_exchange(&request).await {
        let heard = told.matches("\"messageNotification\"").count();
        if !is_alice {
            book.heard.fetch_add(heard as u64, Ordering::Relaxed);
            continue;
        }
        for status in told.split("\"messageDeliveryStatusNotification\"").skip(1) {
            let hrefs = status.split("\"href\":\"").skip(1);
            let mut urls = hrefs.filter_map(|href| href.split('"').next());
            let message = urls.find(|url| url.contains("/messages/")).expect("a link");
            book.deliver(id_of(message));
        }
    }
}

fn id_of(url: &str) -> &str {
    let (_, rest) = url.split_once("/messages/").expect("the URL of a message");
    rest.split('/').next().unwrap()
}

impl Book {
    fn new(sessions: usize) -> Arc<Self> {
        let windows = (0..sessions).map(|_| Semaphore::new(WINDOW)).collect();
        Arc::new(Self { windows, ..Self::default() })
    }

    /// The far end has taken a message, and has said so.
    pub(crate) fn take(&self, id: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        self.deliver(id);
    }

    fn post(&self, id: &str, at: Instant, session: usize) {
        let mut posted = self.posted.lock().unwrap();
        if posted.remove(id).is_some() {
            self.count(at, session);
        } else {
            posted.insert(id.to_owned(), Posted::At(at, session));
        }
    }

    fn deliver(&self, id: &str) {
        let mut posted = self.posted.lock().unwrap();
        match posted.remove(id) {
            Some(Posted::At(at, session)) => self.count(at, session),
            Some(Posted::Delivered) | None => drop(posted.insert(id.to_owned(), Posted::Delivered)),
        }
    }

    fn count(&self, at: Instant, session: usize) {
        self.delivered.lock().unwrap().push(at.elapsed());
        self.windows[session].add_permits(1);
    }
}
