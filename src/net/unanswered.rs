//! The requests that a connection has carried and that nobody has answered yet: when it dies,
//! their senders are to know at once (RFC 3261 section 18.4).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::sip::{Method, Response};
use crate::store::connections::OnFailure;

/// Requests without a final response, by the branch of their Via.
pub(super) struct Unanswered {
    young: HashMap<Box<[u8]>, OnFailure>,
    old: HashMap<Box<[u8]>, OnFailure>,
    /// When the young become old.
    ages: Instant,
}

/// How long a request is remembered, at least: longer than any transaction waits in silence.
const AGE: Duration = Duration::from_secs(600);

/// How many are remembered of one age. Of what is more, the timers of the transactions tell.
const LIMIT: usize = 16_384;

impl Unanswered {
    pub(super) fn new(now: Instant) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), ages: now + AGE }
    }

    /// Remembers a request that is about to be written; gives back what is to be told of any other
    /// message, or of one too many.
    pub(super) fn remember(
        &mut self,
        now: Instant,
        message: &[u8],
        on_failure: OnFailure,
    ) -> Option<OnFailure> {
        let Some(branch) = awaited(message) else { return Some(on_failure) };
        if now >= self.ages {
            self.old = std::mem::take(&mut self.young);
            self.ages = now + AGE;
        }
        if self.young.len() >= LIMIT {
            return Some(on_failure);
        }
        self.young.insert(branch.into(), on_failure);
        None
    }

    /// Forgets the request that a final response answers.
    pub(super) fn forget(&mut self, response: &Response) {
        let is_cancel = response.cseq().is_ok_and(|cseq| cseq.method == Method::Cancel);
        if !response.status.is_final() || is_cancel {
            return;
        }
        let Ok(via) = response.via() else { return };
        if let Some(branch) = via.branch().map(str::as_bytes)
            && self.young.remove(branch).is_none()
        {
            self.old.remove(branch);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// Gives what is to be told when the connection is dead.
    pub(super) fn take(&mut self) -> impl Iterator<Item = OnFailure> + use<> {
        let (young, old) = (std::mem::take(&mut self.young), std::mem::take(&mut self.old));
        old.into_values().chain(young.into_values())
    }
}

/// The branch of a request that is to be answered. Nobody answers an ACK, and whether a CANCEL is
/// answered changes nothing. Our own Via is the first header field.
fn awaited(message: &[u8]) -> Option<&[u8]> {
    if [b"SIP/2.0 ".as_slice(), b"ACK ", b"CANCEL "].iter().any(|it| message.starts_with(it)) {
        return None;
    }
    let via = message.split(|byte| *byte == b'\n').nth(1)?.strip_prefix(b"Via:")?;
    let at = memchr::memmem::find(via, BRANCH)? + BRANCH.len();
    let branch = via.get(at..)?.split(|byte| b";, \t\r".contains(byte)).next()?;
    (!branch.is_empty()).then_some(branch)
}

const BRANCH: &[u8] = b";branch=";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::sip::{Decoded, Message, WireLimits, decode_datagram};

    fn request(method: &str, branch: &str) -> Vec<u8> {
        format!(
            "{method} sip:b@b.example;branch=no SIP/2.0\r\n\
             Via: SIP/2.0/TCP 192.0.2.1:5060;branch={branch};rport\r\nCSeq: 1 {method}\r\n\r\n"
        )
        .into_bytes()
    }

    fn response(code: u16, method: &str, branch: &str) -> Response {
        let text = format!(
            "SIP/2.0 {code} So\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;rport=1;branch={branch}\r\n\
             From: <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>;tag=b\r\nCall-ID: c\r\n\
             CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        );
        match decode_datagram(Bytes::from(text), &WireLimits::default()) {
            Decoded::Message(Message::Response(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    struct Count(Arc<AtomicUsize>);

    impl Count {
        fn new() -> Self {
            Self(Arc::new(AtomicUsize::new(0)))
        }

        fn one(&self) -> OnFailure {
            let count = Arc::clone(&self.0);
            OnFailure::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
        }
    }

    #[test]
    fn what_has_no_final_response_is_told_of() {
        let (now, count) = (Instant::now(), Count::new());
        let mut unanswered = Unanswered::new(now);
        for (method, branch) in
            [("INVITE", "z1"), ("BYE", "z2"), ("OPTIONS", "z3"), ("ACK", "z4"), ("CANCEL", "z1")]
        {
            let other = unanswered.remember(now, &request(method, branch), count.one());
            assert_eq!(other.is_some(), ["ACK", "CANCEL"].contains(&method), "{method}");
        }
        unanswered.forget(&response(180, "INVITE", "z1"));
        unanswered.forget(&response(200, "CANCEL", "z1"));
        unanswered.forget(&response(200, "BYE", "z2"));
        unanswered.forget(&response(200, "BYE", "z9"));
        unanswered.take().for_each(OnFailure::call);
        assert_eq!(count.0.load(Ordering::Relaxed), 2, "INVITE and OPTIONS");
        assert!(unanswered.is_empty());
    }

    #[test]
    fn nothing_is_remembered_for_ever_nor_without_bound() {
        let (now, count) = (Instant::now(), Count::new());
        let mut unanswered = Unanswered::new(now);
        for number in 0..LIMIT + 10 {
            let bye = request("BYE", &format!("z{number}"));
            let over = unanswered.remember(now, &bye, count.one());
            assert_eq!(over.is_some(), number >= LIMIT);
        }
        assert_eq!(unanswered.young.len(), LIMIT);
        drop(unanswered.remember(now + AGE, &request("BYE", "young"), count.one()));
        unanswered.forget(&response(200, "BYE", "z0"));
        assert_eq!((unanswered.young.len(), unanswered.old.len()), (1, LIMIT - 1));
        drop(unanswered.remember(now + 2 * AGE, &request("BYE", "younger"), count.one()));
        assert_eq!((unanswered.young.len(), unanswered.old.len()), (1, 1));
    }

    #[test]
    fn odd_bytes_have_no_branch() {
        for bytes in [&b""[..], b"\r\n\r\n", b"BYE x\r\nTo: a\r\n", b"BYE x\r\nVia: a;branch=\r\n"]
        {
            assert_eq!(awaited(bytes), None);
        }
    }
}
