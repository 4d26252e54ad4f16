//! Asking the focus to invite others, or to part with them: REFER (RFC 3515, RFC 4579 sections 5.5
//! and 5.11, RFC 5368).
//!
//! A wish of the application is a job. It is said in one REFER for all where that is permitted, else
//! in one for each, and in another way where the focus does not understand it:
//!
//! ```text
//!   a list, in the dialog ──405, 420, 501──▶ each, in the dialog ──▶ each, outside of it ──▶ denied
//! ```
//! The application waits for what the focus says no longer than [`GroupSettings::refer_wait`]; what
//! becomes of it later, notices tell.
//!
//! [`GroupSettings::refer_wait`]: crate::bridge::GroupSettings::refer_wait

use std::collections::VecDeque;
use std::time::Instant;

use super::Group;
use super::watch::tag_of;
use crate::bridge::dealings::Output;
use crate::bridge::description;
use crate::bridge::group_outcomes::{self, Referred};
use crate::bridge::group_settings::ReferMode;
use crate::bridge::invite::one_line;
use crate::chat::{Answer, AnswerId, GroupState, ParticipantStatus, Parting, Refusal, Standing};
use crate::ids::ParticipantId;
use crate::payload::resource_list::{self, Entry, ResourceList};
use crate::sip::{
    Body, DialogKey, MethodForm, NameAddr, Refer, ReferId, Reference, Referral, ReferralEvent,
    Status, UsageFailure, UsageInput, UsageOutput,
};

/// More REFERs of one group at a time than any focus needs to bear.
const AT_ONCE: usize = 8;

/// The jobs, and the REFERs that are to be sent or under way for them.
#[derive(Debug, Default)]
pub(super) struct Referrals {
    jobs: Vec<Job>,
    queue: VecDeque<Errand>,
    /// REFERs without an answer, and those of which the focus still tells.
    out: Vec<Sent>,
    /// REFERs that nobody listens to any more, kept until they need to absorb nothing.
    left: Vec<Referral>,
    count: u64,
}

/// What an application wants.
#[derive(Debug)]
struct Job {
    id: u64,
    wish: Wish,
    /// All whom it names, with those who need no REFER.
    named: Vec<ParticipantId>,
    /// How many REFERs it takes that have no answer yet.
    open: usize,
    /// The answer that is owed, and until when.
    answer: Option<(AnswerId, Instant)>,
    /// Those whom the focus does not want, and how it has said so.
    refused: Vec<(ParticipantId, Refusal)>,
}

/// What the focus is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Invite,
    Remove,
}

/// A REFER to be sent.
#[derive(Debug, Clone)]
struct Errand {
    job: u64,
    wish: Wish,
    whom: Vec<ParticipantId>,
    mode: ReferMode,
    /// Whether the other mode was tried.
    is_last: bool,
}

#[derive(Debug)]
struct Sent {
    errand: Errand,
    by: By,
    is_answered: bool,
}

/// Which way a REFER went.
#[derive(Debug)]
enum By {
    Dialog(ReferId),
    Itself(Box<Referral>),
}

impl Referrals {
    /// Gives the REFER what is for it, and back what is for none.
    pub(super) fn offer(&mut self, now: Instant, input: UsageInput) -> Option<UsageInput> {
        let tag = tag_of(&input);
        for referral in self.all() {
            if tag.as_deref() == Some(referral.local_tag()) {
                referral.handle(now, input);
                return None;
            }
        }
        Some(input)
    }

    /// Tells all REFERs outside of the dialog.
    pub(super) fn tell(&mut self, now: Instant, input: &UsageInput) {
        self.all().for_each(|referral| referral.handle(now, input.clone()));
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let out = self.out.iter().filter_map(|sent| match &sent.by {
            By::Itself(referral) => referral.next_timeout(),
            By::Dialog(_) => None,
        });
        let left = self.left.iter().filter_map(Referral::next_timeout);
        let owed = self.jobs.iter().filter_map(|job| job.answer.map(|(_, until)| until));
        out.chain(left).chain(owed).min()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.out.is_empty() && self.left.iter().all(Referral::is_finished)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Referral> {
        let out = self.out.iter_mut().filter_map(|sent| match &mut sent.by {
            By::Itself(referral) => Some(&mut **referral),
            By::Dialog(_) => None,
        });
        out.chain(&mut self.left)
    }

    fn has_room(&self) -> bool {
        self.out.iter().filter(|sent| !sent.is_answered).count() < AT_ONCE
    }
}

impl Group {
    /// Asks the focus to invite participants; `named` are all whom the application has named.
    pub(super) fn invite_more(
        &mut self,
        now: Instant,
        new: Vec<ParticipantId>,
        named: Vec<ParticipantId>,
    ) -> Answer {
        let answer = self.draw_answer();
        self.begin(now, Wish::Invite, (new, named), Some(answer));
        Answer::Later(answer)
    }

    /// Asks the focus to part with a participant.
    pub(super) fn remove(&mut self, now: Instant, id: ParticipantId) -> Answer {
        let answer = self.draw_answer();
        self.begin(now, Wish::Remove, (vec![id.clone()], vec![id]), Some(answer));
        Answer::Later(answer)
    }

    /// Tells a focus that takes no list of those who were to be in the session from the start.
    pub(super) fn refer_others(&mut self, now: Instant) {
        if !self.refers_all {
            return;
        }
        let others = self.chat.participants().present().into_iter();
        let others: Vec<_> = others.filter(|it| !it.your_own).map(|it| it.id).collect();
        self.begin(now, Wish::Invite, (others.clone(), others), None);
    }

    fn begin(
        &mut self,
        now: Instant,
        wish: Wish,
        (whom, named): (Vec<ParticipantId>, Vec<ParticipantId>),
        answer: Option<AnswerId>,
    ) {
        self.referrals.count += 1;
        let job = self.referrals.count;
        let rules = &self.settings.group;
        let mode = rules.refer_mode;
        // A focus that takes no list with an INVITE takes none with a REFER.
        let at_once = rules.refer_many && whom.len() > 1 && !self.refers_all;
        let parts: Vec<Vec<ParticipantId>> =
            if at_once { vec![whom] } else { whom.into_iter().map(|one| vec![one]).collect() };
        let answer = answer.map(|id| (id, now + rules.refer_wait));
        let (open, refused) = (parts.len(), Vec::new());
        self.referrals.jobs.push(Job { id: job, wish, named, open, answer, refused });
        let errands =
            parts.into_iter().map(|whom| Errand { job, wish, whom, mode, is_last: false });
        self.referrals.queue.extend(errands);
        self.send_referrals(now);
    }

    /// Sends REFERs, as many as may be under way.
    fn send_referrals(&mut self, now: Instant) {
        while self.referrals.has_room() {
            let Some(mut errand) = self.referrals.queue.pop_front() else { return };
            // Who has gone while the REFER waited is not asked for any more.
            errand.whom.retain(|id| self.chat.participants().get(id).is_some());
            if errand.whom.is_empty() {
                self.errand_done(now, errand.job);
                continue;
            }
            let sent = self.write(&errand).and_then(|refer| match errand.mode {
                ReferMode::InDialog => self.legs.current.refer(now, refer).map(By::Dialog),
                ReferMode::OutOfDialog => self.refer_outside(now, refer),
            });
            match sent {
                Some(by) => {
                    self.referrals.out.push(Sent { errand, by, is_answered: false });
                }
                None => self.referral_refused(now, errand, UsageFailure::Transport),
            }
        }
    }

    fn refer_outside(&mut self, now: Instant, refer: Refer) -> Option<By> {
        let errand = self.errand()?;
        let referral = Referral::refer(now, &errand, refer, self.leg_kit());
        self.outputs.push_back(Output::Route(key_of(&referral)));
        Some(By::Itself(Box::new(referral)))
    }

    /// Writes a REFER; `None` where an address makes no URI.
    fn write(&mut self, errand: &Errand) -> Option<Refer> {
        let form = match errand.whom.len() {
            1 => self.settings.group.bye_form,
            // RFC 5368 writes the method of an entry as a header.
            _ => MethodForm::Header,
        };
        let mut references = Vec::new();
        for id in &errand.whom {
            let address = self.chat.participants().get(id)?.party.address.clone();
            let uri = self.settings.realm.target(&address).ok()?;
            references.push(match errand.wish {
                Wish::Invite => Reference::invite(uri),
                Wish::Remove => Reference::bye(uri, form),
            });
        }
        let mut refer = if references.len() == 1 {
            // The conference package tells what becomes of it.
            Refer { is_watched: false, ..Refer::to(references.pop()?) }
        } else {
            let list = ResourceList {
                entries: references.iter().map(|one| Entry::to(one.to_string())).collect(),
            };
            let content_type = resource_list::CONTENT_TYPE.to_owned();
            let content_id = format!("{}@{}", self.random.token(), self.settings.realm.domain);
            Refer::to_many(Body { content_type, bytes: list.write() }, content_id)
        };
        let hides = self.settings.hides(&self.user);
        refer.by =
            self.settings.realm.home_uri(&self.user).ok().filter(|_| !hides).map(NameAddr::new);
        let ids = self.attempt.draft.iter().flat_map(|draft| draft.session_ids.iter());
        refer.headers.extend(ids.filter(|(name, _)| name == "Contribution-ID").cloned());
        let subject = self.attempt.draft.as_ref().map(|draft| one_line(&draft.subject));
        if let Some(subject) = subject.filter(|it| errand.wish == Wish::Invite && !it.is_empty()) {
            // Whoever is invited is to see what it is about.
            refer.headers.push(("Subject".to_owned(), subject));
        }
        Some(refer)
    }

    /// Takes what has become of a REFER in the dialog.
    pub(super) fn referral_news(&mut self, now: Instant, id: ReferId, news: ReferralEvent) {
        let is_it = |sent: &Sent| matches!(sent.by, By::Dialog(known) if known == id);
        if let Some(index) = self.referrals.out.iter().position(is_it) {
            self.referral_event(now, index, news);
        }
    }

    /// Takes what the REFERs outside of the dialog have for us; tells whether there was anything.
    pub(super) fn settle_referrals(&mut self, now: Instant) -> bool {
        let (mut busy, mut events) = (false, Vec::new());
        let over = self.referrals.left.extract_if(.., |referral| referral.is_finished());
        self.outputs.extend(over.map(|referral| Output::Unroute(key_of(&referral))));
        for referral in self.referrals.all() {
            while let Some(output) = referral.poll() {
                busy = true;
                match output {
                    UsageOutput::Send { bytes, hop } => {
                        self.outputs.push_back(Output::Sip { bytes, hop });
                    }
                    UsageOutput::Spare { hop, wait } => {
                        self.outputs.push_back(Output::Spare { hop, wait });
                    }
                    UsageOutput::Event(event) => {
                        events.push((referral.local_tag().to_owned(), event));
                    }
                }
            }
        }
        for (tag, event) in events {
            let is_it = |sent: &Sent| match &sent.by {
                By::Itself(referral) => referral.local_tag() == tag,
                By::Dialog(_) => false,
            };
            if let Some(index) = self.referrals.out.iter().position(is_it) {
                self.referral_event(now, index, event);
            }
        }
        busy
    }

    fn referral_event(&mut self, now: Instant, index: usize, event: ReferralEvent) {
        match event {
            ReferralEvent::Accepted { is_watched } => {
                let Some(sent) = self.referrals.out.get_mut(index) else { return };
                sent.is_answered = true;
                let errand = sent.errand.clone();
                if !is_watched {
                    self.drop_sent(index);
                }
                self.referral_taken(now, &errand);
            }
            ReferralEvent::Refused(why) => {
                if let Some(errand) = self.drop_sent(index) {
                    self.referral_refused(now, errand, why);
                }
            }
            ReferralEvent::Progress(_) => {}
            ReferralEvent::Ended { last } => {
                if let Some(errand) = self.drop_sent(index) {
                    self.referral_done(now, &errand, last);
                }
            }
        }
        self.send_referrals(now);
    }

    fn drop_sent(&mut self, index: usize) -> Option<Errand> {
        if index >= self.referrals.out.len() {
            return None;
        }
        let Sent { errand, by, .. } = self.referrals.out.remove(index);
        if let By::Itself(referral) = by {
            self.referrals.left.push(*referral);
        }
        Some(errand)
    }

    /// The focus does as it is told. Where nobody tells more, that is all there is to know.
    fn referral_taken(&mut self, now: Instant, errand: &Errand) {
        if !self.watch.stands() {
            let standing = match errand.wish {
                Wish::Invite => Standing::Invited,
                Wish::Remove => Standing::Gone(Parting::ForGood),
            };
            self.note_all(now, errand, standing);
        }
        self.errand_done(now, errand.job);
    }

    /// What was begun has ended: it is news only where the conference package tells none.
    fn referral_done(&mut self, now: Instant, errand: &Errand, last: Option<Status>) {
        if self.watch.stands() {
            return;
        }
        let standing = match (errand.wish, last.filter(|status| status.is_final())) {
            (Wish::Invite, Some(status)) if status.is_success() => Standing::Connected,
            (Wish::Invite, Some(_)) => Standing::Gone(Parting::Unexplained),
            (Wish::Remove, _) | (Wish::Invite, None) => return,
        };
        self.note_all(now, errand, standing);
    }

    fn note_all(&mut self, now: Instant, errand: &Errand, standing: Standing) {
        for id in &errand.whom {
            let identity = self.chat.participants().identity(id).cloned();
            if let Some(identity) = identity {
                self.chat.participants_mut().note(&identity, standing, None);
            }
        }
        self.tell_participants(now);
    }

    /// The focus does not do it so: it is told in another way, or there is none.
    fn referral_refused(&mut self, now: Instant, errand: Errand, why: UsageFailure) {
        let (code, words) = match why {
            UsageFailure::Status(status) => {
                let response = description::Response { code: status.code(), ..Default::default() };
                (status.code(), description::response(&response))
            }
            UsageFailure::Timeout => (408, description::timeout("REFER")),
            UsageFailure::Transport => (503, "the focus cannot be reached".to_owned()),
        };
        let then = group_outcomes::refer_answer(code).then;
        if then == Referred::SayOtherwise && self.say_otherwise(&errand) {
            return self.send_referrals(now);
        }
        for id in &errand.whom {
            let refusal = self.refusal(id, then, words.clone());
            self.not_wanted(now, &errand, id, refusal);
        }
        self.errand_done(now, errand.job);
    }

    /// Queues what the focus does not understand in another form; tells whether there is one.
    fn say_otherwise(&mut self, errand: &Errand) -> bool {
        let several = errand.whom.len() > 1;
        if !several && errand.is_last {
            return false;
        }
        let mode = match errand.mode {
            mode if several => mode,
            ReferMode::InDialog => ReferMode::OutOfDialog,
            ReferMode::OutOfDialog => ReferMode::InDialog,
        };
        let is_last = !several;
        let again = errand.whom.iter().map(|one| Errand {
            whom: vec![one.clone()],
            mode,
            is_last,
            ..errand.clone()
        });
        let again: Vec<_> = again.collect();
        if let Some(job) = self.referrals.jobs.iter_mut().find(|job| job.id == errand.job) {
            job.open += again.len().saturating_sub(1);
        }
        self.referrals.queue.extend(again);
        true
    }

    fn refusal(&self, id: &ParticipantId, then: Referred, why: String) -> Refusal {
        match then {
            Referred::Taken | Referred::Denied | Referred::SayOtherwise => Refusal::Denied { why },
            Referred::NoSuchUser => {
                let participant = self.chat.participants().get(id);
                let address = participant.map(|it| it.party.address.spelling().to_owned());
                let address = address.unwrap_or_default();
                Refusal::BadAddress { address, why: "an address that the network knows" }
            }
            Referred::NotNow => Refusal::Unavailable {
                why: "the focus does not answer",
                retry_after: self.settings.group.refer_wait,
            },
        }
    }

    /// Takes it back that somebody was named, or tells so, where the application has its answer.
    fn not_wanted(&mut self, now: Instant, errand: &Errand, id: &ParticipantId, refusal: Refusal) {
        let job = self.referrals.jobs.iter_mut().find(|job| job.id == errand.job);
        let is_owed = job.as_ref().is_some_and(|job| job.answer.is_some() && job.named.len() == 1);
        if let Some(job) = job {
            job.refused.push((id.clone(), refusal));
        }
        if errand.wish == Wish::Remove {
            return;
        }
        if is_owed {
            return self.chat.participants_mut().withdraw(id);
        }
        let identity = self.chat.participants().identity(id).cloned();
        if let Some(identity) = identity {
            let gone = Standing::Gone(Parting::Unexplained);
            self.chat.participants_mut().note(&identity, gone, None);
        }
        self.tell_participants(now);
    }

    fn errand_done(&mut self, _now: Instant, job: u64) {
        let Some(index) = self.referrals.jobs.iter().position(|known| known.id == job) else {
            return;
        };
        if let Some(job) = self.referrals.jobs.get_mut(index) {
            job.open = job.open.saturating_sub(1);
            if job.open > 0 {
                return;
            }
        }
        let job = self.referrals.jobs.remove(index);
        if let Some((id, _)) = job.answer {
            let answer = self.answer_of(&job);
            self.answer_later(id, answer);
        }
    }

    /// Answers a job whose REFERs are answered.
    fn answer_of(&self, job: &Job) -> Result<Answer, Refusal> {
        if let Some((_, refusal)) = job.refused.first()
            && job.refused.len() == job.named.len()
        {
            return Err(refusal.clone());
        }
        let participants = self.chat.participants();
        match (job.wish, job.named.as_slice()) {
            (Wish::Remove, _) => Ok(Answer::Done),
            (Wish::Invite, [one]) => {
                Ok(participants.get(one).cloned().map_or(Answer::UnderWay, Answer::Participant))
            }
            (Wish::Invite, named) => {
                let is_in = |id: &ParticipantId| {
                    let participant = participants.get(id);
                    participant.is_some_and(|it| it.status == ParticipantStatus::Connected)
                };
                let all_in = named.iter().all(is_in);
                Ok(if all_in {
                    Answer::Participants(participants.present())
                } else {
                    Answer::UnderWay
                })
            }
        }
    }

    fn is_gone(&self, id: &ParticipantId) -> bool {
        let participant = self.chat.participants().get(id);
        participant.is_none_or(|it| it.status == ParticipantStatus::Disconnected)
    }

    /// Lets no application wait longer than it may.
    pub(super) fn expire_referrals(&mut self, now: Instant) {
        let is_due = |job: &&mut Job| job.answer.is_some_and(|(_, until)| until <= now);
        let due: Vec<_> = self
            .referrals
            .jobs
            .iter_mut()
            .filter(is_due)
            .filter_map(|job| job.answer.take().map(|(id, _)| (id, job.wish)))
            .collect();
        for (id, wish) in due {
            let answer = match wish {
                Wish::Invite => Answer::UnderWay,
                Wish::Remove => Answer::Done,
            };
            self.answer_later(id, Ok(answer));
        }
    }

    /// The dialog is another one: what the focus has not answered in the one before is said again.
    pub(super) fn refer_again(&mut self, now: Instant) {
        let is_lost = |sent: &Sent| matches!(sent.by, By::Dialog(_));
        let (lost, kept) = std::mem::take(&mut self.referrals.out).into_iter().partition(is_lost);
        self.referrals.out = kept;
        let lost: Vec<Sent> = lost;
        for sent in lost.into_iter().rev().filter(|sent| !sent.is_answered) {
            self.referrals.queue.push_front(sent.errand);
        }
        self.send_referrals(now);
    }

    /// The user is not in any more: what is under way leads to nothing that it would see.
    pub(super) fn give_up_referrals(&mut self) {
        self.referrals.queue.clear();
        for sent in std::mem::take(&mut self.referrals.out) {
            if let By::Itself(referral) = sent.by {
                self.referrals.left.push(*referral);
            }
        }
        for job in std::mem::take(&mut self.referrals.jobs) {
            if let Some((id, _)) = job.answer {
                // The end may have overtaken the answer to what has brought it about.
                if job.wish == Wish::Remove && job.named.iter().all(|it| self.is_gone(it)) {
                    self.answer_later(id, Ok(Answer::Done));
                    continue;
                }
                let gone = self.chat.state() == GroupState::Ended;
                let why = "the user is not in the session";
                let refusal = match gone {
                    true => Refusal::NoSession,
                    false => Refusal::NotNow { act: "changing the participants", why },
                };
                self.answer_later(id, Err(refusal));
            }
        }
    }
}

fn key_of(referral: &Referral) -> DialogKey {
    let (call_id, tag) = (referral.call_id().to_owned(), referral.local_tag().to_owned());
    DialogKey { call_id, tag }
}
