//! What the tests of this folder stand on: a running desk, notices, and applications that listen.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Counters, Names, Outlets, Settings, SigningKey, now, run};
use crate::address::Address;
use crate::chat::{EventType, Notice, NoticeKind, NotificationFormat, Party, ReportRequest};
use crate::ids::{MessageId, Random, SessionId, SubscriptionId};
use crate::store::{
    Channel, ChannelSettings, Channels, Keeper, NewChannel, Subscription, SubscriptionLimits,
    Subscriptions, Told,
};

/// A running desk.
pub(super) struct World {
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) channels: Arc<Channels>,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: CancellationToken,
    pub(super) keys: Vec<SigningKey>,
    notices: mpsc::Sender<Told>,
    desk: JoinHandle<()>,
}

impl World {
    pub(super) fn open(settings: Settings) -> Self {
        Self::with(settings, ChannelSettings::default())
    }

    pub(super) fn with(settings: Settings, channel: ChannelSettings) -> Self {
        let subscriptions = Arc::new(Subscriptions::new(SubscriptionLimits::default()));
        let channels =
            Arc::new(Channels::new(channel, Random::seeded(1), Keeper::in_memory(now())));
        let (notices, inbox) = mpsc::channel(100);
        let keys = settings.keys.clone();
        let (stop, random) = (CancellationToken::new(), Random::seeded(2));
        // Applications are at addresses here.
        let names = Names::new(|_| Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) }));
        let known = (Arc::clone(&subscriptions), Arc::clone(&channels));
        let outlets = Outlets::new(known.0, known.1, (settings, names), random);
        let counters = Arc::clone(&outlets.counters);
        let desk = tokio::spawn(run(inbox, outlets, stop.clone()));
        Self { subscriptions, channels, counters, stop, keys, notices, desk }
    }

    pub(super) fn subscribe(&self, id: &str, notify_url: &str) -> Arc<Subscription> {
        self.subscribe_as(subscription(id, notify_url))
    }

    pub(super) fn subscribe_as(&self, subscription: Subscription) -> Arc<Subscription> {
        self.subscriptions.insert(subscription).unwrap()
    }

    pub(super) fn channel(&self) -> Arc<Channel> {
        let wish = NewChannel {
            user: alice(),
            base_url: "http://here/1/notificationchannel/alice".into(),
            channel_type: "LongPolling".into(),
            application_tag: None,
            client_correlator: None,
            max_notifications: None,
            lifetime: None,
        };
        self.channels.create(Instant::now().into_std(), wish).unwrap()
    }

    /// Sends a notice to Alice for each text, and lets the desk queue them.
    pub(super) async fn tell<const N: usize>(&self, texts: [&str; N]) {
        for text in texts {
            self.notices.send(told(notice(alice(), text))).await.unwrap();
        }
        while self.notices.capacity() < self.notices.max_capacity() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn send(&self, notice: Notice) {
        self.notices.send(told(notice)).await.unwrap();
    }

    /// Stops the desk and waits for its end.
    pub(super) async fn close(self) {
        self.stop.cancel();
        self.desk.await.unwrap();
    }
}

fn told(notice: Notice) -> Told {
    Told { notice, receipt: None }
}

pub(super) fn alice() -> Address {
    Address::parse("sip:alice@example.com").unwrap()
}

pub(super) fn notice(user: Address, text: &str) -> Notice {
    let event = EventType::Accepted;
    let kind = NoticeKind::Event { event, description: Some(text.into()), message: None };
    Notice {
        user,
        session: SessionId::new("s1"),
        of: crate::chat::SessionKind::Pair,
        at: OffsetDateTime::UNIX_EPOCH,
        kind,
    }
}

/// What Alice sees of what she did with another client.
pub(super) fn echo(text: &str) -> Notice {
    let kind = NoticeKind::Message {
        id: MessageId::new("m1"),
        sender: Party { address: alice(), name: None },
        text: text.into(),
        reports: ReportRequest::default(),
        echo: true,
    };
    Notice { kind, ..notice(alice(), text) }
}

pub(super) fn subscription(id: &str, notify_url: &str) -> Subscription {
    Subscription {
        id: SubscriptionId::new(id),
        user: alice(),
        user_base: "http://here/1/chat/alice".into(),
        resource_url: format!("http://here/1/chat/alice/subscriptions/{id}"),
        notify_url: notify_url.into(),
        callback_data: None,
        format: NotificationFormat::Json,
        client_correlator: None,
        duration: None,
        expires: None,
        echo: true,
    }
}

/// An application that listens for callbacks.
pub(super) struct Application {
    /// Its URL.
    pub(super) url: String,
    posts: mpsc::Receiver<Post>,
}

/// A request that an application got.
#[derive(Debug)]
pub(super) struct Post {
    /// When.
    pub(super) at: Instant,
    /// Request line and header fields.
    pub(super) head: String,
    /// The document.
    pub(super) body: String,
}

impl Post {
    /// Gives the value of a header field.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// Gives the value of a text member of the (JSON) document.
    pub(super) fn member(&self, name: &str) -> &str {
        member(&self.body, name)
    }
}

/// Finds the value of the first text member of that name in a JSON document.
pub(super) fn member<'a>(json: &'a str, name: &str) -> &'a str {
    let begin = format!("\"{name}\":\"");
    let rest = json.split_once(&begin).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap()
}

impl Application {
    /// Starts one that gives these answers, the last of them for ever: a status with header
    /// fields; `hang` is no answer, `close` the end
    /// of the connection, `endless` an answer without end.
    pub(super) async fn start<const N: usize>(answers: [&'static str; N]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        let (sender, posts) = mpsc::channel(100);
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone(), Arc::clone(&answers)));
            }
        });
        Self { url, posts }
    }

    /// Waits for the next request.
    pub(super) async fn post(&mut self) -> Post {
        self.posts.recv().await.unwrap()
    }

    /// Waits for that many requests and gives the texts of their notices.
    pub(super) async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            texts.push(self.post().await.member("eventDescription").to_owned());
        }
        texts
    }

    /// Gives what has come until now.
    pub(super) fn unread(&mut self) -> usize {
        std::iter::from_fn(|| self.posts.try_recv().ok()).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    posts: mpsc::Sender<Post>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
) {
    while let Some((head, body)) = read(&mut stream).await {
        let answer = {
            let mut answers = answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() }
        };
        posts.send(Post { at: Instant::now(), head, body }).await.unwrap();
        let answer = match answer {
            Some("hang") | None => std::future::pending().await,
            Some("close") => return,
            Some("endless") => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                return;
            }
            Some(answer) => format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n"),
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// The settings of most tests.
pub(super) fn plain() -> Settings {
    Settings::default()
}
