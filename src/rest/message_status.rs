//! Reports on a received message: `…/messages/{messageId}/status` (TS Chat 6.14).

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::body::respond;
use super::fault::Fault;
use super::path::MessagePath;
use super::posted::Posted;
use crate::chat::Command;
use crate::oma::{BodyKind, MessageDeliveryStatus};

/// Reports that a message was delivered or displayed (TS Chat 6.14.5).
///
/// The answer has no body, but for a form, whose appendix wants a copy (TS Chat C.8).
pub(super) async fn update(
    path: MessagePath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let report = posted.read(MessageDeliveryStatus::read)?;
    let session = &path.session;
    if report.user_id != session.of.user {
        let right = "it must be the user who received the message".into();
        return Err(Fault::Invalid { part: "userId", right });
    }

    let command = Command::Report { message: path.id, status: report.status };
    let ticket = face.sessions.command(&session.of.user, session.session(), command).await?;

    let response = match posted.formats.request {
        BodyKind::Form => respond(StatusCode::OK, &report.write(), posted.formats.response),
        BodyKind::Xml | BodyKind::Json => HttpResponse::NoContent().finish(),
    };
    Ok(holding(response, ticket.flushed))
}

#[cfg(test)]
mod tests {
    use super::super::stage::{ALICE, Seen, Stage};

    #[tokio::test]
    async fn a_report_is_taken_without_a_body_and_a_form_gets_its_copy() {
        let stage = Stage::new();
        connected(&stage).await;
        let seen = report(&stage, "m1", ("json", &json("Delivered", "+19585550100"))).await;
        assert_eq!((seen.status, seen.body.as_str()), (204, ""));
        let form = ("x-www-form-urlencoded", "status=Displayed&userId=tel%3A%2B19585550100");
        let copy = ["messageDeliveryStatus", "<status>Displayed", "tel:+19585550100"];
        report(&stage, "m1", form).await.shows(200, &copy);
        assert_eq!(stage.heard(), ["Report m1 Delivered", "Report m1 Displayed"]);
    }

    #[tokio::test]
    async fn each_fault_has_its_name() {
        let stage = Stage::new();
        let good = json("Delivered", "tel:+19585550100");
        report(&stage, "m1", ("json", &good)).await.shows(404, &["SVC0004"]);
        connected(&stage).await;
        report(&stage, "unknown", ("json", &good)).await.shows(404, &["SVC0004"]);
        let failed = json("Failed", "tel:+19585550100");
        let allowed = ["SVC0003", "Delivered", "Displayed"];
        report(&stage, "m1", ("json", &failed)).await.shows(400, &allowed);
        let other = json("Delivered", "tel:+19585550101");
        report(&stage, "m1", ("json", &other)).await.shows(400, &["SVC0002", "userId"]);
        report(&stage, "m1", ("json", "[")).await.shows(400, &["SVC0002"]);
        assert_eq!(stage.heard(), ["Report unknown Delivered"]);
    }

    async fn connected(stage: &Stage) {
        stage.invite_alice("s1");
        let status = ("x-www-form-urlencoded", "status=Connected");
        stage.post(&format!("{ALICE}/sessions/s1/status"), status).await.shows(200, &[]);
        stage.heard();
    }

    async fn report(stage: &Stage, message: &str, body: (&str, &str)) -> Seen {
        stage.post(&format!("{ALICE}/sessions/s1/messages/{message}/status"), body).await
    }

    fn json(status: &str, user: &str) -> String {
        format!("{{\"messageDeliveryStatus\":{{\"status\":\"{status}\",\"userId\":\"{user}\"}}}}")
    }
}
