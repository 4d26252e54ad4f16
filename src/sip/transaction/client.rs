//! The client side of a transaction: repeats the request, takes the responses, ACKs refusals.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::TransactionKey;
use crate::sip::timers::{Deadlines, Timer, Timers};
use crate::sip::{Headers, Hop, Method, Request, Response};

/// A request of ours on its way, until its last repetition has been absorbed.
///
/// Over a reliable transport nothing is repeated, and nothing needs to be absorbed.
#[derive(Debug)]
pub struct ClientTransaction {
    key: TransactionKey,
    machine: Machine,
    desk: Desk,
}

/// What a client transaction wishes or reports.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientOutput {
    /// Bytes to put on the wire.
    Send {
        /// The encoded message.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// A response that the owner has not seen yet; every 2xx to an INVITE, also repeated ones.
    Response(Response),
    /// Nobody answered in 64\*T1: to be treated as a 408 (RFC 3261 section 8.1.3.1).
    TimedOut,
    /// The transport failed: to be treated as a 503 (RFC 3261 section 8.1.3.1).
    TransportError,
    /// The machine is at its end and may be dropped; nothing follows.
    Terminated,
}

impl ClientTransaction {
    /// Sends `request`, whose top Via is already ours, to `hop`.
    #[must_use]
    pub fn new(now: Instant, request: &Request, hop: Hop, timers: Timers) -> Self {
        let mut desk =
            Desk { hop, timers, deadlines: Deadlines::default(), outputs: VecDeque::new() };
        let machine = if request.method == Method::Invite {
            Machine::Invite(InviteClient::start(now, request, &mut desk))
        } else {
            Machine::NonInvite(NonInviteClient::start(now, request, &mut desk))
        };
        Self { key: TransactionKey::client(request), machine, desk }
    }

    /// Takes a response whose [`TransactionKey::of_response`] is [`Self::key`].
    pub fn handle_response(&mut self, now: Instant, response: Response) {
        self.machine = match self.take_machine() {
            Machine::Invite(state) => {
                Machine::Invite(state.handle_response(now, response, &mut self.desk))
            }
            Machine::NonInvite(state) => {
                Machine::NonInvite(state.handle_response(now, response, &mut self.desk))
            }
        };
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((timer, _)) = self.desk.deadlines.expire(now) {
            self.machine = match self.take_machine() {
                Machine::Invite(state) => {
                    Machine::Invite(state.handle_timer(now, timer, &mut self.desk))
                }
                Machine::NonInvite(state) => {
                    Machine::NonInvite(state.handle_timer(now, timer, &mut self.desk))
                }
            };
        }
    }

    /// Takes the news that the hop cannot be reached.
    pub fn handle_transport_error(&mut self) {
        self.machine = match self.take_machine() {
            Machine::Invite(state) => Machine::Invite(state.handle_transport_error(&mut self.desk)),
            Machine::NonInvite(state) => {
                Machine::NonInvite(state.handle_transport_error(&mut self.desk))
            }
        };
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<ClientOutput> {
        self.desk.outputs.pop_front()
    }

    /// Gives the time of the next timer.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.desk.deadlines.next_timeout()
    }

    /// Gives the name by which responses are matched.
    #[must_use]
    pub fn key(&self) -> &TransactionKey {
        &self.key
    }

    /// Gives where the request went.
    #[must_use]
    pub fn hop(&self) -> &Hop {
        &self.desk.hop
    }

    fn take_machine(&mut self) -> Machine {
        mem::replace(&mut self.machine, Machine::NonInvite(NonInviteClient::Terminated))
    }
}

#[derive(Debug)]
enum Machine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

/// What both machines write on.
#[derive(Debug)]
struct Desk {
    hop: Hop,
    timers: Timers,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<ClientOutput>,
}

impl Desk {
    fn send(&mut self, bytes: Bytes) {
        self.outputs.push_back(ClientOutput::Send { bytes, hop: self.hop.clone() });
    }

    fn report(&mut self, output: ClientOutput) {
        self.outputs.push_back(output);
    }

    fn terminate(&mut self) {
        self.deadlines.stop_all();
        self.outputs.push_back(ClientOutput::Terminated);
    }

    fn is_reliable(&self) -> bool {
        self.hop.transport.is_reliable()
    }
}

/// The INVITE client (RFC 3261 figure 5 as changed by RFC 6026 figure 3).
///
/// ```text
///              │ INVITE sent
///              ▼
///          ┌─────────┐ A: send again        B, transport error: report
///          │ Calling │────────────────────────────────────────┐
///          └─┬──┬──┬─┘                                        │
///        1xx │  │  │ 2xx                                      │
///            ▼  │  └───────────────────┐                      │
///   ┌────────────┐      2xx            │     transport error  │
///   │ Proceeding │─────────────────┐   │   ┌──────────────────┤
///   └────────┬───┘                 ▼   ▼   │                  │
///    300-699 │  │ 300-699     ┌──────────┐ │                  │
///   send ACK │  │ send ACK    │ Accepted │ │ 2xx: report      │
///            ▼  ▼             └────┬─────┘ │                  │
///          ┌───────────┐           │ M     │                  ▼
///          │ Completed │───────────┴───────┴──────────▶ Terminated
///          └───────────┘  D, transport error
///            300-699: send ACK again
/// ```
#[derive(Debug)]
enum InviteClient {
    Calling { bytes: Bytes, interval: Duration, ack: Box<Request> },
    Proceeding { ack: Box<Request> },
    Completed { ack: Bytes },
    Accepted,
    Terminated,
}

impl InviteClient {
    fn start(now: Instant, request: &Request, desk: &mut Desk) -> Self {
        let bytes = request.encode();
        desk.send(bytes.clone());
        desk.deadlines.set(Timer::B, now + desk.timers.give_up());
        let interval = desk.timers.first_interval();
        if !desk.is_reliable() {
            desk.deadlines.set(Timer::A, now + interval);
        }
        Self::Calling { bytes, interval, ack: Box::new(unaddressed_ack(request)) }
    }

    fn handle_response(self, now: Instant, response: Response, desk: &mut Desk) -> Self {
        match (self, response.status.code()) {
            (Self::Calling { ack, .. } | Self::Proceeding { ack }, 100..=199) => {
                desk.deadlines.stop_all();
                desk.report(ClientOutput::Response(response));
                Self::Proceeding { ack }
            }
            (Self::Calling { .. } | Self::Proceeding { .. }, 200..=299) => {
                desk.deadlines.stop_all();
                desk.deadlines.set(Timer::M, now + desk.timers.give_up());
                desk.report(ClientOutput::Response(response));
                Self::Accepted
            }
            (Self::Calling { ack, .. } | Self::Proceeding { ack }, 300..) => {
                desk.deadlines.stop_all();
                let ack = addressed_ack(*ack, &response.headers);
                desk.send(ack.clone());
                desk.report(ClientOutput::Response(response));
                if desk.is_reliable() {
                    desk.terminate();
                    return Self::Terminated;
                }
                desk.deadlines.set(Timer::D, now + desk.timers.refused_wait(false));
                Self::Completed { ack }
            }
            (Self::Completed { ack }, 300..) => {
                desk.send(ack.clone());
                Self::Completed { ack }
            }
            (Self::Accepted, 200..=299) => {
                desk.report(ClientOutput::Response(response));
                Self::Accepted
            }
            (state, _) => state,
        }
    }

    fn handle_timer(self, now: Instant, timer: Timer, desk: &mut Desk) -> Self {
        match (self, timer) {
            (Self::Calling { bytes, interval, ack }, Timer::A) => {
                desk.send(bytes.clone());
                let interval = interval.saturating_mul(2);
                desk.deadlines.set(Timer::A, now + interval);
                Self::Calling { bytes, interval, ack }
            }
            (Self::Calling { .. }, Timer::B) => {
                desk.report(ClientOutput::TimedOut);
                desk.terminate();
                Self::Terminated
            }
            (Self::Completed { .. }, Timer::D) | (Self::Accepted, Timer::M) => {
                desk.terminate();
                Self::Terminated
            }
            (state, _) => state,
        }
    }

    fn handle_transport_error(self, desk: &mut Desk) -> Self {
        match self {
            Self::Calling { .. } | Self::Proceeding { .. } | Self::Completed { .. } => {
                desk.report(ClientOutput::TransportError);
                desk.terminate();
                Self::Terminated
            }
            state @ (Self::Accepted | Self::Terminated) => state,
        }
    }
}

/// The non-INVITE client (RFC 3261 figure 6).
///
/// ```text
///             │ request sent
///             ▼
///        ┌────────┐ E: send again       F, transport error: report
///        │ Trying │──────────────────────────────────────┐
///        └─┬────┬─┘                                      │
///      1xx │    │ 200-699                                │
///          ▼    └─────────────────┐                      │
///   ┌────────────┐ E: send again  │                      │
///   │ Proceeding │────────────────┼──────────────────────┤
///   └────────┬───┘                ▼  F, transport error  ▼
///    200-699 │            ┌───────────┐  K
///            └───────────▶│ Completed │──────────▶ Terminated
///                         └───────────┘
/// ```
#[derive(Debug)]
enum NonInviteClient {
    Trying { bytes: Bytes, interval: Duration },
    Proceeding { bytes: Bytes },
    Completed,
    Terminated,
}

impl NonInviteClient {
    fn start(now: Instant, request: &Request, desk: &mut Desk) -> Self {
        let bytes = request.encode();
        desk.send(bytes.clone());
        desk.deadlines.set(Timer::F, now + desk.timers.give_up());
        let interval = desk.timers.first_interval();
        if !desk.is_reliable() {
            desk.deadlines.set(Timer::E, now + interval);
        }
        Self::Trying { bytes, interval }
    }

    fn handle_response(self, now: Instant, response: Response, desk: &mut Desk) -> Self {
        match (self, response.status.code()) {
            (Self::Trying { bytes, .. } | Self::Proceeding { bytes }, 100..=199) => {
                desk.report(ClientOutput::Response(response));
                Self::Proceeding { bytes }
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, 200..) => {
                desk.deadlines.stop_all();
                desk.report(ClientOutput::Response(response));
                if desk.is_reliable() {
                    desk.terminate();
                    return Self::Terminated;
                }
                desk.deadlines.set(Timer::K, now + desk.timers.t4);
                Self::Completed
            }
            (state, _) => state,
        }
    }

    fn handle_timer(self, now: Instant, timer: Timer, desk: &mut Desk) -> Self {
        match (self, timer) {
            (Self::Trying { bytes, interval }, Timer::E) => {
                desk.send(bytes.clone());
                let interval = desk.timers.next_interval(interval);
                desk.deadlines.set(Timer::E, now + interval);
                Self::Trying { bytes, interval }
            }
            (Self::Proceeding { bytes }, Timer::E) => {
                desk.send(bytes.clone());
                desk.deadlines.set(Timer::E, now + desk.timers.next_interval(desk.timers.t2));
                Self::Proceeding { bytes }
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, Timer::F) => {
                desk.report(ClientOutput::TimedOut);
                desk.terminate();
                Self::Terminated
            }
            (Self::Completed, Timer::K) => {
                desk.terminate();
                Self::Terminated
            }
            (state, _) => state,
        }
    }

    fn handle_transport_error(self, desk: &mut Desk) -> Self {
        match self {
            Self::Trying { .. } | Self::Proceeding { .. } => {
                desk.report(ClientOutput::TransportError);
                desk.terminate();
                Self::Terminated
            }
            state @ (Self::Completed | Self::Terminated) => state,
        }
    }
}

/// Builds the ACK of a refusal as far as it is known before the refusal: same Request-URI, same
/// branch in a single Via, same Route (RFC 3261 section 17.1.1.3).
fn unaddressed_ack(invite: &Request) -> Request {
    let mut headers = Headers::default();
    if let Some(via) = invite.headers.list("Via").next() {
        headers.push("Via", via);
    }
    headers.push("Max-Forwards", "70");
    for name in ["Route", "From", "Call-ID"] {
        for value in invite.headers.all(name) {
            headers.push(name, value);
        }
    }
    if let Ok(cseq) = invite.cseq() {
        headers.push("CSeq", &format!("{} ACK", cseq.number));
    }
    Request { method: Method::Ack, uri: invite.uri.clone(), headers, body: Bytes::new() }
}

/// Completes the ACK with the To of the refusal, which carries the refusing side's tag.
fn addressed_ack(mut ack: Request, refusal: &Headers) -> Bytes {
    if let Some(to) = refusal.get("To") {
        ack.headers.set("To", to);
    }
    ack.encode()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{first_line, hop, message, request, response};
    use super::*;
    use crate::sip::Transport::{self, Tcp, Udp};

    #[test]
    fn an_invite_is_repeated_until_nobody_answers() {
        let (mut invite, start) = begin("INVITE", Udp);
        assert_eq!(
            play(&mut invite, start),
            [
                "0 send INVITE sip:bob@b.example",
                "500 send INVITE sip:bob@b.example",
                "1500 send INVITE sip:bob@b.example",
                "3500 send INVITE sip:bob@b.example",
                "7500 send INVITE sip:bob@b.example",
                "15500 send INVITE sip:bob@b.example",
                "31500 send INVITE sip:bob@b.example",
                "32000 timed out",
                "32000 terminated",
            ]
        );
    }

    #[test]
    fn nothing_is_repeated_over_a_reliable_transport() {
        for method in ["INVITE", "BYE"] {
            let (mut client, start) = begin(method, Tcp);
            let sent = format!("0 send {method} sip:bob@b.example");
            assert_eq!(play(&mut client, start), [&sent, "32000 timed out", "32000 terminated"]);
        }
    }

    #[test]
    fn a_provisional_response_stops_the_invite_for_good() {
        let (mut invite, start) = begin("INVITE", Udp);
        assert_eq!(drain(&mut invite), ["send INVITE sip:bob@b.example"]);
        invite.handle_response(start, response(100, "INVITE"));
        invite.handle_response(start, response(180, "INVITE"));
        assert_eq!(drain(&mut invite), ["got 100", "got 180"]);
        assert_eq!(invite.next_timeout(), None);
    }

    #[test]
    fn a_refusal_is_acked_on_the_same_branch_and_acked_again_until_timer_d() {
        let (mut invite, start) = begin("INVITE", Udp);
        drain(&mut invite);
        let refusal = || response(486, "INVITE");
        invite.handle_response(start, refusal());
        let Some(ClientOutput::Send { bytes, hop: to }) = invite.poll() else { panic!("no ACK") };
        assert_eq!(to, hop(Udp));
        let ack = message(std::str::from_utf8(&bytes).expect("text"));
        let lines: Vec<_> =
            ack.headers().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            lines,
            [
                "Via: SIP/2.0/UDP a.example:5060;branch=z9hG4bK1",
                "Max-Forwards: 70",
                "Route: <sip:p1.example;lr>, <sip:p2.example;lr>",
                "From: Alice <sip:alice@a.example>;tag=a",
                "Call-ID: one@a.example",
                "CSeq: 1 ACK",
                "To: <sip:bob@b.example>;tag=b",
                "Content-Length: 0",
            ]
        );
        assert_eq!(drain(&mut invite), ["got 486"]);
        invite.handle_response(start, refusal());
        assert_eq!(play(&mut invite, start), ["0 send ACK sip:bob@b.example", "32000 terminated"]);
    }

    #[test]
    fn a_refusal_over_tcp_ends_the_invite_at_once() {
        let (mut invite, start) = begin("INVITE", Tcp);
        drain(&mut invite);
        invite.handle_response(start, response(603, "INVITE"));
        assert_eq!(drain(&mut invite), ["send ACK sip:bob@b.example", "got 603", "terminated"]);
    }

    #[test]
    fn every_2xx_is_reported_until_timer_m() {
        let (mut invite, start) = begin("INVITE", Udp);
        drain(&mut invite);
        invite.handle_response(start, response(200, "INVITE"));
        invite.handle_response(start, response(200, "INVITE"));
        invite.handle_response(start, response(486, "INVITE"));
        invite.handle_response(start, response(180, "INVITE"));
        invite.handle_transport_error();
        assert_eq!(play(&mut invite, start), ["0 got 200", "0 got 200", "32000 terminated"]);
    }

    #[test]
    fn another_request_is_repeated_up_to_t2_and_slower_after_a_provisional() {
        let (mut bye, start) = begin("BYE", Udp);
        let lines = play(&mut bye, start);
        let times: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(
            times,
            [
                "0", "500", "1500", "3500", "7500", "11500", "15500", "19500", "23500", "27500",
                "31500", "32000", "32000"
            ]
        );
        let (mut bye, start) = begin("BYE", Udp);
        drain(&mut bye);
        bye.handle_response(start, response(100, "BYE"));
        assert_eq!(drain(&mut bye), ["got 100"]);
        bye.handle_timeout(start + Duration::from_millis(500));
        assert_eq!(drain(&mut bye), ["send BYE sip:bob@b.example"]);
        assert_eq!(bye.next_timeout(), Some(start + Duration::from_millis(4500)));
    }

    #[test]
    fn a_final_response_is_reported_once() {
        let (mut bye, start) = begin("BYE", Udp);
        drain(&mut bye);
        bye.handle_response(start, response(200, "BYE"));
        bye.handle_response(start, response(200, "BYE"));
        bye.handle_transport_error();
        assert_eq!(play(&mut bye, start), ["0 got 200", "5000 terminated"]);
    }

    #[test]
    fn a_transport_error_ends_what_waits() {
        for method in ["INVITE", "BYE"] {
            let (mut client, _) = begin(method, Tcp);
            drain(&mut client);
            client.handle_transport_error();
            client.handle_transport_error();
            assert_eq!(drain(&mut client), ["transport error", "terminated"]);
            assert_eq!(client.next_timeout(), None);
        }
    }

    fn begin(method: &str, transport: Transport) -> (ClientTransaction, Instant) {
        let start = Instant::now();
        let timers = Timers::default();
        (ClientTransaction::new(start, &request(method), hop(transport), timers), start)
    }

    fn drain(client: &mut ClientTransaction) -> Vec<String> {
        std::iter::from_fn(|| client.poll())
            .map(|output| match output {
                ClientOutput::Send { bytes, .. } => format!("send {}", first_line(&bytes)),
                ClientOutput::Response(response) => format!("got {}", response.status.code()),
                ClientOutput::TimedOut => "timed out".to_owned(),
                ClientOutput::TransportError => "transport error".to_owned(),
                ClientOutput::Terminated => "terminated".to_owned(),
            })
            .collect()
    }

    /// Lets time pass to the end; each line begins with the milliseconds since `start`.
    fn play(client: &mut ClientTransaction, start: Instant) -> Vec<String> {
        let (mut now, mut lines) = (start, Vec::new());
        loop {
            let at = now.duration_since(start).as_millis();
            lines.extend(drain(client).into_iter().map(|line| format!("{at} {line}")));
            let Some(next) = client.next_timeout() else { return lines };
            now = next;
            client.handle_timeout(now);
        }
    }
}
