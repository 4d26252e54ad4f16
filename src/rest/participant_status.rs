//! The status of a participant: `…/participants/{participantId}/status` (TS Chat 6.11).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Face;
use super::answer::holding;
use super::body::{negotiate, respond};
use super::fault::Fault;
use super::participants::shown;
use super::path::ParticipantPath;
use super::posted::Posted;
use crate::chat::Command;
use crate::oma::ParticipantSessionStatus;

/// Shows how a participant stands (TS Chat 6.11.3).
pub(super) async fn read(
    request: HttpRequest,
    path: ParticipantPath,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let format = negotiate(&request, &[])?.response;
    let ParticipantPath { session, id } = path;

    let command = Command::ShowParticipant(id);
    let ticket = face.sessions.command(&session.of.user, session.session(), command).await?;

    let status = ParticipantSessionStatus { status: shown(ticket.value)?.status };
    Ok(holding(respond(StatusCode::OK, &status.write(), format), ticket.flushed))
}

/// Accepts or declines the invitation to a group (TS Chat 5.3.7.3).
pub(super) async fn update(
    path: ParticipantPath,
    posted: Posted,
    face: web::Data<Face>,
) -> Result<HttpResponse, Fault> {
    let wanted = posted.read(ParticipantSessionStatus::read)?;
    let ParticipantPath { session, id } = path;

    let command = wanted.command_for(id)?;
    let ticket = face.sessions.command(&session.of.user, session.session(), command).await?;

    let response = respond(StatusCode::OK, &wanted.write(), posted.formats.response);
    Ok(holding(response, ticket.flushed))
}
