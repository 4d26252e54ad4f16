//! What happens, one line each: notices as `user: what`, messages as `from > to: title`.

use chatbridge::chat::{Notice, NoticeKind, Participant};
use chatbridge::msrp;
use chatbridge::sip::Message;

use crate::world::{ALICE, BOB, address};

/// Shows a notice.
pub(crate) fn notice(notice: &Notice) -> String {
    let who = user(notice.user.spelling());
    let what = match &notice.kind {
        NoticeKind::Invited { subject, originator, .. } => {
            format!("invited by {} \"{subject}\"", user(originator.address.spelling()))
        }
        NoticeKind::Event { event, description, message } => {
            let message = message.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
            let description = description.as_ref().map(|text| format!(" ({text})"));
            format!("{}{message}{}", event.as_str(), description.unwrap_or_default())
        }
        NoticeKind::Message { sender, text, reports, echo, .. } => {
            let echo = if *echo { " (echo)" } else { "" };
            let wants = match (reports.delivered, reports.displayed) {
                (true, true) => ", wants Delivered and Displayed",
                (true, false) => ", wants Delivered",
                (false, true) => ", wants Displayed",
                (false, false) => "",
            };
            format!("\"{text}\" from {}{echo}{wants}", user(sender.address.spelling()))
        }
        NoticeKind::Composing { sender, composing, echo } => {
            let echo = if *echo { " (echo)" } else { "" };
            format!("{} is {}{echo}", user(sender.address.spelling()), composing.state.as_str())
        }
        NoticeKind::Delivery { message, status, error_code, .. } => {
            let code = error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
            format!("{message} {}{code}", status.as_str())
        }
        NoticeKind::GroupInvited { subject, participants } => {
            format!("invited to \"{subject}\" with {}", entries(participants))
        }
        NoticeKind::ParticipantStatus { participants } => entries(participants),
    };
    format!("{who}: {what}")
}

/// Shows participants: `bob Connected, tel:+1 Invited (own)`.
fn entries(participants: &[Participant]) -> String {
    let entry = |it: &Participant| {
        let own = if it.your_own { " (own)" } else { "" };
        format!("{} {}{own}", user(it.party.address.spelling()), it.status.as_str())
    };
    participants.iter().map(entry).collect::<Vec<_>>().join(", ")
}

/// Gives the lab users their names; everybody else keeps the address.
pub(crate) fn user(spelling: &str) -> &str {
    match chatbridge::address::Address::parse(spelling) {
        Ok(user) if user == address(ALICE) => "alice",
        Ok(user) if user == address(BOB) => "bob",
        Ok(_) | Err(_) => spelling,
    }
}

/// Shows a SIP message: `INVITE`, `180 INVITE`, `BYE (SIP;cause=200)`.
pub(crate) fn sip(message: &Message) -> String {
    let title = match message {
        Message::Request(request) => request.method.as_str().to_owned(),
        Message::Response(response) => {
            let method = response.cseq().map(|cseq| cseq.method.as_str().to_owned());
            format!("{} {}", response.status.code(), method.unwrap_or_default())
        }
    };
    match message.headers().reason_header() {
        Some(reason) => {
            format!("{title} ({};cause={})", reason.protocol, reason.cause.unwrap_or(0))
        }
        None => title,
    }
}

/// Shows an MSRP frame: `SEND message/cpim`, `REPORT 200`, `200`.
pub(crate) fn msrp(frame: &msrp::Frame) -> String {
    match &frame.kind {
        msrp::Kind::Request(method) => {
            let content_type = frame.content_type.as_ref().map(|it| format!(" {it}"));
            let status = frame.status.as_ref().map(|it| format!(" {}", it.code));
            let about = content_type.or(status).unwrap_or_default();
            format!("{}{about}", method.as_str())
        }
        msrp::Kind::Response { code, .. } => code.to_string(),
    }
}
