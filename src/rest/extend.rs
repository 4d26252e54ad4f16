//! Extending a 1-1 session to a group: `…/sessions/{sessionId}/extend` (TS Chat 6.6).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::fault::Fault;
use super::path::SessionPath;
use super::posted::Posted;
use super::repeat::{Made, Plan, Sameness, once};
use super::sessions::{demand_room, see_other};
use crate::chat::{
    Answer, Command, Extended, Extension, GroupInvitation, Newcomer, Refusal, SessionKind,
};
use crate::ids::SessionId;
use crate::oma::{Extension as Wanted, ParticipantInformation, ParticipantList, ResourceReference};
use crate::store::durable::{Change, Created, SessionRecord};
use crate::store::{Flushed, Sessions};

/// Opens a group session of both sides and those who are named (TS Chat 6.6.5): 303 to it.
pub(super) async fn create(
    request: HttpRequest,
    path: SessionPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let Wanted(participants) = posted.read(Wanted::read)?;
    let newcomers = participants.iter().map(ParticipantInformation::newcomer).collect();
    let collection = [path.collection(), "/", path.id.as_str(), "/extend"].concat();
    let same = Sameness::of(&request, (&path.of.user, &collection), None, || {
        ParticipantList { participants, resource_url: None }.write()
    })?;

    let made = once(&face, same, |_| true, |face| extend(face, path, newcomers)).await?;

    let Made { created, flushed } = made;
    let response = see_other(&created.location, posted.formats.response);
    Ok(match flushed {
        Some(flushed) => holding(response, flushed),
        None => response,
    })
}

/// Plans to point the session to a group, and to ask for that.
fn extend(face: &Face, path: SessionPath, newcomers: Vec<Newcomer>) -> Result<Plan, Fault> {
    demand_room(face, &path.of.user)?;
    let (id, user) = (SessionId::new(face.draw()), path.of.user.clone());
    let kind = SessionKind::Group;
    let group = SessionPath { of: path.of.clone(), kind, id: id.clone() };
    let location = group.url();
    let document = ResourceReference { resource_url: location.clone() }.write();
    let sessions = Arc::clone(&face.sessions);
    Ok(Plan {
        created: Created { location, document },
        changes: vec![Change::PutSession(SessionRecord { id: id.clone(), user, kind })],
        act: Box::pin(carry_out(sessions, (path, group.id), newcomers)),
        undo: Box::new(|_| vec![Change::EndSession(id)]),
    })
}

async fn carry_out(
    sessions: Arc<Sessions>,
    (path, to): (SessionPath, SessionId),
    newcomers: Vec<Newcomer>,
) -> Result<Option<Flushed>, Fault> {
    let user = path.of.user.clone();
    let command = Command::Extend { to: to.clone() };
    let extending = sessions.command(&user, path.session(), command).await?;
    let Answer::Extending(extends) = extending.value else {
        return Err(Fault::internal("a session did not say what is extended"));
    };
    let is_new = |newcomer: &Newcomer| {
        let address = &newcomer.party.address;
        *address != user && *address != extends.partner.address
    };
    let others: Vec<_> = newcomers.into_iter().filter(is_new).collect();
    let of = extends.session.clone();
    let opened = match others.is_empty() {
        true => Err(nobody_new(&extends)),
        false => {
            let invitation = GroupInvitation {
                session: to,
                user,
                subject: extends.subject.clone(),
                originator: Newcomer::of(extends.own.clone()),
                others,
                client_correlator: None,
                extends: Some(extends),
            };
            sessions.start(invitation).await
        }
    };
    match opened {
        Ok(ticket) => Ok(Some(ticket.flushed)),
        Err(refusal) => {
            sessions.tell_extension(&of, Extension::Failed);
            Err(refusal.into())
        }
    }
}

fn nobody_new(extends: &Extended) -> Refusal {
    let address = extends.partner.address.spelling().to_owned();
    Refusal::BadAddress { address, why: "somebody who is not in the session yet" }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::stage::{ALICE, Stage};

    #[tokio::test]
    async fn a_session_is_extended_to_a_group_that_the_answer_points_to() {
        let stage = Stage::new();
        stage.invite_alice("s1");
        let status = format!("{ALICE}/sessions/s1/status");
        let accept = r#"{"participantSessionStatus":{"status":"Connected"}}"#;
        assert_eq!(stage.post(&status, ("json", accept)).await.status, 200);
        let extend = format!("{ALICE}/sessions/s1/extend");
        let list = r#"{"participantList":{"participant":[{"address":"tel:+19585550107"}]}}"#;
        let seen = stage.post(&extend, ("json", list)).await;
        let url = seen.header("location").to_owned();
        assert!(url.contains("/groupSessions/"), "{url}");
        seen.shows(303, &["resourceReference", &url]);
        let heard = stage.heard();
        assert!(heard.iter().any(|it| it.starts_with("Extend to tel:+19585550107")), "{heard:?}");
        let path = url.trim_start_matches("http://example.com").to_owned();
        stage.get(&path).await.shows(200, &["tel:+19585550107"]);
    }

    #[tokio::test]
    async fn an_idempotency_key_extends_a_session_once() {
        let stage = Stage::new();
        stage.invite_alice("s1");
        let status = format!("{ALICE}/sessions/s1/status");
        let accept = r#"{"participantSessionStatus":{"status":"Connected"}}"#;
        assert_eq!(stage.post(&status, ("json", accept)).await.status, 200);
        let extend = async |number: &str| {
            let list =
                format!(r#"{{"participantList":{{"participant":[{{"address":"{number}"}}]}}}}"#);
            let request = TestRequest::post().uri(&format!("{ALICE}/sessions/s1/extend"));
            let request = request.insert_header(("content-type", "application/json"));
            stage.send(request.insert_header(("idempotency-key", "k1")).set_payload(list)).await
        };
        let (one, two) = (extend("tel:+19585550107").await, extend("tel:+19585550107").await);
        one.shows(303, &["resourceReference"]);
        two.shows(303, &[one.header("location")]);
        assert_eq!((two.header("location"), &two.body), (one.header("location"), &one.body));
        let heard = stage.heard();
        assert_eq!(heard.iter().filter(|it| it.starts_with("Extend to")).count(), 1, "{heard:?}");
        extend("tel:+19585550108").await.shows(409, &["SVC0005", "k1", "Idempotency-Key"]);
    }

    #[tokio::test]
    async fn each_fault_has_its_name() {
        let stage = Stage::new();
        let extend = format!("{ALICE}/sessions/s1/extend");
        let list = r#"{"participantList":{"participant":[{"address":"tel:+19585550107"}]}}"#;
        stage.post(&extend, ("json", list)).await.shows(404, &["SVC0004"]);
        stage.invite_alice("s1");
        stage.post(&extend, ("json", list)).await.shows(409, &["POL3001"]);
        stage.post(&extend, ("json", "{}")).await.shows(400, &["SVC0002"]);
    }
}
