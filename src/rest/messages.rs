//! What a user says in a session: `…/sessions/{sessionId}/messages` (TS Chat 6.12).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::fault::Fault;
use super::path::SessionPath;
use super::posted::Posted;
use super::repeat::{Plan, Sameness, once};
use crate::chat::{Command, Composing, OutgoingMessage};
use crate::ids::MessageId;
use crate::oma::{ChatMessage, MessageBody};
use crate::store::durable::Created;

/// Sends a chat message, or tells that the user is composing one (TS Chat 6.12.5 and 5.2.2.17).
pub(super) async fn create(
    request: HttpRequest,
    path: SessionPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    match posted.read(MessageBody::read)? {
        MessageBody::Chat(message) => send(&request, path, (message, posted), face).await,
        MessageBody::Composing(composing) => compose(path, composing.0, face).await,
    }
}

async fn send(
    request: &HttpRequest,
    path: SessionPath,
    (message, posted): (ChatMessage, Posted),
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let limit = face.settings.max_text;
    if message.text.len() > limit {
        return Err(Fault::TooLarge);
    }
    let collection = [path.collection(), "/", path.id.as_str(), "/messages"].concat();
    let same = Sameness::of(request, (&path.of.user, &collection), None, || message.write())?;

    let made = once(&face, same, |_| true, |face| Ok(hand_over(face, path, message))).await?;

    Ok(made.answer(face.settings.created, posted.formats.response))
}

/// Plans to give the message to its session, and shows it as the resource that it then is.
fn hand_over(face: &Face, path: SessionPath, message: ChatMessage) -> Plan {
    let id = MessageId::new(face.draw());
    let location = [&path.url(), "/messages/", id.as_str()].concat();
    let outgoing =
        OutgoingMessage { id, text: message.text.clone(), reports: message.report_request };
    let document = ChatMessage { resource_url: Some(location.clone()), ..message }.write();
    let sessions = Arc::clone(&face.sessions);
    Plan {
        created: Created { location, document },
        changes: Vec::new(),
        act: Box::pin(async move {
            let command = Command::Send(outgoing);
            Ok(Some(sessions.command(&path.of.user, path.session(), command).await?.flushed))
        }),
        undo: Box::new(|_| Vec::new()),
    }
}

async fn compose(
    path: SessionPath,
    composing: Composing,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let command = Command::Compose(composing);
    let ticket = face.sessions.command(&path.of.user, path.session(), command).await?;
    Ok(holding(HttpResponse::NoContent().finish(), ticket.flushed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::test::TestRequest;

    use super::super::Settings;
    use super::super::stage::{ALICE, Seen, Stage};

    #[tokio::test]
    async fn a_message_is_a_resource_that_only_correlates() {
        let stage = connected(Settings::default()).await;
        let form = "text=How+are+you%3F&reportRequest=Displayed&reportRequest=Delivered";
        let seen = say(&stage, ("x-www-form-urlencoded", form)).await;
        let url = seen.header("location").to_owned();
        let shown = ["<text>How are you?</text>", "<reportRequest>Displayed<", &url];
        seen.shows(201, &shown);
        let prefix = format!("http://example.com{ALICE}/sessions/s1/messages/");
        assert!(url.starts_with(&prefix), "{url}");
        stage.get(url.strip_prefix("http://example.com").unwrap()).await.shows(404, &["SVC0004"]);
        let heard = stage.heard();
        assert!(heard[0].starts_with("Send \"How are you?\" ReportRequest { delivered: true"));
    }

    #[tokio::test]
    async fn composing_leaves_no_resource() {
        let stage = connected(Settings::default()).await;
        for body in [
            ("json", "{\"isComposing\":{\"state\":\"active\",\"refresh\":60}}"),
            ("xml", "<isComposing><state>idle</state></isComposing>"),
        ] {
            let seen = say(&stage, body).await;
            assert_eq!((seen.status, seen.header("location"), seen.body.as_str()), (204, "", ""));
        }
        assert_eq!(stage.heard(), ["Compose active", "Compose idle"]);
        let wrong = ("json", "{\"isComposing\":{\"state\":\"busy\"}}");
        say(&stage, wrong).await.shows(400, &["SVC0003", "state"]);
    }

    #[tokio::test]
    async fn an_idempotency_key_sends_once() {
        let stage = connected(Settings::default()).await;
        let request = |text: &str| {
            TestRequest::post()
                .uri(concat!("/1/chat/tel%3A%2B19585550100", "/sessions/s1/messages"))
                .insert_header(("content-type", "application/json"))
                .insert_header(("idempotency-key", "\"k-1\""))
                .set_payload(format!("{{\"chatMessage\":{{\"text\":\"{text}\"}}}}"))
        };
        let one = stage.send(request("Hi")).await;
        let two = stage.send(request("Hi")).await;
        assert_eq!((one.status, two.status, &one.body), (201, 201, &two.body));
        stage.send(request("Ho")).await.shows(409, &["SVC0005"]);
        assert_eq!(stage.heard().len(), 1);
    }

    #[tokio::test]
    async fn each_fault_has_its_name() {
        let stage = connected(Settings { max_text: 8, ..Settings::default() }).await;
        say(&stage, ("json", &json("12345678"))).await.shows(201, &[]);
        say(&stage, ("json", &json("123456789"))).await.shows(413, &["SVC0002"]);
        say(&stage, ("json", "{\"chatMessage\":{}}")).await.shows(400, &["SVC0002", "text"]);
        say(&stage, ("xml", "<chatSubscriptionList/>")).await.shows(400, &["SVC0002"]);
        say(&stage, ("xml", "<!DOCTYPE x><chatMessage/>")).await.shows(400, &["SVC0002"]);
        stage.delete(&format!("{ALICE}/sessions/s1")).await;
        say(&stage, ("json", &json("late"))).await.shows(409, &["POL3001"]);
        let path = format!("{ALICE}/sessions/other/messages");
        stage.post(&path, ("json", &json("x"))).await.shows(404, &["SVC0004"]);
        let path = format!("{ALICE}/sessions/{}/messages", "s".repeat(300));
        stage.post(&path, ("json", &json("x"))).await.shows(404, &["SVC0004"]);
        stage.invite_alice("early");
        let path = format!("{ALICE}/sessions/early/messages");
        stage.post(&path, ("json", &json("x"))).await.shows(409, &["POL3001"]);
    }

    async fn connected(settings: Settings) -> Stage {
        let stage = Stage::with(settings);
        stage.invite_alice("s1");
        let status = ("x-www-form-urlencoded", "status=Connected");
        stage.post(&format!("{ALICE}/sessions/s1/status"), status).await.shows(200, &[]);
        stage.heard();
        stage
    }

    async fn say(stage: &Stage, body: (&str, &str)) -> Seen {
        stage.post(&format!("{ALICE}/sessions/s1/messages"), body).await
    }

    fn json(text: &str) -> String {
        format!("{{\"chatMessage\":{{\"text\":\"{text}\"}}}}")
    }
}
