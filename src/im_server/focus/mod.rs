//! The conference focus: chat rooms with their participants, their MSRP and their state (RFC 4353,
//! RFC 4579, RFC 5366, RFC 7701).
//!
//! ```text
//!  INVITE factory, room ─┐              ┌─ 200, isfocus; INVITE with all the others in it
//!  SUBSCRIBE conference ─┼─▶ Focus ─────┼─ NOTIFY, to each as its own
//!  REFER                ─┘   │  rooms   └─ 202, NOTIFY; INVITE, BYE
//!  MSRP of a seat ◀──────────┴─────────▶ MSRP of all other seats
//! ```
//! It is reached by its names (`name`): the factory begins a room that the focus names itself, and
//! a room with a name of its own begins when it is called. [`Focus::take`] judges what comes new
//! (`policy`, `guests`) and hands it to its room; everything later finds its part of a room by the
//! dialog that it belongs to. Rooms know nothing of one another.
//!
//! Who has sent a request is the business of whoever hands it in: the focus believes an asserted
//! identity, and From where there is none.
//!
//! One user has one seat in a room: whoever calls again takes the place of the call before.
//! A subscription has a dialog of its own; one that would share the dialog of a call is refused, as
//! RFC 6665 section 4.5.2 has it.

mod guests;
mod media;
mod name;
mod policy;
mod room;
mod roster;
mod schedule;
mod seat;
mod settings;
mod switch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::media::Parts;
use self::name::{Names, Place};
use self::room::{Desk, Entrance, Inbound, Item, Kind, Room, RoomOutput};
use self::schedule::Schedule;
use super::policy::is_private;
use crate::ids::Random;
use crate::msrp;
use crate::sip::{
    ALLOW, DialogKey, Hop, Local, Message, Method, Request, Route, Status, Uri, route,
};

pub use self::policy::Denial;
pub use self::settings::{FocusSettings, OriginatorLeaves, Owner};

/// All rooms of a focus.
///
/// Sans-IO: after each call drain [`Focus::poll`] until it gives `None`, and call
/// [`Focus::handle_timeout`] no later than at [`Focus::next_timeout`].
#[derive(Debug)]
pub struct Focus {
    settings: Arc<FocusSettings>,
    names: Arc<Names>,
    random: Random,
    rooms: BTreeMap<u64, Room>,
    /// The room that a user part names now, or has named last.
    by_name: BTreeMap<String, u64>,
    /// By the Call-ID and our tag.
    dialogs: BTreeMap<DialogKey, (u64, Item)>,
    /// By the Call-ID and the tag of who has begun.
    callers: BTreeMap<DialogKey, (Caller, u64, Item)>,
    /// The rooms that are over, the oldest first.
    ended: VecDeque<u64>,
    next: u64,
    schedule: Schedule<u64>,
    outputs: VecDeque<FocusOutput>,
}

/// Names a seat of a room: one MSRP session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatId {
    room: u64,
    seat: u32,
}

#[cfg(test)]
impl SeatId {
    /// Names a seat where there is no room.
    pub(crate) fn made_up() -> Self {
        Self { room: 1, seat: 1 }
    }
}

/// What the focus wishes.
#[derive(Debug, Clone, PartialEq)]
pub enum FocusOutput {
    /// Bytes to put on the wire of SIP.
    Sip {
        /// The encoded message.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
    /// Something to do for the MSRP session of a seat.
    Media {
        /// The seat.
        seat: SeatId,
        /// What.
        output: MediaOutput,
    },
}

/// What is to be done for the MSRP session of a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaOutput {
    /// Whoever connects and names this session-id is for that seat.
    Open {
        /// The session-id.
        session_id: String,
    },
    /// Connect to the participant.
    Connect {
        /// A name or an address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Write one frame.
    Write(Bytes),
    /// Write one frame whose parts belong behind one another with nothing between.
    WriteParts([Bytes; 3]),
    /// Close the connection after all that was written, and forget the seat.
    Close,
}

/// By which dialogs a part of a room is found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keys {
    /// By our tag.
    dialog: DialogKey,
    /// By that of who has begun, where we have not.
    caller: Option<(DialogKey, Caller)>,
}

/// What tells a request that has come again from a new one, and who may cancel it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Caller {
    /// The number of the request.
    number: u32,
    /// The host that it has come from.
    host: String,
}

impl Keys {
    fn of_ours(call_id: &str, tag: &str) -> Self {
        let dialog = DialogKey { call_id: call_id.to_owned(), tag: tag.to_owned() };
        Self { dialog, caller: None }
    }

    fn caller(request: &Request, source: &Hop) -> Option<(DialogKey, Caller)> {
        let call_id = request.call_id()?.to_owned();
        let key = DialogKey { call_id, tag: request.from_tag().unwrap_or_default() };
        let number = request.cseq().ok()?.number;
        Some((key, Caller { number, host: source.host.clone() }))
    }
}

impl Focus {
    /// Makes a focus without rooms.
    #[must_use]
    pub fn new(settings: FocusSettings, random: Random) -> Self {
        Self {
            names: Arc::new(Names::new(&settings)),
            settings: Arc::new(settings),
            random,
            rooms: BTreeMap::new(),
            by_name: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            callers: BTreeMap::new(),
            ended: VecDeque::new(),
            next: 0,
            schedule: Schedule::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Tells whether a URI names the factory or a room.
    #[must_use]
    pub fn serves(&self, uri: &Uri) -> bool {
        self.names.place(uri).is_some()
    }

    /// Tells whether a message belongs to what is here already: a response, a request within a
    /// dialog, or one that has come again. A CANCEL has to come from where its INVITE has: nobody
    /// can be asked for a password with it (RFC 3261 section 22.1).
    #[must_use]
    pub fn owns(&self, message: &Message, source: &Hop) -> bool {
        self.find(message, source).is_some()
    }

    /// Takes a message that [`Focus::owns`].
    pub fn handle_sip(&mut self, now: Instant, message: Message, source: Hop) {
        let Some((number, item)) = self.find(&message, &source) else { return };
        self.with(number, |room| room.handle_sip(now, item, message, source));
    }

    /// Takes a request that is new, and for a URI that the focus [`serves`](Focus::serves).
    ///
    /// # Errors
    /// It is not done; nothing is kept of it, and its sender is told why.
    pub fn take(&mut self, now: Instant, request: Request, source: Hop) -> Result<(), Denial> {
        let place = self.names.place(&request.uri).ok_or(Status::NOT_FOUND)?;
        if request.to_tag().is_some() {
            return Err(Status::CALL_DOES_NOT_EXIST.into());
        }
        let inbound = Inbound { request, source };
        match inbound.request.method {
            Method::Invite => self.take_invite(now, place, inbound),
            Method::Subscribe => self.take_subscribe(now, &place, inbound),
            Method::Refer => self.take_refer(now, &place, inbound),
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Notify
            | Method::Update
            | Method::Prack => Err(Status::CALL_DOES_NOT_EXIST.into()),
            Method::Options
            | Method::Register
            | Method::Message
            | Method::Info
            | Method::Publish => Err(Denial::method_not_allowed(&self.allow())),
            Method::Other(_) => Err(Status::NOT_IMPLEMENTED.into()),
        }
    }

    /// Takes the news that what was to be sent there could not be sent.
    pub fn handle_failure(&mut self, now: Instant, hop: &Hop) {
        for number in self.rooms.keys().copied().collect::<Vec<_>>() {
            self.with(number, |room| room.handle_failure(now, hop));
        }
    }

    /// Takes what has happened on the MSRP session of a seat, in order.
    pub fn handle_media(&mut self, now: Instant, seat: SeatId, inputs: Vec<msrp::Input>) {
        self.with(seat.room, |room| room.handle_media(now, seat.seat, inputs));
    }

    /// Serves all that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(number) = self.schedule.pop_due(now) {
            self.with(number, |room| room.handle_timeout(now));
        }
    }

    /// Ends all rooms: every participant is told goodbye.
    pub fn stop(&mut self, now: Instant) {
        for number in self.rooms.keys().copied().collect::<Vec<_>>() {
            self.with(number, |room| {
                room.end(now, None);
                room.handle_timeout(now);
            });
        }
    }

    /// Gives the next wish.
    pub fn poll(&mut self) -> Option<FocusOutput> {
        self.outputs.pop_front()
    }

    /// Tells when to call [`Focus::handle_timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.schedule.next()
    }

    /// Counts the rooms that are not over.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.values().filter(|room| !room.is_over()).count()
    }

    /// What a room understands.
    #[must_use]
    pub fn allow(&self) -> String {
        format!("{ALLOW}, SUBSCRIBE, REFER")
    }

    fn find(&self, message: &Message, source: &Hop) -> Option<(u64, Item)> {
        match route(message) {
            Route::Response(key) | Route::InDialog(key) => self.dialogs.get(&key).copied(),
            Route::Initial(key) => {
                let Message::Request(request) = message else { return None };
                let (caller, number, item) = self.callers.get(&key)?;
                let is_same = request.cseq().is_ok_and(|cseq| cseq.number == caller.number);
                let may = request.method != Method::Cancel || source.host == caller.host;
                (is_same && may).then_some((*number, *item))
            }
            Route::Malformed => None,
        }
    }

    /// Lets somebody into a room, or begins one for it.
    fn take_invite(&mut self, now: Instant, place: Place, inbound: Inbound) -> Result<(), Denial> {
        // A room tells everybody who is in it (RFC 4575): whoever must not be known stays out (RFC
        // 5079), and is not told to the others.
        if is_private(&inbound.request.headers) {
            return Err(Status::ANONYMITY_DISALLOWED.into());
        }
        let sender = self.names.sender(&inbound.request).ok_or(Status::FORBIDDEN)?;
        let parts = Parts::of(&inbound.request)?;
        let host = (&sender.0, self.settings.max_participants);
        let guests = match &parts.list {
            Some(list) => guests::of_list(&self.names, list, host)?,
            None => Vec::new(),
        };
        let entrance = Entrance::read(sender, &inbound.request, &parts, guests)?;
        let number = match &place {
            Place::Factory => None,
            Place::AdHoc(user) => Some(*self.by_name.get(user).ok_or(Status::NOT_FOUND)?),
            Place::Named(user) => self.by_name.get(user).copied(),
        };
        let open = |number: &u64| {
            let is_over = self.rooms.get(number).is_none_or(Room::is_over);
            !is_over || matches!(place, Place::AdHoc(_))
        };
        let number = match number.filter(open) {
            Some(number) => {
                let room = self.rooms.get(&number).ok_or(Status::NOT_FOUND)?;
                room.check_entrance(&entrance)?;
                number
            }
            None => self.begin(now, place, &inbound.request, &entrance)?,
        };
        self.with(number, |room| room.join(now, inbound, entrance));
        Ok(())
    }

    fn begin(
        &mut self,
        now: Instant,
        place: Place,
        invite: &Request,
        entrance: &Entrance,
    ) -> Result<u64, Denial> {
        let originator = &entrance.user;
        let open = self.rooms.values().filter(|room| !room.is_over());
        let (mut all, mut own) = (0, 0);
        for room in open {
            all += 1;
            own += usize::from(room.originator() == originator);
        }
        // Rooms that have just ended still have calls to see off.
        let most = 2 * self.settings.max_rooms + self.settings.remembered;
        if all >= self.settings.max_rooms || self.rooms.len() >= most {
            return Err(Denial::overload());
        }
        if own >= self.settings.max_rooms_per_user {
            return Err(Denial::warned(Status::FORBIDDEN, "Too many chats"));
        }
        if entrance.guests.len() >= self.settings.max_participants {
            return Err(Denial::crowded());
        }
        let (kind, user) = match place {
            Place::Factory => (Kind::AdHoc, self.names.draw(&self.random.token())),
            Place::AdHoc(_) => return Err(Status::NOT_FOUND.into()),
            Place::Named(user) => (Kind::Named, user),
        };
        let uri = self.names.room(&user).ok_or(Status::BAD_REQUEST)?;
        let desk = Desk {
            settings: Arc::clone(&self.settings),
            names: Arc::clone(&self.names),
            local: Arc::new(self.local(&uri)),
            uri,
            user: user.clone(),
            random: self.random.fork(),
        };
        let mut topic = name::carried(&invite.headers);
        for id in ["Conversation-ID", "Contribution-ID"] {
            // Clients know a chat by these, also where its originator did not.
            if !topic.iter().any(|(name, _)| name == id) {
                topic.push((id.to_owned(), self.random.uuid()));
            }
        }
        let room = Room::new(now, desk, (kind, originator.clone()), topic);
        self.next += 1;
        self.rooms.insert(self.next, room);
        self.by_name.insert(user, self.next);
        Ok(self.next)
    }

    fn take_subscribe(
        &mut self,
        now: Instant,
        place: &Place,
        inbound: Inbound,
    ) -> Result<(), Denial> {
        let (user, _) = self.names.sender(&inbound.request).ok_or(Status::FORBIDDEN)?;
        let (number, room) = self.room(place)?;
        room.check_watcher(&user)?;
        self.with(number, |room| room.watch(now, inbound, user));
        Ok(())
    }

    fn take_refer(&mut self, now: Instant, place: &Place, inbound: Inbound) -> Result<(), Denial> {
        let (user, _) = self.names.sender(&inbound.request).ok_or(Status::FORBIDDEN)?;
        let (number, room) = self.room(place)?;
        room.check_referrer(&user)?;
        self.with(number, |room| room.refer(now, inbound, user));
        Ok(())
    }

    fn room(&self, place: &Place) -> Result<(u64, &Room), Denial> {
        let (Place::AdHoc(user) | Place::Named(user)) = place else {
            return Err(Denial::method_not_allowed(FACTORY_ALLOW));
        };
        let number = self.by_name.get(user).ok_or(Status::NOT_FOUND)?;
        let room = self.rooms.get(number).ok_or(Status::NOT_FOUND)?;
        Ok((*number, room))
    }

    /// Describes a room as a user agent.
    fn local(&self, uri: &Uri) -> Local {
        let settings = &self.settings;
        let mut local = Local::new(settings.local.clone(), settings.user_agent.clone());
        local.allow = self.allow();
        local.events = vec![crate::payload::conference::EVENT.to_owned()];
        local.supported.extend(OPTIONS.map(str::to_owned));
        local.contact_params = format!(";isfocus{}", settings.contact_params);
        local.gruu = Some(uri.clone());
        local.identity = match settings.owner {
            Owner::Network => Some(format!("<{uri}>")),
            Owner::Originator { .. } => None,
        };
        local.datagram = settings.datagram;
        local.credentials = settings.credentials.clone();
        local
    }

    /// Lets work be done on a room, then carries out what it wishes.
    fn with(&mut self, number: u64, work: impl FnOnce(&mut Room)) {
        let Some(room) = self.rooms.get_mut(&number) else { return };
        let was_over = room.is_over();
        work(room);
        while let Some(output) = room.poll() {
            match output {
                RoomOutput::Sip { bytes, hop } => {
                    self.outputs.push_back(FocusOutput::Sip { bytes, hop });
                }
                RoomOutput::Media(seat, output) => {
                    let seat = SeatId { room: number, seat };
                    self.outputs.push_back(FocusOutput::Media { seat, output });
                }
                RoomOutput::Enter(item, Keys { dialog, caller }) => {
                    self.dialogs.insert(dialog, (number, item));
                    if let Some((key, caller)) = caller {
                        self.callers.insert(key, (caller, number, item));
                    }
                }
                RoomOutput::Leave(Keys { dialog, caller }) => {
                    let item = self.dialogs.remove(&dialog);
                    if let Some((key, _)) = caller
                        && let Some((_, number, held)) = self.callers.get(&key)
                        && item == Some((*number, *held))
                    {
                        self.callers.remove(&key);
                    }
                }
            }
        }
        self.schedule.note(number, room.next_timeout());
        if room.is_over() && !was_over {
            self.ended.push_back(number);
        }
        if room.is_over() {
            self.forget();
        }
    }

    /// Forgets the rooms that have been over for longest, once nothing is left of them.
    fn forget(&mut self) {
        while self.ended.len() > self.settings.remembered {
            let Some(number) = self.ended.front() else { return };
            if let Some(room) = self.rooms.get(number) {
                if !room.is_finished() {
                    return;
                }
                if self.by_name.get(room.user()) == Some(number) {
                    self.by_name.remove(room.user());
                }
            }
            self.rooms.remove(number);
            self.schedule.cancel(number);
            self.ended.pop_front();
        }
    }

    /// Counts what is remembered of dialogs, for tests.
    #[cfg(test)]
    pub(in crate::im_server) fn dialogs(&self) -> usize {
        self.dialogs.len() + self.callers.len()
    }
}

/// What a room does beside what every leg does (RFC 5366, RFC 5368, RFC 4488).
pub(super) const OPTIONS: [&str; 3] = ["recipient-list-invite", "multiple-refer", "norefersub"];

/// What the factory understands.
const FACTORY_ALLOW: &str = "INVITE, ACK, CANCEL, OPTIONS";
