//! The whole URL tree, method by method: the router and the description of the API are made of it.

use actix_web::web::{self, ServiceConfig};

use super::openapi::Description;
use super::resource::Body::{Document, Events, Nothing, Notifications, Other};
use super::resource::Verb::{Delete, Get, Post, PostOrPut, Put};
use super::resource::{Query, Resource, at, on, refused};
use super::router::Router;
use super::{
    Face, channels, docs, extend, group_sessions, health, message_status, messages, openapi,
    participant_status, participants, session_status, sessions, subscriptions,
};
use crate::oma::{
    ChatMessage, ChatNotificationSubscription, ChatSessionInformation, ChatSubscriptionList,
    Extension, GroupChatSessionInformation, IsComposing, MessageDeliveryStatus, NewParticipants,
    NotificationChannel, NotificationChannelLifetime, NotificationChannelList,
    ParticipantInformation, ParticipantList, ParticipantSessionStatus, ResourceReference,
};

/// Enters the API into an application: `App::new().configure(rest::configure(face))`.
///
/// Whatever else the application serves must be entered before: behind the API, all is unknown.
pub fn configure(face: web::Data<Face>) -> impl FnOnce(&mut ServiceConfig) + Clone {
    let description = web::Data::new(Description::default());
    move |app| {
        let mut resources = tree();
        resources.push(refusals());
        let router = Router::new(face.settings.base(), resources);
        app.app_data(face.clone()).app_data(description).default_service(router);
    }
}

/// What stands in for requests that were refused before they could be read; no part of the API.
fn refusals() -> Resource {
    let what = ("refused", "Tell why a request was refused");
    at("/-/refused/{status}", "Service", [on(Get, what, refused)]).for_everybody().apart()
}

/// Gives every resource with everything that can be done with it.
pub(super) fn tree() -> Vec<Resource> {
    let of_groups = [group_sessions(), participants(), group_messages()];
    let others = [channels(), service()];
    [subscriptions(), sessions(), messages()]
        .into_iter()
        .chain(of_groups)
        .chain(others)
        .flatten()
        .collect()
}

fn subscriptions() -> Vec<Resource> {
    let heading = "Subscriptions";
    vec![
        at(
            "/1/chat/{userId}/subscriptions",
            heading,
            [
                on(Get, ("listSubscriptions", "List a user's subscriptions"), subscriptions::list)
                    .shows(&ChatSubscriptionList::OUTLINE),
                on(Post, ("subscribe", "Subscribe to notifications"), subscriptions::create)
                    .takes(&[ChatNotificationSubscription::OUTLINE])
                    .or_form(&ChatNotificationSubscription::FORM)
                    .asks(&[ECHO])
                    .creates(&ChatNotificationSubscription::OUTLINE)
                    .refuses(&[409, 429]),
            ],
        ),
        at(
            "/1/chat/{userId}/subscriptions/{subscriptionId}",
            heading,
            [
                on(Get, ("readSubscription", "Show a subscription"), subscriptions::read)
                    .shows(&ChatNotificationSubscription::OUTLINE)
                    .refuses(&[404]),
                on(Delete, ("unsubscribe", "End a subscription"), subscriptions::delete)
                    .silently("The subscription has ended.")
                    .refuses(&[404]),
            ],
        ),
    ]
}

fn sessions() -> Vec<Resource> {
    let heading = "Sessions";
    vec![
        at(
            "/1/chat/{userId}/sessions",
            heading,
            [on(Post, ("invite", "Open a 1-1 session: invite somebody"), sessions::create)
                .takes(&[ChatSessionInformation::OUTLINE])
                .or_form(&ChatSessionInformation::OUTLINE)
                .creates(&ChatSessionInformation::OUTLINE)
                .refuses(&[403, 404, 409])],
        ),
        at(
            "/1/chat/{userId}/sessions/{sessionId}",
            heading,
            [
                on(Get, ("readSession", "Show a session"), sessions::read)
                    .shows(&ChatSessionInformation::OUTLINE)
                    .gives(303, EXTENDED, Document(&ResourceReference::OUTLINE))
                    .refuses(&[404]),
                on(Delete, ("endSession", "Cancel, decline or end a session"), sessions::delete)
                    .silently("The session ends.")
                    .refuses(&[404, 409]),
            ],
        ),
        at(
            "/1/chat/{userId}/sessions/{sessionId}/status",
            heading,
            [on(
                PostOrPut,
                ("answerInvitation", "Accept or decline an invitation"),
                session_status::update,
            )
            .takes(&[ParticipantSessionStatus::REQUEST])
            .or_form(&ParticipantSessionStatus::REQUEST)
            .shows(&ParticipantSessionStatus::OUTLINE)
            .refuses(&[403, 404, 409])],
        ),
        at(
            "/1/chat/{userId}/sessions/{sessionId}/extend",
            heading,
            [on(Post, ("extendSession", "Extend a 1-1 session to a group"), extend::create)
                .takes(&[ParticipantList::OUTLINE])
                .or_form(&Extension::FORM)
                .gives(303, "The group is being opened.", Document(&ResourceReference::OUTLINE))
                .refuses(&[403, 404, 409])],
        ),
    ]
}

fn group_sessions() -> Vec<Resource> {
    let heading = "Group sessions";
    vec![
        at(
            "/1/chat/{userId}/groupSessions",
            heading,
            [on(Post, ("openGroup", "Open a group session"), group_sessions::create)
                .takes(&[GroupChatSessionInformation::OUTLINE])
                .or_form(&GroupChatSessionInformation::FORM)
                .creates(&GroupChatSessionInformation::OUTLINE)
                .refuses(&[403, 404, 409])],
        ),
        at(
            "/1/chat/{userId}/groupSessions/{sessionId}",
            heading,
            [
                on(Get, ("readGroup", "Show a group session"), group_sessions::read)
                    .shows(&GroupChatSessionInformation::OUTLINE)
                    .silently(APART)
                    .refuses(&[404]),
                on(
                    Delete,
                    ("endGroup", "Cancel, decline, end or leave a group session"),
                    group_sessions::delete,
                )
                .silently("The user is in the session no more.")
                .refuses(&[404, 409]),
            ],
        ),
    ]
}

fn participants() -> Vec<Resource> {
    let heading = "Participants";
    vec![
        at(
            "/1/chat/{userId}/groupSessions/{sessionId}/participants",
            heading,
            [
                on(Get, ("listParticipants", "List the participants"), participants::list)
                    .shows(&ParticipantList::OUTLINE)
                    .silently(APART)
                    .refuses(&[404]),
                on(
                    Post,
                    ("addParticipants", "Add participants, or join again"),
                    participants::create,
                )
                .takes(&[ParticipantInformation::OUTLINE, ParticipantList::OUTLINE])
                .or_form(&NewParticipants::FORM)
                .creates(&ParticipantInformation::OUTLINE)
                .gives(200, "Nothing is left to do.", Document(&ParticipantList::OUTLINE))
                .gives(202, "Notifications tell how it ends.", Nothing)
                .refuses(&[403, 404, 409]),
            ],
        ),
        at(
            "/1/chat/{userId}/groupSessions/{sessionId}/participants/{participantId}",
            heading,
            [
                on(Get, ("readParticipant", "Show a participant"), participants::read)
                    .shows(&ParticipantInformation::OUTLINE)
                    .refuses(&[404]),
                on(
                    Delete,
                    ("removeParticipant", "Remove a participant, decline or leave"),
                    participants::delete,
                )
                .silently("The participant is being removed.")
                .refuses(&[403, 404, 409]),
            ],
        ),
        at(
            "/1/chat/{userId}/groupSessions/{sessionId}/participants/{participantId}/status",
            heading,
            [
                on(
                    Get,
                    ("readParticipantStatus", "Show how a participant stands"),
                    participant_status::read,
                )
                .shows(&ParticipantSessionStatus::OUTLINE)
                .refuses(&[404]),
                on(
                    PostOrPut,
                    ("answerGroupInvitation", "Accept or decline an invitation to a group"),
                    participant_status::update,
                )
                .takes(&[ParticipantSessionStatus::REQUEST])
                .or_form(&ParticipantSessionStatus::REQUEST)
                .shows(&ParticipantSessionStatus::OUTLINE)
                .refuses(&[403, 404, 409]),
            ],
        ),
    ]
}

fn group_messages() -> Vec<Resource> {
    let heading = "Messages";
    vec![
        at(
            "/1/chat/{userId}/groupSessions/{sessionId}/messages",
            heading,
            [on(
                Post,
                ("sendToGroup", "Send a message to a group, or tell that one is being written"),
                messages::create,
            )
            .takes(&[ChatMessage::OUTLINE, IsComposing::OUTLINE])
            .or_form(&ChatMessage::OUTLINE)
            .creates(&ChatMessage::OUTLINE)
            .silently("That a message is being written was told.")
            .refuses(&[404, 409])],
        ),
        // The URL of a message only correlates (TS Chat 5.2.2.10): no method finds it.
        at("/1/chat/{userId}/groupSessions/{sessionId}/messages/{messageId}", heading, []),
        at(
            "/1/chat/{userId}/groupSessions/{sessionId}/messages/{messageId}/status",
            heading,
            [on(
                PostOrPut,
                ("reportGroupMessage", "Report on a message of a group"),
                message_status::update,
            )
            .takes(&[MessageDeliveryStatus::OUTLINE])
            .or_form(&MessageDeliveryStatus::OUTLINE)
            .gives(200, "Reported by a form.", Document(&MessageDeliveryStatus::OUTLINE))
            .silently("Reported by a document.")
            .refuses(&[404, 409])],
        ),
    ]
}

fn messages() -> Vec<Resource> {
    let heading = "Messages";
    vec![
        at(
            "/1/chat/{userId}/sessions/{sessionId}/messages",
            heading,
            [on(
                Post,
                ("send", "Send a message, or tell that one is being written"),
                messages::create,
            )
            .takes(&[ChatMessage::OUTLINE, IsComposing::OUTLINE])
            .or_form(&ChatMessage::OUTLINE)
            .creates(&ChatMessage::OUTLINE)
            .silently("That a message is being written was told.")
            .refuses(&[404, 409])],
        ),
        // The URL of a message only correlates (TS Chat 5.2.2.10): no method finds it.
        at("/1/chat/{userId}/sessions/{sessionId}/messages/{messageId}", heading, []),
        at(
            "/1/chat/{userId}/sessions/{sessionId}/messages/{messageId}/status",
            heading,
            [on(
                PostOrPut,
                ("reportMessage", "Report that a message was delivered or displayed"),
                message_status::update,
            )
            .takes(&[MessageDeliveryStatus::OUTLINE])
            .or_form(&MessageDeliveryStatus::OUTLINE)
            .gives(200, "Reported by a form.", Document(&MessageDeliveryStatus::OUTLINE))
            .silently("Reported by a document.")
            .refuses(&[404, 409])],
        ),
    ]
}

fn channels() -> Vec<Resource> {
    let heading = "Notification channels";
    vec![
        at(
            "/1/notificationchannel/{userId}/channels",
            heading,
            [
                on(Get, ("listChannels", "List a user's channels"), channels::list)
                    .shows(&NotificationChannelList::OUTLINE),
                on(Post, ("openChannel", "Open a channel to be polled"), channels::create)
                    .takes(&[NotificationChannel::OUTLINE])
                    .or_form(&NotificationChannel::FORM)
                    .creates(&NotificationChannel::OUTLINE)
                    .refuses(&[409, 429]),
            ],
        ),
        at(
            "/1/notificationchannel/{userId}/channels/{channelId}",
            heading,
            [
                on(Get, ("readChannel", "Show a channel"), channels::read)
                    .shows(&NotificationChannel::OUTLINE)
                    .refuses(&[404]),
                on(Delete, ("closeChannel", "Close a channel"), channels::delete)
                    .silently("The channel and the subscriptions that use it have ended.")
                    .refuses(&[404]),
            ],
        ),
        at(
            "/1/notificationchannel/{userId}/channels/{channelId}/channelLifetime",
            heading,
            [
                on(Get, ("readLifetime", "Show how long a channel holds"), channels::read_lifetime)
                    .shows(&NotificationChannelLifetime::OUTLINE)
                    .refuses(&[404]),
                on(Put, ("renewChannel", "Give a channel another life time"), channels::renew)
                    .takes(&[NotificationChannelLifetime::OUTLINE])
                    .shows(&NotificationChannelLifetime::OUTLINE)
                    .refuses(&[404]),
            ],
        ),
        at(
            POLLS,
            heading,
            [
                on(
                    Get,
                    ("poll", "Wait for notifications, or have them told as they happen"),
                    channels::poll,
                )
                .asks(&[SINCE])
                .gives(200, WAITED, Notifications)
                .gives(200, STREAMED, Events)
                .refuses(&[404]),
                on(Post, ("pollByPost", "Wait for notifications"), channels::poll)
                    .asks(&[SINCE])
                    .gives(200, WAITED, Notifications)
                    .refuses(&[404]),
            ],
        )
        // Whoever knows the secret may: it is a credential of its own.
        .for_everybody(),
    ]
}

fn service() -> Vec<Resource> {
    let heading = "Service";
    vec![
        at(
            "/openapi.json",
            heading,
            [on(Get, ("describe", "Describe the API"), openapi::show).gives(
                200,
                "This document.",
                Other("application/json"),
            )],
        )
        .for_everybody(),
        at(
            "/docs",
            heading,
            [on(Get, ("readDocs", "Show the API as a page to try it"), docs::page).gives(
                200,
                "The page.",
                Other("text/html"),
            )],
        )
        .for_everybody(),
        at(
            "/docs/{file}",
            heading,
            [on(Get, ("readDocsFile", "Give a part of that page"), docs::part)
                .gives(200, "The style.", Other("text/css"))
                .gives(200, "The script.", Other("text/javascript"))
                .refuses(&[404])],
        )
        .for_everybody(),
        at(
            "/livez",
            heading,
            [on(Get, ("live", "Tell whether the process runs"), health::live).gives(
                200,
                "It does.",
                Other("application/json"),
            )],
        )
        .for_everybody()
        .apart(),
        at(
            "/readyz",
            heading,
            [on(Get, ("ready", "Tell whether the process is of use"), health::ready)
                .gives(200, "It is.", Other("application/json"))
                .gives(503, "It is not, for these reasons.", Other("application/json"))],
        )
        .for_everybody()
        .apart(),
    ]
}

/// The URL that is polled.
pub(super) const POLLS: &str = "/1/notificationchannel/{userId}/polls/{secret}";

const ECHO: Query = Query {
    name: "echo",
    what: "Whether the subscription is told what its user does with other clients.",
    values: &["true", "false"],
};

const SINCE: Query = Query {
    name: "since",
    what: "The id of the last notification that the client has: those behind it come again.",
    values: &[],
};

const APART: &str = "The user is not in the session, but may join it again.";

const EXTENDED: &str = "The session was extended to a group.";

const WAITED: &str = "What has waited; an empty list when nothing has come in time.";

const STREAMED: &str = "With `Accept: text/event-stream`, a stream of server-sent events until \
    another reader comes or the channel ends: in each a notification, the event's id being its own, \
    in JSON unless resFormat says otherwise; in between comments that show that the stream is there. \
    Last-Event-ID confirms what has arrived; what nobody has confirmed comes again.";

#[cfg(test)]
mod tests {
    use actix_web::http::Method;

    use super::super::Settings;
    use super::super::stage::{ALICE, Stage};

    /// Every resource with its `Allow`, as the specification prints it (TS Chat 6.1 to 6.14).
    const ALLOWED: [(&str, &str); 19] = [
        ("chat/+1/subscriptions", "GET, POST"),
        ("chat/+1/subscriptions/sub001", "GET, DELETE"),
        ("chat/+1/sessions", "POST"),
        ("chat/+1/sessions/sess001", "GET, DELETE"),
        ("chat/+1/sessions/sess001/status", "POST"),
        ("chat/+1/sessions/sess001/extend", "POST"),
        ("chat/+1/groupSessions", "POST"),
        ("chat/+1/groupSessions/sess001", "GET, DELETE"),
        ("chat/+1/groupSessions/sess001/participants", "GET, POST"),
        ("chat/+1/groupSessions/sess001/participants/part001", "GET, DELETE"),
        ("chat/+1/groupSessions/sess001/participants/part001/status", "GET, POST"),
        ("chat/+1/groupSessions/sess001/messages", "POST"),
        ("chat/+1/groupSessions/sess001/messages/msg001/status", "POST"),
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
            "/1/chat/tel%3A%2B19585550100/groupSessions/sess001/extend",
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
