//! What the application does: the REST calls that cause what the trace's own side says.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Deaf, Exchange, Request, Told};
use super::courtesy;
use super::player::{Halt, Heard, Player, State};
use super::script::{Cause, Cue, Said, user};
use crate::trace::Protocol;

/// A call of the application.
#[derive(Debug)]
pub(super) struct Call {
    /// The cue that it causes, and the dialog of that.
    pub(super) cue: usize,
    pub(super) dialog: Option<usize>,
    pub(super) what: String,
    /// When it was made.
    pub(super) made: Instant,
    /// Its answer, or why there is none; nothing while it is under way.
    pub(super) result: Option<Result<(u16, Value), String>>,
    /// The dialog whose session the answer names.
    opens: Option<usize>,
}

impl Player<'_> {
    /// Does what causes a message of the bridge; the answer is an event.
    pub(super) async fn cause(&mut self, cue: &Cue, cause: &Cause) -> Result<(), Halt> {
        let dialog = cue.dialog;
        match cause {
            Cause::Invite { user, whom, subject } => self.invite(dialog, (user, whom), subject),
            Cause::Group { user, whom, subject } => self.open_group(dialog, (user, whom), subject),
            Cause::Extend { session, whom } => {
                let url = self.session(*session).await?;
                let all: Vec<Value> = whom.iter().map(|whom| json!({"address": whom})).collect();
                let body = json!({"participantList": {"participant": all}});
                self.call(dialog, Request::post(format!("{url}/extend"), &body), dialog);
            }
            Cause::Rejoin { user, session } => {
                let url = self.session(*session).await?;
                self.add(dialog, &url, user);
                if let Some(dialog) = dialog {
                    self.sessions.insert(dialog, url);
                }
            }
            Cause::Leave => self.leave(cue).await?,
            Cause::Accept => self.accept(cue).await?,
            Cause::Add { whom } => {
                let url = self.session_of(cue).await?;
                self.add(dialog, &url, whom);
            }
            Cause::Remove { whom } => self.remove(cue, whom).await?,
            Cause::Say { text, reports } => {
                let url = self.session_of(cue).await?;
                self.say_text(dialog, &url, text, reports);
            }
            Cause::Compose { state, refresh } => {
                let url = self.session_of(cue).await?;
                let mut body = json!({"isComposing": {"state": state}});
                if let Some(refresh) = refresh {
                    body["isComposing"]["refresh"] = json!(refresh);
                }
                self.call(dialog, Request::post(format!("{url}/messages"), &body), None);
            }
            Cause::Report { message, status } => self.report(cue, message, status).await?,
            Cause::Page { user, whom, text, reports } => {
                self.page(cue, (user, whom), (text, reports)).await?;
            }
        }
        Ok(())
    }

    fn invite(&mut self, dialog: Option<usize>, (user, whom): (&str, &str), subject: &str) {
        let body = json!({"chatSessionInformation": {
            "originatorAddress": user, "tParticipantAddress": whom, "subject": subject,
        }});
        let url = self.api.url(user, "/sessions");
        self.call(dialog, Request::post(url, &body), dialog);
    }

    fn open_group(
        &mut self,
        dialog: Option<usize>,
        (user, whom): (&str, &[String]),
        subject: &str,
    ) {
        let mut all = vec![json!({"address": user})];
        all.extend(whom.iter().map(|whom| json!({"address": whom})));
        let body = json!({"groupChatSessionInformation": {
            "subject": subject, "participant": all,
        }});
        let url = self.api.url(user, "/groupSessions");
        self.call(dialog, Request::post(url, &body), dialog);
    }

    fn add(&mut self, dialog: Option<usize>, session: &str, whom: &str) {
        let body = json!({"participantInformation": {"address": whom}});
        self.call(dialog, Request::post(format!("{session}/participants"), &body), None);
    }

    async fn accept(&mut self, cue: &Cue) -> Result<(), Halt> {
        let Some(url) = self.invitation(cue, "ParticipantSessionStatus").await? else {
            return self.refuse("no invitation was told");
        };
        let body = json!({"participantSessionStatus": {"status": "Connected"}});
        self.call(cue.dialog, Request::post(url, &body), None);
        Ok(())
    }

    async fn remove(&mut self, cue: &Cue, whom: &str) -> Result<(), Halt> {
        let url = self.session_of(cue).await?;
        let list = self.ask_now(Request::get(format!("{url}/participants"))).await?;
        let list = list.body["participantList"]["participant"].clone();
        let of = |entry: &&Value| user(entry["address"].as_str().unwrap_or_default()) == whom;
        let found = list.as_array().and_then(|list| list.iter().find(of));
        let Some(url) = found.and_then(|entry| entry["resourceURL"].as_str()) else {
            return self.refuse(&format!("{whom} is no participant"));
        };
        self.call(cue.dialog, Request::delete(url.to_owned()), None);
        Ok(())
    }

    fn say_text(&mut self, dialog: Option<usize>, url: &str, text: &str, reports: &[&str]) {
        let mut body = json!({"chatMessage": {"text": text}});
        if !reports.is_empty() {
            body["chatMessage"]["reportRequest"] = json!(reports);
        }
        self.call(dialog, Request::post(format!("{url}/messages"), &body), None);
    }

    async fn leave(&mut self, cue: &Cue) -> Result<(), Halt> {
        let invited = self.was_invited(cue);
        let url = if invited {
            let own = self.invitation(cue, "ParticipantInformation").await?;
            match own {
                Some(own) => Some(own),
                None => self.invitation(cue, "ChatSessionInformation").await?,
            }
        } else {
            Some(self.session_of(cue).await?)
        };
        match url {
            Some(url) => {
                self.call(cue.dialog, Request::delete(url), None);
                Ok(())
            }
            None => self.refuse("no invitation was told"),
        }
    }

    /// Reports on the message that came with that id.
    async fn report(&mut self, cue: &Cue, message: &str, status: &str) -> Result<(), Halt> {
        // Messages and the notifications of them have one order.
        let place = self
            .script
            .cues
            .iter()
            .filter(|other| other.ours && other.dialog == cue.dialog && is_text(self, other))
            .position(|other| {
                let bytes = &self.recorded.steps[other.step].bytes;
                super::super::rewrite::imdn_id(bytes).is_some_and(|id| id == message)
            });
        let deadline = Instant::now() + self.manner.pace.timeout;
        let url = self.session_of(cue).await?;
        let of = |player: &Self| {
            let messages = player.told.iter().filter(|(told, _)| {
                told.name == "messageNotification"
                    && !told.value["chatMessage"].is_null()
                    && link(told, "ChatMessage").is_some_and(|it| it.starts_with(&url))
            });
            let (told, _) = messages.clone().nth(place?)?;
            Some((link(told, "ChatMessage")?, told.user.clone()))
        };
        self.until(deadline, |player| of(player).is_some()).await?;
        let Some((message, user)) = of(self) else {
            return self.refuse("the message that it reports on was not told");
        };
        let body = json!({"messageDeliveryStatus": {"status": status, "userId": user}});
        self.call(cue.dialog, Request::post(format!("{message}/status"), &body), None);
        Ok(())
    }

    /// Sends a text for which the API has no call: in a session that the trace does not have.
    async fn page(
        &mut self,
        cue: &Cue,
        (user, whom): (&str, &str),
        (text, reports): (&str, &[&str]),
    ) -> Result<(), Halt> {
        self.accepts = true;
        self.invite(cue.dialog, (user, whom), "Chat");
        let deadline = Instant::now() + self.manner.pace.timeout;
        let invite = |player: &Self| find(player, |heard| heard.kind == "SIP INVITE");
        self.until(deadline, |player| invite(player).is_some()).await?;
        let Some(invite) = invite(self) else { return Err(Halt::Silent { cue: self.cue }) };
        self.heard[invite].state = State::Aside;
        self.accepts = false;
        self.accept_aside(invite).await?;
        let url = self.session_of(cue).await?;
        self.until(deadline, |player| {
            player.told.iter().any(|(told, _)| {
                told.value["eventType"] == "Accepted"
                    && link(told, "ChatSessionInformation").as_deref() == Some(&url)
            })
        })
        .await?;
        self.say_text(cue.dialog, &url, text, reports);
        let sent = |player: &Self| {
            find(player, |heard| {
                heard.kind == "MSRP SEND" && super::super::rewrite::imdn_id(&heard.bytes).is_some()
            })
        };
        self.until(deadline, |player| sent(player).is_some()).await?;
        let Some(sent) = sent(self) else { return Err(Halt::Silent { cue: self.cue }) };
        self.heard[sent].state = State::Aside;
        let live = self.heard[sent].bytes.clone();
        self.names.learn_imdn(&self.recorded.steps[cue.step].bytes, &live);
        self.leave_out(cue, "is said in a session: the API has no message outside of one");
        Ok(())
    }

    /// Accepts an invitation that the trace does not have.
    async fn accept_aside(&mut self, invite: usize) -> Result<(), Halt> {
        let (Some(sip), Some(msrp)) = (self.names.sip, self.names.msrp) else { return Ok(()) };
        let family = if msrp.is_ipv6() { "IP6" } else { "IP4" };
        let (ip, port) = (msrp.ip(), msrp.port());
        let body = format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=message {port} TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
             a=accept-wrapped-types:*\r\na=setup:passive\r\na=path:msrp://{msrp}/aside;tcp\r\n"
        );
        let Heard { bytes, way, .. } = &self.heard[invite];
        let way = *way;
        let contact = format!("<sip:{sip}>");
        let more = "Content-Type: application/sdp\r\n";
        let answer = courtesy::reply(bytes, "200 OK", &contact, more, &body);
        self.send(answer, way, None, Protocol::Sip).await
    }

    /// Makes a call; its answer comes as an event.
    fn call(&mut self, dialog: Option<usize>, request: Request, opens: Option<usize>) {
        let call = self.calls.len();
        let what = format!("{} {}", request.method, path(&request.url));
        self.explain(&format!("the application calls {what}"));
        let made = Instant::now();
        self.calls.push(Call { cue: self.cue, dialog, what, made, result: None, opens });
        let (events, limit) = (self.sender.clone(), self.manner.pace.timeout);
        let pass = self.api.pass.clone();
        tokio::spawn(async move {
            let result = request.send(limit, &pass).await.map_err(|error| error.to_string());
            // Where the run is over, nobody wants to know.
            let _ = events.send(super::wires::Event::Called { call, result }).await;
        });
    }

    /// Makes a call and waits for its answer.
    async fn ask_now(&mut self, request: Request) -> Result<Exchange, Halt> {
        let sent = request.send(self.manner.pace.timeout, &self.api.pass).await;
        sent.map_err(|error| Halt::Gone(format!("{}: {error}", request.url)))
    }

    /// Enters the answer to a call.
    pub(super) fn called(&mut self, call: usize, result: Result<Exchange, String>) {
        let Some(entry) = self.calls.get_mut(call) else { return };
        if let (Some(dialog), Ok(exchange)) = (entry.opens, &result)
            && let Some(location) = &exchange.location
        {
            self.sessions.insert(dialog, location.clone());
        }
        entry.result = Some(result.map(|exchange| (exchange.status, exchange.body)));
    }

    /// Says which call of a cue has failed, if one has.
    pub(super) fn failure(&self, cue: usize) -> Option<String> {
        let mut calls = self.calls.iter().filter(|call| call.cue == cue);
        calls.find_map(|call| match &call.result {
            Some(Err(error)) => Some(format!("{}: {error}", call.what)),
            Some(Ok((status, body))) if *status >= 400 => {
                Some(format!("{} gives {status} {}", call.what, reason(body)))
            }
            Some(Ok(_)) | None => None,
        })
    }

    /// Gives the session of the dialog of a cue.
    async fn session_of(&mut self, cue: &Cue) -> Result<String, Halt> {
        match cue.dialog {
            Some(dialog) => self.session(dialog).await,
            None => Err(Halt::Refused { cue: self.cue, what: "no session is known".to_owned() }),
        }
    }

    async fn session(&mut self, dialog: usize) -> Result<String, Halt> {
        let dialog = self.script.session_of(dialog);
        let deadline = Instant::now() + self.manner.pace.timeout;
        self.until(deadline, |player| {
            player.sessions.contains_key(&dialog)
                || player.invitation_to(dialog, "ChatSessionInformation").is_some()
        })
        .await?;
        if let Some(url) = self.sessions.get(&dialog) {
            return Ok(url.clone());
        }
        match self.invitation_to(dialog, "ChatSessionInformation") {
            Some(url) => {
                self.sessions.insert(dialog, url.clone());
                Ok(url)
            }
            None => Err(Halt::Refused { cue: self.cue, what: "no session came to be".to_owned() }),
        }
    }

    /// Tells whether the dialog of a cue began with an invitation of ours.
    fn was_invited(&self, cue: &Cue) -> bool {
        let dialog = |other: &&Cue| other.dialog == cue.dialog && other.kind == "SIP INVITE";
        self.script.cues.iter().find(dialog).is_some_and(|invite| invite.ours)
    }

    /// Waits for the notification of an invitation, and gives a link of it.
    async fn invitation(&mut self, cue: &Cue, rel: &str) -> Result<Option<String>, Halt> {
        let Some(dialog) = cue.dialog else { return Ok(None) };
        let deadline = Instant::now() + self.manner.pace.timeout;
        let told = |player: &Self| player.invitation_to(dialog, "ChatSessionInformation").is_some();
        self.until(deadline, told).await?;
        if let Some(session) = self.invitation_to(dialog, "ChatSessionInformation") {
            self.sessions.insert(dialog, session);
        }
        Ok(self.invitation_to(dialog, rel))
    }

    /// Finds a link of the invitation that belongs to a dialog of ours: both have one order.
    pub(super) fn invitation_to(&self, dialog: usize, rel: &str) -> Option<String> {
        let ours = self.script.cues.iter().filter(|cue| {
            let begins = match &cue.said {
                Said::Sip(sip) => sip.to.tag.is_empty(),
                Said::Msrp(_) => false,
            };
            cue.ours && cue.kind == "SIP INVITE" && begins
        });
        let place = ours.enumerate().find(|(_, cue)| cue.dialog == Some(dialog))?.0;
        let mut told = self.told.iter().filter(|(told, _)| {
            matches!(
                told.name.as_str(),
                "sessionInvitationNotification" | "groupSessionInvitationNotification"
            )
        });
        let (told, _) = told.nth(place)?;
        match (link(told, rel), rel) {
            (Some(found), _) => Some(found),
            // A group is known by its participants.
            (None, "ChatSessionInformation") => {
                let own = link(told, "ParticipantInformation")?;
                Some(own.split("/participants/").next()?.to_owned())
            }
            (None, _) => None,
        }
    }

    fn refuse(&self, what: &str) -> Result<(), Halt> {
        Err(Halt::Refused { cue: self.cue, what: what.to_owned() })
    }

    /// Lets every user of the script be told of everything.
    pub(super) async fn listen(&mut self) -> Result<(), Halt> {
        for user in &self.script.users {
            let subscribed = self.api.listen(user, self.sender.clone(), &mut self.channels).await;
            subscribed.map_err(|deaf| match deaf {
                Deaf::Refused(what) => Halt::Refused { cue: self.cue, what },
                Deaf::Unreached(why) => Halt::Gone(why),
            })?;
        }
        Ok(())
    }

    /// Leaves nothing behind, and notes what was held back of that: sessions that still run, and, in a bridge that goes on, channels.
    pub(super) async fn tidy(&mut self, goes_on: bool) {
        self.is_over = true;
        let mut left: Vec<String> = self.sessions.values().cloned().collect();
        if goes_on {
            left.append(&mut self.channels);
        }
        for url in left {
            let (request, pass) = (Request::delete(url), self.api.pass.clone());
            tokio::spawn(async move {
                // It may be gone already.
                let _ = request.send(TIDY, &pass).await;
            });
        }
        self.drain(TIDY).await;
    }
}

fn find(player: &Player<'_>, is_it: impl Fn(&Heard) -> bool) -> Option<usize> {
    player.heard.iter().position(|heard| heard.state != State::Claimed && is_it(heard))
}

/// Tells whether a cue of ours is a text, or the first piece of one.
fn is_text(player: &Player<'_>, cue: &Cue) -> bool {
    let Said::Msrp(msrp) = &cue.said else { return false };
    let bytes = &player.recorded.steps[cue.step].bytes;
    let first = super::player::field(bytes, ("Byte-Range", "Byte-Range"));
    msrp.line.method() == Some("SEND")
        && first.is_none_or(|range| range.starts_with("1-"))
        && memchr::memmem::find(bytes, b"text/plain").is_some()
        && memchr::memmem::find(bytes, b"<isComposing").is_none()
        && memchr::memmem::find(bytes, b"<imdn").is_none()
}

/// Gives the target of a link of a notification.
pub(super) fn link(told: &Told, rel: &str) -> Option<String> {
    let links = told.value["link"].as_array()?;
    let link = links.iter().find(|link| link["rel"] == rel)?;
    link["href"].as_str().map(str::to_owned)
}

/// Gives the words of a fault.
fn reason(body: &Value) -> String {
    let fault = &body["requestError"];
    for kind in ["serviceException", "policyException"] {
        if let Some(text) = fault[kind]["text"].as_str() {
            let variables = fault[kind]["variables"].as_array();
            let first = variables.and_then(|all| all.first()?.as_str()).unwrap_or_default();
            return text.replace("%1", first);
        }
    }
    String::new()
}

fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or(rest, |at| &rest[at..])
}

/// How long leaving may take.
const TIDY: Duration = Duration::from_millis(300);
