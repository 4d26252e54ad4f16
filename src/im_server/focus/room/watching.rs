//! Watching: the conference event package (RFC 4575), told to each subscriber as its own.
//!
//! Whoever keeps up gets what has changed, numbered one by one; whoever is slow, or asks, gets the
//! whole, which is written only then.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Inbound, Item, Room, RoomOutput};
use crate::address::Address;
use crate::im_server::focus::Keys;
use crate::im_server::focus::policy::Denial;
use crate::payload::conference::{self, Conference};
use crate::sip::{Body, EndReason, Ending, Notifier, NotifierEvent, NotifierTerms, Standing};

/// Somebody who watches the room.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) notifier: Notifier,
    user: Address,
    /// The URI by which it is told to others.
    entity: String,
    /// Whether it has been accepted, and not ended yet.
    stands: bool,
    /// The number of the last document (RFC 4575 section 4.3).
    version: u32,
    /// Of whom the last document told, which it may not have taken; and of whom none has told yet.
    unsure: BTreeSet<Address>,
    keys: Keys,
}

impl Room {
    /// Tells whether somebody may watch. To those who have been here when it was not over yet, it
    /// is told that there is nothing to see any more.
    pub(in crate::im_server::focus) fn check_watcher(&self, user: &Address) -> Result<(), Denial> {
        self.policy().may_watch(user)?;
        let own = || self.watchers.values().filter(|it| it.user == *user);
        let standing = own().filter(|it| it.stands).count();
        // Those who are here do not stand back behind those who are not.
        let is_outside = |user: &Address| !self.roster.is_present(user);
        let outside = || self.watchers.values().filter(|it| is_outside(&it.user)).count();
        let most_outside = self.desk.settings.max_participants;
        if standing >= MAX_WATCHES
            || own().count() >= MAX_LATELY
            || (is_outside(user) && outside() >= most_outside)
        {
            return Err(Denial::overload());
        }
        Ok(())
    }

    /// Takes a SUBSCRIBE.
    pub(in crate::im_server::focus) fn watch(
        &mut self,
        now: Instant,
        inbound: Inbound,
        user: Address,
    ) {
        let kit = self.desk.kit();
        let settings = &self.desk.settings;
        let terms = NotifierTerms {
            packages: vec![conference::EVENT.to_owned()],
            content_types: vec![conference::CONTENT_TYPE.to_owned()],
            shortest: settings.min_expires,
            usual: settings.max_expires,
            longest: settings.max_expires,
        };
        let caller = Keys::caller(&inbound.request, &inbound.source);
        let notifier = Notifier::answering(now, inbound.request, inbound.source, terms, kit);
        let keys = Keys { caller, ..Keys::of_ours(notifier.call_id(), notifier.local_tag()) };
        let entity = self.desk.entity(&user);
        let number = self.draw();
        let item = Item::Watcher(number);
        self.outputs.push_back(RoomOutput::Enter(item, keys.clone()));
        let (stands, version, unsure) = (false, 0, BTreeSet::new());
        let watcher = Watcher { notifier, user, entity, stands, version, unsure, keys };
        self.watchers.insert(number, watcher);
        self.busy.push_back(item);
        self.settle(now);
    }

    pub(super) fn drain_watcher(&mut self, now: Instant, number: u32) {
        loop {
            let Some(watcher) = self.watchers.get_mut(&number) else { return };
            let Some(output) = watcher.notifier.poll() else {
                if !watcher.notifier.wants_whole() {
                    break;
                }
                let whole = self.whole_for(number);
                if let (Some(whole), Some(watcher)) = (whole, self.watchers.get_mut(&number)) {
                    watcher.notifier.tell_whole(now, whole);
                }
                continue;
            };
            match self.send(output) {
                Some(NotifierEvent::Asked) => self.accept_watcher(now, number),
                Some(NotifierEvent::Ended(_)) => {
                    if let Some(watcher) = self.watchers.get_mut(&number) {
                        watcher.stands = false;
                    }
                }
                // Those who may not watch any more are told nothing more, not even now.
                Some(NotifierEvent::Refreshed) => self.check_refresh(now, number),
                Some(NotifierEvent::Refused(_)) | None => {}
            }
        }
        let Some(watcher) = self.watchers.get(&number) else { return };
        let item = Item::Watcher(number);
        if watcher.notifier.is_finished() {
            self.schedule.cancel(&item);
            let keys = self.watchers.remove(&number).map(|watcher| watcher.keys);
            self.outputs.extend(keys.map(RoomOutput::Leave));
        } else {
            self.schedule.note(item, watcher.notifier.next_timeout());
        }
    }

    fn accept_watcher(&mut self, now: Instant, number: u32) {
        if self.is_over {
            let Some(watcher) = self.watchers.get_mut(&number) else { return };
            watcher.notifier.accept(now, Standing::Pending, None);
            return watcher.notifier.terminate(now, over(), None);
        }
        let whole = self.whole_for(number);
        if let Some(watcher) = self.watchers.get_mut(&number) {
            watcher.stands = true;
            watcher.notifier.accept(now, Standing::Active, whole);
            watcher.notifier.keep_nothing();
        }
    }

    fn check_refresh(&mut self, now: Instant, number: u32) {
        let Some(user) = self.watchers.get(&number).map(|watcher| watcher.user.clone()) else {
            return;
        };
        if self.policy().may_watch(&user).is_err() {
            self.dismiss_watcher(now, &user);
        }
    }

    /// Ends the subscriptions of somebody who may not watch any more (RFC 6665 section 4.1.3).
    pub(super) fn dismiss_watcher(&mut self, now: Instant, user: &Address) {
        let own = self.watchers.iter_mut().filter(|(_, it)| it.stands && it.user == *user);
        for (number, watcher) in own {
            watcher.stands = false;
            watcher.notifier.terminate(now, Ending::because(EndReason::Rejected), None);
            self.busy.push_back(Item::Watcher(*number));
        }
    }

    /// Tells all who watch what has changed.
    pub(super) fn tell_news(&mut self, now: Instant) {
        if self.is_over || !self.roster.has_news() {
            return;
        }
        let (changed, news) = self.roster.news();
        let news = self.describe(news);
        for (number, Watcher { notifier, entity, version, unsure, .. }) in &mut self.watchers {
            let change = || written_for(&news, entity, *version + 1);
            if notifier.tell_change(now, change) {
                // All before has been taken, or it would be told the whole.
                *version += 1;
                unsure.clear();
            }
            unsure.extend(changed.iter().cloned());
            self.busy.push_back(Item::Watcher(*number));
        }
        self.forget_the_gone();
    }

    /// Remembers no more of those who have gone than may be here. Whoever does not know yet that
    /// one of the others is gone learns it from the whole, in which that one is missing.
    fn forget_the_gone(&mut self) {
        let most = self.desk.settings.max_participants;
        let forgotten = self.roster.forget(most, &self.originator);
        if !forgotten.is_empty() {
            for watcher in self.watchers.values_mut() {
                watcher.unsure.retain(|user| !forgotten.contains(user));
            }
        }
    }

    /// Tells all who watch that the room is over (RFC 6665 section 4.1.3), and with it what they
    /// have not been told yet, or do not take.
    pub(super) fn dismiss_watchers(&mut self, now: Instant) {
        for number in self.watchers.keys().copied().collect::<Vec<_>>() {
            let last = self.whole_for(number);
            if let (Some(last), Some(watcher)) = (last, self.watchers.get_mut(&number)) {
                watcher.notifier.terminate_informed(now, over(), last);
            }
        }
    }

    fn whole_for(&mut self, number: u32) -> Option<Body> {
        let unsure = &self.watchers.get(&number)?.unsure;
        let whole = self.describe(self.roster.whole(unsure));
        let watcher = self.watchers.get_mut(&number)?;
        watcher.version += 1;
        Some(written_for(&whole, &watcher.entity, watcher.version))
    }

    /// Puts into a document what is true of the room.
    fn describe(&self, document: Conference) -> Conference {
        let subject = self.topic.iter().find(|(name, _)| name == "Subject");
        Conference {
            entity: self.desk.uri.to_string(),
            subject: subject.map(|(_, subject)| subject.clone()),
            maximum_user_count: u32::try_from(self.desk.settings.max_participants).ok(),
            ..document
        }
    }
}

/// Writes a document for one who watches: deployed clients find themselves by `yourown`.
fn written_for(document: &Conference, entity: &str, version: u32) -> Body {
    let mut own = document.clone();
    own.version = Some(version);
    for user in own.users.iter_mut().filter(|user| user.entity == entity) {
        user.is_own = true;
    }
    Body { content_type: conference::CONTENT_TYPE.to_owned(), bytes: own.write() }
}

fn over() -> Ending {
    Ending::because(EndReason::NoResource)
}

/// How many subscriptions one user may have to a room: one for each device.
const MAX_WATCHES: usize = 8;

/// How many it may have with those that were refused or have ended lately, whose transactions are
/// still remembered (RFC 3261 section 17.2.2).
const MAX_LATELY: usize = 2 * MAX_WATCHES;
