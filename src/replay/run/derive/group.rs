//! What must be told of a group that has its focus in the network: of its invitation, of who takes
//! part and of its end, by the tables of groups ([`group_outcomes`], [`roster_outcomes`]).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::script::{Cause, user};
use super::beside::{self, Beside};
use super::news::{News, stands};
use super::pair::is_for_nobody;
use super::participants::{Judged, Participants};
use super::talk::{Frame, Talk};
use super::word::{Stream, Word};
use crate::bridge::description::described;
use crate::bridge::group_outcomes::{self, Answered, Asking, GroupEnd, Left};
use crate::bridge::roster_outcomes::{self, Then, WatchEnd};
use crate::bridge::sip_outcomes::{self, LegEnd};
use crate::chat::EventType;
use crate::chat::ParticipantStatus::{Connected, Disconnected, Invited};
use crate::payload::{ResourceList, conference, resource_list};
use crate::sip::{Ended, Headers, SubscriptionState};
use crate::trace::Moment;

/// A group of the network's.
#[derive(Debug)]
pub(super) struct Group {
    stage: Stage,
    is_cancelled: bool,
    pub(super) own: String,
    /// The address of the group.
    focus: Option<String>,
    /// Whom the last INVITE of the application lists.
    listed: Vec<String>,
    participants: Participants,
    /// The dialog in which the focus says who takes part.
    watch: Option<usize>,
    /// Whom a REFER is about, and whether it brings them in, by its branch.
    referred: BTreeMap<String, (String, bool)>,
    /// The end that is told once the focus has said who has gone.
    farewell: Option<News>,
    /// Where the focus has said that the conference is over, as long as no BYE has explained it.
    inactive: Option<(u64, Moment)>,
    pub(super) talk: Talk,
    pub(super) beside: Vec<Beside>,
    /// How many NOTIFY are not judged, for one before them is missing.
    pub(super) unjudged: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The application asks the focus to let the user in.
    Calling(Asking),
    /// The user is invited.
    Called,
    In,
    /// The user is out, and may come back.
    Apart,
    Over,
}

impl Group {
    /// Begins with the first request of either side.
    pub(super) fn new(word: &Word<'_>) -> Self {
        let party = if word.ours { &word.sip.to } else { &word.sip.from };
        let own = user(&party.address);
        Self {
            stage: if word.ours { Stage::Called } else { Stage::Calling(Asking::Opening) },
            is_cancelled: false,
            focus: None,
            listed: Vec::new(),
            participants: Participants::new(&own),
            watch: None,
            referred: BTreeMap::new(),
            farewell: None,
            inactive: None,
            talk: Talk::of_group(&own),
            beside: Vec::new(),
            unjudged: 0,
            own,
        }
    }

    /// Tells whether that is the address of the group.
    pub(super) fn is_focus(&self, uri: &str) -> bool {
        self.focus.as_deref() == Some(uri)
    }

    /// Takes a message of either side.
    pub(super) fn take(&mut self, word: &Word<'_>) -> Vec<News> {
        if word.ours {
            self.learn_focus(word);
        }
        match (word.ours, word.code()) {
            (true, None) => self.asked(word),
            (true, Some(_)) => self.answered(word),
            (false, None) => self.asks(word),
            (false, Some(_)) => self.answers(word),
        }
    }

    fn learn_focus(&mut self, word: &Word<'_>) {
        let contact = word.head.field("Contact").or_else(|| word.head.field("m"));
        if let Some(contact) = contact.filter(|contact| contact.contains("isfocus")) {
            self.focus = Some(super::super::super::head::address(&contact).to_owned());
        }
    }

    /// The network asks.
    fn asked(&mut self, word: &Word<'_>) -> Vec<News> {
        let reasons = word.reasons();
        match (word.sip.method(), self.stage) {
            ("INVITE", Stage::Called) if word.is_first() => self.invited(word),
            ("CANCEL", Stage::Called) => {
                self.end(GroupEnd::Leg(LegEnd::of_cancel(&described(&reasons))), word)
            }
            ("BYE", Stage::In) => self.end(group_outcomes::of_bye(&described(&reasons)), word),
            ("INVITE" | "UPDATE", Stage::In) if word.stream() == Stream::Removed => {
                self.end(GroupEnd::Leg(LegEnd::MediaRemoved), word)
            }
            ("NOTIFY", _) => self.notified(word),
            _ => Vec::new(),
        }
    }

    /// The user is invited: by the one whom the focus names, or by who seems to.
    fn invited(&mut self, word: &Word<'_>) -> Vec<News> {
        let list = word.part(resource_list::CONTENT_TYPE);
        let list = list.and_then(|list| ResourceList::parse(&list).ok()).unwrap_or_default();
        let others: Vec<String> = list.entries.iter().map(|entry| user(&entry.uri)).collect();
        let mut inviters = word.named("Referred-By");
        if inviters.is_empty() {
            inviters = word.senders();
            inviters.extend(others.first().cloned());
        }
        let others: Vec<String> = others.into_iter().filter(|other| *other != self.own).collect();
        for other in &others {
            self.participants.note(other, Invited);
        }
        self.participants.note(&self.own, Invited);
        if let Some(inviter) = inviters.first() {
            self.participants.note(inviter, Connected);
        }
        self.participants.hush();
        let subject: Vec<String> = word.subject().into_iter().collect();
        let of = |inviter: &String| {
            let rest = others.iter().filter(|other| *other != inviter);
            let all = [stands(inviter, Connected, false)].into_iter();
            let all: Vec<Value> =
                all.chain(rest.map(|other| stands(other, Invited, false))).collect();
            let standing: Vec<Value> =
                all.iter().cloned().chain([stands(&self.own, Invited, true)]).collect();
            let fields = json!({ "participant": all, "standing": standing });
            News::of("groupSessionInvitationNotification", fields).with("subject", &subject)
        };
        let Some(news) = inviters.iter().map(of).reduce(News::or) else { return Vec::new() };
        vec![if is_for_nobody(word) { news.perhaps() } else { news }]
    }

    /// The network answers.
    fn answered(&mut self, word: &Word<'_>) -> Vec<News> {
        match (word.sip.method(), word.code().filter(|code| *code >= 200), self.stage) {
            ("INVITE", Some(code), Stage::Calling(asking)) => self.judged(word, code, asking),
            ("SUBSCRIBE", Some(300..), _) => {
                self.watch = self.watch.filter(|watch| *watch != word.dialog);
                Vec::new()
            }
            ("REFER", Some(code), Stage::In) => self.refer_answered(word, code),
            ("INVITE" | "UPDATE" | "INFO" | "MESSAGE", Some(408 | 481), Stage::In) => {
                self.end(GroupEnd::Leg(LegEnd::DialogLost), word)
            }
            _ => Vec::new(),
        }
    }

    /// The focus answers an INVITE.
    fn judged(&mut self, word: &Word<'_>, code: u16, asking: Asking) -> Vec<News> {
        if self.is_cancelled && asking == Asking::Opening {
            // Whatever crosses the CANCEL, the user has withdrawn first.
            let words = sip_outcomes::on(LegEnd::CancelledByPeer).describe_end(&[]);
            self.stage = Stage::Over;
            return vec![News::event(EventType::SessionCancelled, &words)];
        }
        if self.is_cancelled {
            self.stage = Stage::Apart;
            return vec![News::event(EventType::SessionEnded, "").perhaps()];
        }
        let then = group_outcomes::answer_to(asking, code).then;
        let is_tried_again = match then {
            Answered::Redirect
            | Answered::Authenticate
            | Answered::RetryOnce(_)
            | Answered::WithoutList
            | Answered::Restart => word.is_followed(),
            Answered::Progress | Answered::In | Answered::StaysOut | Answered::Ended => false,
        };
        if then == Answered::Progress || is_tried_again {
            return Vec::new();
        }
        if then == Answered::In {
            return match word.stream() {
                Stream::Removed | Stream::Useless => {
                    self.end(GroupEnd::Leg(LegEnd::UnusableAnswer), word)
                }
                Stream::Usable | Stream::Unsaid => self.comes_in(asking),
            };
        }
        self.beside.extend(beside::after_group(then));
        let description = word.with_response(crate::bridge::description::response);
        if asking == Asking::Opening {
            self.stage = Stage::Over;
            return vec![News::event(EventType::SessionEnded, &description)];
        }
        // Who waits for the answer to its call hears of it there.
        self.stage = if then == Answered::Ended { Stage::Over } else { Stage::Apart };
        vec![News::event(EventType::SessionEnded, "").perhaps()]
    }

    fn comes_in(&mut self, asking: Asking) -> Vec<News> {
        self.stage = Stage::In;
        self.participants.note(&self.own, Connected);
        match asking {
            Asking::Opening => {
                for who in &self.listed {
                    self.participants.note(who, Invited);
                }
            }
            Asking::Restarting => {
                for who in &self.listed {
                    self.participants.note(who, Invited);
                }
                self.participants.invite_again(&self.listed);
            }
            Asking::Rejoining => {}
        }
        self.participants.news().into_iter().collect()
    }

    /// The focus answers a REFER: it is news where nobody says who takes part.
    fn refer_answered(&mut self, word: &Word<'_>, code: u16) -> Vec<News> {
        let Some((who, brings_in)) = self.referred.remove(&word.sip.branch) else {
            return Vec::new();
        };
        let is_taken = group_outcomes::refer_answer(code).then == group_outcomes::Referred::Taken;
        match (is_taken, self.watch) {
            (true, Some(_)) => return Vec::new(),
            (true, None) if brings_in => self.participants.note(&who, Invited),
            (true, None) => self.participants.note(&who, Disconnected),
            // The call is answered so, unless it was answered before.
            (false, _) => {
                let gone = vec![stands(&who, Disconnected, false)];
                let open = News::participants(gone.clone(), gone);
                return if brings_in { vec![open.perhaps()] } else { Vec::new() };
            }
        }
        self.participants.news().into_iter().collect()
    }

    /// The focus says who takes part.
    fn notified(&mut self, word: &Word<'_>) -> Vec<News> {
        let event = word.sip.event.as_deref().unwrap_or_default();
        if event.split(';').next().is_none_or(|event| event.trim() != conference::EVENT)
            || self.watch != Some(word.dialog)
        {
            return Vec::new();
        }
        let mut told = Vec::new();
        if let Some(document) = word.part(conference::CONTENT_TYPE)
            && (self.stage == Stage::In || self.farewell.is_some())
        {
            match self.participants.read(&document) {
                Judged::Read(news) => told.extend(news),
                Judged::Unsure(news) => {
                    self.unjudged += 1;
                    self.ask_for_the_whole(word);
                    told.extend(news);
                }
                Judged::Over => self.inactive = Some(word.at),
                Judged::Nothing => {}
            }
        }
        let state = word.head.field("Subscription-State");
        let state = state.and_then(|state| {
            SubscriptionState::of(&Headers::from_iter([("Subscription-State", &*state)]))
        });
        if let Some(SubscriptionState::Terminated(ending)) = state {
            self.watch = None;
            told.extend(self.farewell.take());
            if self.stage == Stage::In {
                self.watch_ended(word, WatchEnd::of(&Ended::ByNotifier(ending)));
            }
        }
        told
    }

    fn watch_ended(&mut self, word: &Word<'_>, end: WatchEnd) {
        match roster_outcomes::on(end).then {
            Then::AwaitBye => self.inactive = Some(word.at),
            Then::Subscribe | Then::SubscribeLater => {
                let is_begun_again = word
                    .is_said_later(|cue, sip| cue.kind == "SIP SUBSCRIBE" && sip.to.tag.is_empty());
                self.beside.extend((!is_begun_again).then_some(beside::AGAIN));
            }
            Then::DoWithout => {}
        }
    }

    fn ask_for_the_whole(&mut self, word: &Word<'_>) {
        let asks =
            word.is_said_later(|cue, _| cue.kind == "SIP SUBSCRIBE" && cue.dialog == self.watch);
        self.beside.extend((!asks).then_some(beside::WHOLE));
    }

    /// The bridge asks.
    fn asks(&mut self, word: &Word<'_>) -> Vec<News> {
        match (word.sip.method(), self.stage) {
            ("INVITE", _) if word.is_first() => self.calls(word),
            ("CANCEL", Stage::Calling(_)) => self.is_cancelled = true,
            ("BYE", Stage::In) => return self.end(GroupEnd::LeftForNow, word),
            ("SUBSCRIBE", _) if word.is_first() => {
                self.watch = Some(word.dialog);
                self.inactive = None;
                self.participants.subscribe();
            }
            ("REFER", _) => {
                let (who, brings_in) = match word.cause {
                    Some(Cause::Add { whom }) => (whom, true),
                    Some(Cause::Remove { whom }) => (whom, false),
                    _ => return Vec::new(),
                };
                self.referred.insert(word.sip.branch.clone(), (who.clone(), brings_in));
            }
            _ => {}
        }
        Vec::new()
    }

    fn calls(&mut self, word: &Word<'_>) {
        let list = word.part(resource_list::CONTENT_TYPE);
        let list = list.and_then(|list| ResourceList::parse(&list).ok()).unwrap_or_default();
        self.listed = list.entries.iter().map(|entry| user(&entry.uri)).collect();
        self.is_cancelled = false;
        let is_new = self.stage == Stage::Calling(Asking::Opening);
        self.stage = Stage::Calling(match (is_new, self.listed.is_empty()) {
            (true, _) => Asking::Opening,
            (false, true) => Asking::Rejoining,
            (false, false) => Asking::Restarting,
        });
    }

    /// The bridge answers, as its application wants.
    fn answers(&mut self, word: &Word<'_>) -> Vec<News> {
        match word.answers("INVITE").filter(|_| self.stage == Stage::Called) {
            Some(200..300) => self.comes_in(Asking::Rejoining),
            // Whether the client that has declined hears of it too, the tables leave open.
            Some(480 | 486 | 600 | 603) => {
                perhaps(self.end(GroupEnd::Leg(LegEnd::DeclinedByUser), word))
            }
            Some(408) => perhaps(self.end(GroupEnd::Leg(LegEnd::NoReaction), word)),
            Some(_) => {
                self.stage = Stage::Over;
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Takes a frame of the network. Where nobody says who takes part, whoever is heard does.
    pub(super) fn hears(&mut self, frame: &Frame<'_>) -> Vec<News> {
        let told = self.talk.hears(frame);
        let mut all = Vec::new();
        for news in told {
            let speaker = news.any_of.first().and_then(|(_, it)| it.get("senderAdress")?.as_str());
            if let Some(speaker) = speaker.filter(|_| self.watch.is_none())
                && self.stage == Stage::In
                && speaker != self.own
            {
                self.participants.note(speaker, Connected);
                all.extend(self.participants.news().map(News::perhaps));
            }
            all.push(news);
        }
        all
    }

    /// The participation ends: what is left of it, the table says.
    fn end(&mut self, end: GroupEnd, word: &Word<'_>) -> Vec<News> {
        let row = group_outcomes::on(end);
        let was_in = self.stage == Stage::In;
        let event = News::event(end.event(), &row.describe(&described(&word.reasons())));
        // The BYE of a group that is over may overtake the word of who has gone.
        let awaits = end == GroupEnd::Dissolved && was_in && self.watch.is_some();
        self.inactive = None;
        if was_in && !awaits {
            self.leave_watch(word);
        }
        let mut told = self.talk.ends();
        if was_in && row.left != Left::Nothing {
            self.stage = Stage::Apart;
            self.participants.note(&self.own, Disconnected);
            told.extend(self.participants.news());
        } else {
            self.stage = Stage::Over;
        }
        match row.left {
            Left::TheWayBackQuietly if was_in => {}
            // The bridge may take the way back of itself, and then tells only that.
            Left::TheWayBackAtOnce if was_in => {
                told.push(event);
                return perhaps(told);
            }
            Left::Nothing if awaits => {
                self.farewell = Some(News { since: Some(word.at), ..event });
            }
            Left::Nothing | Left::TheWayBack | Left::TheWayBackAtOnce | Left::TheWayBackQuietly => {
                told.push(event);
            }
        }
        told
    }

    /// Who is out takes its subscription back, whether the recorded device did or not.
    fn leave_watch(&mut self, word: &Word<'_>) {
        if let Some(watch) = self.watch.take() {
            let leaves = word
                .is_said_later(|cue, _| cue.kind == "SIP SUBSCRIBE" && cue.dialog == Some(watch));
            self.beside.extend((!leaves).then_some(beside::LEAVE));
        }
    }

    /// Gives what may be told behind the end of the trace.
    pub(super) fn finish(&mut self) -> Vec<News> {
        let mut told: Vec<News> = self.farewell.take().into_iter().collect();
        self.beside.extend((!told.is_empty()).then_some(beside::LEAVE));
        if let Some(since) = self.inactive.filter(|_| self.stage == Stage::In) {
            // No BYE explains it in the trace; how long one is waited for is a matter of configuration.
            self.participants.note(&self.own, Disconnected);
            let words = group_outcomes::on(GroupEnd::Inactive).describe(&[]);
            let event = News::event(EventType::SessionEnded, &words);
            let all = self.participants.news().into_iter().chain([event]);
            told.extend(all.map(|news| News { since: Some(since), ..news.perhaps() }));
        }
        told
    }

    /// Tells whether messages are told still.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over | Stage::Apart)
    }
}

fn perhaps(all: Vec<News>) -> Vec<News> {
    all.into_iter().map(News::perhaps).collect()
}
