//! What the embedded IM server is told when it is made.

use std::time::Duration;

use super::focus::FocusSettings;
use crate::address::Address;
use crate::sip::{Algorithm, Credentials, DATAGRAM, Hop, Password, Timers, Transport};

/// Who lives where, and how much a peer may make the server hold.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domain whose users are served, as it stands in their addresses.
    pub domain: String,
    /// The address that the server listens on, which Via and Record-Route tell to others.
    pub local: Hop,
    /// The users that exist from the beginning.
    pub users: Vec<Address>,
    /// Whether every other user of the domain exists too, from its first mention on.
    pub create_users: bool,
    /// The users that may come from outside, with what they prove themselves by. They exist beside
    /// [`Settings::users`].
    pub accounts: Vec<Account>,
    /// The bridge: users of the domain who have registered no contact live there.
    pub home: Option<Hop>,
    /// What the bridge proves itself by, wherever its address proves nothing.
    pub home_credentials: Option<Credentials>,
    /// The algorithms that are offered to whoever has to prove something, the preferred one first
    /// (RFC 8760 section 2.4).
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// How many nonces are remembered with the counts that were used; older ones become stale.
    pub max_nonces: usize,
    /// The timers of every transaction.
    pub timers: Timers,
    /// The largest request that goes as a datagram, in bytes; `0` is any (RFC 3261 section 18.1.1).
    pub datagram: usize,
    /// How many contacts a user may have.
    pub max_contacts: usize,
    /// How many requests may be remembered at a time, under way or answered lately.
    pub max_transactions: usize,
    /// The shortest registration that is granted; a shorter wish is answered with 423.
    pub min_expires: Duration,
    /// The longest registration that is granted; a longer wish is shortened.
    pub max_expires: Duration,
    /// What is granted where nothing was wished.
    pub default_expires: Duration,
    /// The conference focus, if there is one.
    pub focus: Option<FocusSettings>,
    /// What the `Server` header says of us; an empty name leaves it out.
    pub server_name: String,
}

/// A user with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who it is: a number, or a user of the domain. The name in an answer to a challenge is this
    /// address, with or without scheme and domain.
    pub address: Address,
    /// What is shared with the user.
    pub password: Password,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            domain: "example.com".to_owned(),
            local: Hop::new(Transport::Udp, "127.0.0.1", 5060),
            users: Vec::new(),
            create_users: true,
            accounts: Vec::new(),
            home: None,
            home_credentials: None,
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime: Duration::from_secs(300),
            max_nonces: 10_000,
            timers: Timers::default(),
            datagram: DATAGRAM,
            max_contacts: 10,
            max_transactions: 10_000,
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(24 * 3600),
            default_expires: Duration::from_secs(3600),
            focus: None,
            server_name: "chatbridge".to_owned(),
        }
    }
}
