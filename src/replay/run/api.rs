//! The application in front of the bridge: REST calls, and the notifications that follow.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::super::head::Head;
use super::player::now;
use super::wires::Event;
use crate::trace::Moment;

/// An exchange with the REST face.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Value,
    /// When it was asked for.
    pub(super) at: Moment,
    /// What was on the wire, and between whom.
    pub(super) request: Bytes,
    pub(super) answer: Bytes,
    pub(super) ends: (SocketAddr, SocketAddr),
}

/// A notification.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) user: String,
    /// The root element.
    pub(super) name: String,
    pub(super) value: Value,
}

/// A request to the REST face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) body: Option<String>,
}

impl Request {
    pub(super) fn post(url: String, body: &Value) -> Self {
        Self { method: "POST", url, body: Some(body.to_string()) }
    }

    pub(super) fn get(url: String) -> Self {
        Self { method: "GET", url, body: None }
    }

    pub(super) fn delete(url: String) -> Self {
        Self { method: "DELETE", url, body: None }
    }

    /// Makes the exchange, on a connection of its own.
    pub(super) async fn send(&self, limit: Duration, pass: &Pass) -> io::Result<Exchange> {
        match timeout(limit, self.exchange(pass)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
        }
    }

    async fn exchange(&self, pass: &Pass) -> io::Result<Exchange> {
        let (authority, path) = split(&self.url)?;
        let mut stream = TcpStream::connect(authority).await?;
        let ends = (stream.local_addr()?, stream.peer_addr()?);
        let mut request = format!(
            "{} {path} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n\
             Connection: close\r\n",
            self.method
        );
        if let Some(body) = &self.body {
            request.push_str("Content-Type: application/json\r\n");
            request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        } else {
            request.push_str("\r\n");
        }
        let at = now();
        // What is logged has no credentials in it.
        let sent = match pass.to(authority) {
            Some(pass) => request.replacen("\r\n", &format!("\r\nAuthorization: {pass}\r\n"), 1),
            None => request.clone(),
        };
        stream.write_all(sent.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        let head = Head::read(&answer);
        let status = head.first_line().split(' ').nth(1).and_then(|code| code.parse().ok());
        let Some(status) = status else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "that is no HTTP"));
        };
        Ok(Exchange {
            status,
            location: head.field("Location").map(std::borrow::Cow::into_owned),
            body: serde_json::from_slice(head.body).unwrap_or_default(),
            at,
            request: request.into(),
            answer: Bytes::copy_from_slice(&answer),
            ends,
        })
    }
}

/// What lets an application in, and where: nobody else gets it, whatever a link says.
#[derive(Clone, Default)]
pub(super) struct Pass {
    authority: String,
    authorization: Option<String>,
}

impl Pass {
    fn to(&self, authority: &str) -> Option<&str> {
        self.authorization.as_deref().filter(|_| authority == self.authority)
    }
}

/// The REST face of a bridge.
#[derive(Clone)]
pub(super) struct Api {
    /// What stands before `/1/chat`.
    root: String,
    limit: Duration,
    pub(super) pass: Pass,
}

impl Api {
    pub(super) fn new(root: &str, limit: Duration, authorization: Option<&str>) -> Self {
        let authority = split(root).map_or("", |(authority, _)| authority).to_owned();
        let pass = Pass { authority, authorization: authorization.map(str::to_owned) };
        Self { root: root.trim_end_matches('/').to_owned(), limit, pass }
    }

    /// Gives the URL of something of a user.
    pub(super) fn url(&self, user: &str, rest: &str) -> String {
        format!("{}/1/chat/{}{rest}", self.root, escaped(user))
    }

    /// Subscribes a user to everything; what is told comes as events. Notes what has to be deleted
    /// when all is over.
    pub(super) async fn listen(
        &self,
        user: &str,
        events: Sender<Event>,
        leavings: &mut Vec<String>,
    ) -> io::Result<()> {
        let url = format!("{}/1/notificationchannel/{}/channels", self.root, escaped(user));
        let channel = serde_json::json!({"notificationChannel": {"channelType": "LongPolling"}});
        let made = self.create(Request::post(url, &channel)).await?;
        let made = &made.body["notificationChannel"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let poll = text(&made["channelData"]["channelURL"]);
        leavings.push(text(&made["resourceURL"]));
        let subscription = serde_json::json!({"chatNotificationSubscription": {
            "callbackReference": {
                "notifyURL": made["callbackURL"], "notificationFormat": "JSON",
            },
        }});
        let url = self.url(user, "/subscriptions?echo=false");
        let subscribed = self.create(Request::post(url, &subscription)).await?;
        leavings.extend(subscribed.location);
        tokio::spawn(poll_for(user.to_owned(), poll, self.pass.clone(), events));
        Ok(())
    }

    async fn create(&self, request: Request) -> io::Result<Exchange> {
        let exchange = request.send(self.limit, &self.pass).await?;
        if exchange.status == 201 {
            return Ok(exchange);
        }
        let why = format!("POST {} gives {}", request.url, exchange.status);
        Err(io::Error::other(why))
    }
}

/// Polls until nobody listens any more, or the channel is gone.
async fn poll_for(user: String, url: String, pass: Pass, events: Sender<Event>) {
    let request = Request::get(url);
    loop {
        let Ok(exchange) = request.send(POLL, &pass).await else { return };
        if exchange.status != 200 {
            return;
        }
        let list = exchange.body["notificationList"].as_array().cloned().unwrap_or_default();
        let told: Vec<Told> = list
            .into_iter()
            .filter_map(|entry| entry.as_object()?.clone().into_iter().next())
            .map(|(name, value)| Told { user: user.clone(), name, value })
            .collect();
        if !told.is_empty() && events.send(Event::Told { told, exchange }).await.is_err() {
            return;
        }
        if events.is_closed() {
            return;
        }
    }
}

/// Splits a URL into its authority and the rest.
fn split(url: &str) -> io::Result<(&str, &str)> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{url}: http:// is wanted"));
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    Ok(rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

/// Gives the addresses behind a root URL.
pub(super) async fn resolve(root: &str) -> io::Result<SocketAddr> {
    let (authority, _) = split(root)?;
    let authority = match authority.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
        _ => format!("{authority}:80"),
    };
    let none = || io::Error::new(io::ErrorKind::NotFound, "no such host");
    lookup_host(authority).await?.next().ok_or_else(none)
}

fn escaped(user: &str) -> String {
    percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Longer than a server holds a poll.
const POLL: Duration = Duration::from_secs(90);
const MAX_ANSWER: u64 = 4 * 1024 * 1024;
