//! What a notification says, as the JSON that is kept of it.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::address::Address;
use crate::chat::{
    Composing, ComposingState, EventType, MessageStatus, Notice, NoticeKind, Participant,
    ParticipantStatus, Party, ReportRequest, SessionKind,
};
use crate::ids::{MessageId, ParticipantId, SessionId};
use crate::store::backlog::{Content, Loss};

/// Writes a content.
pub(super) fn write(content: &Content) -> String {
    let value = match content {
        Content::Notice(notice) => of_notice(notice),
        Content::Lost(Loss { count, oldest }) => {
            json!({ "lost": count, "oldest": of_notice(oldest) })
        }
    };
    value.to_string()
}

/// Reads a content that was written.
///
/// # Errors
/// Gives the name of the part that is missing or wrong.
pub(super) fn read(text: &str) -> Result<Content, &'static str> {
    let value: Value = serde_json::from_str(text).map_err(|_| "JSON")?;
    let fields = Fields(value.as_object().ok_or("object")?);
    match fields.0.get("lost") {
        None => Ok(Content::Notice(Arc::new(notice(&fields)?))),
        Some(count) => {
            let count = count.as_u64().ok_or("lost")?;
            let oldest = Arc::new(notice(&fields.group("oldest")?)?);
            Ok(Content::Lost(Loss { count, oldest }))
        }
    }
}

/// Gives a wall time in nanoseconds; what is out of the range of a store is cut to it.
pub(super) fn nanoseconds(at: OffsetDateTime) -> i64 {
    let nanoseconds = at.unix_timestamp_nanos();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// Reads a wall time in nanoseconds.
pub(super) fn moment(nanoseconds: i64) -> OffsetDateTime {
    // Every number of nanoseconds that 64 bits hold is a time between the years 1677 and 2262.
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds.into())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn of_notice(Notice { user, session, of, at, kind }: &Notice) -> Value {
    let (name, kind) = match kind {
        NoticeKind::Invited { subject, originator, terminating } => {
            let (from, to) = (of_party(originator), of_party(terminating));
            ("invited", json!({ "subject": subject, "originator": from, "terminating": to }))
        }
        NoticeKind::Event { event, description, message } => {
            let message = message.as_ref().map(MessageId::as_str);
            let event = event.as_str();
            ("event", json!({ "event": event, "description": description, "message": message }))
        }
        NoticeKind::Message { id, sender, text, reports, echo } => (
            "message",
            json!({
                "id": id.as_str(), "sender": of_party(sender), "text": text, "echo": echo,
                "delivered": reports.delivered, "displayed": reports.displayed,
                "failed": reports.failed,
            }),
        ),
        NoticeKind::Composing { sender, composing, echo } => (
            "composing",
            json!({
                "sender": of_party(sender), "state": composing.state.as_str(), "echo": echo,
                "lastActive": composing.last_active.map(nanoseconds),
                "contentType": composing.content_type, "refresh": composing.refresh,
            }),
        ),
        NoticeKind::Delivery { message, status, error_code, description, participant } => (
            "delivery",
            json!({
                "message": message.as_str(), "status": status.as_str(),
                "code": error_code, "description": description,
                "participant": participant.as_ref().map(ParticipantId::as_str),
            }),
        ),
        NoticeKind::GroupInvited { subject, participants } => {
            let participants: Vec<_> = participants.iter().map(of_participant).collect();
            ("groupInvited", json!({ "subject": subject, "participants": participants }))
        }
        NoticeKind::ParticipantStatus { participants } => {
            let participants: Vec<_> = participants.iter().map(of_participant).collect();
            ("participantStatus", json!({ "participants": participants }))
        }
    };
    let (user, at) = (user.spelling(), nanoseconds(*at));
    let group = *of == SessionKind::Group;
    json!({ "user": user, "session": session.as_str(), "group": group, "at": at, name: kind })
}

fn of_participant(participant: &Participant) -> Value {
    let Participant { id, party, is_originator, status, your_own, client_correlator } = participant;
    json!({
        "id": id.as_str(), "party": of_party(party), "originator": is_originator,
        "status": status.as_str(), "own": your_own, "correlator": client_correlator,
    })
}

fn of_party(Party { address, name }: &Party) -> Value {
    json!({ "address": address.spelling(), "name": name })
}

fn notice(fields: &Fields<'_>) -> Result<Notice, &'static str> {
    Ok(Notice {
        user: fields.address("user")?,
        session: SessionId::new(fields.text("session")?),
        // What was kept before there were groups is of a pair.
        of: match fields.flag("group") {
            Ok(true) => SessionKind::Group,
            Ok(false) | Err(_) => SessionKind::Pair,
        },
        at: moment(fields.number("at")?),
        kind: kind(fields)?,
    })
}

fn kind(fields: &Fields<'_>) -> Result<NoticeKind, &'static str> {
    if let Ok(fields) = fields.group("message") {
        return Ok(NoticeKind::Message {
            id: MessageId::new(fields.text("id")?),
            sender: fields.party("sender")?,
            text: fields.text("text")?.to_owned(),
            reports: ReportRequest {
                delivered: fields.flag("delivered")?,
                displayed: fields.flag("displayed")?,
                failed: fields.flag("failed")?,
            },
            echo: fields.flag("echo")?,
        });
    }
    if let Ok(fields) = fields.group("event") {
        return Ok(NoticeKind::Event {
            event: fields.one_of("event", &EventType::ALL, EventType::as_str)?,
            description: fields.maybe_text("description"),
            message: fields.maybe_text("message").map(MessageId::new),
        });
    }
    if let Ok(fields) = fields.group("delivery") {
        return Ok(NoticeKind::Delivery {
            message: MessageId::new(fields.text("message")?),
            status: fields.one_of("status", &MessageStatus::ALL, MessageStatus::as_str)?,
            error_code: fields.maybe_text("code"),
            description: fields.maybe_text("description"),
            participant: fields.maybe_text("participant").map(ParticipantId::new),
        });
    }
    if let Ok(fields) = fields.group("groupInvited") {
        return Ok(NoticeKind::GroupInvited {
            subject: fields.text("subject")?.to_owned(),
            participants: fields.participants()?,
        });
    }
    if let Ok(fields) = fields.group("participantStatus") {
        return Ok(NoticeKind::ParticipantStatus { participants: fields.participants()? });
    }
    if let Ok(fields) = fields.group("composing") {
        let states = [ComposingState::Active, ComposingState::Idle];
        return Ok(NoticeKind::Composing {
            sender: fields.party("sender")?,
            composing: Composing {
                state: fields.one_of("state", &states, ComposingState::as_str)?,
                last_active: fields.number("lastActive").ok().map(moment),
                content_type: fields.maybe_text("contentType"),
                refresh: fields
                    .number("refresh")
                    .ok()
                    .and_then(|seconds| NonZeroU32::new(u32::try_from(seconds).ok()?)),
            },
            echo: fields.flag("echo")?,
        });
    }
    let fields = fields.group("invited")?;
    Ok(NoticeKind::Invited {
        subject: fields.text("subject")?.to_owned(),
        originator: fields.party("originator")?,
        terminating: fields.party("terminating")?,
    })
}

/// The members of an object, each read as what it must be.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn read<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, &'static str> {
        self.0.get(name).and_then(read).ok_or(name)
    }

    fn group(&self, name: &'static str) -> Result<Self, &'static str> {
        self.read(name, Value::as_object).map(Self)
    }

    fn text(&self, name: &'static str) -> Result<&'a str, &'static str> {
        self.read(name, Value::as_str)
    }

    fn maybe_text(&self, name: &'static str) -> Option<String> {
        self.text(name).ok().map(str::to_owned)
    }

    fn number(&self, name: &'static str) -> Result<i64, &'static str> {
        self.read(name, Value::as_i64)
    }

    fn flag(&self, name: &'static str) -> Result<bool, &'static str> {
        self.read(name, Value::as_bool)
    }

    fn address(&self, name: &'static str) -> Result<Address, &'static str> {
        Address::parse(self.text(name)?).map_err(|_| name)
    }

    fn party(&self, name: &'static str) -> Result<Party, &'static str> {
        let fields = self.group(name)?;
        Ok(Party { address: fields.address("address")?, name: fields.maybe_text("name") })
    }

    fn participants(&self) -> Result<Vec<Participant>, &'static str> {
        let name = "participants";
        let list = self.read(name, Value::as_array)?;
        let one = |value: &'a Value| Self(value.as_object().ok_or(name)?).participant();
        list.iter().map(one).collect()
    }

    fn participant(&self) -> Result<Participant, &'static str> {
        Ok(Participant {
            id: ParticipantId::new(self.text("id")?),
            party: self.party("party")?,
            is_originator: self.flag("originator")?,
            status: self.one_of("status", &ParticipantStatus::ALL, ParticipantStatus::as_str)?,
            your_own: self.flag("own")?,
            client_correlator: self.maybe_text("correlator"),
        })
    }

    fn one_of<T: Copy>(
        &self,
        name: &'static str,
        all: &[T],
        named: impl Fn(T) -> &'static str,
    ) -> Result<T, &'static str> {
        let text = self.text(name)?;
        all.iter().copied().find(|one| named(*one) == text).ok_or(name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::conformance::kinds;
    use super::*;

    #[test]
    fn every_notice_is_read_as_it_was_written() {
        for kind in kinds() {
            let notice = Arc::new(Notice {
                user: Address::parse("sip:Alice@example.com;user=phone").unwrap(),
                session: SessionId::new("s 1\""),
                of: SessionKind::Group,
                at: OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(1_234_567_890_123),
                kind,
            });
            let lost = Content::Lost(Loss { count: 3, oldest: Arc::clone(&notice) });
            for content in [Content::Notice(notice), lost] {
                let text = write(&content);
                assert_eq!(read(&text), Ok(content), "{text}");
            }
        }
    }

    #[test]
    fn what_is_damaged_names_its_part() {
        let good =
            "{\"user\":\"tel:+1\",\"session\":\"s\",\"at\":1,\"event\":{\"event\":\"Accepted\"}}";
        assert!(read(good).is_ok());
        for (from, to, part) in [
            ("{", "", "JSON"),
            ("tel:+1", "fax:1", "user"),
            (":1,", ":\"x\",", "at"),
            ("Accepted", "Excepted", "event"),
            ("\"event\":{", "\"events\":{", "invited"),
        ] {
            assert_eq!(read(&good.replacen(from, to, 1)), Err(part), "{from}");
        }
    }
}
