//! The keys of the conference focus in `[im_server]`.

use std::net::SocketAddr;
use std::time::Duration;

use super::reader::Section;
use super::values::host;
use crate::im_server::OriginatorLeaves;

/// The conference focus of the embedded IM server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Focus {
    /// The user part of the conference factory; without one there is no focus.
    pub factory: String,
    /// How the user parts of rooms with a name begin.
    pub rooms: String,
    /// Where MSRP is listened for.
    pub msrp_listen: SocketAddr,
    /// How many ports are tried, from that of `msrp_listen` upwards.
    pub msrp_ports: u16,
    /// The host that participants are told to connect to, where it is not that of `msrp_listen`.
    pub msrp_advertise: Option<String>,
    /// How many rooms there may be at a time.
    pub max_rooms: usize,
    /// How many of them may be begun by one user.
    pub max_rooms_per_user: usize,
    /// How many may be in a room, or invited to it.
    pub max_participants: usize,
    /// With fewer than these a room of the factory ends.
    pub min_participants: usize,
    /// How many invitations of a room may be under way at a time.
    pub max_invitations: usize,
    /// What becomes of a room that its originator leaves.
    pub originator_leaves: OriginatorLeaves,
    /// After how long without a message a room ends; zero is never.
    pub idle: Duration,
    /// How long an invitation may ring.
    pub invitation_wait: Duration,
    /// Whether messages to a single participant are passed on.
    pub private_messages: bool,
    /// Whether participants may have nicknames.
    pub nicknames: bool,
    /// The shortest subscription to a room that is granted, in seconds.
    pub watch_min: u32,
    /// The longest one.
    pub watch_max: u32,
    /// How many rooms that have ended are still known to have been.
    pub remembered: usize,
    /// The largest message in a room, in bytes.
    pub max_message: usize,
    /// How many messages may wait for one participant.
    pub queue: usize,
    /// How long a participant may leave a message unanswered.
    pub stall: Duration,
}

impl Focus {
    pub(super) fn read(keys: &mut Section<'_, '_>) -> Self {
        Self {
            factory: keys.text("conference_factory", "conference-factory", user_part),
            rooms: keys.text("rooms", "room-", user_part),
            msrp_listen: keys.socket("msrp_listen", ("127.0.0.1", 0)),
            msrp_ports: u16::try_from(keys.number("msrp_ports", 1, 1..=1024)).unwrap_or(1),
            msrp_advertise: keys.optional("msrp_advertise", host),
            max_rooms: keys.count("max_rooms", 1000, 1..=1_000_000),
            max_rooms_per_user: keys.count("max_rooms_per_user", 100, 1..=1_000_000),
            max_participants: keys.count("max_participants", 100, 2..=250),
            min_participants: keys.count("min_participants", 2, 1..=250),
            max_invitations: keys.count("max_invitations", 50, 1..=250),
            originator_leaves: keys.choice("originator_leaves"),
            idle: keys.seconds("idle_s", 86_400, 0..=31_536_000),
            invitation_wait: keys.seconds("invitation_wait_s", 180, 1..=3600),
            private_messages: keys.flag("private_messages", true),
            nicknames: keys.flag("nicknames", true),
            watch_min: keys.number("watch_min_s", 60, 1..=3600),
            watch_max: keys.number("watch_max_s", 3600, 60..=604_800),
            remembered: keys.count("remembered_rooms", 1000, 0..=1_000_000),
            max_message: keys.count("room_max_message", 262_144, 1024..=16_777_216),
            queue: keys.count("room_queue", 256, 1..=65_536),
            stall: keys.seconds("room_stall_s", 30, 1..=300),
        }
    }
}

/// Reads what may stand in the user part of a SIP URI without escapes; the empty text is none.
fn user_part(text: &str) -> Result<String, String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if text.len() <= 64 && text.chars().all(is_fine) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits, '-', '_', '.' and '+' are wanted".to_owned())
    }
}
