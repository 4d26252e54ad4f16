//! MSRP on real sockets: who gets in, what a connection carries, and what happens when it breaks.
//!
//! | case of hardening | tests |
//! |---|---|
//! | M1 | `plain::m01_a_message_byte_by_byte` |
//! | M2 | `plain::m02_hyphens_in_a_body` |
//! | M3, M4, M8, M9 | `plain::m03_m04_m08_m09_bad_requests_are_refused_and_the_connection_stays` |
//! | M5 | `plain::m05_half_messages_are_bounded_and_given_up` |
//! | M6 | `plain::m06_what_is_no_msrp_is_closed`, `unbound::m06_a_first_frame_that_is_wrong_is_refused` |
//! | M7 | `plain::m07_header_fields_of_any_name_and_case_are_taken` |
//! | M10 | on the virtual clock only: no peer can be made to answer what is not written yet |
//! | M11 | `plain::m11_a_bound_session_keeps_its_connection` |
//! | M12 | `unbound::m12_who_names_no_session_is_closed_whatever_it_says`, `unbound::m12_one_source_gets_so_many_places` |
//! | M13 | `plain::m13_a_peer_that_stops_reading_stops_nobody_else` |
//! | M14 | `plain::m14_each_refusal_is_one_final_status` |
//! | M15 | `secure::m15_…` |
//! | M16 | `lost::m16_…` |
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

#[path = "../transports/certificates.rs"]
#[allow(dead_code, reason = "mutual TLS is for SIP")]
mod certificates;
mod lost;
mod plain;
mod rooms;
mod secure;
mod shared;
mod stage;
mod unbound;
mod web;
