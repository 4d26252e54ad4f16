//! Transcripts of subscriptions on a virtual clock: what goes in, and all that comes out.
#![allow(clippy::unwrap_used)]

mod notifier;
mod subscriber;
