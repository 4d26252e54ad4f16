//! What holds whatever happens in whatever order: random orders of the applications, a network that
//! loses, repeats and reorders, cut connections and passing time, told as a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use chatbridge::chat::{
    Answer, Command, Composing, ComposingState, EventType, MessageStatus, Notice, NoticeKind,
    ReceivedStatus, ReportRequest,
};
use chatbridge::ids::{MessageId, Random, SessionId};
use chatbridge::msrp;

use crate::lines;
use crate::world::{ALICE, BOB, Weather, World, party};

#[test]
fn the_laws_hold_in_a_calm_network() {
    let stories: Vec<Story> = (0..300).map(|seed| Story::new(seed, 0, 0).play()).collect();
    // Laws about what never happens hold easily.
    let happened = |what: &str| stories.iter().filter(|story| story.tell().contains(what)).count();
    for what in [
        "Accepted (SIP 200 OK)",
        "Declined (SIP 480",
        "SessionCancelled (SIP CANCEL)",
        "SessionEnded (SIP BYE)",
        "SessionEnded (SIP BYE; Reason",
        "SessionEnded (declined by the user)",
        "SessionEnded (timeout invitation)",
        "SessionEnded (MSRP connection lost)",
        "SessionEnded (bridge shutting down)",
        " Delivered\n",
        " Displayed\n",
        " Failed 408\n",
        " Failed 481\n",
        "is active\n",
        "is idle\n",
        "from bob\n",
        "from alice\n",
    ] {
        assert!(happened(what) >= 3, "{what}: only {} times", happened(what));
    }
}

#[test]
fn the_laws_hold_though_datagrams_are_lost_and_repeated() {
    for seed in 1_000..1_200 {
        drop(Story::new(seed, 20, 20).play());
    }
}

#[test]
fn the_laws_hold_though_nearly_all_datagrams_are_lost() {
    for seed in 2_000..2_050 {
        drop(Story::new(seed, 85, 5).play());
    }
}

/// One random course of events.
struct Story {
    seed: u64,
    world: World,
    chance: Random,
    /// Every session that was ever seen, and whose it is.
    sessions: Vec<SessionId>,
    originated: BTreeSet<SessionId>,
    accepted: BTreeSet<SessionId>,
    taken: BTreeSet<MessageId>,
    received: Vec<(SessionId, MessageId)>,
    notices: Vec<Notice>,
    deeds: Vec<String>,
}

impl Story {
    fn new(seed: u64, loss_percent: u64, repeat_percent: u64) -> Self {
        let mut chance = Random::seeded(seed);
        let mut world = World::seeded(seed, |settings| {
            let limits = msrp::Limits { queue: 8, chunk_bytes: 64, ..msrp::Limits::default() };
            settings.msrp_limits = limits.into();
            settings.tracked_messages = 1_000;
        });
        world.weather = Some(Weather { chance: chance.fork(), loss_percent, repeat_percent });
        Self {
            seed,
            world,
            chance,
            sessions: Vec::new(),
            originated: BTreeSet::new(),
            accepted: BTreeSet::new(),
            taken: BTreeSet::new(),
            received: Vec::new(),
            notices: Vec::new(),
            deeds: Vec::new(),
        }
    }

    fn play(mut self) -> Self {
        for _ in 0..40 {
            self.act();
            self.listen();
        }
        if self.chance.below(4) == 0 {
            self.deeds.push("stop".into());
            self.world.stop();
        }
        // In the end everybody leaves, whatever the weather was.
        self.world.wait(Duration::from_secs(600));
        for session in self.world.sessions() {
            drop(self.world.order(&session, Command::End));
        }
        self.world.wait(Duration::from_secs(1_200));
        self.listen();
        self.judge();
        self
    }

    fn act(&mut self) {
        match self.chance.below(24) {
            0..=1 => self.invite(),
            2..=4 => self.order(Command::Accept),
            5 => self.order(Command::Decline),
            6 => self.order(Command::End),
            7 => self.order(Command::Describe),
            8..=11 => self.send(),
            12 => self.order(Command::Compose(active())),
            13 => self.order(Command::Compose(Composing::idle())),
            14..=16 => self.report(),
            17 => {
                self.deeds.push("cut".into());
                self.world.cut_msrp();
            }
            18..=19 => self.sleep(),
            _ => self.step(),
        }
    }

    fn invite(&mut self) {
        if self.originated.len() == 3 {
            return;
        }
        let (from, to) = if self.chance.below(3) == 0 { (BOB, ALICE) } else { (ALICE, BOB) };
        let session = self.world.begin_inviting(party(from), party(to), "Hi").expect("a session");
        self.deeds.push(format!("{} invites: {session}", lines::user(from)));
        self.originated.insert(session.clone());
        self.sessions.push(session);
    }

    fn order(&mut self, command: Command) {
        let Some(session) = self.pick_session() else { return };
        let accepting = command == Command::Accept;
        self.deeds.push(format!("{session}: {command:?}"));
        let answer = self.world.begin_order(&session, command);
        if accepting && answer == Ok(Answer::Done) {
            assert!(self.accepted.insert(session), "accepted twice: {}", self.tell());
        }
    }

    fn send(&mut self) {
        let Some(session) = self.pick_session() else { return };
        let (delivered, displayed) = (self.chance.below(2) == 0, self.chance.below(2) == 0);
        let reports = ReportRequest { delivered, displayed, failed: false };
        // The number of the message stands in its text, so that its order can be judged.
        let size = self.chance.below(200) as usize;
        let text = format!("{:04} {}", self.deeds.len(), "x".repeat(size));
        let (id, answer) = self.world.begin_sending(&session, &text, reports);
        self.deeds.push(format!("{session}: send {id}: {}", answer.is_ok()));
        if answer.is_ok() {
            self.taken.insert(id);
        }
    }

    fn report(&mut self) {
        if self.received.is_empty() {
            return;
        }
        let index = self.chance.below(self.received.len() as u64) as usize;
        let (session, message) = self.received[index].clone();
        let status = match self.chance.below(2) {
            0 => ReceivedStatus::Delivered,
            _ => ReceivedStatus::Displayed,
        };
        self.deeds.push(format!("{session}: report {message} {status:?}"));
        drop(self.world.begin_order(&session, Command::Report { message, status }));
    }

    fn sleep(&mut self) {
        let bound = [1_000, 10_000, 70_000, 200_000][self.chance.below(4) as usize];
        let wait = Duration::from_millis(self.chance.below(bound));
        self.deeds.push(format!("wait {wait:?}"));
        self.world.wait(wait);
    }

    fn step(&mut self) {
        let steps = self.chance.below(30);
        self.deeds.push(format!("{steps} steps"));
        for _ in 0..steps {
            self.world.step();
        }
    }

    fn pick_session(&mut self) -> Option<SessionId> {
        let count = self.sessions.len() as u64;
        (count > 0).then(|| self.sessions[self.chance.below(count) as usize].clone())
    }

    /// Takes the news, from which sessions and messages become known.
    fn listen(&mut self) {
        for notice in self.world.take_notices() {
            match &notice.kind {
                NoticeKind::Invited { .. } => self.sessions.push(notice.session.clone()),
                NoticeKind::Message { id, echo: false, .. } => {
                    self.received.push((notice.session.clone(), id.clone()));
                }
                NoticeKind::Message { .. }
                | NoticeKind::Event { .. }
                | NoticeKind::Composing { .. }
                | NoticeKind::Delivery { .. }
                | NoticeKind::GroupInvited { .. }
                | NoticeKind::ParticipantStatus { .. } => {}
            }
            self.deeds.push(format!("    {} {}", notice.session, lines::notice(&notice)));
            self.notices.push(notice);
        }
    }

    fn judge(&self) {
        assert!(self.world.is_at_rest(), "somebody is left: {}", self.tell());
        let mut by_session: BTreeMap<&SessionId, Vec<&Notice>> = BTreeMap::new();
        for session in &self.sessions {
            by_session.insert(session, Vec::new());
        }
        for notice in &self.notices {
            by_session.entry(&notice.session).or_default().push(notice);
        }
        for (session, notices) in by_session {
            self.judge_end(session, &notices);
            self.judge_order(session, &notices);
            self.judge_messages(&notices);
        }
    }

    /// Exactly one terminal event, and nothing after it but what becomes of messages: reports may
    /// outlive the session, and come as a SIP MESSAGE.
    fn judge_end(&self, session: &SessionId, notices: &[&Notice]) {
        let terminal = notices.iter().filter(|notice| notice.kind.is_terminal()).count();
        assert_eq!(terminal, 1, "terminal events of {session}: {}", self.tell());
        let is_news = |notice: &&&Notice| matches!(notice.kind, NoticeKind::Delivery { .. });
        let last = notices.iter().rev().find(|it| !is_news(it)).expect("a terminal event");
        assert!(last.kind.is_terminal(), "after the end of {session}: {}", self.tell());
        let user = &last.user;
        assert!(notices.iter().all(|notice| notice.user == *user), "{}", self.tell());
    }

    /// Nobody speaks before the session is accepted, and it is accepted once.
    fn judge_order(&self, session: &SessionId, notices: &[&Notice]) {
        let mut open = self.accepted.contains(session);
        let mut accepted = 0;
        let mut texts: Vec<&str> = Vec::new();
        for notice in notices {
            match &notice.kind {
                NoticeKind::Event { event: EventType::Accepted, .. } => {
                    assert!(self.originated.contains(session), "{}", self.tell());
                    (open, accepted) = (true, accepted + 1);
                }
                NoticeKind::Message { text, echo: false, .. } => {
                    assert!(open, "a message before Accepted: {}", self.tell());
                    texts.push(text);
                }
                NoticeKind::Composing { echo: false, .. } => {
                    assert!(open, "typing before Accepted: {}", self.tell());
                }
                NoticeKind::Message { .. }
                | NoticeKind::Composing { .. }
                | NoticeKind::Invited { .. }
                | NoticeKind::Event { .. }
                | NoticeKind::Delivery { .. }
                | NoticeKind::GroupInvited { .. }
                | NoticeKind::ParticipantStatus { .. } => {}
            }
        }
        assert!(accepted <= 1, "{}", self.tell());
        let distinct: BTreeSet<_> = texts.iter().collect();
        assert_eq!(distinct.len(), texts.len(), "a message was told twice: {}", self.tell());
    }

    /// Delivered before Displayed, and Failed alone: at most one final status per message.
    fn judge_messages(&self, notices: &[&Notice]) {
        let mut statuses: BTreeMap<&MessageId, Vec<MessageStatus>> = BTreeMap::new();
        let mut events: BTreeMap<&MessageId, Vec<EventType>> = BTreeMap::new();
        for notice in notices {
            match &notice.kind {
                NoticeKind::Delivery { message, status, .. } => {
                    statuses.entry(message).or_default().push(*status);
                }
                NoticeKind::Event { event, message: Some(message), .. } => {
                    events.entry(message).or_default().push(*event);
                }
                NoticeKind::Event { .. }
                | NoticeKind::Invited { .. }
                | NoticeKind::Message { .. }
                | NoticeKind::Composing { .. }
                | NoticeKind::GroupInvited { .. }
                | NoticeKind::ParticipantStatus { .. } => {}
            }
        }
        for (message, statuses) in &statuses {
            use MessageStatus::{Delivered, Displayed, Failed};
            assert!(self.taken.contains(*message), "{message}: {}", self.tell());
            let sound = matches!(
                statuses[..],
                [Delivered] | [Displayed] | [Delivered, Displayed] | [Failed]
            );
            assert!(sound, "{message} {statuses:?}: {}", self.tell());
        }
        for (message, events) in &events {
            assert_eq!(events.len(), 1, "{message} {events:?}: {}", self.tell());
            let failed =
                statuses.get(message).is_some_and(|it| it.contains(&MessageStatus::Failed));
            assert_eq!(events[0] == EventType::MessageFailure, failed, "{}", self.tell());
        }
    }

    fn tell(&self) -> String {
        format!("seed {}\n{}", self.seed, self.deeds.join("\n"))
    }
}

fn active() -> Composing {
    let refresh = NonZeroU32::new(60);
    Composing { state: ComposingState::Active, refresh, ..Composing::idle() }
}
