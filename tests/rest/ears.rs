//! How a client hears: at a channel that it polls, or at a URL of its own.

use std::collections::VecDeque;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::document::Node;
use super::world::{User, within};

/// The way of notifications to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Poll,
    Callback,
}

/// What a client hears, in order.
pub(crate) struct Ears {
    user: User,
    data: String,
    notify_url: String,
    /// The URL of the subscription.
    pub(crate) subscription: String,
    waiting: VecDeque<Node>,
    source: Source,
}

enum Source {
    Channel(String),
    Callback(Application),
}

impl Ears {
    /// Subscribes; `query` is that of the subscription's URL.
    pub(crate) async fn open(user: &User, way: Way, data: &str, query: &str) -> Self {
        let (source, notify_url) = match way {
            Way::Poll => {
                let channel = open_channel(user).await;
                (Source::Channel(channel.poll), channel.callback)
            }
            Way::Callback => {
                let application = Application::start().await;
                let url = application.url.clone();
                (Source::Callback(application), url)
            }
        };
        let subscription = subscribe(user, &notify_url, data, query).await;
        let (user, data, waiting) = (user.clone(), data.to_owned(), VecDeque::new());
        Self { user, data, notify_url, subscription, waiting, source }
    }

    /// Subscribes once more with the same target, which carries other data from now on.
    pub(crate) async fn subscribe_again(&mut self, data: &str) {
        self.subscription = subscribe(&self.user, &self.notify_url, data, "").await;
        data.clone_into(&mut self.data);
    }

    /// Waits for the next notification, and checks what all of them carry.
    pub(crate) async fn next(&mut self) -> Node {
        let what = format!("a notification {}", self.data);
        let told = within(&what, async {
            loop {
                if let Some(told) = self.waiting.pop_front() {
                    return told;
                }
                self.fetch().await;
            }
        })
        .await;
        assert_eq!(told.text("callbackData"), self.data, "{told:?}");
        assert_eq!(told.link("ChatNotificationSubscription"), self.subscription, "{told:?}");
        told
    }

    /// Demands that the next notification is that event.
    pub(crate) async fn event(&mut self, event: &str) -> Node {
        let told = self.next().await;
        assert_eq!(told.name, "chatEventNotification", "{event}: {told:?}");
        assert_eq!(told.text("eventType"), event, "{told:?}");
        told
    }

    /// Demands that the next notification is a message with that text.
    pub(crate) async fn message(&mut self, text: &str) -> Node {
        let told = self.next().await;
        assert_eq!(told.name, "messageNotification", "{text}: {told:?}");
        assert_eq!(told.text("chatMessage/text"), text, "{told:?}");
        told
    }

    /// Demands that the next two notifications tell of the delivery of a message: the status, and
    /// the event that goes with it.
    pub(crate) async fn delivered(&mut self, message: &str) {
        self.status("Delivered", message).await;
        let event = self.event("MessageSuccess").await;
        assert_eq!(event.link("ChatMessage"), message);
    }

    /// Demands that the next notification is that status of a message.
    pub(crate) async fn status(&mut self, status: &str, message: &str) -> Node {
        let told = self.next().await;
        assert_eq!(told.name, "messageDeliveryStatusNotification", "{status}: {told:?}");
        assert_eq!(told.text("status"), status, "{told:?}");
        assert_eq!(told.link("ChatMessage"), message);
        told
    }

    /// Gives the URL of the channel.
    pub(crate) fn channel(&self) -> &str {
        match &self.source {
            Source::Channel(url) => url,
            Source::Callback(_) => panic!("a callback has no channel"),
        }
    }

    async fn fetch(&mut self) {
        match &mut self.source {
            Source::Channel(url) => {
                let seen = self.user.get(url).await;
                let list = seen.shows(200).document();
                assert_eq!(list.name, "notificationList");
                self.waiting.extend(list.children);
            }
            Source::Callback(application) => {
                let post = application.next().await;
                assert_eq!(post.header("content-type"), self.user.format.media_type());
                self.waiting.push_back(Node::read(self.user.format, &post.body));
            }
        }
    }
}

/// Subscribes with a notification URL and gives the URL of the subscription.
pub(crate) async fn subscribe(user: &User, url: &str, data: &str, query: &str) -> String {
    let fields = [
        ("callbackReference/notifyURL", url),
        ("callbackReference/callbackData", data),
        ("callbackReference/notificationFormat", user.format.name()),
    ];
    let at = user.url(&format!("/subscriptions{query}"));
    let seen = user.post(&at, "chatNotificationSubscription", &fields).await;
    seen.shows(201).header("location").to_owned()
}

/// A channel as its creator sees it.
pub(crate) struct Channel {
    pub(crate) url: String,
    pub(crate) callback: String,
    pub(crate) poll: String,
}

pub(crate) async fn open_channel(user: &User) -> Channel {
    let fields = [("channelType", "LongPolling")];
    let seen = user.post(&user.channels(), "notificationChannel", &fields).await;
    let channel = seen.shows(201).document();
    assert_eq!(channel.text("resourceURL"), seen.header("location"));
    Channel {
        url: seen.header("location").to_owned(),
        callback: channel.text("callbackURL").to_owned(),
        poll: channel.text("channelData/channelURL").to_owned(),
    }
}

/// An application with an HTTP server of its own, which takes every notification.
pub(crate) struct Application {
    pub(crate) url: String,
    posts: mpsc::Receiver<Post>,
    task: JoinHandle<()>,
}

/// A request to an application.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Post {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

impl Application {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        let (sender, posts) = mpsc::channel(1000);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone()));
            }
        });
        Self { url, posts, task }
    }

    pub(crate) async fn next(&mut self) -> Post {
        let post = within("a callback", self.posts.recv()).await.expect("the application runs");
        if post.header("content-type") == "application/xml" {
            super::schema::note(&post.body);
        }
        post
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, posts: mpsc::Sender<Post>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut post = Post { head: String::new(), body: String::new() };
        while !post.head.ends_with("\r\n\r\n") {
            if matches!(stream.read_line(&mut post.head).await, Ok(0) | Err(_)) {
                return;
            }
        }
        let mut body = vec![0; post.header("content-length").parse().unwrap_or(0)];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        post.body = String::from_utf8(body).unwrap();
        if posts.send(post).await.is_err() {
            return;
        }
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        if stream.get_mut().write_all(answer).await.is_err() {
            return;
        }
    }
}
