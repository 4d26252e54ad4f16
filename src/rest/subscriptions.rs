//! Who is told of events: `…/subscriptions` and `…/subscriptions/{subscriptionId}` (TS Chat 6.1, 6.2).

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::time::Instant;

use super::Face;
use super::body::{negotiate, respond};
use super::fault::Fault;
use super::notify_url::NotifyUrl;
use super::path::{API_VERSION, SubscriptionPath, UserPath};
use super::posted::Posted;
use super::repeat::{Plan, Sameness, once};
use crate::address::Address;
use crate::ids::SubscriptionId;
use crate::oma::{CallbackReference, ChatNotificationSubscription, ChatSubscriptionList, Format};
use crate::store::durable::{Change, Created};
use crate::store::{Subscription, SubscriptionsFull};

/// Lists the user's subscriptions (TS Chat 6.1.3).
pub(super) async fn list(
    request: HttpRequest,
    path: UserPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let all = face.subscriptions.list(&path.user);

    let subscriptions = all.iter().map(|subscription| document(subscription)).collect();
    let list = ChatSubscriptionList { subscriptions, resource_url: Some(collection_url(&path)) };
    Ok(respond(StatusCode::OK, &list.write(), format))
}

/// Subscribes a client instance (TS Chat 6.1.5).
pub(super) async fn create(
    request: HttpRequest,
    path: UserPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let wanted = posted.read(ChatNotificationSubscription::read)?;
    demand_target(&wanted.callback.notify_url, &path, &face)?;
    let echo = wants_echo(&request)?;
    let content = || wanted.write().text("echo", echo.to_string());
    let correlator = wanted.client_correlator.as_deref();
    let same = Sameness::of(&request, (&path.user, "subscriptions"), correlator, content)?;

    let user = path.user.clone();
    let plan = |face: &Face| subscribe(face, path, wanted, echo);
    let made = once(&face, same, |made| is_alive(&face, &user, made), plan).await?;

    Ok(made.answer(face.settings.created, posted.formats.response))
}

/// Shows a subscription (TS Chat 6.2.3).
pub(super) async fn read(
    request: HttpRequest,
    path: SubscriptionPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let found = face.subscriptions.get(&path.of.user, &path.id).ok_or(Fault::NotFound)?;

    Ok(respond(StatusCode::OK, &document(&found).write(), format))
}

/// Cancels a subscription, with what waits for it in its channel (TS Chat 6.2.6).
pub(super) async fn delete(
    path: SubscriptionPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    if face.subscriptions.get(&path.of.user, &path.id).is_none() {
        return Err(Fault::NotFound);
    }

    face.keep(vec![Change::EndSubscription(path.id.clone())]).await?;
    let ended = face.subscriptions.remove(&path.of.user, &path.id).ok_or(Fault::NotFound)?;
    if let Some(channel) = face.channels.by_callback_url(&ended.notify_url) {
        channel.forget(&ended);
    }

    Ok(HttpResponse::NoContent().finish())
}

/// Demands a target that may be notified: a channel of the same user, or a callback URL that the
/// policy permits.
fn demand_target(notify_url: &str, path: &UserPath, face: &Face) -> Result<(), Fault> {
    let bad = |right: String| Fault::Invalid { part: "notifyURL", right };
    let url = NotifyUrl::parse(notify_url).map_err(|error| bad(error.to_string()))?;
    let channels_url = format!("{}/{API_VERSION}/notificationchannel/", path.server_root);
    match face.channels.by_callback_url(notify_url) {
        Some(channel) if channel.user == path.user => Ok(()),
        None if !notify_url.starts_with(&channels_url) => {
            face.callback_policy.permits(&url).map_err(|denial| bad(denial.to_string()))
        }
        Some(_) | None => Err(bad("a notification channel of the same user".into())),
    }
}

/// Reads `?echo=`: whether the client wants to be told what its user did with other clients.
fn wants_echo(request: &HttpRequest) -> Result<bool, Fault> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = query.map(web::Query::into_inner).unwrap_or_default();
    match pairs.iter().find(|(name, _)| name == "echo").map(|(_, value)| value.as_str()) {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(Fault::NotAllowed { part: "echo", allowed: &["true", "false"] }),
    }
}

/// Enters the subscription, to stay once it is kept.
fn subscribe(
    face: &Face,
    path: UserPath,
    wanted: ChatNotificationSubscription,
    echo: bool,
) -> Result<Plan, Fault> {
    let id = SubscriptionId::new(face.draw());
    let duration = granted(wanted.duration, face.settings.max_duration);
    let now = Instant::now().into_std();
    let subscription = Subscription {
        user_base: path.base(),
        resource_url: format!("{}/{id}", collection_url(&path)),
        id,
        user: path.user,
        notify_url: wanted.callback.notify_url,
        callback_data: wanted.callback.callback_data,
        format: wanted.callback.notification_format.unwrap_or_default().into(),
        client_correlator: wanted.client_correlator,
        duration,
        expires: duration.and_then(|s| now.checked_add(Duration::from_secs(s.into()))),
        echo,
    };

    let retry_after = face.settings.retry_after;
    let entered = face.subscriptions.insert(subscription).map_err(|full| match full {
        SubscriptionsFull::ForUser => {
            Fault::TooManyRequests { what: "subscriptions of the user", retry_after }
        }
        SubscriptionsFull::ForAll => Fault::Unavailable { why: full.to_string(), retry_after },
    })?;

    Ok(Plan {
        created: Created {
            location: entered.resource_url.clone(),
            document: document(&entered).write(),
        },
        changes: vec![Change::PutSubscription(face.keeper.subscription(&entered))],
        act: Box::pin(async { Ok(None) }),
        undo: Box::new(move |face| {
            face.subscriptions.remove(&entered.user, &entered.id);
            vec![Change::EndSubscription(entered.id.clone())]
        }),
    })
}

/// Tells whether a subscription that was created once is still there; where not, its
/// `clientCorrelator` is free for another.
fn is_alive(face: &Face, user: &Address, made: &Created) -> bool {
    let id = made.location.rsplit('/').next().unwrap_or_default();
    face.subscriptions.get(user, &SubscriptionId::new(id)).is_some()
}

/// Grants a life time: none, and zero, stand for the longest.
fn granted(wanted: Option<u32>, longest: Option<u32>) -> Option<u32> {
    match (wanted.filter(|seconds| *seconds > 0), longest) {
        (Some(wanted), Some(longest)) => Some(wanted.min(longest)),
        (wanted, longest) => wanted.or(longest),
    }
}

fn collection_url(path: &UserPath) -> String {
    format!("{}/subscriptions", path.base())
}

fn document(subscription: &Subscription) -> ChatNotificationSubscription {
    ChatNotificationSubscription {
        callback: CallbackReference {
            notify_url: subscription.notify_url.clone(),
            callback_data: subscription.callback_data.clone(),
            notification_format: Some(Format::from(subscription.format)),
        },
        client_correlator: subscription.client_correlator.clone(),
        duration: subscription.duration,
        resource_url: Some(subscription.resource_url.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Instant;

    use super::super::Settings;
    use super::super::stage::{ALICE, Seen, Stage};
    use crate::address::Address;
    use crate::store::{NewChannel, SubscriptionLimits};

    #[tokio::test]
    async fn a_subscription_is_created_listed_shown_and_cancelled() {
        let stage = Stage::new();
        let form = "notifyURL=http%3A%2F%2Fapplication.example.com%2Fn%2F77777&\ncallbackData=abcd&\n\
                    notificationFormat=JSON&\nclientCorrelator=12345";
        let seen = subscribe(&stage, "", ("x-www-form-urlencoded", form)).await;
        let url = seen.header("location").to_owned();
        let parts =
            ["<notifyURL>http://application.example.com/n/77777</notifyURL>", "abcd", "JSON"];
        seen.shows(201, &parts).shows(201, &["<clientCorrelator>12345<", &url]);
        let path = url.strip_prefix("http://example.com").unwrap();

        stage.get(path).await.shows(200, &parts);
        stage.get(&list()).await.shows(200, &["chatSubscriptionList", &url]);
        let other = path.replace("550100", "550101");
        stage.get(&other).await.shows(404, &["SVC0004"]);
        stage.delete(&other).await.shows(404, &["SVC0004"]);
        let gone = stage.delete(path).await;
        assert_eq!((gone.status, gone.body.as_str()), (204, ""));
        stage.delete(path).await.shows(404, &["SVC0004"]);
        stage.get(path).await.shows(404, &["SVC0004"]);
    }

    #[tokio::test]
    async fn echo_and_duration_are_taken_as_granted() {
        let stage = Stage::with(Settings { max_duration: Some(600), ..Settings::default() });
        let with = |duration| json("http://app.example.com/", &format!(",\"duration\":{duration}"));
        subscribe(&stage, "?echo=false", ("json", &with(60)))
            .await
            .shows(201, &["\"duration\":60"]);
        subscribe(&stage, "", ("json", &with(0))).await.shows(201, &["\"duration\":600"]);
        subscribe(&stage, "", ("json", &with(9999))).await.shows(201, &["\"duration\":600"]);
        subscribe(&stage, "?echo=maybe", ("json", &with(1))).await.shows(400, &["SVC0003", "echo"]);
        let all = stage.face.subscriptions.list(&Address::parse("tel:+19585550100").unwrap());
        assert_eq!(all.iter().map(|s| s.echo).collect::<Vec<_>>(), [false, true, true]);
        assert!(all.iter().all(|s| s.expires.is_some()));
    }

    #[tokio::test]
    async fn a_correlator_subscribes_once_and_again_when_the_subscription_is_gone() {
        let stage = Stage::new();
        let body = json("http://app.example.com/", ",\"clientCorrelator\":\"c\"");
        let one = subscribe(&stage, "", ("json", &body)).await;
        let two = subscribe(&stage, "", ("json", &body)).await;
        assert_eq!((two.status, two.header("location")), (201, one.header("location")));
        subscribe(&stage, "?echo=0", ("json", &body)).await.shows(409, &["SVC0005"]);
        assert_eq!(stage.face.subscriptions.count(), 1);
        stage.delete(one.header("location").strip_prefix("http://example.com").unwrap()).await;
        let other = body.replace("app.example", "app2.example");
        let three = subscribe(&stage, "", ("json", &other)).await;
        assert_ne!(three.header("location"), one.header("location"));
        three.shows(201, &["app2.example"]);
    }

    #[tokio::test]
    async fn the_target_is_a_callback_url_or_a_channel_of_the_same_user() {
        let stage = Stage::new();
        for url in ["/relative", "ftp://x/", "http://user:pw@x/", "http://x:0/", "http://x/#f", ""]
        {
            let seen = subscribe(&stage, "", ("json", &json(url, ""))).await;
            seen.shows(400, &["SVC0002", "notifyURL"]);
        }
        let (own, foreign) = (channel(&stage, "tel:+19585550100"), channel(&stage, "tel:+1"));
        subscribe(&stage, "", ("json", &json(&own, ""))).await.shows(201, &[&own]);
        let made_up = "http://example.com/1/notificationchannel/x/channels/y/callback";
        for url in [foreign.as_str(), made_up] {
            let seen = subscribe(&stage, "", ("json", &json(url, ""))).await;
            seen.shows(400, &["SVC0002", "notifyURL"]);
        }
    }

    #[tokio::test]
    async fn the_limits_of_the_user_and_of_the_server_are_told_apart() {
        let limits = SubscriptionLimits { per_user: 1, total: 1 };
        let stage = Stage::limited(Settings::default(), limits);
        let body = json("http://app.example.com/", "");
        subscribe(&stage, "", ("json", &body)).await.shows(201, &[]);
        let seen = subscribe(&stage, "", ("json", &body)).await;
        assert_eq!((seen.status, seen.header("retry-after")), (503, "2"));
        let limits = SubscriptionLimits { per_user: 1, total: 9 };
        let stage = Stage::limited(Settings::default(), limits);
        subscribe(&stage, "", ("json", &body)).await.shows(201, &[]);
        let seen = subscribe(&stage, "", ("json", &body)).await;
        assert_eq!((seen.status, seen.header("retry-after")), (429, "2"));
        seen.shows(429, &["POL3002"]);
    }

    fn channel(stage: &Stage, user: &str) -> String {
        let wish = NewChannel {
            user: Address::parse(user).unwrap(),
            base_url: "http://example.com/1/notificationchannel/x".into(),
            channel_type: "LongPolling".into(),
            application_tag: None,
            client_correlator: None,
            max_notifications: None,
            lifetime: None,
        };
        stage.face.channels.create(Instant::now(), wish).unwrap().callback_url.clone()
    }

    async fn subscribe(stage: &Stage, query: &str, body: (&str, &str)) -> Seen {
        stage.post(&format!("{}{query}", list()), body).await
    }

    fn list() -> String {
        format!("{ALICE}/subscriptions")
    }

    fn json(url: &str, more: &str) -> String {
        format!(
            "{{\"chatNotificationSubscription\":{{\"callbackReference\":{{\"notifyURL\":\"{url}\"}}\
             {more}}}}}"
        )
    }
}
