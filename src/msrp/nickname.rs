//! Nicknames in a chat room (RFC 7701 section 7): asked for by a participant, granted by its focus.

use std::time::Instant;

use super::event::Event;
use super::frame::{Frame, Header, Method, TransactionId};
use super::outbox::Route;
use super::text::Text;
use crate::ids::Random;

/// A participant asks to be known by a nickname, or by none any more.
///
/// It waits for [`Session::answer_nickname`](super::Session::answer_nickname). A nickname has to be
/// compared with those of the others by the rules of RFC 7700, which is up to the focus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicknameRequest {
    /// The nickname; `None` gives up the one that the participant has.
    pub nickname: Option<String>,
    pub(super) request: Box<Frame>,
}

/// Why a nickname is not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NicknameError {
    /// No character in it.
    #[error("a nickname has at least one character")]
    Empty,
    /// More than a nickname may have.
    #[error("a nickname has at most {MAX_NICKNAME} octets")]
    TooLong,
    /// A control character, which a header field cannot carry.
    #[error("a nickname has no control characters")]
    Control,
    /// The answer to the nickname before has not come yet.
    #[error("another nickname is being asked for")]
    Pending,
    /// The session is over.
    #[error("the session is closed")]
    Closed,
}

/// The nickname that we ask for, until the answer has come.
#[derive(Debug, Default)]
pub(super) struct Reservation(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    nickname: Option<String>,
    /// The transaction and its end, once the request is written.
    asked: Option<(TransactionId, Instant)>,
}

impl Reservation {
    /// Takes a nickname, which is asked for as soon as the session is bound.
    pub(super) fn want(&mut self, nickname: Option<&str>) -> Result<(), NicknameError> {
        if self.0.is_some() {
            return Err(NicknameError::Pending);
        }
        if let Some(nickname) = nickname {
            check(nickname)?;
        }
        let nickname = nickname.map(str::to_owned);
        self.0 = Some(Box::new(Open { nickname, asked: None }));
        Ok(())
    }

    /// Makes the request if there is one to make; its answer is due `until` then.
    pub(super) fn request(
        &mut self,
        until: Instant,
        route: Route<'_>,
        random: &mut Random,
    ) -> Option<Frame> {
        let open = self.0.as_mut().filter(|open| open.asked.is_none())?;
        let tid = TransactionId::draw(random, b"");
        open.asked = Some((tid.clone(), until));
        let (to_path, from_path) = (route.peer.clone(), route.us.clone());
        let mut frame = Frame::request(Method::Nickname, tid, to_path, from_path);
        let value = Text::new(&quoted(open.nickname.as_deref().unwrap_or_default()));
        frame.headers.push(Header { name: Text::new(USE_NICKNAME), value });
        Some(frame)
    }

    /// Takes a response, if it is the one waited for.
    pub(super) fn answered(
        &mut self,
        tid: &TransactionId,
        code: u16,
        comment: Option<&Text>,
    ) -> Option<Event> {
        let asked = self.0.as_ref().and_then(|open| open.asked.as_ref());
        let ours = asked.is_some_and(|(ours, _)| ours == tid);
        if ours { self.settle(code, comment.map(ToString::to_string)) } else { None }
    }

    /// Gives up waiting once the time has come.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Event> {
        let due = self.next_timeout().is_some_and(|until| until <= now);
        if due { self.settle(408, Some("no answer in time".to_owned())) } else { None }
    }

    /// Gives up because the session ends.
    pub(super) fn drain(&mut self, why: &str) -> Option<Event> {
        self.settle(408, Some(why.to_owned()))
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let asked = self.0.as_ref().and_then(|open| open.asked.as_ref());
        asked.map(|(_, until)| *until)
    }

    fn settle(&mut self, code: u16, comment: Option<String>) -> Option<Event> {
        let Open { nickname, .. } = *self.0.take()?;
        Some(Event::Nickname { nickname, code, comment })
    }
}

impl NicknameRequest {
    /// Reads a NICKNAME request.
    ///
    /// # Errors
    /// Gives the code of the refusal: 400 without a nickname, 424 with a malformed one.
    pub(super) fn read(frame: &Frame) -> Result<Self, u16> {
        let nickname = match frame.header(USE_NICKNAME).map(unquoted) {
            Some(Some(nickname)) if nickname.is_empty() => Ok(None),
            Some(Some(nickname)) if check(&nickname).is_ok() => Ok(Some(nickname)),
            Some(_) => Err(424),
            None => Err(400),
        };
        nickname.map(|nickname| Self { nickname, request: Box::new(frame.clone()) })
    }
}

fn check(nickname: &str) -> Result<(), NicknameError> {
    if nickname.is_empty() {
        Err(NicknameError::Empty)
    } else if nickname.len() > MAX_NICKNAME {
        Err(NicknameError::TooLong)
    } else if nickname.chars().any(char::is_control) {
        Err(NicknameError::Control)
    } else {
        Ok(())
    }
}

/// Writes a `quoted-string` of RFC 4975 section 9.
fn quoted(nickname: &str) -> String {
    format!("\"{}\"", nickname.replace('\\', r"\\").replace('"', r#"\""#))
}

/// Reads a `quoted-string`, in which a backslash stands before a backslash or a quote only.
fn unquoted(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?;
    let mut nickname = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(nickname),
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => nickname.push(escaped),
                _ => return None,
            },
            other => nickname.push(other),
        }
    }
}

const USE_NICKNAME: &str = "Use-Nickname";
/// In octets (RFC 7701 section 7.1).
const MAX_NICKNAME: usize = 1023;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_nickname_stands_in_quotes() {
        assert_eq!(quoted(r#"Alice "the \ great""#), r#""Alice \"the \\ great\"""#);
        for (value, nickname) in [
            (r#""Alice the great""#, Some("Alice the great")),
            (r#""""#, Some("")),
            (r#""a\\b\"c""#, Some(r#"a\b"c"#)),
            ("Alice", None),
            ("\"Alice", None),
            (r#""Alice"x"#, None),
            (r#""a"b""#, None),
            (r#""a\b""#, None),
            (r#""a\""#, None),
            ("\"", None),
            ("", None),
        ] {
            assert_eq!(unquoted(value).as_deref(), nickname, "{value}");
        }
    }

    #[test]
    fn a_nickname_has_bounds() {
        assert_eq!(check(&"é".repeat(511)), Ok(()));
        assert_eq!(check(&"é".repeat(512)), Err(NicknameError::TooLong));
        assert_eq!(check(""), Err(NicknameError::Empty));
        assert_eq!(check("a\r\nTo-Path: b"), Err(NicknameError::Control));
        assert_eq!(check("a\u{85}"), Err(NicknameError::Control));
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(nickname in "\\PC*") {
            prop_assert_eq!(unquoted(&quoted(&nickname)), Some(nickname));
        }

        #[test]
        fn no_value_is_read_that_is_not_written_so(value in "[\"\\\\a ]{0,12}") {
            if let Some(nickname) = unquoted(&value) {
                prop_assert_eq!(quoted(&nickname), value);
            }
        }
    }
}
