//! A telephone: one leg on the sockets of one element.

use std::future::pending;
use std::time::Instant;

use bytes::Bytes;
use chatbridge::ids::Random;
use chatbridge::net::{Inbound, SipSettings};
use chatbridge::sip::{
    Body, Call, Hop, Kit, Leg, LegEvent, LegInput, LegOutput, Local, Message, NameAddr, Timers,
    Transport, Uri,
};
use chatbridge::store::connections::OnFailure;
use tokio::sync::mpsc;
use tokio::time::{Instant as Tick, sleep_until};

use crate::element::{Element, soon};

pub(crate) struct Phone {
    pub(crate) element: Element,
    transport: Transport,
    leg: Option<Leg>,
    failed: (mpsc::Sender<Hop>, mpsc::Receiver<Hop>),
    /// Where requests have come from.
    pub(crate) sources: Vec<Hop>,
}

impl Phone {
    pub(crate) async fn new(settings: SipSettings, transport: Transport) -> Self {
        let element = Element::new(settings).await;
        let (failed, sources) = (mpsc::channel(8), Vec::new());
        Self { element, transport, leg: None, failed, sources }
    }

    /// Where it is reached.
    pub(crate) fn hop(&self) -> Hop {
        self.element.hop(self.transport)
    }

    pub(crate) fn leg(&mut self) -> &mut Leg {
        self.leg.as_mut().expect("there is a call")
    }

    /// Calls whoever is at `hop`.
    pub(crate) fn call(&mut self, hop: Hop) {
        let name = |text| NameAddr::parse(text).unwrap();
        let call = Call {
            target: Uri::parse("sip:bob@b.example").unwrap(),
            from: name("<sip:alice@a.example>"),
            to: name("<sip:bob@b.example>"),
            next_hops: vec![hop],
            proxy: None,
            route: Vec::new(),
            orig: false,
            letter: None,
            headers: Vec::new(),
            contact_user: Some("alice".to_owned()),
            contact_params: String::new(),
            body: body(),
        };
        self.leg = Some(Leg::call(now(), call, self.kit()));
        self.carry_out();
    }

    /// Waits for an invitation and accepts it.
    pub(crate) async fn accept(&mut self) {
        let (invite, source) = self.element.request().await;
        self.sources.push(source.clone());
        let mut leg = Leg::answering(now(), invite, source, self.kit());
        leg.accept(now(), body());
        self.leg = Some(leg);
        self.carry_out();
    }

    pub(crate) fn hang_up(&mut self) {
        self.leg().bye(now(), None);
        self.carry_out();
    }

    /// Lives until the next event that is more than progress.
    pub(crate) async fn event(&mut self) -> LegEvent {
        loop {
            match self.carry_out() {
                Some(LegEvent::Progress(_)) => continue,
                Some(event) => return event,
                None => {}
            }
            let due = self.leg().next_timeout().map(Tick::from_std);
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            let input = soon(async {
                tokio::select! {
                    Some(Inbound { message, source }) = self.element.sockets.inbound.recv() => {
                        if matches!(message, Message::Request(_)) {
                            self.sources.push(source.clone());
                        }
                        LegInput::Message { message, source }
                    }
                    Some(hop) = self.failed.1.recv() => LegInput::TransportFailed { hop },
                    () = timer => LegInput::Timeout,
                }
            });
            let input = input.await;
            self.leg().handle(now(), input);
        }
    }

    /// Carries out wishes up to the next event.
    fn carry_out(&mut self) -> Option<LegEvent> {
        while let Some(output) = self.leg.as_mut().and_then(Leg::poll) {
            match output {
                LegOutput::Send { bytes, hop } => {
                    let (failed, to) = (self.failed.0.clone(), hop.clone());
                    let tell = OnFailure::new(move || drop(failed.try_send(to)));
                    self.element.outbound().send(bytes, &hop, tell);
                }
                LegOutput::Spare { .. } => panic!("nobody is overloaded"),
                LegOutput::Event(event) => return Some(event),
            }
        }
        None
    }

    fn kit(&self) -> Kit {
        let place = Hop { transport: self.transport, ..self.element.hop(Transport::Udp) };
        let mut local = Local::new(place, "phone/1");
        local.tls_port = self.element.sockets.tls.map(|tls| tls.port());
        let random = Random::seeded(self.element.sockets.local.port().into());
        Kit { local: local.into(), timers: Timers::default(), random }
    }
}

fn body() -> Body {
    Body { content_type: "application/sdp".to_owned(), bytes: Bytes::from_static(b"v=0\r\n") }
}

fn now() -> Instant {
    Tick::now().into_std()
}
