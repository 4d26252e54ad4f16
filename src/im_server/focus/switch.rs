//! The switch: for whom a message is, and who may send it (RFC 7701 section 6).

use super::media::Peer;
use super::name::Names;
use super::roster::Roster;
use crate::address::Address;
use crate::msrp;
use crate::payload::{Cpim, MediaType, cpim};

/// A message that may be passed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// For whom it is.
    pub(super) to: Recipients,
    /// The type of what is within its wrapper.
    pub(super) content_type: String,
    /// Whether it tells what has become of another message. Such a one goes to whoever has asked
    /// for it, whether that knows of private messages or not (RFC 5438 section 7.2.1).
    pub(super) is_notification: bool,
}

/// For whom a message is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recipients {
    /// For all but its sender.
    All,
    /// For one, as a private message or as the notification that it has asked for.
    One(Address),
}

/// What a message is judged by.
pub(super) struct Judge<'a> {
    pub(super) names: &'a Names,
    pub(super) roster: &'a Roster,
    /// The user part of the room.
    pub(super) room: &'a str,
    /// Whether private messages are passed on.
    pub(super) private: bool,
}

impl Judge<'_> {
    /// Judges a message of `sender`; the error is the code of the answer.
    pub(super) fn judge(&self, sender: &Address, message: &msrp::Incoming) -> Result<Passed, u16> {
        let kind = MediaType::parse(message.content_type.as_str()).ok_or(415_u16)?;
        if kind.essence() != cpim::CONTENT_TYPE {
            return Err(415);
        }
        let wrapper = Cpim::parse(message.body.clone()).map_err(|_| 400_u16)?;
        let from = wrapper.from_uri().and_then(|uri| self.names.user_of_text(uri));
        if from.as_ref() != Some(sender) {
            return Err(403);
        }
        if wrapper.to.len() > 1 {
            return Err(403);
        }
        let content_type = wrapper.content_type.clone();
        let is_notification = wrapper.is_notification();
        let to = wrapper.to_uris().next().filter(|to| !self.names.means_room(to, self.room));
        let Some(to) = to else {
            return Ok(Passed { to: Recipients::All, content_type, is_notification });
        };
        // Whoever is not there cannot be told, however well it is known.
        let user = self.names.user_of_text(to).filter(|user| self.roster.is_connected(user));
        let user = user.ok_or(404_u16)?;
        if !self.private && !is_notification {
            return Err(428);
        }
        Ok(Passed { to: Recipients::One(user), content_type, is_notification })
    }
}

impl Passed {
    /// Tells whether a private message may go to `peer`; the error is the code of the answer.
    pub(super) fn check_private(&self, peer: &Peer) -> Result<(), u16> {
        if self.is_notification || peer.takes_private() { Ok(()) } else { Err(428) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;

    use super::super::FocusSettings;
    use super::super::roster::Standing;
    use super::*;
    use crate::payload::conference::Joining;
    use crate::payload::imdn::{DeliveryStatus, Imdn, Report};

    const ALICE: &str = "tel:+19585550100";

    fn judge(private: bool, wrapped: impl Into<Bytes>, content_type: &str) -> Result<Passed, u16> {
        let names = Names::new(&FocusSettings::default());
        let mut roster = Roster::default();
        for user in ["tel:+19585550100", "tel:+19585550101"] {
            let address = Address::parse(user).unwrap();
            roster.set(&address, || user.to_owned(), Standing::Connected(Joining::DialedIn));
        }
        let gone = Address::parse("tel:+19585550102").unwrap();
        roster.set(&gone, String::new, Standing::Invited);
        let judge = Judge { names: &names, roster: &roster, room: "conf-1", private };
        let message = msrp::Incoming {
            message_id: msrp::Text::new("m"),
            content_type: msrp::Text::new(content_type),
            headers: Vec::new(),
            body: wrapped.into(),
            success_report: false,
            failure_report: msrp::FailureReport::Yes,
        };
        judge.judge(&Address::parse(ALICE).unwrap(), &message)
    }

    fn text(from: &str, to: &str) -> Bytes {
        Cpim::text(from, to, None, "hello").write()
    }

    #[test]
    fn a_message_is_for_all_for_one_or_for_nobody() {
        let room = "<sip:conf-1@127.0.0.1:5060>";
        for (from, to, verdict) in [
            (ALICE, room, Ok(None)),
            ("sip:+19585550100@example.com;user=phone", "sip:CONF-1@example.com", Ok(None)),
            ("tel:+19585550100?Accept-Contact=x", "sip:anonymous@anonymous.invalid", Ok(None)),
            (ALICE, "tel:+19585550101", Ok(Some("tel:+19585550101"))),
            (ALICE, "tel:+19585550102", Err(404)),
            (ALICE, "tel:+19585550109", Err(404)),
            (ALICE, "sip:conf-2@example.com", Err(404)),
            (ALICE, "nonsense", Err(404)),
            ("tel:+19585550101", room, Err(403)),
            ("sip:anonymous@anonymous.invalid", room, Err(403)),
            ("nonsense", room, Err(403)),
        ] {
            let angled = |uri: &str| format!("<{}>", uri.trim_matches(['<', '>']));
            let judged = judge(true, text(&angled(from), &angled(to)), "message/cpim");
            let found = judged.map(|passed| match passed.to {
                Recipients::All => None,
                Recipients::One(user) => Some(user.key().to_owned()),
            });
            let verdict = verdict.map(|one: Option<&str>| one.map(str::to_owned));
            assert_eq!(found, verdict, "{from} {to}");
        }
    }

    #[test]
    fn what_is_no_wrapped_message_for_one_is_refused() {
        let two = "From: <tel:+19585550100>\r\nTo: <tel:+19585550101>\r\nTo: <tel:+19585550102>\r\n\
                   \r\nContent-Type: text/plain\r\n\r\nx";
        assert_eq!(judge(true, two, "message/cpim"), Err(403));
        assert_eq!(judge(true, text(ALICE, ALICE), "text/plain"), Err(415));
        assert_eq!(judge(true, text(ALICE, ALICE), ""), Err(415));
        assert_eq!(judge(true, "\u{1}", "message/cpim"), Err(400));
        let private = text("<tel:+19585550100>", "<tel:+19585550101>");
        assert_eq!(judge(false, private, "message/cpim"), Err(428));
        let report = Imdn::new("m", None, Report::Delivery(DeliveryStatus::Delivered));
        let (from, to) = ("<tel:+19585550100>", "<tel:+19585550101>");
        let notification = Cpim::notification(from, to, "n", &report).write();
        let passed = judge(false, notification, "message/cpim").unwrap();
        assert!(passed.is_notification && matches!(passed.to, Recipients::One(_)));
    }
}
