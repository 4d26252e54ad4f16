//! What the codecs make of recorded and written-up messages.
#![allow(missing_docs, clippy::unwrap_used)]

mod torture;
