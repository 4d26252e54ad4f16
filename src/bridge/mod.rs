//! Translates between chat, SIP and MSRP: nobody else knows more than one of them.

pub mod delivery;
pub mod description;
pub mod sip_outcomes;
mod table;
