//! The whole URL tree, method by method.
//!
//! Extending a session and group sessions are not routed yet: they are unknown, like any other URL.

use std::future::ready;

use actix_web::dev::HttpServiceFactory;
use actix_web::guard::fn_guard;
use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};

use super::door::enter;
use super::fault::{Fault, speak};
use super::intake::{REFUSED, Refused};
use super::observe::observe;
use super::{
    Face, channels, health, message_status, messages, session_status, sessions, subscriptions,
};
use Verb::{Delete, Get, Post, PostOrPut, Put};

/// Enters the API into an application: `App::new().configure(rest::configure(face))`.
///
/// Whatever else the application serves must be entered before: behind the API, all is unknown.
pub fn configure(face: web::Data<Face>) -> impl FnOnce(&mut ServiceConfig) + Clone {
    move |app| {
        let api = web::scope(&face.settings.base())
            .service(at(
                "/1/chat/{userId}/subscriptions",
                "GET, POST",
                [(Get, web::to(subscriptions::list)), (Post, web::to(subscriptions::create))],
            ))
            .service(at(
                "/1/chat/{userId}/subscriptions/{subscriptionId}",
                "GET, DELETE",
                [(Get, web::to(subscriptions::read)), (Delete, web::to(subscriptions::delete))],
            ))
            .service(at("/1/chat/{userId}/sessions", "POST", [(Post, web::to(sessions::create))]))
            .service(at(
                "/1/chat/{userId}/sessions/{sessionId}",
                "GET, DELETE",
                [(Get, web::to(sessions::read)), (Delete, web::to(sessions::delete))],
            ))
            .service(at(
                "/1/chat/{userId}/sessions/{sessionId}/status",
                "POST",
                [(PostOrPut, web::to(session_status::update))],
            ))
            .service(at(
                "/1/chat/{userId}/sessions/{sessionId}/messages",
                "POST",
                [(Post, web::to(messages::create))],
            ))
            // The URL of a message only correlates (TS Chat 5.2.2.10): no method finds it.
            .service(
                web::resource("/1/chat/{userId}/sessions/{sessionId}/messages/{messageId}")
                    .to(nowhere),
            )
            .service(at(
                "/1/chat/{userId}/sessions/{sessionId}/messages/{messageId}/status",
                "POST",
                [(PostOrPut, web::to(message_status::update))],
            ))
            .service(at(
                "/1/notificationchannel/{userId}/channels",
                "GET, POST",
                [(Get, web::to(channels::list)), (Post, web::to(channels::create))],
            ))
            .service(at(
                "/1/notificationchannel/{userId}/channels/{channelId}",
                "GET, DELETE",
                [(Get, web::to(channels::read)), (Delete, web::to(channels::delete))],
            ))
            .service(at(
                "/1/notificationchannel/{userId}/channels/{channelId}/channelLifetime",
                "GET, PUT",
                [(Get, web::to(channels::read_lifetime)), (Put, web::to(channels::renew))],
            ))
            // Whoever knows the secret may: it is a credential of its own.
            .service(open_at(
                "/1/notificationchannel/{userId}/polls/{secret}",
                "GET, POST",
                [(Get, web::to(channels::poll)), (Post, web::to(channels::poll))],
            ))
            .default_service(web::to(nowhere));
        let all = web::scope("")
            .route("/livez", web::get().to(health::live))
            .route("/readyz", web::get().to(health::ready))
            .route(&format!("{REFUSED}{{status}}"), web::get().to(refused))
            .service(api)
            .default_service(web::to(nowhere));
        app.app_data(face.clone()).service(all.wrap(from_fn(speak)).wrap(from_fn(observe)));
    }
}

/// What a resource can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// GET; HEAD comes with it.
    Get,
    Post,
    /// POST, and PUT from clients that take the status for a thing to be replaced.
    PostOrPut,
    Put,
    Delete,
}

impl Verb {
    /// Tells whether a request with `method` is meant for it.
    fn takes(self, method: &Method) -> bool {
        match self {
            Get => matches!(*method, Method::GET | Method::HEAD),
            Post => *method == Method::POST,
            PostOrPut => matches!(*method, Method::POST | Method::PUT),
            Put => *method == Method::PUT,
            Delete => *method == Method::DELETE,
        }
    }
}

/// Puts the verbs of a resource at its path, with or without a trailing slash; another method is
/// told what to `allow`. Who may not come in is told nothing else.
fn at<const N: usize>(
    path: &'static str,
    allow: &'static str,
    verbs: [(Verb, Route); N],
) -> impl HttpServiceFactory + 'static {
    open_at(path, allow, verbs).wrap(from_fn(enter))
}

/// As [`at`], but for everybody.
fn open_at<const N: usize>(
    path: &'static str,
    allow: &'static str,
    verbs: [(Verb, Route); N],
) -> Resource {
    let resource = web::resource([path.to_owned(), format!("{path}/")])
        .default_service(web::to(move |request| ready(other_method(&request, allow))));
    verbs.into_iter().fold(resource, |resource, (verb, route)| {
        resource.route(route.guard(fn_guard(move |at| verb.takes(&at.head().method))))
    })
}

/// Answers a method that the resource does not have; OPTIONS asks for just that.
fn other_method(request: &HttpRequest, allow: &'static str) -> Result<HttpResponse, Fault> {
    if request.method() == Method::OPTIONS {
        return Ok(HttpResponse::NoContent().insert_header((ALLOW, allow)).finish());
    }
    Err(Fault::MethodNotAllowed { allow })
}

/// Tells why a request was refused that this one stands in for.
async fn refused(request: HttpRequest) -> Result<HttpResponse, Fault> {
    let status = request.match_info().get("status").unwrap_or_default();
    Err(Refused::of(status).map_or(Fault::NotFound, Fault::from))
}

/// Answers for a URL behind which there is nothing.
async fn nowhere() -> Result<HttpResponse, Fault> {
    Err(Fault::NotFound)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::stage::{ALICE, Stage};
    use super::*;

    /// Every resource with its `Allow`, as the specification prints it (TS Chat 6.1 to 6.14).
    const ALLOWED: [(&str, &str); 11] = [
        ("chat/+1/subscriptions", "GET, POST"),
        ("chat/+1/subscriptions/sub001", "GET, DELETE"),
        ("chat/+1/sessions", "POST"),
        ("chat/+1/sessions/sess001", "GET, DELETE"),
        ("chat/+1/sessions/sess001/status", "POST"),
        ("chat/+1/sessions/sess001/messages", "POST"),
        ("chat/+1/sessions/sess001/messages/msg001/status", "POST"),
        ("notificationchannel/+1/channels", "GET, POST"),
        ("notificationchannel/+1/channels/ch001", "GET, DELETE"),
        ("notificationchannel/+1/channels/ch001/channelLifetime", "GET, PUT"),
        ("notificationchannel/+1/polls/secret", "GET, POST"),
    ];

    #[tokio::test]
    async fn other_methods_are_told_what_is_allowed() {
        let stage = Stage::new();
        for (resource, allow) in ALLOWED {
            let accepts_put = resource.ends_with("status");
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "FROBNICATE"] {
                let head_of_get = method == "HEAD" && allow.contains("GET");
                if allow.contains(method) || head_of_get || (method == "PUT" && accepts_put) {
                    continue;
                }
                let method = Method::from_bytes(method.as_bytes()).expect("a token");
                for slash in ["", "/"] {
                    let seen = stage.ask(method.clone(), &format!("/1/{resource}{slash}")).await;
                    assert_eq!((seen.status, seen.header("allow")), (405, allow), "{resource}");
                }
            }
            let seen = stage.ask(Method::OPTIONS, &format!("/1/{resource}")).await;
            assert_eq!((seen.status, seen.header("allow")), (204, allow), "{resource}");
        }
    }

    #[tokio::test]
    async fn what_is_not_routed_is_unknown_to_every_method() {
        let stage = Stage::new();
        let message = format!("{ALICE}/sessions/sess001/messages/msg001");
        for path in [
            "/",
            "/1",
            "/2/chat/tel%3A%2B19585550100/sessions",
            "/1/chat/tel%3A%2B19585550100",
            "/1/chat/tel%3A%2B19585550100/groupSessions",
            "/1/chat/tel%3A%2B19585550100/sessions/sess001/extend",
            "/1/chat/tel%3A%2B19585550100/sessions/sess001/../status",
            "/1/chat//sessions",
            &message,
        ] {
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS]
            {
                stage.ask(method, path).await.shows(404, &["SVC0004", "requestError"]);
            }
        }
    }

    #[tokio::test]
    async fn the_base_path_stands_in_front_of_all() {
        for base_path in ["/exampleAPI", "exampleAPI/"] {
            let base_path = base_path.to_owned();
            let stage = Stage::with(Settings { base_path, ..Settings::default() });
            let list = format!("/exampleAPI{ALICE}/subscriptions/");
            let url = "http://example.com/exampleAPI/1/chat/tel%3A%2B19585550100/subscriptions";
            stage.get(&list).await.shows(200, &[url]);
            stage.get(&format!("{ALICE}/subscriptions")).await.shows(404, &["SVC0004"]);
        }
    }
}
