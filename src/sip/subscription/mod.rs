//! Subscriptions: SUBSCRIBE and NOTIFY, from both sides (RFC 6665).
//!
//! [`Subscriber`] asks and listens, [`Notifier`] answers and tells. Bodies are opaque here; which
//! event package it is, and which types its bodies have, are parameters. What both write into the
//! headers, and what it means that a subscription has ended, stands in `state`.

mod branch;
mod notifier;
mod state;
mod subscriber;
mod wanted;

pub use notifier::{Notifier, NotifierEvent, NotifierTerms, Parting, Standing};
pub use state::{Again, EndReason, Ended, Ending, EventType, SubscriptionState};
pub use subscriber::{Forks, Subscriber, SubscriberEvent, Subscription};

pub(super) use wanted::{REFER_EVENT, SIPFRAG, declines_subscription};

#[cfg(test)]
mod tests;
