//! A stage for the tests of the resources: the whole face before sessions that are played.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpMessage, web};
use tokio::sync::{Semaphore, mpsc};

use super::{AnyCallback, Door, DoorSettings, Face, Poller, Readiness, Settings, configure};
use crate::access::Gate;
use crate::address::Address;
use crate::chat::{
    Answer, Command, Extended, GroupInvitation, GroupRules, GroupSession, GroupStep, Party,
    Refusal, Role, Session, SessionKind,
};
use crate::ids::{Random, SessionId};
use crate::store::{
    Bounds, ChannelSettings, Channels, CorrelatorLimits, Correlators, Inbox, Keeper, Letter,
    Opening, Sessions, Start, SubscriptionLimits, Subscriptions, Ticket,
};

/// The user in whose name the tests act, as a path.
pub(super) const ALICE: &str = "/1/chat/tel%3A%2B19585550100";

/// The face, and what the played sessions have heard.
pub(super) struct Stage {
    pub(super) face: web::Data<Face>,
    heard: Arc<Mutex<Vec<String>>>,
}

/// A response as a client sees it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: actix_web::http::header::HeaderMap,
    pub(super) body: String,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// Sets the stage; its sessions connect to nobody and do what the rules of `chat` allow.
    pub(super) fn with(settings: Settings) -> Self {
        Self::limited(settings, SubscriptionLimits::default())
    }

    pub(super) fn limited(settings: Settings, limits: SubscriptionLimits) -> Self {
        let door = Door::new(Gate::Open, DoorSettings::default());
        Self::whole((settings, limits), (door, Readiness::default()))
    }

    /// Sets a stage that is not ready.
    pub(super) fn unready(readiness: Readiness) -> Self {
        let door = Door::new(Gate::Open, DoorSettings::default());
        Self::whole((Settings::default(), SubscriptionLimits::default()), (door, readiness))
    }

    /// Sets a stage behind a door.
    pub(super) fn behind(gate: Gate, settings: DoorSettings) -> Self {
        let door = Door::new(gate, settings);
        let limits = SubscriptionLimits::default();
        Self::whole((Settings::default(), limits), (door, Readiness::default()))
    }

    fn whole(
        (settings, limits): (Settings, SubscriptionLimits),
        (door, readiness): (Door, Readiness),
    ) -> Self {
        let keeper = Keeper::in_memory(std::time::Instant::now());
        let channels = Channels::new(ChannelSettings::default(), Random::seeded(2), keeper.clone());
        let correlators = Correlators::new(CorrelatorLimits::default(), keeper.clone());
        let bounds = Bounds { answer_wait: Duration::from_millis(200), ..Bounds::default() };
        let (sessions, starts) = Sessions::new(bounds);
        let face = web::Data::new(Face {
            sessions: Arc::new(sessions),
            subscriptions: Arc::new(Subscriptions::new(limits)),
            channels: Arc::new(channels),
            correlators: Arc::new(correlators),
            keeper,
            callback_policy: Arc::new(AnyCallback),
            random: Mutex::new(Random::seeded(1)),
            door,
            readiness,
            polls: Semaphore::new(100),
            settings,
        });
        let heard = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(play_starts(Arc::clone(&face.sessions), starts, Arc::clone(&heard)));
        Self { face, heard }
    }

    /// Lets Bob invite Alice to the session `id`.
    pub(super) fn invite_alice(&self, id: &str) {
        let (bob, alice) = (party("tel:+19585550101"), party("tel:+19585550100"));
        let owner = alice.address.clone();
        let session = Session::new(Role::Terminating, "Hi".into(), bob, alice);
        play(&self.face.sessions, (SessionId::new(id), owner), session, Arc::clone(&self.heard));
    }

    /// Gives the commands that the sessions have got since the last call.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    pub(super) async fn get(&self, path: &str) -> Seen {
        self.send(TestRequest::get().uri(path)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Seen {
        self.send(TestRequest::delete().uri(path)).await
    }

    pub(super) async fn post(&self, path: &str, (kind, body): (&str, &str)) -> Seen {
        let kind = ("content-type", format!("application/{kind}"));
        self.send(TestRequest::post().uri(path).insert_header(kind).set_payload(body.to_owned()))
            .await
    }

    /// Sends a request with a method alone.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Seen {
        self.send(TestRequest::default().method(method).uri(path)).await
    }

    pub(super) async fn send(&self, request: TestRequest) -> Seen {
        self.send_from(Poller::default(), request).await
    }

    /// Sends a request of a client of which something is known.
    pub(super) async fn send_from(&self, poller: Poller, request: TestRequest) -> Seen {
        let app = init_service(App::new().configure(configure(self.face.clone()))).await;
        let request = request.insert_header(("host", "example.com"));
        let request = request.to_request();
        request.extensions_mut().insert(poller);
        let response = call_service(&app, request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        Seen { status: status.as_u16(), headers, body }
    }
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Demands a status and that the body holds each of the texts.
    pub(super) fn shows(&self, status: u16, texts: &[&str]) -> &Self {
        assert_eq!(self.status, status, "{}", self.body);
        for text in texts {
            assert!(self.body.contains(text), "no {text} in {}", self.body);
        }
        self
    }
}

/// Starts a played session for every invitation, except to those who cannot be reached.
async fn play_starts(
    sessions: Arc<Sessions>,
    mut starts: mpsc::Receiver<Start>,
    heard: Arc<Mutex<Vec<String>>>,
) {
    while let Some(Start { opening, reply }) = starts.recv().await {
        let invitation = match opening {
            Opening::Pair(invitation) => *invitation,
            Opening::Group(invitation) => {
                heard.lock().unwrap().push(told_of(&invitation));
                let _ = reply.send(Ticket::new(play_group(&sessions, *invitation, &heard)).0);
                continue;
            }
        };
        let to = invitation.terminating.address.clone();
        heard.lock().unwrap().push(format!("Invite {to} {:?}", invitation.subject));
        let outcome = if to.key().ends_with("invalid") {
            Err(Refusal::BadAddress { address: to.to_string(), why: "a reachable address" })
        } else {
            let session = Session::new(
                Role::Originator,
                invitation.subject,
                invitation.originator,
                invitation.terminating,
            );
            let owner = (invitation.session, invitation.user);
            play(&sessions, owner, session, Arc::clone(&heard));
            Ok(())
        };
        let _ = reply.send(Ticket::new(outcome).0);
    }
}

/// Plays a session: it follows the rules, and a peer named `…9` accepts at once.
fn play(
    sessions: &Sessions,
    (id, owner): (SessionId, Address),
    mut session: Session,
    heard: Arc<Mutex<Vec<String>>>,
) {
    let (inbox, mut letters) = Inbox::new(4);
    sessions.enter(id, (SessionKind::Pair, owner), inbox);
    if session.role() == Role::Originator && session.other().address.key().ends_with('9') {
        session.peer_accepted();
    }
    tokio::spawn(async move {
        while let Some(letter) = letters.recv().await {
            if let Letter::Command { command, reply } = letter {
                heard.lock().unwrap().push(told(&command));
                let _ = reply.send(Ticket::new(obey(&mut session, command)).0);
            }
        }
    });
}

/// Plays a group: it follows the rules, the focus has let it in, and does what it is told.
fn play_group(
    sessions: &Sessions,
    invitation: GroupInvitation,
    heard: &Arc<Mutex<Vec<String>>>,
) -> Result<(), Refusal> {
    let rules = GroupRules { participants: 4, ends_with_originator: false };
    let mut group = GroupSession::originate(&invitation, rules, Random::seeded(1))?;
    group.focus_accepted();
    let GroupInvitation { session, user, .. } = invitation;
    let (inbox, mut letters) = Inbox::new(4);
    sessions.enter(session, (SessionKind::Group, user.clone()), inbox);
    let heard = Arc::clone(heard);
    tokio::spawn(async move {
        while let Some(letter) = letters.recv().await {
            if let Letter::Command { command, reply } = letter {
                heard.lock().unwrap().push(told(&command));
                let answer = obey_as_group(&mut group, &user, command);
                let _ = reply.send(Ticket::new(answer).0);
            }
        }
    });
    Ok(())
}

fn obey_as_group(
    group: &mut GroupSession,
    user: &Address,
    command: Command,
) -> Result<Answer, Refusal> {
    let step = match command {
        Command::End => group.end()?,
        Command::Part(id) => group.part(&id)?,
        Command::AcceptAs(id) => group.accept(&id)?,
        Command::DeclineAs(id) => group.decline(&id)?,
        Command::Join(newcomers) => group.join(newcomers, &|address| address == user)?,
        Command::Describe => {
            return Ok(group.describe()?.map_or(Answer::Apart, Answer::Group));
        }
        Command::ShowParticipant(id) => {
            return group.participant(&id).cloned().map(Answer::Participant);
        }
        Command::Send(_) | Command::Compose(_) | Command::Report { .. } => {
            return group.demand_connected("speaking").map(|()| Answer::Done);
        }
        Command::Accept | Command::Decline | Command::Extend { .. } => {
            return Err(Refusal::NoSession);
        }
    };
    match step {
        GroupStep::Leave => {
            group.part_for_now();
            Ok(Answer::Done)
        }
        GroupStep::End | GroupStep::Forget => {
            let event = crate::chat::EventType::SessionEnded;
            group.finish(crate::chat::Ending { event, description: "SIP BYE".into() });
            Ok(Answer::Done)
        }
        GroupStep::Rejoin => {
            group.focus_accepted();
            Ok(Answer::Participants(group.participants().present()))
        }
        GroupStep::Invite { named, .. } => match named.as_slice() {
            [one] => group.participant(one).cloned().map(Answer::Participant),
            [] | [_, ..] => Ok(Answer::UnderWay),
        },
        GroupStep::Present(_) => Ok(Answer::Participants(group.participants().present())),
        GroupStep::AcceptInvitation
        | GroupStep::DeclineInvitation
        | GroupStep::CancelCreation
        | GroupStep::Remove(_) => Ok(Answer::Done),
    }
}

fn told_of(invitation: &GroupInvitation) -> String {
    let others = invitation.others.iter().map(|other| other.party.address.to_string());
    let others = others.collect::<Vec<_>>().join(" ");
    let extends = if invitation.extends.is_some() { "Extend to" } else { "Invite all of" };
    format!("{extends} {others} {:?}", invitation.subject)
}

fn obey(session: &mut Session, command: Command) -> Result<Answer, Refusal> {
    match command {
        Command::Accept => session.accept().map(|_| Answer::Done),
        Command::Decline => {
            session.decline()?;
            finish(session);
            Ok(Answer::Done)
        }
        Command::End => {
            session.end()?;
            finish(session);
            Ok(Answer::Done)
        }
        Command::Describe => session.describe().map(Answer::Session),
        Command::Send(_) => session.demand_connected("sending").map(|()| Answer::Done),
        Command::Compose(_) => session.demand_connected("composing").map(|()| Answer::Done),
        Command::Report { message, .. } if message.as_str() == "unknown" => Err(Refusal::NoMessage),
        Command::Report { .. } => session.demand_connected("reporting").map(|()| Answer::Done),
        Command::Extend { .. } => session.demand_connected("extending").map(|()| {
            Answer::Extending(Extended {
                session: SessionId::new("played"),
                subject: session.info().subject.clone(),
                own: session.own().clone(),
                partner: session.other().clone(),
                contribution: None,
            })
        }),
        Command::Join(_)
        | Command::Part(_)
        | Command::AcceptAs(_)
        | Command::DeclineAs(_)
        | Command::ShowParticipant(_) => Err(Refusal::NoSession),
    }
}

fn finish(session: &mut Session) {
    let event = crate::chat::EventType::SessionEnded;
    session.finish(crate::chat::Ending { event, description: "SIP BYE".into() });
}

fn told(command: &Command) -> String {
    match command {
        Command::Send(message) => format!("Send {:?} {:?}", message.text, message.reports),
        Command::Compose(composing) => format!("Compose {}", composing.state.as_str()),
        Command::Report { message, status } => format!("Report {message} {}", status.as_str()),
        Command::Accept
        | Command::Decline
        | Command::End
        | Command::Describe
        | Command::Extend { .. }
        | Command::Join(_)
        | Command::Part(_)
        | Command::AcceptAs(_)
        | Command::DeclineAs(_)
        | Command::ShowParticipant(_) => format!("{command:?}"),
    }
}

fn party(address: &str) -> Party {
    Party { address: Address::parse(address).unwrap(), name: None }
}
