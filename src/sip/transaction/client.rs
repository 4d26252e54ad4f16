//! The client side of a transaction: repeats the request, takes the responses, ACKs refusals.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::TransactionKey;
use crate::sip::timers::{Deadlines, Timer, Timers};
use crate::sip::{Headers, Hop, Method, Request, Response, Transport, readdress};

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
    /// Sends `request`, whose top Via is already ours, to `hop`, however large it is.
    #[must_use]
    pub fn new(now: Instant, request: &Request, hop: Hop, timers: Timers) -> Self {
        Self::fitting(now, request, hop, (timers, 0))
    }

    /// Sends `request` to `hop`; one that is larger than `datagram` bytes goes by TCP though the hop
    /// says UDP, and its Via says so (RFC 3261 section 18.1.1). Where the connection fails before
    /// any response, UDP has its turn after all. With a `datagram` of `0` every request fits.
    #[must_use]
    pub fn fitting(
        now: Instant,
        request: &Request,
        hop: Hop,
        (timers, datagram): (Timers, usize),
    ) -> Self {
        let key = TransactionKey::client(request);
        let (deadlines, outputs) = (Deadlines::default(), VecDeque::new());
        let mut desk = Desk { hop, timers, deadlines, outputs, spare: None };
        let bytes = request.encode();
        let is_too_large = datagram > 0 && bytes.len() > datagram;
        let machine = if is_too_large && desk.hop.transport == Transport::Udp {
            let mut streamed = request.clone();
            readdress(&mut streamed.headers, Transport::Tcp);
            desk.hop.transport = Transport::Tcp;
            desk.spare = Some(Box::new(request.clone()));
            Machine::start(now, &streamed, streamed.encode(), &mut desk)
        } else {
            Machine::start(now, request, bytes, &mut desk)
        };
        Self { key, machine, desk }
    }

    /// Takes a response whose [`TransactionKey::of_response`] is [`Self::key`].
    pub fn handle_response(&mut self, now: Instant, response: Response) {
        self.desk.spare = None;
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
    pub fn handle_transport_error(&mut self, now: Instant) {
        if let Some(request) = self.desk.spare.take() {
            self.desk.hop.transport = Transport::Udp;
            self.desk.deadlines.stop_all();
            self.machine = Machine::start(now, &request, request.encode(), &mut self.desk);
            return;
        }
        self.machine = match self.take_machine() {
            Machine::Invite(state) => Machine::Invite(state.handle_transport_error(&mut self.desk)),
            Machine::NonInvite(state) => {
                Machine::NonInvite(state.handle_transport_error(&mut self.desk))
            }
        };
    }

    /// Gives the next wish or report.
    pub fn poll(&mut self) -> Option<ClientOutput> {
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

    /// Gives the name by which responses are matched.
    #[must_use]
    pub fn key(&self) -> &TransactionKey {
        &self.key
    }

    /// Gives where the request went, by the transport that it went by.
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

impl Machine {
    fn start(now: Instant, request: &Request, bytes: Bytes, desk: &mut Desk) -> Self {
        if request.method == Method::Invite {
            Self::Invite(InviteClient::start(now, request, bytes, desk))
        } else {
            Self::NonInvite(NonInviteClient::start(now, bytes, desk))
        }
    }
}

/// What both machines write on.
#[derive(Debug)]
struct Desk {
    hop: Hop,
    timers: Timers,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<ClientOutput>,
    /// The request as a datagram, as long as it may have to go as one though it is too large.
    spare: Option<Box<Request>>,
}

impl Desk {
    fn send(&mut self, bytes: Bytes) {
        self.outputs.push_back(ClientOutput::Send { bytes, hop: self.hop.clone() });
    }

    fn report(&mut self, output: ClientOutput) {
        self.outputs.push_back(output);
    }

    fn terminate(&mut self) {
        self.spare = None;
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
    fn start(now: Instant, request: &Request, bytes: Bytes, desk: &mut Desk) -> Self {
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
    fn start(now: Instant, bytes: Bytes, desk: &mut Desk) -> Self {
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
    let mut headers = Headers::with_room(8, 384);
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
    use crate::sip::Transport::{Tcp, Udp};

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
        invite.handle_transport_error(start);
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
        bye.handle_transport_error(start);
        assert_eq!(play(&mut bye, start), ["0 got 200", "5000 terminated"]);
    }

    #[test]
    fn a_transport_error_ends_what_waits() {
        for method in ["INVITE", "BYE"] {
            let (mut client, start) = begin(method, Tcp);
            drain(&mut client);
            client.handle_transport_error(start);
            client.handle_transport_error(start);
            assert_eq!(drain(&mut client), ["transport error", "terminated"]);
            assert_eq!(client.next_timeout(), None);
        }
    }

    #[test]
    fn what_is_too_large_for_a_datagram_goes_by_tcp_and_its_via_says_so() {
        for method in ["INVITE", "MESSAGE"] {
            let (mut client, start) = begin_large(method);
            assert_eq!(ways(&mut client), ["tcp SIP/2.0/TCP"], "{method}");
            assert_eq!(client.hop().transport, Tcp);
            client.handle_timeout(start + Duration::from_secs(2));
            assert_eq!(ways(&mut client), [""; 0], "nothing is repeated on a stream");
            // Once somebody has answered, a dead connection is a failure like any other.
            client.handle_response(start, response(100, method));
            client.handle_transport_error(start);
            assert_eq!(client.poll(), Some(ClientOutput::Response(response(100, method))));
            assert_eq!(drain(&mut client), ["transport error", "terminated"]);
        }
    }

    #[test]
    fn where_tcp_fails_the_datagram_goes_after_all() {
        for method in ["INVITE", "MESSAGE"] {
            let (mut client, start) = begin_large(method);
            let key = client.key().clone();
            assert_eq!(ways(&mut client), ["tcp SIP/2.0/TCP"]);
            client.handle_transport_error(start);
            assert_eq!(ways(&mut client), ["udp SIP/2.0/UDP"], "{method}");
            assert_eq!((client.hop().transport, client.key()), (Udp, &key));
            client.handle_timeout(start + Duration::from_millis(500));
            assert_eq!(ways(&mut client), ["udp SIP/2.0/UDP"]);
            client.handle_transport_error(start);
            assert_eq!(drain(&mut client), ["transport error", "terminated"]);
        }
    }

    #[test]
    fn the_ack_of_a_refusal_goes_the_way_of_its_invite() {
        for falls_back in [false, true] {
            let (mut client, start) = begin_large("INVITE");
            drain(&mut client);
            if falls_back {
                client.handle_transport_error(start);
                drain(&mut client);
            }
            client.handle_response(start, response(486, "INVITE"));
            let way = if falls_back { "udp SIP/2.0/UDP" } else { "tcp SIP/2.0/TCP" };
            assert_eq!(ways(&mut client), [way]);
        }
    }

    #[test]
    fn a_request_that_fits_or_whose_limit_is_off_stays_a_datagram() {
        let (start, request) = (Instant::now(), request("INVITE"));
        let size = request.encode().len();
        for (limit, transport) in [(size, Udp), (size - 1, Tcp), (0, Udp)] {
            let timers = (Timers::default(), limit);
            let client = ClientTransaction::fitting(start, &request, hop(Udp), timers);
            assert_eq!(client.hop().transport, transport, "{limit}");
        }
    }

    fn begin_large(method: &str) -> (ClientTransaction, Instant) {
        let start = Instant::now();
        let timers = (Timers::default(), 10);
        (ClientTransaction::fitting(start, &request(method), hop(Udp), timers), start)
    }

    /// The transport and the Via of everything that is sent.
    fn ways(client: &mut ClientTransaction) -> Vec<String> {
        let mut ways = Vec::new();
        while let Some(output) = client.poll() {
            if let ClientOutput::Send { bytes, hop } = output {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let via = text.split("Via: ").nth(1).and_then(|via| via.split(' ').next());
                ways.push(format!("{} {}", hop.transport, via.unwrap_or_default()));
            }
        }
        ways
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
