//! What is ours to say: recorded messages, rewritten, on the way that they have to go.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::rewrite;
use super::super::said::Msrp;
use super::fence::another;
use super::matching::is_final;
use super::player::{Halt, Player, Resend, acknowledgement, transaction};
use super::script::{Cue, Said, understand};
use super::wires::Way;
use crate::trace::{Protocol, Transport};

impl Player<'_> {
    /// Sends a message of ours.
    pub(super) async fn say(&mut self, cue: &Cue) -> Result<(), Halt> {
        match &cue.said {
            Said::Sip(sip) if sip.line_is_answer() => self.answer(cue).await,
            Said::Sip(_) => self.ask(cue).await,
            Said::Msrp(msrp) => self.say_frame(cue, msrp).await,
        }
    }

    async fn answer(&mut self, cue: &Cue) -> Result<(), Halt> {
        let Some(index) = self.asked(cue) else {
            self.leave_out(cue, "is left out, for what it answers did not come");
            return Ok(());
        };
        let asked = &self.heard[index];
        let (way, source) = (asked.way, asked.source);
        let recorded = &self.recorded.steps[cue.step].bytes;
        let rewritten = rewrite::answer(recorded, &asked.bytes, source, &self.names);
        let bytes = Bytes::from(rewritten.bytes);
        if let Said::Sip(sip) = &asked.said {
            self.answered.insert(transaction(sip), bytes.clone());
            if sip.method() == "INVITE" && is_final(&cue.kind) {
                self.repeat(format!("ack {}", sip.call_id), &bytes, way);
            }
        }
        self.send(bytes, way, Some(cue.step), Protocol::Sip).await?;
        self.explain_sent(cue, &rewritten.changes);
        Ok(())
    }

    async fn ask(&mut self, cue: &Cue) -> Result<(), Halt> {
        if cue.kind == "SIP CANCEL" && !self.manner.raw {
            self.hear_of_invitation(cue).await?;
        }
        let recorded = self.recorded.steps[cue.step].bytes.clone();
        let rewritten = rewrite::request(&recorded, &mut self.names);
        let bytes = Bytes::from(rewritten.bytes);
        let Some(bridge) = self.names.bridge else {
            return Err(Halt::Gone("it is not known where the bridge takes SIP: --sip".to_owned()));
        };
        let way = match self.recorded.steps[cue.step].dialog {
            Some(dialog) if self.recorded.dialogs[dialog].transport != Transport::Udp => {
                self.stream_to(bridge).await?
            }
            Some(_) | None => Way::Datagram(bridge),
        };
        if let Said::Sip(sip) = understand(Protocol::Sip, &bytes) {
            match sip.method() {
                "ACK" if self.acknowledged.len() < MAX_RESENDS => {
                    self.acknowledged.insert(acknowledgement(&sip), bytes.clone());
                }
                "ACK" => {}
                _ => self.repeat(format!("branch {}", sip.branch), &bytes, way),
            }
        }
        self.send(bytes, way, Some(cue.step), Protocol::Sip).await?;
        self.explain_sent(cue, &rewritten.changes);
        Ok(())
    }

    /// Waits for an answer to the INVITE, before which no CANCEL may be sent (RFC 3261 section 9.1).
    async fn hear_of_invitation(&mut self, cue: &Cue) -> Result<(), Halt> {
        let Said::Sip(cancel) = &cue.said else { return Ok(()) };
        let deadline = Instant::now() + self.manner.pace.timeout;
        let answered = |player: &Self| {
            let call = player.names.known_call(&cancel.call_id);
            player.heard.iter().any(|heard| match &heard.said {
                Said::Sip(sip) => {
                    sip.line_is_answer() && sip.method() == "INVITE" && call == Some(&sip.call_id)
                }
                Said::Msrp(_) => false,
            })
        };
        match self.until(deadline, answered).await? {
            true => Ok(()),
            false => Err(Halt::Silent { cue: self.cue }),
        }
    }

    async fn stream_to(&mut self, bridge: SocketAddr) -> Result<Way, Halt> {
        let key = bridge.to_string();
        if let Some(stream) = self.connections.get(&key) {
            return Ok(Way::Stream(*stream));
        }
        let limit = self.manner.pace.timeout;
        let opened = self.wires.connect(bridge, limit).await;
        let stream = opened.map_err(|error| Halt::Gone(format!("{bridge}: {error}")))?;
        self.connections.insert(key, stream);
        Ok(Way::Stream(stream))
    }

    async fn say_frame(&mut self, cue: &Cue, msrp: &Msrp) -> Result<(), Halt> {
        let mut asked = None;
        if msrp.line.method().is_none() {
            let Some(index) = self.asked(cue) else {
                self.leave_out(cue, "is left out, for what it answers did not come");
                return Ok(());
            };
            if let Said::Msrp(frame) = &self.heard[index].said {
                asked = Some(frame.transaction.clone());
            }
        }
        let Some(session) = self.names.session(&msrp.to).map(str::to_owned) else {
            self.leave_out(cue, "is left out, for its session did not come to be");
            return Ok(());
        };
        let way = self.connection(cue, &session, msrp).await?;
        let recorded = &self.recorded.steps[cue.step].bytes;
        let rewritten = rewrite::frame(recorded, asked.as_deref(), &self.names);
        self.send(rewritten.bytes.into(), way, Some(cue.step), Protocol::Msrp).await?;
        self.explain_sent(cue, &rewritten.changes);
        Ok(())
    }

    /// Finds the stream of an MSRP session; where it is for us to connect, this is when.
    async fn connection(&mut self, cue: &Cue, session: &str, msrp: &Msrp) -> Result<Way, Halt> {
        let deadline = Instant::now() + self.manner.pace.timeout;
        loop {
            if let Some(stream) = self.connections.get(session) {
                return Ok(Way::Stream(*stream));
            }
            if self.is_for_us_to_connect(cue, session)
                && let Some(to) = self.names.path_of(&msrp.to).and_then(authority)
            {
                if !self.api.pass.fence.permits(to.ip()) {
                    return Err(Halt::Gone(format!("MSRP at {to}: {}", another(to.ip()))));
                }
                let opened = self.wires.connect(to, self.manner.pace.timeout).await;
                let stream =
                    opened.map_err(|error| Halt::Gone(format!("MSRP at {to}: {error}")))?;
                self.connections.insert(session.to_owned(), stream);
                return Ok(Way::Stream(stream));
            }
            if Instant::now() >= deadline {
                return Err(Halt::Silent { cue: self.cue });
            }
            self.step(deadline).await?;
        }
    }

    /// Tells who connects, as `a=setup` has it (RFC 6135 section 4.2): we do where our side was
    /// active, or the bridge is passive.
    fn is_for_us_to_connect(&self, cue: &Cue, session: &str) -> bool {
        let has =
            |bytes: &[u8], words: &str| memchr::memmem::find(bytes, words.as_bytes()).is_some();
        let ours = self.script.cues.iter().any(|other| {
            other.ours
                && other.dialog == cue.dialog
                && has(&self.recorded.steps[other.step].bytes, "a=setup:active")
        });
        ours || self.heard.iter().any(|heard| {
            matches!(heard.said, Said::Sip(_))
                && has(&heard.bytes, session)
                && has(&heard.bytes, "a=setup:passive")
        })
    }

    fn repeat(&mut self, key: String, bytes: &Bytes, way: Way) {
        // A stream loses nothing (RFC 3261 section 17.1.1.2).
        let is_wanted = matches!(way, Way::Datagram(_)) && !self.manner.raw;
        if is_wanted && self.resends.len() < MAX_RESENDS {
            self.resends.retain(|resend| resend.key != key);
            let pause = self.manner.pace.t1;
            let next = Instant::now() + pause;
            self.resends.push(Resend { key, bytes: bytes.clone(), way, next, pause });
        }
    }
}

/// Gives the address in an MSRP URI, where it is one.
fn authority(path: &str) -> Option<SocketAddr> {
    let (_, rest) = path.split_once("://")?;
    rest.split('/').next()?.parse().ok()
}

const MAX_RESENDS: usize = 1000;
