//! The flows of TS Chat section 5.3, told as transcripts: conversations, the embedded IM server and
//! a virtual clock, without any socket.
#![allow(missing_docs)]

mod composing;
mod dialog;
mod far_end;
mod focus;
mod group_messages;
mod group_referrals;
mod group_trace;
mod group_watch;
mod hardening;
mod hosted;
mod hostile;
mod invitations;
mod laws;
mod lines;
mod media;
mod mistakes;
mod naming;
mod pager;
mod payloads;
mod proxies;
mod refusals;
mod registering;
mod relayed;
mod replaced;
mod s5_3_10_receiving;
mod s5_3_2_starting;
mod s5_3_3_ending;
mod s5_3_4_extending;
mod s5_3_5_starting_groups;
mod s5_3_6_cancelling;
mod s5_3_7_3_answering_groups;
mod s5_3_7_answering;
mod s5_3_8_1_leaving_groups;
mod s5_3_8_leaving;
mod s5_3_9_sending;
mod world;

/// Nothing was told, nothing was sent.
const NOTHING: [&str; 0] = [];
