//! Real sockets for one usage, driven until SIPp is done.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use chatbridge::ids::Random;
use chatbridge::net::{Inbound, SipSettings, SipSockets, bind_sip};
use chatbridge::sip::{
    Credentials, Ended, Errand, Hop, Inquired, Inquiry, InquiryEvent, Kit, Local, Message,
    NameAddr, NoEvent, Notifier, NotifierEvent, Password, Referral, ReferralEvent, Referred,
    Request, Response, Subscriber, SubscriberEvent, Timers, Transport, Uri, UsageInput,
    UsageOutput, reply_hop, stamp_answer,
};
use chatbridge::store::connections::OnFailure;
use tokio::sync::mpsc;
use tokio::time::{Instant as Tick, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::sipp::{self, Sipp};

/// Sockets of ours on a port of their own.
pub(crate) struct Stage {
    sockets: SipSockets,
    transport: Transport,
    failed: (mpsc::UnboundedSender<Hop>, mpsc::UnboundedReceiver<Hop>),
}

/// What the usages have in common.
pub(crate) trait Usage {
    type Event;
    fn handle(&mut self, now: Instant, input: UsageInput);
    fn poll(&mut self) -> Option<UsageOutput<Self::Event>>;
    fn next_timeout(&self) -> Option<Instant>;
    fn tell(event: Self::Event) -> String;
}

macro_rules! usages {
    ($($usage:ident tells $event:ident: $tell:expr,)+) => {$(
        impl Usage for $usage {
            type Event = $event;
            fn handle(&mut self, now: Instant, input: UsageInput) {
                self.handle(now, input);
            }
            fn poll(&mut self) -> Option<UsageOutput<$event>> {
                self.poll()
            }
            fn next_timeout(&self) -> Option<Instant> {
                self.next_timeout()
            }
            fn tell(event: $event) -> String {
                $tell(event)
            }
        }
    )+};
}

usages! {
    Subscriber tells SubscriberEvent: tell_subscriber,
    Notifier tells NotifierEvent: tell_notifier,
    Referral tells ReferralEvent: tell_referral,
    Referred tells NotifierEvent: tell_notifier,
    Inquiry tells InquiryEvent: tell_inquiry,
    Inquired tells NoEvent: |event: NoEvent| match event {},
}

pub(crate) fn now() -> Instant {
    Tick::now().into_std()
}

impl Stage {
    /// Binds sockets, if there is a SIPp to talk to.
    pub(crate) async fn open(transport: Transport) -> Option<Self> {
        if !sipp::is_there() {
            return None;
        }
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let sockets = bind_sip(listen, SipSettings::default(), stop, tasks).await.unwrap();
        Some(Self { sockets, transport, failed: mpsc::unbounded_channel() })
    }

    pub(crate) fn kit(&self) -> Kit {
        let hop = Hop::new(self.transport, "127.0.0.1", self.sockets.local.port());
        let mut local = Local::new(hop, "bridge/1");
        local.contact_params = ";+g.oma.sip-im".to_owned();
        local.events = vec!["conference".to_owned()];
        local.credentials = Some(Credentials {
            username: "alice".to_owned(),
            password: Password::Text("secret".to_owned()),
            realms: vec!["example.com".to_owned()],
        });
        Kit { local: local.into(), timers: Timers::default(), random: Random::seeded(1) }
    }

    /// Lets SIPp wait for what we send; gives where that goes.
    pub(crate) fn called(&self, scenario: &str) -> (Sipp, Errand) {
        let port = free_port();
        let sipp = Sipp::start(scenario, self.sipp_transport(), port, self.sockets.local);
        let address = |text: &str| NameAddr::parse(text).unwrap();
        let errand = Errand {
            target: Uri::parse("sip:room@example.com").unwrap(),
            from: address("\"Alice\" <sip:alice@example.com>"),
            to: address("<sip:room@example.com>"),
            next_hops: vec![Hop::new(self.transport, "127.0.0.1", port)],
            proxy: None,
            route: Vec::new(),
            headers: Vec::new(),
            contact_user: Some("alice".to_owned()),
            contact_params: String::new(),
        };
        (sipp, errand)
    }

    /// Lets SIPp send to us.
    pub(crate) fn calls(&self, scenario: &str) -> Sipp {
        Sipp::start(scenario, self.sipp_transport(), free_port(), self.sockets.local)
    }

    /// Takes the first request that SIPp sends.
    pub(crate) async fn request(&mut self, sipp: &mut Sipp) -> (Request, Hop) {
        let Inbound { message, source } = tokio::select! {
            biased;
            inbound = self.sockets.inbound.recv() => inbound.unwrap(),
            () = sipp.end() => panic!("SIPp has ended and asked nothing"),
        };
        let Message::Request(request) = message else { panic!("{message:?}") };
        (request, source)
    }

    /// Drives a usage until SIPp is done and so many `lines` are told, and gives them; `act` may act
    /// upon each line.
    ///
    /// What SIPp sends last may lie in a socket still when SIPp is gone already.
    pub(crate) async fn play<U: Usage>(
        &mut self,
        usage: &mut U,
        (mut sipp, lines): (Sipp, usize),
        mut act: impl FnMut(&mut U, &str),
    ) -> Vec<String> {
        let (mut told, mut patience) = (Vec::new(), None);
        loop {
            while let Some(output) = usage.poll() {
                match output {
                    UsageOutput::Send { bytes, hop } => {
                        let (failed, to) = (self.failed.0.clone(), hop.clone());
                        let tell = OnFailure::new(move || drop(failed.send(to)));
                        self.sockets.outbound.send(bytes, &hop, tell);
                    }
                    UsageOutput::Spare { .. } => {}
                    UsageOutput::Event(event) => {
                        let line = U::tell(event);
                        act(usage, &line);
                        told.push(line);
                    }
                }
            }
            if patience.is_some() && told.len() >= lines {
                return told;
            }
            let deadline = usage.next_timeout().map(Tick::from_std);
            let until = async |instant: Option<Tick>| match instant {
                Some(instant) => sleep_until(instant).await,
                None => pending().await,
            };
            let input = tokio::select! {
                // What has come goes before the end of who has sent it.
                biased;
                Some(Inbound { message, source }) = self.sockets.inbound.recv() => {
                    UsageInput::Message { message, source }
                }
                Some(hop) = self.failed.1.recv() => UsageInput::TransportFailed { hop },
                () = until(deadline) => UsageInput::Timeout,
                () = sipp.end(), if patience.is_none() => {
                    patience = Some(Tick::now() + PATIENCE);
                    continue;
                }
                () = until(patience) => return told,
            };
            usage.handle(now(), input);
        }
    }

    /// Answers every request until SIPp is done.
    pub(crate) async fn serve(
        &mut self,
        mut sipp: Sipp,
        answer: impl Fn(&Request) -> Option<Response>,
    ) {
        loop {
            let (message, source) = tokio::select! {
                biased;
                Some(Inbound { message, source }) = self.sockets.inbound.recv() => (message, source),
                () = sipp.end() => return,
            };
            let Message::Request(request) = message else { panic!("{message:?}") };
            if let Some(mut answer) = answer(&request) {
                stamp_answer(&mut answer, &source);
                let hop = reply_hop(&answer.via().unwrap(), &source);
                self.sockets.outbound.send(answer.encode(), &hop, OnFailure::ignore());
            }
        }
    }

    fn sipp_transport(&self) -> &'static str {
        match self.transport {
            Transport::Udp => "u1",
            Transport::Tcp | Transport::Tls => "t1",
        }
    }
}

/// How long what SIPp has sent may take when SIPp is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds a port that nobody uses, under UDP or TCP.
///
/// Ports that the system chooses are of no use here: it may give them away again, as the source of
/// a connection, before SIPp has taken them.
fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Below the ports that systems choose; processes begin apart from each other.
    let first = std::process::id().wrapping_mul(64);
    let free = |_| {
        let step = u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + first.wrapping_add(step) % 20_000).unwrap();
        let place = (Ipv4Addr::LOCALHOST, port);
        (UdpSocket::bind(place).is_ok() && TcpListener::bind(place).is_ok()).then_some(port)
    };
    (0..1000).find_map(free).expect("a free port")
}

fn tell_subscriber(event: SubscriberEvent) -> String {
    match event {
        SubscriberEvent::Accepted { response } => format!("Accepted {}", response.status.code()),
        SubscriberEvent::Failed { why, .. } => format!("Failed {why:?}"),
        SubscriberEvent::Notified { state, body: Some(body), .. } => {
            format!("Notified {state}: {}", String::from_utf8_lossy(&body.bytes).trim_end())
        }
        SubscriberEvent::Notified { state, body: None, .. } => format!("Notified {state}"),
        SubscriberEvent::Ended { why: Ended::ByNotifier(ending), .. } => {
            format!("Ended {}", ending.reason.map_or(String::new(), |it| it.as_str().to_owned()))
        }
        SubscriberEvent::Ended { why, .. } => format!("Ended {why:?}"),
    }
}

fn tell_notifier(event: NotifierEvent) -> String {
    match event {
        NotifierEvent::Ended(why) => format!("Ended {why:?}"),
        NotifierEvent::Refused(status) => format!("Refused {}", status.code()),
        NotifierEvent::Asked => "Asked".to_owned(),
        NotifierEvent::Refreshed => "Refreshed".to_owned(),
    }
}

fn tell_referral(event: ReferralEvent) -> String {
    match event {
        ReferralEvent::Accepted { .. } => "Accepted".to_owned(),
        ReferralEvent::Refused(why) => format!("Refused {why:?}"),
        ReferralEvent::Progress(status) => format!("Progress {}", status.code()),
        ReferralEvent::Ended { last } => {
            format!("Ended {}", last.map_or(0, |status| status.code()))
        }
    }
}

fn tell_inquiry(event: InquiryEvent) -> String {
    match event {
        InquiryEvent::Answered { response } => format!("Answered {}", response.status.code()),
        InquiryEvent::Failed { why } => format!("Failed {why:?}"),
    }
}
