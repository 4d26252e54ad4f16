//! 1-1 chat sessions: `…/sessions` and `…/sessions/{sessionId}` (TS Chat 6.3 and 6.4).

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::body::{negotiate, respond};
use super::fault::Fault;
use super::path::{SessionPath, UserPath};
use super::posted::Posted;
use super::repeat::{Plan, Sameness, once};
use crate::address::Address;
use crate::chat::{Answer, Command, ParticipantStatus, SessionKind};
use crate::ids::SessionId;
use crate::oma::{ChatSessionInformation, Format, ResourceReference};
use crate::store::durable::{Change, Created, SessionRecord};

/// Opens a session: invites the terminating participant (TS Chat 6.3.5).
pub(super) async fn create(
    request: HttpRequest,
    path: UserPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let wanted = posted.read(ChatSessionInformation::read)?;
    demand_two_parties(&path.user, &wanted)?;
    let correlator = wanted.client_correlator.as_deref();
    let same = Sameness::of(&request, (&path.user, "sessions"), correlator, || wanted.write())?;

    let made = once(&face, same, |_| true, |face| invite(face, path, wanted)).await?;

    Ok(made.answer(face.settings.created, posted.formats.response))
}

/// Shows a session (TS Chat 6.4.3).
pub(super) async fn read(
    request: HttpRequest,
    path: SessionPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let ticket = face.sessions.command(&path.of.user, path.session(), Command::Describe).await?;

    match ticket.value {
        Answer::Session(info) => {
            let document = ChatSessionInformation::of(info, path.url());
            let response = respond(StatusCode::OK, &document.write(), format);
            Ok(holding(response, ticket.flushed))
        }
        Answer::MovedTo(id) => {
            let group = SessionPath { kind: SessionKind::Group, id, ..path };
            Ok(holding(see_other(&group.url(), format), ticket.flushed))
        }
        Answer::Done
        | Answer::Group(_)
        | Answer::Apart
        | Answer::Participants(_)
        | Answer::Participant(_)
        | Answer::UnderWay
        | Answer::Later(_)
        | Answer::Extending(_) => Err(Fault::internal("a session did not describe itself")),
    }
}

/// Cancels, declines or ends a session, by role and state (TS Chat 6.4.6).
pub(super) async fn delete(
    path: SessionPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let ticket = face.sessions.command(&path.of.user, path.session(), Command::End).await?;
    Ok(holding(HttpResponse::NoContent().finish(), ticket.flushed))
}

/// Answers 303: the resource is another one now.
pub(super) fn see_other(location: &str, format: Format) -> HttpResponse {
    let reference = ResourceReference { resource_url: location.to_owned() };
    HttpResponse::SeeOther()
        .content_type(format.media_type())
        .insert_header((header::VARY, "Accept"))
        .insert_header((header::LOCATION, location))
        .body(reference.write().render(format))
}

/// Demands that the user has not got too many sessions.
pub(super) fn demand_room(face: &Face, user: &Address) -> Result<(), Fault> {
    if face.sessions.count_of(user) < face.settings.sessions_per_user {
        return Ok(());
    }
    let retry_after = face.settings.retry_after;
    Err(Fault::TooManyRequests { what: "sessions of the user", retry_after })
}

/// Demands that the originator is the user, and somebody else than the one who is invited.
fn demand_two_parties(user: &Address, wanted: &ChatSessionInformation) -> Result<(), Fault> {
    if wanted.originator_address != *user {
        return Err(Fault::Forbidden {
            reason: "originatorAddress must be the user of the URL".into(),
        });
    }
    if wanted.t_participant_address == *user {
        let right = "it must be somebody else than the originator".into();
        return Err(Fault::Invalid { part: "tParticipantAddress", right });
    }
    Ok(())
}

/// Plans to send the invitation on its way, and shows the session that comes of it.
fn invite(face: &Face, path: UserPath, wanted: ChatSessionInformation) -> Result<Plan, Fault> {
    demand_room(face, &path.user)?;
    let (id, user) = (SessionId::new(face.draw()), path.user.clone());
    let shown = wanted.clone();
    let invitation = wanted.into_invitation(id.clone(), user.clone());
    let kind = SessionKind::Pair;
    let location = SessionPath { of: path, kind, id: id.clone() }.url();
    let document = ChatSessionInformation {
        status: Some(ParticipantStatus::Invited),
        resource_url: Some(location.clone()),
        ..shown
    };
    let sessions = Arc::clone(&face.sessions);
    Ok(Plan {
        created: Created { location, document: document.write() },
        changes: vec![Change::PutSession(SessionRecord { id: id.clone(), user, kind })],
        act: Box::pin(async move { Ok(Some(sessions.start(invitation).await?.flushed)) }),
        undo: Box::new(|_| vec![Change::EndSession(id)]),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::test::TestRequest;

    use super::super::stage::{ALICE, Seen, Stage};
    use super::super::{CreatedBody, Settings};

    #[tokio::test]
    async fn a_session_is_opened_shown_and_ended_once() {
        let stage = Stage::new();
        let seen = open(&stage, ("json", &json("tel:+19585550101", ""))).await;
        let url = seen.header("location").to_owned();
        let path = url.strip_prefix("http://example.com").unwrap();
        assert!(path.starts_with(&format!("{ALICE}/sessions/")), "{path}");
        seen.shows(201, &["chatSessionInformation", "Invited", &url]);
        assert_eq!(stage.heard(), ["Invite tel:+19585550101 \"Hello\""]);

        stage.get(path).await.shows(200, &["Hello", "Invited", &url]);
        stage.get(&format!("{path}/")).await.shows(200, &[&url]);
        assert_eq!(stage.delete(path).await.status, 204);
        stage.delete(path).await.shows(404, &["SVC0004"]);
        stage.get(path).await.shows(404, &["SVC0004"]);
    }

    #[tokio::test]
    async fn forms_and_xml_open_sessions_too() {
        let stage = Stage::new();
        let form = "subject=Hello%20friends&\noriginatorAddress=tel%3A%2B19585550100&\n\
                    originatorName=Alice&tParticipantAddress=tel%3A%2B19585550101&clientCorrelator=1";
        let seen = open(&stage, ("x-www-form-urlencoded", form)).await;
        seen.shows(201, &["<subject>Hello friends</subject>", "<clientCorrelator>1<"]);
        let xml = "<c:chatSessionInformation xmlns:c=\"urn:oma:xml:rest:netapi:chat:1\"><subject/>\
                   <originatorAddress>sip:+19585550100@example.com;user=phone</originatorAddress>\
                   <tParticipantAddress>sip:bob@example.com</tParticipantAddress>\
                   </c:chatSessionInformation>";
        open(&stage, ("xml", xml)).await.shows(201, &["<subject", "sip:bob@example.com"]);
    }

    #[tokio::test]
    async fn each_fault_of_an_invitation_has_its_name() {
        let stage = Stage::new();
        let cases = [
            ("{".to_owned(), 400, "SVC0002", "JSON"),
            (json("tel:+19585550101", "").replace("subject", "other"), 400, "SVC0002", "subject"),
            (json("tel:0123", ""), 400, "SVC0002", "tParticipantAddress"),
            (json("sip:b@x?Subject=y", ""), 400, "SVC0002", "tParticipantAddress"),
            (json("+1-958-555-0100", ""), 400, "SVC0002", "tParticipantAddress"),
            (json("tel:+1", "").replace("550100", "550199"), 403, "POL0001", ""),
            (json("tel:+1", "").replace("Hello", "a\\r\\nRoute: x"), 400, "SVC0002", "subject"),
        ];
        for (body, status, id, part) in cases {
            let seen = open(&stage, ("json", &body)).await;
            let part = if part == "JSON" { "" } else { part };
            seen.shows(status, &[id, part]);
        }
        open(&stage, ("json", &json("sip:nobody@example.invalid", ""))).await.shows(400, &["SVC"]);
        open(&stage, ("pdf", "%PDF")).await.shows(415, &["SVC0002"]);
        stage
            .post("/1/chat/alice/sessions", ("json", "{}"))
            .await
            .shows(400, &["SVC0002", "userId"]);
    }

    #[tokio::test]
    async fn another_user_does_not_see_the_session() {
        let stage = Stage::new();
        stage.invite_alice("s1");
        for path in ["/1/chat/tel%3A%2B19585550101/sessions/s1", "/1/chat/tel%3A%2B1/sessions/s1"] {
            stage.get(path).await.shows(404, &["SVC0004"]);
            stage.delete(path).await.shows(404, &["SVC0004"]);
        }
        for user in ["%2B19585550100", "tel%253A%252B19585550100", "sip:+19585550100@x;user=phone"]
        {
            stage.get(&format!("/1/chat/{user}/sessions/s1")).await.shows(200, &["Invited"]);
        }
        assert_eq!(stage.heard(), ["Describe"; 3]);
    }

    #[tokio::test]
    async fn a_correlator_opens_one_session() {
        let stage = Stage::new();
        let body = json("tel:+19585550101", ",\"clientCorrelator\":\"c1\"");
        let (one, two) = tokio::join!(open(&stage, ("json", &body)), open(&stage, ("json", &body)));
        one.shows(201, &["\"clientCorrelator\":\"c1\""]);
        assert_eq!((two.status, two.header("location")), (201, one.header("location")));
        let again = open(&stage, ("json", &body)).await;
        assert_eq!(again.body, one.body);
        assert_eq!(stage.heard().len(), 1);

        let other = body.replace("Hello", "Bye");
        open(&stage, ("json", &other)).await.shows(409, &["SVC0005"]);
        let unreachable =
            body.replace("tel:+19585550101", "sip:x@example.invalid").replace("c1", "c2");
        open(&stage, ("json", &unreachable)).await.shows(400, &["SVC"]);
        open(&stage, ("json", &body.replace("c1", "c2"))).await.shows(201, &["c2"]);
    }

    #[tokio::test]
    async fn an_idempotency_key_opens_one_session() {
        let stage = Stage::new();
        let request = || {
            TestRequest::post()
                .uri(concat!("/1/chat/tel%3A%2B19585550100", "/sessions"))
                .insert_header(("content-type", "application/json"))
                .insert_header(("idempotency-key", "k1"))
                .set_payload(json("tel:+19585550101", ""))
        };
        let (one, two) = (stage.send(request()).await, stage.send(request()).await);
        assert_eq!((one.status, two.status, stage.heard().len()), (201, 201, 1));
        assert_eq!(one.header("location"), two.header("location"));
        let long = ("idempotency-key", "k".repeat(300));
        stage.send(request().insert_header(long)).await.shows(400, &["Idempotency-Key"]);
    }

    #[tokio::test]
    async fn a_create_answers_with_a_reference_where_configured() {
        let created = CreatedBody::Reference;
        let stage = Stage::with(Settings { created, ..Settings::default() });
        let seen = open(&stage, ("json", &json("tel:+19585550101", ""))).await;
        seen.shows(201, &["resourceReference", "resourceURL", seen.header("location")]);
        assert!(!seen.body.contains("subject"), "{}", seen.body);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let stage = Stage::with(Settings { max_body: 64, ..Settings::default() });
        open(&stage, ("json", &json("tel:+19585550101", ""))).await.shows(413, &["SVC0002"]);
    }

    #[tokio::test]
    async fn the_answer_comes_in_the_format_asked_for() {
        let stage = Stage::new();
        stage.invite_alice("s1");
        let path = format!("{ALICE}/sessions/s1");
        let accept = |value| TestRequest::get().uri(&path).insert_header(("accept", value));
        stage.get(&path).await.shows(200, &["<chat:chatSessionInformation"]);
        stage.send(accept("application/json")).await.shows(200, &["{\"chatSessionInformation\""]);
        stage.get(&format!("{path}?resFormat=JSON")).await.shows(200, &["{\"chatSess"]);
        stage.send(accept("image/png")).await.shows(406, &["SVC0002"]);
    }

    #[tokio::test]
    async fn the_correlator_of_a_request_is_echoed_on_every_answer() {
        let stage = Stage::new();
        for path in [format!("{ALICE}/subscriptions"), format!("{ALICE}/sessions"), "/x".into()] {
            let request = TestRequest::get().uri(&path).insert_header(("x-correlator", "abc-1"));
            assert_eq!(stage.send(request).await.header("x-correlator"), "abc-1", "{path}");
        }
        let long = ("x-correlator", "a".repeat(300));
        let request = TestRequest::get().uri("/x").insert_header(long);
        assert_eq!(stage.send(request).await.header("x-correlator"), "");
    }

    async fn open(stage: &Stage, body: (&str, &str)) -> Seen {
        stage.post(&format!("{ALICE}/sessions"), body).await
    }

    fn json(to: &str, more: &str) -> String {
        format!(
            "{{\"chatSessionInformation\":{{\"subject\":\"Hello\",\
             \"originatorAddress\":\"tel:+19585550100\",\"tParticipantAddress\":\"{to}\"{more}}}}}"
        )
    }
}
