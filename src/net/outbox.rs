//! What a conversation has decided and what may not leave yet, in order.
//!
//! ```text
//!   hold     nothing behind it leaves before the answer that it belongs to
//!   notice   goes to those who tell the applications, as they have room
//!   wire     what tells the peer that a notice is safe: leaves once all before it is durable
//!   receipt  the same for somebody within the server
//! ```
//! A wire that has waited too long does not leave at all: the peer must not take for delivered what
//! a restart could lose.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::bridge::Output;
use crate::chat::Notice;
use crate::store::{Notices, Receipt, Receipted, Told};

/// The queue.
#[derive(Debug)]
pub(super) struct Outbox {
    notices: Notices,
    queue: VecDeque<Pending>,
    /// How many bytes the wires hold that wait.
    held: usize,
    /// Whether a notice will never be durable. Then nobody is told any more that one is.
    is_torn: bool,
}

/// What waits for its turn.
#[derive(Debug)]
enum Pending {
    /// Nothing behind this leaves before the answer has, or the time is up.
    Hold(oneshot::Receiver<()>, Instant),
    Notice(Notice),
    /// Nothing behind this leaves before the notices before it are durable.
    Durable(Receipted),
    /// This leaves in time or never.
    Wire(Vec<Output>, Instant),
    Receipt(Receipt),
}

/// What has come of waiting.
#[derive(Debug)]
pub(super) enum Released {
    /// This is to be written now.
    Wire(Vec<Output>),
    /// What was to be written can no longer be: the store has not kept what it acknowledges.
    Late,
    /// Nothing is left.
    Drained,
}

/// How long notices wait for the answer that creates what they name.
pub(super) const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// How much may wait before the conversation takes nothing more in.
const LIMIT: usize = 1024;
/// How many bytes may wait to be written, likewise.
const HELD: usize = 256 * 1024;

impl Outbox {
    pub(super) fn new(notices: Notices) -> Self {
        Self { notices, queue: VecDeque::new(), held: 0, is_torn: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= LIMIT || self.held >= HELD
    }

    /// Tells whether what is to be written has to wait: for it would tell, be it by repeating an
    /// answer, that a notice is safe which is not yet.
    pub(super) fn holds_wire(&self) -> bool {
        self.is_torn || self.queue.iter().any(Pending::tells)
    }

    /// Tells whether the connection is to be closed once what waits has left.
    pub(super) fn holds_close(&self) -> bool {
        self.queue.iter().any(|pending| match pending {
            Pending::Wire(outputs, _) => outputs.iter().any(|it| matches!(it, Output::MsrpClose)),
            Pending::Hold(..) | Pending::Notice(_) | Pending::Durable(_) | Pending::Receipt(_) => {
                false
            }
        })
    }

    /// Holds back what follows until the answer has left, but not for long.
    pub(super) fn hold(&mut self, released: oneshot::Receiver<()>) {
        self.queue.push_back(Pending::Hold(released, Instant::now() + FLUSH_WAIT));
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.queue.push_back(Pending::Notice(notice));
    }

    /// Forgets what is to be written: its connection is gone. What it would have told is not to be
    /// told on the next connection any sooner.
    pub(super) fn forget_wire(&mut self) {
        let before = self.queue.len();
        self.queue.retain(|pending| !pending.is_wire());
        self.held = 0;
        if self.queue.len() < before {
            let (nobody, _) = Receipt::new();
            self.queue.push_back(Pending::Receipt(nobody));
        }
    }

    /// Has these outputs written once all before them is durable.
    pub(super) fn wire(&mut self, outputs: Vec<Output>) {
        self.held += length_of(&outputs);
        if let Some(Pending::Wire(before, _)) = self.queue.back_mut() {
            return before.extend(outputs);
        }
        let patience = self.notices.patience.unwrap_or_default() + FLUSH_WAIT;
        self.queue.push_back(Pending::Wire(outputs, Instant::now() + patience));
    }

    /// Gives the receipt once all before it is durable.
    pub(super) fn receipt(&mut self, receipt: Receipt) {
        self.queue.push_back(Pending::Receipt(receipt));
    }

    /// Waits until something is to be done with what waits; cancel safe.
    pub(super) async fn next(&mut self) -> Released {
        if self.queue.is_empty() {
            return pending().await;
        }
        let late = self.queue.iter().find_map(|pending| match pending {
            Pending::Wire(_, until) => Some(*until),
            Pending::Hold(..) | Pending::Notice(_) | Pending::Durable(_) | Pending::Receipt(_) => {
                None
            }
        });
        let released = match late {
            Some(late) => timeout_at(late, self.advance()).await.ok(),
            None => Some(self.advance().await),
        };
        released.unwrap_or_else(|| {
            self.forget_wire();
            Released::Late
        })
    }

    /// Works off the queue until something is to be written, or nothing is left.
    async fn advance(&mut self) -> Released {
        loop {
            match self.queue.front_mut() {
                None => return Released::Drained,
                Some(Pending::Hold(released, until)) => {
                    // An answer that nobody reads has left as well.
                    let _ = timeout_at(*until, released).await;
                    self.queue.pop_front();
                }
                Some(Pending::Notice(_)) => self.hand_on().await,
                Some(Pending::Durable(receipted)) => {
                    let is_kept = receipted.wait().await;
                    self.queue.pop_front();
                    if !is_kept {
                        self.is_torn = true;
                        self.queue.retain(|pending| !pending.tells());
                        return Released::Late;
                    }
                }
                Some(Pending::Wire(..) | Pending::Receipt(_)) => match self.queue.pop_front() {
                    Some(Pending::Wire(..)) if self.is_torn => return Released::Late,
                    Some(Pending::Wire(outputs, _)) => {
                        self.held = self.held.saturating_sub(length_of(&outputs));
                        return Released::Wire(outputs);
                    }
                    Some(Pending::Receipt(_)) if self.is_torn => {}
                    Some(Pending::Receipt(receipt)) => receipt.give(),
                    Some(Pending::Hold(..) | Pending::Notice(_) | Pending::Durable(_)) | None => {}
                },
            }
        }
    }

    /// Tells whether somebody behind the first notice, and not behind another, waits for its being
    /// durable.
    fn is_waited_for(&self) -> bool {
        let is_notice = |pending: &&Pending| matches!(pending, Pending::Notice(_));
        self.queue.iter().skip(1).take_while(|it| !is_notice(it)).any(Pending::tells)
    }

    /// Hands the first notice on once there is room for it; where somebody waits for its being
    /// durable, so does what follows.
    async fn hand_on(&mut self) {
        let room = self.notices.sender.reserve().await;
        let awaited = self.notices.patience.is_some() && self.is_waited_for();
        let Some(Pending::Notice(notice)) = self.queue.pop_front() else { return };
        // Nobody listens any more only when the whole server goes down.
        let Ok(room) = room else { return };
        let receipt = awaited.then(|| {
            let (receipt, receipted) = Receipt::new();
            self.queue.push_front(Pending::Durable(receipted));
            receipt
        });
        mpsc::Permit::send(room, Told { notice, receipt });
    }
}

fn length_of(outputs: &[Output]) -> usize {
    let lengths = outputs.iter().map(|output| match output {
        Output::MsrpWrite(bytes) => bytes.len(),
        Output::MsrpClose
        | Output::Sip { .. }
        | Output::Spare { .. }
        | Output::Route(_)
        | Output::Unroute(_)
        | Output::EndCaller(_)
        | Output::ForgetCaller(_)
        | Output::Names(_)
        | Output::MsrpConnect { .. }
        | Output::Notice(_)
        | Output::Remark(_)
        | Output::Answer(_)
        | Output::LateAnswer(..)
        | Output::MsrpRoute(_)
        | Output::NextMsrp(_)
        | Output::Extension { .. } => 0,
    });
    lengths.sum()
}

impl Pending {
    /// Tells whether somebody learns from it that what comes before it is durable.
    fn tells(&self) -> bool {
        match self {
            Self::Wire(..) | Self::Receipt(_) => true,
            Self::Hold(..) | Self::Notice(_) | Self::Durable(_) => false,
        }
    }

    fn is_wire(&self) -> bool {
        match self {
            Self::Wire(..) => true,
            Self::Hold(..) | Self::Notice(_) | Self::Durable(_) | Self::Receipt(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use futures_util::FutureExt;
    use time::OffsetDateTime;

    use super::*;
    use crate::address::Address;
    use crate::chat::{EventType, NoticeKind};
    use crate::ids::SessionId;

    #[tokio::test(start_paused = true)]
    async fn the_peer_reads_nothing_before_the_notice_is_durable() {
        let (mut outbox, mut told) = outbox(8);
        outbox.notice(notice());
        outbox.notice(notice());
        outbox.wire(wire());
        assert!(outbox.next().now_or_never().is_none());
        assert!(told.try_recv().unwrap().receipt.is_none(), "one receipt is enough");
        let receipt = told.try_recv().unwrap().receipt.unwrap();
        assert!(outbox.next().now_or_never().is_none() && outbox.holds_wire());
        receipt.give();
        assert!(matches!(outbox.next().await, Released::Wire(outputs) if outputs.len() == 1));
        assert!(outbox.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_become_durable_in_time_is_never_written() {
        let (mut outbox, mut told) = outbox(8);
        outbox.notice(notice());
        outbox.wire(wire());
        let began = Instant::now();
        assert!(matches!(outbox.next().await, Released::Late));
        assert_eq!(began.elapsed(), PATIENCE + FLUSH_WAIT);
        assert!(outbox.holds_wire(), "nor is it said on another connection");
        // What comes later still waits for its turn.
        outbox.notice(notice());
        assert!(outbox.next().now_or_never().is_none());
        told.try_recv().unwrap().receipt.unwrap().give();
        assert!(matches!(outbox.next().await, Released::Drained));
        assert!(told.try_recv().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_receipt_that_is_torn_up_is_as_bad() {
        let (mut outbox, mut told) = outbox(8);
        let (receipt, mut receipted) = Receipt::new();
        outbox.notice(notice());
        outbox.receipt(receipt);
        assert!(outbox.next().now_or_never().is_none());
        drop(told.try_recv().unwrap().receipt);
        assert!(matches!(outbox.next().await, Released::Late));
        assert!(!receipted.wait().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receipt_is_given_behind_the_notices() {
        let (mut outbox, mut told) = outbox(8);
        let (receipt, mut receipted) = Receipt::new();
        outbox.notice(notice());
        outbox.receipt(receipt);
        assert!(outbox.next().now_or_never().is_none());
        told.try_recv().unwrap().receipt.unwrap().give();
        assert!(matches!(outbox.next().await, Released::Drained));
        assert!(receipted.wait().await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_again_on_the_next_connection_waits_as_well() {
        let (mut outbox, mut told) = outbox(8);
        outbox.notice(notice());
        outbox.wire(wire());
        assert!(outbox.next().now_or_never().is_none());
        let receipt = told.try_recv().unwrap().receipt.unwrap();
        outbox.forget_wire();
        assert!(outbox.holds_wire(), "the notice is not durable yet");
        outbox.wire(wire());
        assert!(outbox.next().now_or_never().is_none());
        receipt.give();
        assert!(matches!(outbox.next().await, Released::Wire(_)));
        assert!(!outbox.holds_wire());
    }

    #[tokio::test(start_paused = true)]
    async fn where_a_receipt_was_torn_up_nothing_leaves_any_more() {
        let (mut outbox, mut told) = outbox(8);
        outbox.notice(notice());
        outbox.wire(wire());
        assert!(outbox.next().now_or_never().is_none());
        drop(told.try_recv().unwrap().receipt);
        assert!(matches!(outbox.next().await, Released::Late));
        assert!(outbox.holds_wire());
        let (receipt, mut receipted) = Receipt::new();
        outbox.receipt(receipt);
        outbox.wire(wire());
        assert!(matches!(outbox.next().await, Released::Late));
        assert!(!receipted.wait().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_between_notice_and_wire_changes_nothing() {
        let (mut outbox, mut told) = outbox(8);
        let (unread, released) = oneshot::channel();
        outbox.notice(notice());
        outbox.hold(released);
        outbox.wire(wire());
        assert!(outbox.next().now_or_never().is_none());
        let receipt = told.try_recv().unwrap().receipt.unwrap();
        drop(unread);
        assert!(outbox.next().now_or_never().is_none());
        receipt.give();
        assert!(matches!(outbox.next().await, Released::Wire(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_to_be_written_is_bounded() {
        let (mut outbox, mut told) = outbox(8);
        outbox.notice(notice());
        let mut wires = 0;
        while !outbox.is_full() {
            outbox.wire(vec![Output::MsrpWrite(Bytes::from(vec![0; 1000]))]);
            wires += 1;
        }
        assert_eq!(wires, HELD.div_ceil(1000));
        outbox.wire(vec![Output::MsrpClose]);
        assert!(outbox.holds_close());
        assert!(outbox.next().now_or_never().is_none());
        told.try_recv().unwrap().receipt.unwrap().give();
        let released = outbox.next().await;
        assert!(matches!(released, Released::Wire(outputs) if outputs.len() == wires + 1));
        assert!(!outbox.is_full() && !outbox.holds_close());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_keeps_back_what_follows_but_not_for_long() {
        let (mut outbox, mut told) = outbox(8);
        let (_unread, released) = oneshot::channel();
        outbox.hold(released);
        outbox.notice(notice());
        assert!(outbox.next().now_or_never().is_none() && told.try_recv().is_err());
        let began = Instant::now();
        assert!(matches!(outbox.next().await, Released::Drained));
        assert_eq!(began.elapsed(), FLUSH_WAIT);
        assert!(told.try_recv().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_room_fills_up_and_says_so() {
        let (mut outbox, mut told) = outbox(1);
        for _ in 0..=LIMIT {
            outbox.notice(notice());
        }
        assert!(outbox.next().now_or_never().is_none());
        assert!(outbox.is_full());
        told.try_recv().unwrap();
        assert!(outbox.next().now_or_never().is_none());
        assert!(!outbox.is_full());
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    fn outbox(room: usize) -> (Outbox, mpsc::Receiver<Told>) {
        let (sender, told) = mpsc::channel(room);
        (Outbox::new(Notices { sender, patience: Some(PATIENCE) }), told)
    }

    fn wire() -> Vec<Output> {
        vec![Output::MsrpWrite(Bytes::from_static(b"200"))]
    }

    fn notice() -> Notice {
        let event = EventType::Accepted;
        Notice {
            user: Address::parse("tel:+1").unwrap(),
            session: SessionId::new("s"),
            of: crate::chat::SessionKind::Pair,
            at: OffsetDateTime::UNIX_EPOCH,
            kind: NoticeKind::Event { event, description: None, message: None },
        }
    }
}
