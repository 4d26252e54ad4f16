//! MSRP on real sockets: who gets in, what a connection carries, and what happens when it breaks.
//!
//! | case of hardening | tests |
//! |---|---|
//! | M1 | `plain::m01_a_message_byte_by_byte` |
//! | M2 | `plain::m02_hyphens_in_a_body` |
//! | M3, M4, M8, M9 | `plain::m03_m04_m08_m09_bad_requests_are_refused_and_the_connection_stays` |
//! | M5, M6 | `plain::m06_what_is_no_msrp_is_closed` |
//! | M11 | `plain::m11_a_bound_session_keeps_its_connection` |
//! | M12 | `unbound::m12_who_names_no_session_is_closed_whatever_it_says`, `unbound::m12_one_source_gets_so_many_places` |
//! | M13 | `plain::m13_a_peer_that_stops_reading_stops_nobody_else` |
//! | M15 | `secure::m15_…` |
//! | M16 | `lost::m16_…` |
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

#[path = "../transports/certificates.rs"]
#[allow(dead_code, reason = "mutual TLS is for SIP")]
mod certificates;
mod lost;
mod plain;
mod secure;
mod shared;
mod stage;
mod unbound;
mod web;
