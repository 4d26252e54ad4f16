//! Participants of a group session: `…/participants` and `…/participants/{participantId}` (TS Chat
//! 6.9 and 6.10).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::body::{created, negotiate, respond};
use super::fault::Fault;
use super::group_sessions::{participant_url, warned};
use super::path::{ParticipantPath, SessionPath};
use super::posted::Posted;
use crate::chat::{Answer, Command, Participant};
use crate::oma::{Format, NewParticipants, ParticipantInformation, ParticipantList};

/// Shows all participants, to a user who is one of them (TS Chat 6.9.3).
pub(super) async fn list(
    request: HttpRequest,
    path: SessionPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;

    let ticket = face.sessions.command(&path.of.user, path.session(), Command::Describe).await?;

    let response = match ticket.value {
        Answer::Group(info) => warned(show_all(&path, info.participants, format), info.is_degraded),
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

/// Adds participants, or lets the user join again (TS Chat 6.9.5): 201 for one who was added, 202
/// while the network is at work, 200 with all of them where nothing is left to do.
pub(super) async fn create(
    path: SessionPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let wanted = posted.read(NewParticipants::read)?;
    let format = posted.formats.response;
    let newcomers = wanted.0.iter().map(ParticipantInformation::newcomer).collect();
    let command = Command::Join(newcomers);

    let ticket = face.sessions.command(&path.of.user, path.session(), command).await?;

    let response = match ticket.value {
        Answer::Participant(participant) => {
            let url = participant_url(&path, &participant.id);
            let document = ParticipantInformation::shown(participant, url.clone());
            created(&url, &document.write(), format)
        }
        Answer::Participants(all) => show_all(&path, all, format),
        Answer::UnderWay => HttpResponse::Accepted().finish(),
        Answer::Done
        | Answer::Session(_)
        | Answer::Group(_)
        | Answer::Apart
        | Answer::Later(_)
        | Answer::Extending(_)
        | Answer::MovedTo(_) => return Err(Fault::internal("a group did not tell who joins")),
    };
    Ok(holding(response, ticket.flushed))
}

/// Shows a participant (TS Chat 6.10.3).
pub(super) async fn read(
    request: HttpRequest,
    path: ParticipantPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;
    let ParticipantPath { session, id } = path;

    let command = Command::ShowParticipant(id);
    let ticket = face.sessions.command(&session.of.user, session.session(), command).await?;

    let participant = shown(ticket.value)?;
    let url = participant_url(&session, &participant.id);
    let document = ParticipantInformation::shown(participant, url);
    Ok(holding(respond(StatusCode::OK, &document.write(), format), ticket.flushed))
}

/// Removes a participant, declines or leaves, by whom it is about (TS Chat 6.10.6).
pub(super) async fn delete(
    path: ParticipantPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let ParticipantPath { session, id } = path;
    let command = Command::Part(id);
    let ticket = face.sessions.command(&session.of.user, session.session(), command).await?;
    Ok(holding(HttpResponse::NoContent().finish(), ticket.flushed))
}

/// Takes the participant out of an answer.
pub(super) fn shown(answer: Answer) -> Result<Participant, Fault> {
    match answer {
        Answer::Participant(participant) => Ok(participant),
        Answer::Done
        | Answer::Session(_)
        | Answer::Group(_)
        | Answer::Apart
        | Answer::Participants(_)
        | Answer::UnderWay
        | Answer::Later(_)
        | Answer::Extending(_)
        | Answer::MovedTo(_) => Err(Fault::internal("a participant was not shown")),
    }
}

fn show_all(path: &SessionPath, all: Vec<Participant>, format: Format) -> HttpResponse {
    let participants = all.into_iter().map(|participant| {
        let url = participant_url(path, &participant.id);
        ParticipantInformation::shown(participant, url)
    });
    let document = ParticipantList {
        participants: participants.collect(),
        resource_url: Some(format!("{}/participants", path.url())),
    };
    respond(StatusCode::OK, &document.write(), format)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::stage::{ALICE, Stage};

    const GROUP: &str = r#"{"groupChatSessionInformation":{"subject":"Trip","participant":[
        {"address":"tel:+19585550100"},{"address":"tel:+19585550101","name":"Bob"}]}}"#;

    /// Opens a group, and gives its path and those of its two participants.
    async fn opened(stage: &Stage) -> (String, [String; 2]) {
        let seen = stage.post(&format!("{ALICE}/groupSessions"), ("json", GROUP)).await;
        let path = |url: &str| url.strip_prefix("http://example.com").unwrap().to_owned();
        let session = path(seen.header("location"));
        let all = seen.body.split("resourceURL\":\"").skip(1);
        let mut all = all.map(|rest| path(rest.split('"').next().unwrap()));
        (session, [all.next().unwrap(), all.next().unwrap()])
    }

    #[tokio::test]
    async fn participants_are_listed_added_shown_and_removed() {
        let stage = Stage::new();
        let (session, [_, bob]) = opened(&stage).await;
        let list = format!("{session}/participants");
        stage.get(&list).await.shows(200, &["participantList", "Bob", "isOriginator"]);
        stage.get(&bob).await.shows(200, &["participantInformation", "Bob", "Invited"]);
        stage.get(&format!("{bob}/status")).await.shows(200, &["Invited"]);
        let one = r#"{"participantInformation":{"address":"tel:+19585550102"}}"#;
        let added = stage.post(&list, ("json", one)).await;
        assert!(added.header("location").contains(&list));
        added.shows(201, &["participantInformation", "tel:+19585550102", "Invited"]);
        let two = "tParticipantAddress=tel%3A%2B1&tParticipantAddress=tel%3A%2B2";
        stage.post(&list, ("x-www-form-urlencoded", two)).await.shows(403, &["POL0003"]);
        let known = r#"{"participantList":{"participant":[{"address":"+19585550101"},
            {"address":"tel:+19585550102"}]}}"#;
        stage.post(&list, ("json", known)).await.shows(200, &["participantList"]);
        assert_eq!(stage.delete(&bob).await.status, 204);
        stage.get(&format!("{list}/nobody")).await.shows(404, &["SVC0004"]);
    }

    /// TS Chat 6.8.3.2, 6.9.3.2 and 6.9.5.2.
    #[tokio::test]
    async fn who_has_left_sees_nothing_until_joining_again() {
        let stage = Stage::new();
        let (session, [own, _]) = opened(&stage).await;
        let list = format!("{session}/participants");
        assert_eq!(stage.delete(&own).await.status, 204);
        for path in [&session, &list] {
            assert_eq!(stage.get(path).await.status, 204);
        }
        let own = r#"{"participantInformation":{"address":"tel:+19585550100"}}"#;
        stage.post(&list, ("json", own)).await.shows(200, &["participantList"]);
        assert_eq!(stage.get(&session).await.status, 200);
    }

    #[tokio::test]
    async fn only_the_invited_answers_and_only_in_its_own_name() {
        let stage = Stage::new();
        let (_, [own, bob]) = opened(&stage).await;
        let accept = r#"{"participantSessionStatus":{"status":"Connected"}}"#;
        let status = |path: &str| format!("{path}/status");
        stage.post(&status(&bob), ("json", accept)).await.shows(403, &["POL0001"]);
        stage.post(&status(&own), ("json", accept)).await.shows(409, &["POL3001"]);
        stage
            .post(&status("/1/chat/+1/groupSessions/x/participants/y"), ("json", accept))
            .await
            .shows(404, &["SVC0004"]);
    }

    #[tokio::test]
    async fn messages_of_a_group_have_their_own_urls() {
        let stage = Stage::new();
        let (session, _) = opened(&stage).await;
        let text = r#"{"chatMessage":{"text":"Hi"}}"#;
        let sent = stage.post(&format!("{session}/messages"), ("json", text)).await;
        assert!(sent.header("location").contains(&format!("{session}/messages/")));
        sent.shows(201, &["chatMessage"]);
    }
}
