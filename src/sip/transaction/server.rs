//! The server side of a transaction: absorbs repetitions of the request, repeats the response.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::TransactionKey;
use crate::sip::timers::{Deadlines, Timer, Timers};
use crate::sip::via::way_back;
use crate::sip::{Hop, Method, Request, Response};

/// A request of a peer, until its last repetition has been absorbed.
///
/// Of what was answered only the bytes of the answer are kept.
#[derive(Debug)]
pub struct ServerTransaction {
    key: TransactionKey,
    machine: Machine,
    desk: Desk,
}

/// What a server transaction wishes or reports.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerOutput {
    /// Bytes to put on the wire.
    Send {
        /// The encoded response.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// An ACK for a 2xx, which is the owner's to understand (RFC 6026 section 7.1).
    Ack(Request),
    /// The refusal of an INVITE was never ACKed (Timer H).
    TimedOut,
    /// The machine is at its end and may be dropped; nothing follows.
    Terminated,
}

impl ServerTransaction {
    /// Begins with `request`, which came from `source` and whose Via has been stamped with it.
    #[must_use]
    pub fn new(now: Instant, request: &Request, source: &Hop, timers: Timers) -> Self {
        let hop = way_back(&request.headers, source);
        let mut desk =
            Desk { hop, timers, deadlines: Deadlines::default(), outputs: VecDeque::new() };
        let machine = if request.method == Method::Invite {
            Machine::Invite(InviteServer::Proceeding { last: None })
        } else {
            desk.deadlines.set(Timer::J, now + timers.give_up());
            Machine::NonInvite(NonInviteServer::Trying { since: now })
        };
        Self { key: TransactionKey::of_request(request), machine, desk }
    }

    /// Takes a repetition or an ACK, whose [`TransactionKey::of_request`] is [`Self::key`].
    pub fn handle_request(&mut self, now: Instant, request: &Request) {
        self.machine = match self.take_machine() {
            Machine::Invite(state) if request.method == Method::Ack => {
                Machine::Invite(state.handle_ack(now, request, &mut self.desk))
            }
            Machine::Invite(state) => Machine::Invite(state.handle_repetition(&mut self.desk)),
            Machine::NonInvite(state) => {
                Machine::NonInvite(state.handle_repetition(&mut self.desk))
            }
        };
    }

    /// Sends a response of the owner, if the machine still permits it.
    pub fn respond(&mut self, now: Instant, response: &Response) {
        self.machine = match self.take_machine() {
            Machine::Invite(state) => Machine::Invite(state.respond(now, response, &mut self.desk)),
            Machine::NonInvite(state) => {
                Machine::NonInvite(state.respond(now, response, &mut self.desk))
            }
        };
    }

    /// Fires every timer that is due. A transport error changes nothing here: the machine stays,
    /// so that repetitions are not taken for new requests (RFC 6026 section 7.1).
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((timer, _)) = self.desk.deadlines.expire(now) {
            self.machine = match self.take_machine() {
                Machine::Invite(state) => {
                    Machine::Invite(state.handle_timer(now, timer, &mut self.desk))
                }
                Machine::NonInvite(state) => {
                    Machine::NonInvite(state.handle_timer(timer, &mut self.desk))
                }
            };
        }
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<ServerOutput> {
        let output = self.desk.outputs.pop_front();
        if output.is_none() {
            // What waits for many seconds keeps no room for what it will hardly ever say.
            self.desk.outputs = VecDeque::new();
        }
        output
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.desk.deadlines.next_timeout()
    }

    /// Gives the name by which repetitions are matched.
    #[must_use]
    pub fn key(&self) -> &TransactionKey {
        &self.key
    }

    /// Gives where the responses go.
    #[must_use]
    pub fn hop(&self) -> &Hop {
        &self.desk.hop
    }

    fn take_machine(&mut self) -> Machine {
        mem::replace(&mut self.machine, Machine::NonInvite(NonInviteServer::Terminated))
    }
}

#[derive(Debug)]
enum Machine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

/// What both machines write on.
#[derive(Debug)]
struct Desk {
    hop: Hop,
    timers: Timers,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<ServerOutput>,
}

impl Desk {
    fn send(&mut self, bytes: Bytes) {
        self.outputs.push_back(ServerOutput::Send { bytes, hop: self.hop.clone() });
    }

    fn terminate(&mut self) {
        self.deadlines.stop_all();
        self.outputs.push_back(ServerOutput::Terminated);
    }

    fn is_reliable(&self) -> bool {
        self.hop.transport.is_reliable()
    }
}

/// The INVITE server (RFC 3261 figure 7 as changed by RFC 6026 figure 5).
///
/// ```text
///                 │ INVITE received
///                 ▼   INVITE: send the last response again
///          ┌────────────┐
///          │ Proceeding │ 1xx: send
///          └──┬──────┬──┘
///     300-699 │      │ 2xx
///        send │      │ send
///             ▼      └──────────────┐
///      ┌───────────┐                ▼
///      │ Completed │          ┌──────────┐ INVITE: absorb
///      └──┬─────┬──┘          │ Accepted │ 2xx: send
///     ACK │     │ H: report   └────┬─────┘ ACK: report
///         ▼     └────────────┐     │ L
///   ┌───────────┐   I        ▼     ▼
///   │ Confirmed │──────────▶ Terminated
///   └───────────┘
///   Completed: INVITE, G: send the refusal again
/// ```
#[derive(Debug)]
enum InviteServer {
    Proceeding { last: Option<Bytes> },
    Completed { last: Bytes, interval: Duration },
    Confirmed,
    Accepted,
    Terminated,
}

impl InviteServer {
    fn handle_repetition(self, desk: &mut Desk) -> Self {
        match &self {
            Self::Proceeding { last: Some(last) } | Self::Completed { last, .. } => {
                desk.send(last.clone());
            }
            Self::Proceeding { last: None }
            | Self::Confirmed
            | Self::Accepted
            | Self::Terminated => {}
        }
        self
    }

    fn handle_ack(self, now: Instant, ack: &Request, desk: &mut Desk) -> Self {
        match self {
            Self::Completed { .. } if desk.is_reliable() => {
                desk.terminate();
                Self::Terminated
            }
            Self::Completed { .. } => {
                desk.deadlines.stop_all();
                desk.deadlines.set(Timer::I, now + desk.timers.t4);
                Self::Confirmed
            }
            Self::Accepted => {
                desk.outputs.push_back(ServerOutput::Ack(ack.clone()));
                Self::Accepted
            }
            state @ (Self::Proceeding { .. } | Self::Confirmed | Self::Terminated) => state,
        }
    }

    fn respond(self, now: Instant, response: &Response, desk: &mut Desk) -> Self {
        let bytes = || response.encode();
        match (self, response.status.code()) {
            (Self::Proceeding { .. }, 100..=199) => {
                let bytes = bytes();
                desk.send(bytes.clone());
                Self::Proceeding { last: Some(bytes) }
            }
            (Self::Proceeding { .. }, 200..=299) => {
                desk.send(bytes());
                desk.deadlines.set(Timer::L, now + desk.timers.give_up());
                Self::Accepted
            }
            (Self::Proceeding { .. }, 300..) => {
                let (last, interval) = (bytes(), desk.timers.first_interval());
                desk.send(last.clone());
                desk.deadlines.set(Timer::H, now + desk.timers.give_up());
                if !desk.is_reliable() {
                    desk.deadlines.set(Timer::G, now + interval);
                }
                Self::Completed { last, interval }
            }
            (Self::Accepted, 200..=299) => {
                desk.send(bytes());
                Self::Accepted
            }
            (state, _) => state,
        }
    }

    fn handle_timer(self, now: Instant, timer: Timer, desk: &mut Desk) -> Self {
        match (self, timer) {
            (Self::Completed { last, interval }, Timer::G) => {
                desk.send(last.clone());
                let interval = desk.timers.next_interval(interval);
                desk.deadlines.set(Timer::G, now + interval);
                Self::Completed { last, interval }
            }
            (Self::Completed { .. }, Timer::H) => {
                desk.outputs.push_back(ServerOutput::TimedOut);
                desk.terminate();
                Self::Terminated
            }
            (Self::Confirmed, Timer::I) | (Self::Accepted, Timer::L) => {
                desk.terminate();
                Self::Terminated
            }
            (state, _) => state,
        }
    }
}

/// The non-INVITE server (RFC 3261 figure 8), with the silences of RFC 4320 section 4: no
/// provisional but 100, that one not early over an unreliable transport, and no 408.
///
/// ```text
///           │ request received
///           ▼
///       ┌────────┐                 J (nobody waits any more)
///       │ Trying │───────────────────────────────────────┐
///       └─┬────┬─┘                                       │
///     100 │    │ 200-699                                 │
///    send ▼    │ send                                    │
///   ┌────────────┐                                       │
///   │ Proceeding │───────────────────────────────────────┤
///   └───────┬────┘ 200-699   ┌───────────┐  J            ▼
///           └───────────────▶│ Completed │────────▶ Terminated
///                  send      └───────────┘
///   Proceeding, Completed: request: send the last response again
/// ```
#[derive(Debug)]
enum NonInviteServer {
    Trying { since: Instant },
    Proceeding { last: Bytes },
    Completed { last: Bytes },
    Terminated,
}

impl NonInviteServer {
    fn handle_repetition(self, desk: &mut Desk) -> Self {
        match &self {
            Self::Proceeding { last } | Self::Completed { last } => desk.send(last.clone()),
            Self::Trying { .. } | Self::Terminated => {}
        }
        self
    }

    fn respond(self, now: Instant, response: &Response, desk: &mut Desk) -> Self {
        let code = response.status.code();
        match self {
            Self::Trying { since } if code == 100 => {
                if !desk.is_reliable() && now < since + desk.timers.patience() {
                    return Self::Trying { since };
                }
                let last = response.encode();
                desk.send(last.clone());
                Self::Proceeding { last }
            }
            Self::Trying { .. } | Self::Proceeding { .. } if code >= 200 && code != 408 => {
                let last = response.encode();
                desk.send(last.clone());
                if desk.is_reliable() {
                    desk.terminate();
                    return Self::Terminated;
                }
                desk.deadlines.set(Timer::J, now + desk.timers.give_up());
                Self::Completed { last }
            }
            state @ (Self::Trying { .. }
            | Self::Proceeding { .. }
            | Self::Completed { .. }
            | Self::Terminated) => state,
        }
    }

    fn handle_timer(self, timer: Timer, desk: &mut Desk) -> Self {
        match (self, timer) {
            (Self::Trying { .. } | Self::Proceeding { .. } | Self::Completed { .. }, Timer::J) => {
                desk.terminate();
                Self::Terminated
            }
            (state, _) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{first_line, hop, request, response};
    use super::*;
    use crate::sip::Transport::{self, Tcp, Udp};

    #[test]
    fn a_repeated_invite_is_answered_with_the_last_response() {
        let (mut invite, start) = begin("INVITE", Udp);
        invite.handle_request(start, &request("INVITE"));
        assert_eq!(drain(&mut invite), [""; 0]);
        invite.respond(start, &response(100, "INVITE"));
        invite.respond(start, &response(180, "INVITE"));
        invite.handle_request(start, &request("INVITE"));
        assert_eq!(drain(&mut invite), ["send 100 Trying", "send 180 Ringing", "send 180 Ringing"]);
        assert_eq!(invite.next_timeout(), None);
    }

    #[test]
    fn a_refusal_is_repeated_until_timer_h() {
        let (mut invite, start) = begin("INVITE", Udp);
        invite.respond(start, &response(486, "INVITE"));
        let lines = play(&mut invite, start);
        assert_eq!(
            lines,
            [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
                .map(|at| format!("{at} send 486 Busy Here"))
                .into_iter()
                .chain(["32000 timed out".to_owned(), "32000 terminated".to_owned()])
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_ack_of_a_refusal_is_absorbed() {
        let (mut invite, start) = begin("INVITE", Udp);
        invite.respond(start, &response(486, "INVITE"));
        invite.handle_request(start, &request("INVITE"));
        invite.handle_request(start, &request("ACK"));
        invite.handle_request(start, &request("ACK"));
        invite.handle_request(start, &request("INVITE"));
        assert_eq!(
            play(&mut invite, start),
            ["0 send 486 Busy Here", "0 send 486 Busy Here", "5000 terminated"]
        );
    }

    #[test]
    fn over_tcp_a_refusal_is_sent_once_and_its_ack_ends_all() {
        let (mut invite, start) = begin("INVITE", Tcp);
        invite.respond(start, &response(486, "INVITE"));
        assert_eq!(drain(&mut invite), ["send 486 Busy Here"]);
        assert_eq!(invite.next_timeout(), Some(start + Duration::from_secs(32)));
        invite.handle_request(start, &request("ACK"));
        assert_eq!(drain(&mut invite), ["terminated"]);
    }

    #[test]
    fn an_accepted_invite_is_absorbed_and_its_2xx_and_ack_passed_on() {
        let (mut invite, start) = begin("INVITE", Udp);
        invite.respond(start, &response(200, "INVITE"));
        invite.handle_request(start, &request("INVITE"));
        invite.respond(start, &response(200, "INVITE"));
        invite.respond(start, &response(486, "INVITE"));
        invite.handle_request(start, &request("ACK"));
        assert_eq!(
            play(&mut invite, start),
            ["0 send 200 OK", "0 send 200 OK", "0 ack", "32000 terminated"]
        );
    }

    #[test]
    fn another_request_is_answered_again_with_the_same_bytes() {
        let (mut bye, start) = begin("BYE", Udp);
        bye.handle_request(start, &request("BYE"));
        bye.respond(start, &response(200, "BYE"));
        bye.respond(start, &response(500, "BYE"));
        bye.handle_request(start, &request("BYE"));
        assert_eq!(play(&mut bye, start), ["0 send 200 OK", "0 send 200 OK", "32000 terminated"]);
        let (mut bye, start) = begin("BYE", Tcp);
        bye.respond(start, &response(200, "BYE"));
        assert_eq!(drain(&mut bye), ["send 200 OK", "terminated"]);
    }

    #[test]
    fn no_provisional_but_a_late_100_and_never_a_408() {
        let (mut bye, start) = begin("BYE", Udp);
        bye.respond(start, &response(100, "BYE"));
        bye.respond(start, &response(183, "BYE"));
        bye.respond(start, &response(408, "BYE"));
        assert_eq!(drain(&mut bye), [""; 0]);
        bye.respond(start + Duration::from_millis(3500), &response(100, "BYE"));
        assert_eq!(drain(&mut bye), ["send 100 Trying"]);
        // By then the client has given up; an answer would only confuse (RFC 4320 section 4.2).
        bye.handle_timeout(start + Duration::from_secs(32));
        bye.respond(start + Duration::from_secs(33), &response(200, "BYE"));
        assert_eq!(drain(&mut bye), ["terminated"]);
        let (mut bye, start) = begin("BYE", Tcp);
        bye.respond(start, &response(100, "BYE"));
        assert_eq!(drain(&mut bye), ["send 100 Trying"]);
    }

    #[test]
    fn responses_go_where_the_request_came_from() {
        let (start, source) = (Instant::now(), Hop::new(Udp, "192.0.2.9", 40_000));
        let mut bye = request("BYE");
        bye.headers.set("Via", "SIP/2.0/UDP a.example:5070;branch=z9hG4bK1");
        let plain = ServerTransaction::new(start, &bye, &source, Timers::default());
        assert_eq!(plain.hop().to_string(), "udp:192.0.2.9:5070");
        bye.headers.set("Via", "SIP/2.0/UDP a.example:5070;branch=z9hG4bK1;rport");
        let rport = ServerTransaction::new(start, &bye, &source, Timers::default());
        assert_eq!(rport.hop().to_string(), "udp:192.0.2.9:40000");
    }

    fn begin(method: &str, transport: Transport) -> (ServerTransaction, Instant) {
        let start = Instant::now();
        let timers = Timers::default();
        (ServerTransaction::new(start, &request(method), &hop(transport), timers), start)
    }

    fn drain(server: &mut ServerTransaction) -> Vec<String> {
        std::iter::from_fn(|| server.poll())
            .map(|output| match output {
                ServerOutput::Send { bytes, .. } => format!("send {}", first_line(&bytes)),
                ServerOutput::Ack(_) => "ack".to_owned(),
                ServerOutput::TimedOut => "timed out".to_owned(),
                ServerOutput::Terminated => "terminated".to_owned(),
            })
            .collect()
    }

    /// Lets time pass to the end; each line begins with the milliseconds since `start`.
    fn play(server: &mut ServerTransaction, start: Instant) -> Vec<String> {
        let (mut now, mut lines) = (start, Vec::new());
        loop {
            let at = now.duration_since(start).as_millis();
            lines.extend(drain(server).into_iter().map(|line| format!("{at} {line}")));
            let Some(next) = server.next_timeout() else { return lines };
            now = next;
            server.handle_timeout(now);
        }
    }
}
