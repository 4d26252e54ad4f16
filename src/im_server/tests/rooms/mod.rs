//! Rooms in conversations: real calls, subscriptions and MSRP sessions meet at the focus.

mod entering;
mod hostile;
mod leaving;
mod referring;
mod stage;
mod talking;
mod watching;
