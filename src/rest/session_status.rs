//! The answer to an invitation: `…/sessions/{sessionId}/status` (TS Chat 6.5).

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::body::respond;
use super::fault::Fault;
use super::path::SessionPath;
use super::posted::Posted;
use crate::oma::ParticipantSessionStatus;

/// Accepts or declines an invitation (TS Chat 6.5.5 and C.3).
pub(super) async fn update(
    path: SessionPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let wanted = posted.read(ParticipantSessionStatus::read)?;
    let command = wanted.command()?;

    let ticket = face.sessions.command(&path.of.user, path.session(), command).await?;

    let response = respond(StatusCode::OK, &wanted.write(), posted.formats.response);
    Ok(holding(response, ticket.flushed))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::stage::{ALICE, Seen, Stage};

    #[tokio::test]
    async fn an_invitation_is_accepted_once() {
        let stage = Stage::new();
        stage.invite_alice("s1");
        update(&stage, "Connected").await.shows(200, &["participantSessionStatus", "Connected"]);
        update(&stage, "Connected").await.shows(409, &["POL3001"]);
        update(&stage, "Disconnected").await.shows(409, &["POL3001"]);
        assert_eq!(stage.heard(), ["Accept", "Accept", "Decline"]);
    }

    #[tokio::test]
    async fn an_invitation_is_declined_also_by_put_and_with_a_slash() {
        let stage = Stage::new();
        stage.invite_alice("s1");
        let request = TestRequest::put()
            .uri(concat!("/1/chat/tel%3A%2B19585550100", "/sessions/s1/status/"))
            .insert_header(("content-type", "text/plain"))
            .set_payload(
                "<participantSessionStatus><status>Disconnected</status></participantSessionStatus>",
            );
        stage.send(request).await.shows(200, &["<status>Disconnected</status>"]);
        stage.get(&format!("{ALICE}/sessions/s1")).await.shows(404, &["SVC0004"]);
        update(&stage, "Connected").await.shows(409, &["POL3001"]);
    }

    #[tokio::test]
    async fn each_fault_has_its_name() {
        let stage = Stage::new();
        update(&stage, "Connected").await.shows(404, &["SVC0004"]);
        stage.invite_alice("s1");
        update(&stage, "Invited").await.shows(400, &["SVC0003", "Connected", "Disconnected"]);
        update(&stage, "Perhaps").await.shows(400, &["SVC0003", "status"]);
        let path = format!("{ALICE}/sessions/s1/status");
        stage.post(&path, ("json", "{}")).await.shows(400, &["SVC0002", "status"]);
        stage.post(&path, ("json", "")).await.shows(400, &["SVC0002"]);
        assert!(stage.heard().is_empty());
    }

    async fn update(stage: &Stage, status: &str) -> Seen {
        let body = format!("{{\"participantSessionStatus\":{{\"status\":\"{status}\"}}}}");
        stage.post(&format!("{ALICE}/sessions/s1/status"), ("json", &body)).await
    }
}
