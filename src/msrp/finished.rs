//! Messages that have come in chunks and are whole: what comes of them again is nothing new.
//!
//! A chunk is sent again where its answer was lost, and then its message is complete already; to
//! begin another half with it would wait for chunks that nobody sends, and report a failure that is
//! none. But there are peers that use one Message-ID for all they send. Hence the rule:
//!
//! - A chunk that does not begin its message, and fits into the last finished one of its name, is
//!   of that one: a new message begins with its first octet, and chunks keep their order unless a
//!   connection was lost between them.
//! - A chunk that begins a message begins a new one, whatever its name. Should it be a repetition
//!   after all, nothing more will come: where its octets are those of the finished message, it is
//!   given up in silence, so that nobody is told of a failure that did not happen.

use std::collections::VecDeque;

/// The last messages that have come in chunks, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Finished(VecDeque<Whole>);

#[derive(Debug)]
struct Whole {
    message_id: String,
    size: u64,
    /// Its first octets.
    beginning: Box<[u8]>,
}

impl Finished {
    pub(super) fn enter(&mut self, message_id: &str, body: &[u8]) {
        self.forget(message_id);
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Whole {
            message_id: message_id.to_owned(),
            size: body.len() as u64,
            beginning: beginning(body).into(),
        });
    }

    pub(super) fn forget(&mut self, message_id: &str) {
        self.0.retain(|whole| whole.message_id != message_id);
    }

    pub(super) fn knows(&self, message_id: &str) -> bool {
        self.find(message_id).is_some()
    }

    /// Gives the size of the message of which these octets are a part behind the first one; `total`
    /// is what the chunk says of it, and `ends` whether it is the last one.
    pub(super) fn part(
        &self,
        message_id: &str,
        octets: std::ops::Range<u64>,
        total: Option<u64>,
        ends: bool,
    ) -> Option<u64> {
        let size = self.find(message_id)?.size;
        let fits = if ends { octets.end == size } else { octets.end <= size };
        (octets.start > 0 && fits && total.is_none_or(|total| total == size)).then_some(size)
    }

    /// Gives the size of the message that begins with this body, as far as it is remembered.
    pub(super) fn begun(&self, message_id: &str, body: &[u8]) -> Option<u64> {
        let whole = self.find(message_id)?;
        whole.beginning.starts_with(beginning(body)).then_some(whole.size)
    }

    fn find(&self, message_id: &str) -> Option<&Whole> {
        self.0.iter().find(|whole| whole.message_id == message_id)
    }
}

fn beginning(body: &[u8]) -> &[u8] {
    body.get(..BEGINNING).unwrap_or(body)
}

/// How many messages are remembered.
const REMEMBERED: usize = 16;
/// How many octets of each: envelopes differ behind the names of those who talk.
const BEGINNING: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_fits_into_its_message() {
        let mut finished = Finished::default();
        finished.enter("m", b"abcdefgh");
        for (octets, total, ends, part) in [
            (4..8, Some(8), true, true),
            (4..8, None, true, true),
            (4..6, None, false, true),
            (8..8, None, true, true),
            (4..6, None, true, false),
            (4..9, None, false, false),
            (4..8, Some(9), false, false),
            (0..8, Some(8), false, false),
        ] {
            let shown = format!("{octets:?} {total:?} {ends}");
            let size = finished.part("m", octets, total, ends);
            assert_eq!(size, part.then_some(8), "{shown}");
        }
        assert_eq!(finished.part("n", 4..8, None, true), None);
        assert_eq!([b"abcd", b"abxd"].map(|body| finished.begun("m", body)), [Some(8), None]);
    }

    #[test]
    fn only_the_last_messages_are_remembered_and_little_of_them() {
        let mut finished = Finished::default();
        for number in 0..=REMEMBERED {
            finished.enter(&number.to_string(), &[b'x'; 9999]);
            finished.enter(&number.to_string(), &[b'y'; 9999]);
        }
        assert_eq!((finished.knows("0"), finished.knows("1")), (false, true));
        assert_eq!(finished.0.len(), REMEMBERED);
        assert!(finished.0.iter().all(|whole| whole.beginning.len() == BEGINNING));
    }
}
