//! Notification channels and the URL that clients poll (the Notification Channel API).

use std::convert::Infallible;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue, VARY};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::unfold;
use tokio::time::Instant;

use super::Face;
use super::body::{EVENTS, events, negotiate, respond};
use super::fault::Fault;
use super::path::{API_VERSION, UserPath};
use super::poller::Poller;
use super::posted::Posted;
use super::repeat::{Plan, Sameness, once};
use super::router::variable;
use super::written::when_written;
use crate::address::Address;
use crate::ids::{ChannelId, NotificationId};
use crate::notify;
use crate::oma::{
    ChannelData, Format, NotificationChannel, NotificationChannelLifetime, NotificationChannelList,
    NotificationList,
};
use crate::store::durable::{Change, Created};
use crate::store::{Channel, ChannelsFull, NewChannel};

/// Lists the user's channels.
pub(super) async fn list(
    request: HttpRequest,
    path: UserPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let all = face.channels.list(&path.user);

    let channels = all.iter().map(|channel| document(channel)).collect();
    let resource_url = Some(format!("{}/channels", base(&path)));
    let list = NotificationChannelList { channels, resource_url };
    Ok(respond(StatusCode::OK, &list.write(), format))
}

/// Opens a channel.
pub(super) async fn create(
    request: HttpRequest,
    path: UserPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let wanted = posted.read(NotificationChannel::read)?;
    let correlator = wanted.client_correlator.as_deref();
    let same = Sameness::of(&request, (&path.user, "channels"), correlator, || wanted.write())?;

    let user = path.user.clone();
    let plan = |face: &Face| open(face, path, wanted);
    let made = once(&face, same, |made| is_open(&face, &user, made), plan).await?;

    Ok(made.answer(face.settings.created, posted.formats.response))
}

/// Shows a channel.
pub(super) async fn read(
    request: HttpRequest,
    path: UserPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let channel = face.channels.get(&path.user, &channel_id(&request)).ok_or(Fault::NotFound)?;

    Ok(respond(StatusCode::OK, &document(&channel).write(), format))
}

/// Closes a channel, and with it the subscriptions that notify it.
pub(super) async fn delete(
    request: HttpRequest,
    path: UserPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let id = channel_id(&request);

    let channel = face.channels.get(&path.user, &id).ok_or(Fault::NotFound)?;
    let using = face.subscriptions.of_url(&channel.callback_url);
    let ends = using.iter().map(|subscription| Change::EndSubscription(subscription.id.clone()));
    face.keep(ends.chain([Change::EndChannel(id.clone())]).collect()).await?;
    face.channels.remove(&path.user, &id).ok_or(Fault::NotFound)?;
    face.subscriptions.remove_url(&channel.callback_url);

    Ok(HttpResponse::NoContent().finish())
}

/// Shows for how long a channel still holds.
pub(super) async fn read_lifetime(
    request: HttpRequest,
    path: UserPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let channel = face.channels.get(&path.user, &channel_id(&request)).ok_or(Fault::NotFound)?;

    Ok(respond(StatusCode::OK, &lifetime(&channel).write(), format))
}

/// Gives a channel another life time, counted from now.
pub(super) async fn renew(
    request: HttpRequest,
    path: UserPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let wanted = posted.read(NotificationChannelLifetime::read)?;
    let channel = face.channels.get(&path.user, &channel_id(&request)).ok_or(Fault::NotFound)?;

    let renewed = face.channels.renew(now(), &channel, Some(wanted.channel_lifetime)).await;
    renewed.map_err(|error| face.unkept(&error))?;

    Ok(respond(StatusCode::OK, &lifetime(&channel).write(), posted.formats.response))
}

/// Waits for notifications, once or from now on; whoever knows the secret of the URL may.
pub(super) async fn poll(
    request: HttpRequest,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    if matches!(*request.method(), Method::GET | Method::HEAD)
        && let Some(format) = events(&request)?
    {
        return stream(&request, face, format);
    }
    let format = negotiate(&request, &[])?.response;
    let secret = variable(&request, "secret").unwrap_or_default();
    let channel = face.channels.by_secret(secret).ok_or(Fault::NotFound)?;
    let since = since(&request);

    // HEAD must not take what it cannot show.
    if request.method() == Method::HEAD {
        return Ok(respond(StatusCode::OK, &NotificationList(Vec::new()).write(), format));
    }
    let _place = Place::take(&face)?;
    let poller = Poller::of(&request);
    let batch = tokio::select! {
        biased;
        () = poller.in_a_hurry() => None,
        batch = notify::poll(&channel, since.as_ref(), face.channels.settings().poll) => Some(batch),
    };

    let documents = batch.as_ref().map(notify::Batch::documents).unwrap_or_default();
    let mut response = respond(StatusCode::OK, &NotificationList(documents).write(), format);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(when_written(response, move || match batch {
        // What may not have been read comes again.
        Some(batch) if !poller.has_ended() => batch.written(),
        Some(_) | None => {}
    }))
}

/// Tells what happens, as it happens, until the client leaves, another comes, or the channel ends.
fn stream(
    request: &HttpRequest,
    face: web::Data<Face>,
    format: Format,
) -> Result<HttpResponse, Fault> {
    let secret = variable(request, "secret").unwrap_or_default();
    let channel = face.channels.by_secret(secret).ok_or(Fault::NotFound)?;

    let mut response = HttpResponse::Ok();
    response
        .content_type(EVENTS)
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((VARY, "Accept"))
        // Proxies that collect what they pass on would keep the events to themselves.
        .insert_header(("X-Accel-Buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let place = Place::take(&face)?;
    let has = last_event_id(request).or_else(|| since(request));
    let stream =
        notify::Stream::open(&channel, has.as_ref(), (format, face.channels.settings().ping));

    let events = unfold((stream, place), |(mut stream, place)| async move {
        let piece = stream.next().await?;
        Some((Ok::<_, Infallible>(piece), (stream, place)))
    });
    Ok(response.streaming(events))
}

/// A place among those who wait, given back when it is dropped.
struct Place(web::Data<Face>);

impl Place {
    fn take(face: &web::Data<Face>) -> Result<Self, Fault> {
        let Ok(permit) = face.polls.try_acquire() else {
            let (why, retry_after) = ("too many polls at once".into(), face.settings.retry_after);
            return Err(Fault::Unavailable { why, retry_after });
        };
        permit.forget();
        Ok(Self(face.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.polls.add_permits(1);
    }
}

/// Enters the channel, to stay once it is kept.
fn open(face: &Face, path: UserPath, wanted: NotificationChannel) -> Result<Plan, Fault> {
    let base_url = base(&path);
    let wish = NewChannel {
        user: path.user,
        base_url,
        channel_type: wanted.channel_type,
        application_tag: wanted.application_tag,
        client_correlator: wanted.client_correlator,
        max_notifications: wanted.channel_data.max_notifications,
        lifetime: wanted.channel_lifetime,
    };

    let retry_after = face.settings.retry_after;
    let channel = face.channels.create(now(), wish).map_err(|full| match full {
        ChannelsFull::ForUser => {
            Fault::TooManyRequests { what: "notification channels of the user", retry_after }
        }
        ChannelsFull::ForAll => Fault::Unavailable { why: full.to_string(), retry_after },
    })?;

    Ok(Plan {
        created: Created {
            location: channel.resource_url.clone(),
            document: document(&channel).write(),
        },
        changes: vec![Change::PutChannel(channel.record())],
        act: Box::pin(async { Ok(None) }),
        undo: Box::new(move |face| {
            face.channels.remove(&channel.user, &channel.id);
            vec![Change::EndChannel(channel.id.clone())]
        }),
    })
}

/// Tells whether a channel that was opened once is still there; where not, its
/// `clientCorrelator` is free for another.
fn is_open(face: &Face, user: &Address, made: &Created) -> bool {
    let id = made.location.rsplit('/').next().unwrap_or_default();
    face.channels.get(user, &ChannelId::new(id)).is_some()
}

fn document(channel: &Channel) -> NotificationChannel {
    NotificationChannel {
        client_correlator: channel.client_correlator.clone(),
        application_tag: channel.application_tag.clone(),
        channel_type: channel.channel_type.clone(),
        channel_data: ChannelData {
            channel_url: Some(channel.channel_url.clone()),
            max_notifications: Some(channel.max_notifications),
        },
        channel_lifetime: Some(channel.remaining(now())),
        callback_url: Some(channel.callback_url.clone()),
        resource_url: Some(channel.resource_url.clone()),
    }
}

fn lifetime(channel: &Channel) -> NotificationChannelLifetime {
    NotificationChannelLifetime {
        channel_lifetime: channel.remaining(now()),
        resource_url: Some(format!("{}/channelLifetime", channel.resource_url)),
    }
}

/// Gives `{serverRoot}/{apiVersion}/notificationchannel/{userId}`, the base of a channel's URLs.
fn base(path: &UserPath) -> String {
    let UserPath { user, server_root } = path;
    format!("{server_root}/{API_VERSION}/notificationchannel/{}", user.path_segment())
}

fn channel_id(request: &HttpRequest) -> ChannelId {
    ChannelId::new(variable(request, "channelId").unwrap_or_default())
}

/// Reads `?since=`: the last notification that the client has.
fn since(request: &HttpRequest) -> Option<NotificationId> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    let (_, id) = query.iter().find(|(name, _)| name == "since")?;
    Some(NotificationId::new(id.as_str()))
}

/// Reads `Last-Event-ID`: the same from the reader of an event stream that comes back.
fn last_event_id(request: &HttpRequest) -> Option<NotificationId> {
    let id = request.headers().get("Last-Event-ID")?.to_str().ok()?;
    (!id.is_empty()).then(|| NotificationId::new(id))
}

/// Reads the clock that tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use actix_web::http::Method;
    use actix_web::test::TestRequest;
    use time::OffsetDateTime;

    use super::super::stage::{Seen, Stage};
    use super::*;
    use crate::chat::{EventType, Notice, NoticeKind, NotificationFormat};
    use crate::ids::{SessionId, SubscriptionId};
    use crate::store::{Content, Queued, Subscription};

    const CHANNELS: &str = "/1/notificationchannel/tel%3A%2B19585550100/channels";

    #[tokio::test]
    async fn a_channel_is_opened_listed_shown_and_closed() {
        let stage = Stage::new();
        let body = "{\"notificationChannel\":{\"channelType\":\"longPOLLING\",\
                    \"applicationTag\":\"my app\",\"channelData\":{\"maxNotifications\":7},\
                    \"channelLifetime\":60}}";
        let seen = stage.post(CHANNELS, ("json", body)).await;
        let url = seen.header("location").to_owned();
        let base = "http://example.com/1/notificationchannel/tel%3A%2B19585550100";
        assert!(url.starts_with(&format!("{base}/channels/")), "{url}");
        seen.shows(201, &["\"channelType\":\"longPOLLING\"", "\"applicationTag\":\"my app\""])
            .shows(201, &["\"maxNotifications\":7", "\"channelLifetime\":60", &url])
            .shows(201, &[&format!("\"callbackURL\":\"{base}/callbacks/")])
            .shows(201, &[&format!("\"channelURL\":\"{base}/polls/")]);
        let path = local(&url);
        stage.get(path).await.shows(200, &["<channelType>longPOLLING</channelType>", &url]);
        stage.get(CHANNELS).await.shows(200, &["notificationChannelList", &url]);
        stage.get(&path.replace("0100", "0101")).await.shows(404, &["SVC0004"]);
        assert_eq!(stage.delete(path).await.status, 204);
        stage.delete(path).await.shows(404, &["SVC0004"]);
        stage.get(path).await.shows(404, &["SVC0004"]);
    }

    #[tokio::test]
    async fn only_long_polling_is_offered() {
        let stage = Stage::new();
        let seen = stage.post(CHANNELS, ("xml", &xml("<channelType>SMS</channelType>"))).await;
        seen.shows(400, &["SVC0003", "channelType", "LongPolling"]);
        stage.post(CHANNELS, ("xml", &xml(""))).await.shows(400, &["SVC0002", "channelType"]);
    }

    #[tokio::test]
    async fn a_repeated_correlator_opens_one_channel() {
        let stage = Stage::new();
        let body =
            xml("<clientCorrelator>7</clientCorrelator><channelType>LongPolling</channelType>");
        let one = stage.post(CHANNELS, ("xml", &body)).await;
        let two = stage.post(CHANNELS, ("xml", &body)).await;
        assert_eq!((two.status, two.header("location")), (201, one.header("location")));
        assert_eq!(stage.face.channels.count(), 1);
    }

    #[tokio::test]
    async fn too_many_channels_are_refused_for_a_while() {
        let stage = Stage::new();
        for _ in 0..stage.face.channels.settings().per_user {
            open(&stage).await;
        }
        let body = xml("<channelType>LongPolling</channelType>");
        let seen = stage.post(CHANNELS, ("xml", &body)).await;
        seen.shows(429, &["POL3002"]);
        assert_ne!(seen.header("retry-after"), "");
    }

    #[tokio::test]
    async fn the_life_time_is_shown_and_renewed() {
        let stage = Stage::new();
        let channel = open(&stage).await;
        let path = format!("{}/channelLifetime", local(&channel.resource_url));
        stage.get(&path).await.shows(200, &["<channelLifetime>86400</channelLifetime>", &path]);
        let put = |seconds: &str| {
            let body =
                format!("{{\"notificationChannelLifetime\":{{\"channelLifetime\":{seconds}}}}}");
            let json = ("content-type", "application/json");
            stage.send(TestRequest::put().uri(&path).insert_header(json).set_payload(body))
        };
        put("100").await.shows(200, &["\"channelLifetime\":100"]);
        put("999999").await.shows(200, &["\"channelLifetime\":86400"]);
        put("0").await.shows(200, &["\"channelLifetime\":86400"]);
        put("-1").await.shows(400, &["SVC0002", "channelLifetime"]);
    }

    #[tokio::test]
    async fn other_methods_are_told_what_is_allowed() {
        let stage = Stage::new();
        let poll = "/1/notificationchannel/x/polls/y".to_owned();
        let (one, lifetime) = (format!("{CHANNELS}/c"), format!("{CHANNELS}/c/channelLifetime"));
        for (path, method, allow) in [
            (CHANNELS, Method::PUT, "GET, POST"),
            (&one, Method::POST, "GET, DELETE"),
            (&lifetime, Method::POST, "GET, PUT"),
            (&lifetime, Method::DELETE, "GET, PUT"),
            (&poll, Method::DELETE, "GET, POST"),
        ] {
            let seen = stage.ask(method, path).await;
            assert_eq!((seen.status, seen.header("allow")), (405, allow), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_gives_what_waits_in_the_wanted_format() {
        let stage = Stage::new();
        let channel = open(&stage).await;
        let path = local(&channel.channel_url);
        push(&channel, "n1");
        push(&channel, "n2");
        let json = stage.get(&format!("{path}?resFormat=JSON")).await;
        json.shows(200, &["{\"notificationList\":[{\"chatEventNotification\":", "\"id\":\"n2\""]);
        assert_eq!(json.header("cache-control"), "no-store");
        let again = stage.get(&format!("{path}?since=n1&resFormat=JSON")).await;
        again.shows(200, &["\"id\":\"n2\""]);
        assert!(!again.body.contains("\"id\":\"n1\""), "{}", again.body);
        push(&channel, "n3");
        let xml = stage.ask(Method::POST, path).await;
        xml.shows(200, &["<nc:notificationList", "<chat:chatEventNotification", "SIP 200 OK"]);
        assert_eq!(channel.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_in_vain_is_answered_with_an_empty_list() {
        let stage = Stage::new();
        let path = local(&open(&stage).await.channel_url).to_owned();
        let begin = Instant::now();
        let seen = stage.get(&format!("{path}?resFormat=JSON")).await;
        assert_eq!(seen.body, "{\"notificationList\":null}");
        assert_eq!(begin.elapsed(), Duration::from_secs(20));
        let xml = stage.get(&path).await;
        assert!(xml.body.contains("<nc:notificationList xmlns:nc="), "{}", xml.body);
        assert!(xml.body.ends_with("/>"), "{}", xml.body);
        stage.get(&format!("{path}x")).await.shows(404, &["SVC0004"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_have_been_read_comes_again() {
        let stage = Stage::new();
        let channel = open(&stage).await;
        push(&channel, "n1");
        for (ended, hurries, shown, left) in
            [(false, true, false, 1), (true, false, true, 1), (false, false, true, 0)]
        {
            let poller = Poller::default();
            if ended {
                poller.end();
            }
            if hurries {
                poller.hurry();
            }
            let get = TestRequest::get().uri(local(&channel.channel_url));
            let seen = stage.send_from(poller, get).await;
            assert_eq!(
                (seen.status, seen.body.contains("SIP 200 OK")),
                (200, shown),
                "{}",
                seen.body
            );
            assert_eq!(channel.waiting(), left, "{ended} {hurries}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn head_takes_nothing() {
        let stage = Stage::new();
        let channel = open(&stage).await;
        let path = local(&channel.channel_url);
        push(&channel, "n1");
        for accept in ["application/json", "text/event-stream"] {
            let head = TestRequest::default().method(Method::HEAD).uri(path);
            let seen = stage.send(head.insert_header(("accept", accept))).await;
            assert_eq!((seen.status, seen.header("content-type")), (200, accept));
        }
        assert_eq!(channel.waiting(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_stream_is_for_those_who_ask_for_it_by_name() {
        let stage = Stage::new();
        let channel = open(&stage).await;
        let path = local(&channel.channel_url);
        let ask = async |accept: &str, query: &str| {
            push(&channel, "n1");
            // The stream ends with the channel, behind what waits.
            let end = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                channel.begin_poll(Some(&NotificationId::new("n1")));
            };
            let get = TestRequest::get().uri(&format!("{path}{query}"));
            let get = get.insert_header(("accept", accept));
            tokio::join!(stage.send(get), end).0
        };
        let seen = ask("text/event-stream", "").await;
        seen.shows(200, &["id: n1\ndata: {\"chatEventNotification\":{", "}}\n\n"]);
        assert_eq!(seen.header("content-type"), "text/event-stream");
        assert_eq!(seen.header("cache-control"), "no-store");
        let seen = ask("application/json;q=0.5, text/event-stream", "?resFormat=XML").await;
        seen.shows(200, &["id: n1\ndata: <?xml", "chatEventNotification"]);
        for accept in ["*/*", "application/json, text/event-stream;q=0.9", "text/*"] {
            let seen = ask(accept, "?resFormat=JSON").await;
            assert_eq!((seen.status, seen.header("content-type")), (200, "application/json"));
        }
        let post = TestRequest::post().uri(path).insert_header(("accept", "text/event-stream"));
        assert_eq!(stage.send(post).await.status, 406);
        let get =
            |path| TestRequest::get().uri(path).insert_header(("accept", "text/event-stream"));
        assert_eq!(stage.send(get("/1/notificationchannel/x/polls/y")).await.status, 404);
        assert_eq!(stage.send(get(&format!("{path}?resFormat=PDF"))).await.status, 400);
        assert_eq!(stage.face.polls.available_permits(), 100, "all places were given back");
    }

    #[tokio::test]
    async fn closing_a_channel_ends_the_subscriptions_that_use_it() {
        let stage = Stage::new();
        let channel = open(&stage).await;
        stage.face.subscriptions.insert(subscription(&channel)).unwrap();
        assert_eq!(stage.delete(local(&channel.resource_url)).await.status, 204);
        assert_eq!(stage.face.subscriptions.count(), 0);
    }

    async fn open(stage: &Stage) -> Arc<Channel> {
        let body = xml("<channelType>LongPolling</channelType>");
        let seen: Seen = stage.post(CHANNELS, ("xml", &body)).await;
        assert_eq!(seen.status, 201, "{}", seen.body);
        let (_, id) = seen.header("location").rsplit_once('/').unwrap();
        let user = Address::parse("tel:+19585550100").unwrap();
        stage.face.channels.get(&user, &ChannelId::new(id)).unwrap()
    }

    fn push(channel: &Channel, id: &str) {
        let (event, description) = (EventType::Accepted, Some("SIP 200 OK".into()));
        let notice = Notice {
            user: channel.user.clone(),
            session: SessionId::new("s1"),
            of: crate::chat::SessionKind::Pair,
            at: OffsetDateTime::UNIX_EPOCH,
            kind: NoticeKind::Event { event, description, message: None },
        };
        channel.push(Queued {
            sequence: None,
            id: NotificationId::new(id),
            subscription: Arc::new(subscription(channel)),
            since: now(),
            content: Content::Notice(Arc::new(notice)),
        });
    }

    fn subscription(channel: &Channel) -> Subscription {
        Subscription {
            id: SubscriptionId::new("sub1"),
            user: channel.user.clone(),
            user_base: "http://example.com/1/chat/x".into(),
            resource_url: "http://example.com/1/chat/x/subscriptions/sub1".into(),
            notify_url: channel.callback_url.clone(),
            callback_data: None,
            format: NotificationFormat::Xml,
            client_correlator: None,
            duration: None,
            expires: None,
            echo: true,
        }
    }

    fn xml(inner: &str) -> String {
        format!(
            "<nc:notificationChannel xmlns:nc=\"urn:oma:xml:rest:netapi:notificationchannel:1\">\
             {inner}</nc:notificationChannel>"
        )
    }

    fn local(url: &str) -> &str {
        url.strip_prefix("http://example.com").unwrap()
    }
}
