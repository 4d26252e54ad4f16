//! What outlives a request: the directories of sessions, connections, subscriptions,
//! channels, and hops that rest. What outlives a restart is kept in [`durable`].

mod backlog;
mod channels;
pub mod connections;
mod correlators;
pub mod durable;
mod keeper;
mod names;
mod notices;
mod registrations;
mod restart;
mod resting;
mod sessions;
mod subscriptions;
mod wires;

pub use backlog::{Backlog, Content, Loss, Queued};
pub use channels::{Channel, ChannelSettings, Channels, ChannelsFull, Hand, NewChannel, Reader};
pub use connections::Connections;
pub use correlators::{Claim, Correlation, CorrelatorLimits, Correlators, OtherContent, Pending};
pub use keeper::Keeper;
pub use names::SessionNames;
pub use notices::{Notices, Receipt, Receipted, Told};
pub use registrations::{RegistrationLetter, Registrations};
pub use restart::{Directories, Remembered, restore};
pub use resting::Resting;
pub use sessions::{
    Bounds, Flushed, Inbox, Letter, Letters, NotTaken, Opening, Returned, Sessions, Start, Ticket,
};
pub use subscriptions::{Subscription, SubscriptionLimits, Subscriptions, SubscriptionsFull};
pub use wires::{MsrpArrival, MsrpConnection, MsrpPort, MsrpWay, MsrpWire};
