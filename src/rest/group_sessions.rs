//! Group chat sessions: `…/groupSessions` and `…/groupSessions/{sessionId}` (TS Chat 6.7 and 6.8).

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, WARNING};
use actix_web::{HttpRequest, HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::body::{negotiate, respond};
use super::fault::Fault;
use super::path::{SessionPath, UserPath};
use super::posted::Posted;
use super::repeat::{Plan, Sameness, once};
use super::sessions::demand_room;
use crate::address::Address;
use crate::chat::{
    Answer, Command, GroupInfo, GroupInvitation, Newcomer, ParticipantStatus, SessionKind,
};
use crate::ids::{ParticipantId, SessionId};
use crate::oma::{GroupChatSessionInformation, ParticipantInformation};
use crate::store::durable::{Change, Created, SessionRecord};

/// Opens a group session: invites its participants (TS Chat 6.7.5).
pub(super) async fn create(
    request: HttpRequest,
    path: UserPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let mut wanted = posted.read(GroupChatSessionInformation::read)?;
    demand_originator(&path.user, &mut wanted)?;
    let correlator = wanted.client_correlator.as_deref();
    let same =
        Sameness::of(&request, (&path.user, "groupSessions"), correlator, || wanted.write())?;

    let made = once(&face, same, |_| true, |face| invite(face, path, wanted)).await?;

    Ok(made.answer(face.settings.created, posted.formats.response))
}

/// Shows a session, to a user who is in it (TS Chat 6.8.3).
pub(super) async fn read(
    request: HttpRequest,
    path: SessionPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let ticket = face.sessions.command(&path.of.user, path.session(), Command::Describe).await?;

    let response = match ticket.value {
        Answer::Group(info) => {
            let is_degraded = info.is_degraded;
            let response = respond(StatusCode::OK, &shown(&path, info).write(), format);
            warned(response, is_degraded)
        }
        Answer::Apart => HttpResponse::NoContent().finish(),
        Answer::Done
        | Answer::Session(_)
        | Answer::Participants(_)
        | Answer::Participant(_)
        | Answer::UnderWay
        | Answer::Later(_)
        | Answer::Extending(_)
        | Answer::MovedTo(_) => return Err(Fault::internal("a group did not describe itself")),
    };
    Ok(holding(response, ticket.flushed))
}

/// Cancels, declines, ends or leaves a session, by role and state (TS Chat 6.8.6).
pub(super) async fn delete(
    path: SessionPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let ticket = face.sessions.command(&path.of.user, path.session(), Command::End).await?;
    Ok(holding(HttpResponse::NoContent().finish(), ticket.flushed))
}

/// Gives the URL of a participant.
pub(super) fn participant_url(path: &SessionPath, id: &ParticipantId) -> String {
    format!("{}/participants/{id}", path.url())
}

/// Says in a response that somebody who takes part may be missing from it: no document has a word
/// for that (RFC 9110 section 16.3.2.1, RFC 7234 section 5.5).
pub(super) fn warned(mut response: HttpResponse, is_degraded: bool) -> HttpResponse {
    if is_degraded {
        let warning = HeaderValue::from_static("299 - \"participants=degraded\"");
        response.headers_mut().insert(WARNING, warning);
    }
    response
}

fn shown(path: &SessionPath, info: GroupInfo) -> GroupChatSessionInformation {
    let GroupInfo { subject, participants, client_correlator, .. } = info;
    let participants = participants.into_iter().map(|participant| {
        let url = participant_url(path, &participant.id);
        ParticipantInformation::shown(participant, url)
    });
    GroupChatSessionInformation {
        subject,
        participants: participants.collect(),
        client_correlator,
        resource_url: Some(path.url()),
    }
}

/// Demands that the originator is the user and somebody else is there, and counts everybody once.
fn demand_originator(
    user: &Address,
    wanted: &mut GroupChatSessionInformation,
) -> Result<(), Fault> {
    if wanted.participants.first().is_none_or(|first| first.address != *user) {
        return Err(Fault::Forbidden {
            reason: "the originator must be the user of the URL".into(),
        });
    }
    let mut known = BTreeSet::new();
    wanted.participants.retain(|participant| known.insert(participant.address.clone()));
    if wanted.participants.len() < 2 {
        let right = "somebody else than the originator must be invited".into();
        return Err(Fault::Invalid { part: "participant", right });
    }
    Ok(())
}

/// Plans to ask for the session, and shows what comes of it: the participations are named before.
fn invite(face: &Face, path: UserPath, wanted: GroupChatSessionInformation) -> Result<Plan, Fault> {
    demand_room(face, &path.user)?;
    let (id, user) = (SessionId::new(face.draw()), path.user.clone());
    let kind = SessionKind::Group;
    let path = SessionPath { of: path, kind, id: id.clone() };
    let location = path.url();
    let mut newcomers = Vec::new();
    let shown = wanted.participants.into_iter().map(|participant| {
        let participation = ParticipantId::new(face.draw());
        let resource_url = Some(participant_url(&path, &participation));
        newcomers.push(Newcomer { id: Some(participation), ..participant.newcomer() });
        let status = Some(ParticipantStatus::Invited);
        ParticipantInformation { status, resource_url, ..participant }
    });
    let document = GroupChatSessionInformation {
        subject: wanted.subject.clone(),
        participants: shown.collect(),
        client_correlator: wanted.client_correlator.clone(),
        resource_url: Some(location.clone()),
    };
    let mut newcomers = newcomers.into_iter();
    let originator = newcomers.next().ok_or(Fault::NotFound)?;
    let invitation = GroupInvitation {
        session: id.clone(),
        user: user.clone(),
        subject: wanted.subject,
        originator,
        others: newcomers.collect(),
        client_correlator: wanted.client_correlator,
        extends: None,
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
    use super::super::stage::{ALICE, Seen, Stage};
    use super::*;

    #[test]
    fn a_list_that_may_be_short_says_so() {
        let warning = |is_degraded: bool| {
            let response = warned(HttpResponse::Ok().finish(), is_degraded);
            let value = response.headers().get(WARNING);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        assert_eq!(warning(true).as_deref(), Some("299 - \"participants=degraded\""));
        assert_eq!(warning(false), None);
    }

    #[tokio::test]
    async fn a_group_is_opened_shown_left_and_ended() {
        let stage = Stage::new();
        let seen = open(&stage, "").await;
        let url = seen.header("location").to_owned();
        let path = url.trim_start_matches("http://example.com").to_owned();
        assert!(path.starts_with(&format!("{ALICE}/groupSessions/")), "{path}");
        seen.shows(201, &["groupChatSessionInformation", "Invited", "isOriginator", &url]);
        let all = "tel:+19585550101 tel:+19585550102";
        assert_eq!(stage.heard(), [format!("Invite all of {all} \"Trip\"")]);

        let shown = stage.get(&path).await;
        shown.shows(200, &["Trip", &format!("{url}/participants/")]);
        // The one is no session of the other kind.
        let id = path.rsplit('/').next().unwrap_or_default();
        stage.get(&format!("{ALICE}/sessions/{id}")).await.shows(404, &["SVC0004"]);
        assert_eq!(stage.delete(&path).await.status, 204);
        stage.get(&path).await.shows(404, &["SVC0004"]);
    }

    #[tokio::test]
    async fn the_same_correlator_opens_one_group() {
        let stage = Stage::new();
        let correlator = r#","clientCorrelator":"c1""#;
        let first = open(&stage, correlator).await.header("location").to_owned();
        let second = open(&stage, correlator).await;
        second.shows(201, &["c1"]);
        assert_eq!(second.header("location"), first);
        assert_eq!(stage.heard().len(), 1);
    }

    #[tokio::test]
    async fn each_fault_has_its_name() {
        let stage = Stage::new();
        for (body, status, fault) in [
            (group(&["tel:+19585550101", "tel:+19585550100"], ""), 403, "POL0001"),
            (group(&["tel:+19585550100"], ""), 400, "participant"),
            (group(&["tel:+19585550100", "+19585550100"], ""), 400, "participant"),
            (group(&["tel:+19585550100", "tel:1"], ""), 400, "address"),
            (
                group(&["tel:+19585550100", "tel:+1", "tel:+2", "tel:+3", "tel:+4"], ""),
                403,
                "POL0003",
            ),
            ("{}".to_owned(), 400, "SVC0002"),
        ] {
            let seen = stage.post(&format!("{ALICE}/groupSessions"), ("json", &body)).await;
            seen.shows(status, &[fault]);
        }
    }

    fn group(participants: &[&str], more: &str) -> String {
        let entries: Vec<_> =
            participants.iter().map(|it| format!(r#"{{"address":"{it}"}}"#)).collect();
        format!(
            r#"{{"groupChatSessionInformation":{{"subject":"Trip","participant":[{}]{more}}}}}"#,
            entries.join(",")
        )
    }

    async fn open(stage: &Stage, more: &str) -> Seen {
        let all = ["tel:+19585550100", "tel:+19585550101", "tel:+19585550102"];
        stage.post(&format!("{ALICE}/groupSessions"), ("json", &group(&all, more))).await
    }
}
