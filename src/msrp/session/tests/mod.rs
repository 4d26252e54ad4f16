//! Sessions on a virtual clock, and the index of what hardens MSRP against peers and networks.
//!
//! | case | tests, in this folder or beside their code |
//! |---|---|
//! | M1 | `m01_a_message_byte_by_byte_is_the_message_in_one_read` (parse) |
//! | M2 | `m02_hyphens_that_are_not_the_end_line_belong_to_the_body` (parse), `m02_a_drawn_identifier_does_not_occur_in_the_body` (frame), `m02_our_transaction_identifiers_are_not_in_the_body` |
//! | M3 | `m03_a_range_that_is_none_is_refused` (parse), `m03_impossible_ranges_are_refused_and_nothing_is_reserved` (assembly) |
//! | M4 | `m04_chunks_come_in_any_order_twice_and_overlapping`, `m04_a_changed_total_drops_the_message_only`, `m04_chunks_may_come_from_the_last_to_the_first`, `m04_a_message_that_was_refused_often_does_not_hurt_the_next` (assembly), `m04_a_chunk_of_a_message_that_is_whole_opens_nothing`, `m04_a_message_in_chunks_may_have_the_name_of_one_before`, `m04_a_whole_message_is_taken_whatever_half_has_its_name`, `m04_a_changed_total_is_refused_and_the_session_lives` |
//! | M5 | `m05_endless_chunks_are_cut_off_at_the_limit`, `m05_only_so_many_messages_are_open`, `m05_only_so_many_gaps_are_open`, `m05_what_stands_still_is_dropped`, `m05_small_chunks_do_not_move_large_pieces`, `m05_a_half_message_keeps_nothing_of_what_was_read` (assembly), `m05_a_stalled_message_is_dropped_counted_and_reported` |
//! | M6 | `m06_a_head_over_its_limits_is_refused_and_skipped`, `m06_what_is_no_msrp_ends_the_stream_at_once`, `m06_a_megabyte_without_newline_is_not_held`, `m06_the_verdict_does_not_depend_on_the_cut` (parse) |
//! | M7 | `m07_unknown_methods_and_headers_are_kept`, `m07_headers_come_in_any_order_and_case_with_any_number_of_spaces` (parse), `m07_header_fields_of_others_reach_the_owner` |
//! | M8 | `m08_paths_that_are_missing_repeated_or_endless_are_refused` (parse), `m08_the_to_path_has_to_name_this_session` |
//! | M9 | `m09_strange_methods_are_refused_and_strange_responses_ignored`, `m09_late_responses_are_counted_only` |
//! | M10 | `m10_an_answer_may_come_before_the_write_returns` |
//! | M11 | `m11_a_second_connection_is_refused_and_the_first_is_kept`; the sockets and the alarm are those of `net` |
//! | M12 | the sockets are those of `net` |
//! | M13 | `m13_the_queue_has_an_end`, `m13_a_peer_that_stops_reading_fails_what_waits_behind`, `m13_a_chunk_without_answer_keeps_nothing_of_those_with_one`, `m13_the_rows_are_no_longer_than_what_waits` (outbox) |
//! | M14 | `m14_every_answer_gives_exactly_one_final_status`, `m14_after_413_nothing_more_of_the_message_is_sent`, `m14_a_message_that_fails_halfway_is_aborted`, `m14_silence_fails_a_message_after_the_response_time`, `m14_with_partial_reports_silence_is_success_and_refusal_is_told`, `m14_without_failure_reports_writing_is_success`, `m14_a_failure_report_before_the_answer_is_the_final_status` |
//! | M15 | the handshakes are those of `net` |
//! | M16 | `m16_a_lost_connection_fails_what_is_unanswered_once`, `m16_a_message_that_comes_again_is_reported_again_but_not_told_again`, `m16_whatever_is_lost_and_replaced_a_message_that_comes_again_is_known`, `m16_a_message_sent_again_is_told_from_a_message_id_used_again` (assembly), `m16_a_peer_that_restarts_is_tried_again_until_the_grace_is_over`, `m16_whoever_comes_back_is_not_called` |
//!
//! The binary `msrp` shows those that begin with bytes once more from there, lets peers say anything
//! at all, and has two sessions talk over a network that is slow, deaf and breaks.
//!
//! Quirks of deployed peers, by the number under which they were found:
//!
//! | quirk | tests |
//! |---|---|
//! | 1 | `quirk_01_nio_end_line_after_blank_line` (parse), `quirk_01_nio_binding_send_with_an_empty_type_is_no_message` |
//! | 2 | `quirk_02_answers_to_our_reports_are_ignored` |
//! | 3 | `quirk_03_a_report_may_have_the_tid_of_its_send`, `quirk_03_a_request_may_have_the_tid_of_one_of_ours` |
//! | 4 | `quirk_04_success_is_reported_to_those_only_who_ask` |
//! | 5 | `quirk_05_to_11_every_frame_keeps_to_the_profile_that_all_peers_read`; the session-ids are those of `ids` |
//! | 6 | the same, `quirk_06_no_chunk_has_what_looks_like_an_end_line` (outbox) and `quirk_06_opensips_binding_send_that_wants_no_answer` |
//! | 7 | the same |
//! | 8 | the same, `quirk_08_msrp_java_status_lines_without_comment` (parse), `quirk_08_msrp_java_success_after_481_is_too_late` |
//! | 9 | the same: a SEND without body comes first |
//! | 10 | the same, and `quirk_10_a_chunk_ends_before_a_character` (outbox) |
//! | 11 | the same, and `quirk_11_nio_bodies_without_range_are_whole` |
//! | 12 | `quirk_12_tinymsrp_tids_may_be_those_of_ours`; `quirk_12_media_types_in_any_case` |
//! | 13 | `quirk_13_report_ranges_come_in_every_shape`, `quirk_13_rcsjta_report_with_a_plus_in_its_tid_and_a_repeated_code` (parse) |
//! | 14 | its bodies, as those of 12 and 15, in the binary `msrp` |
//! | 15 | `quirk_15_mavenir_names_that_are_used_again` |
//! | 16 | `quirk_16_msrprelay_sends_head_and_body_apart` (parse) |
//! | 17 | in `sdp` |

#![allow(clippy::unwrap_used)]

mod binding;
mod lost;
mod peers;
mod receiving;
mod relayed;
mod rooms;
mod sending;

use std::time::Duration;

use bytes::Bytes;

use super::super::event::Incoming;
use super::super::frame::{Header, Kind};
use super::super::outbox::tests::outgoing;
use super::super::parse::Parser;
use super::*;

#[test]
fn the_index_names_tests_that_there_are() {
    let index = include_str!("mod.rs").lines().take_while(|line| line.starts_with("//!"));
    let names = index.flat_map(|line| line.split('`').skip(1).step_by(2));
    let names: Vec<&str> = names.filter(|name| name.contains('_')).collect();
    assert!(names.len() > 40);
    let sources = [
        include_str!("binding.rs"),
        include_str!("lost.rs"),
        include_str!("peers.rs"),
        include_str!("receiving.rs"),
        include_str!("sending.rs"),
        include_str!("../../assembly.rs"),
        include_str!("../../frame.rs"),
        include_str!("../../outbox.rs"),
        include_str!("../../parse.rs"),
    ]
    .concat();
    for name in names {
        assert!(sources.contains(&format!("fn {name}()")), "no test is called {name}");
    }
    let indexed = include_str!("mod.rs");
    let hardened = sources.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
    let hardened = hardened.filter_map(|line| line.split_once("()")).map(|(name, _)| name);
    let cases = hardened.filter(|name| {
        let number = name.strip_prefix('m').or_else(|| name.strip_prefix("quirk_"));
        number.is_some_and(|rest| rest.as_bytes().iter().take(2).all(u8::is_ascii_digit))
    });
    for case in cases {
        assert!(indexed.contains(&format!("`{case}`")), "{case} is not in the index");
    }
}

/// A session, its clock and what it has written.
struct Talk {
    session: Session,
    now: Instant,
    written: Vec<Frame>,
    /// The same, as bytes.
    raw: Vec<Bytes>,
}

impl Talk {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let local = Uri::parse("msrp://192.0.2.9:2855/ours;tcp").unwrap();
        let session = Session::new(local, limits, Random::seeded(1));
        Self { session, now: Instant::now(), written: Vec::new(), raw: Vec::new() }
    }

    /// The first frame written is the one that binds; on the passive side it would be missing.
    fn bound() -> Self {
        let mut talk = Self::new();
        talk.bind();
        talk
    }

    /// A connection that is lost is replaced.
    fn lasting() -> Self {
        let mut talk = Self::with(Limits { grace: Duration::from_secs(3), ..Limits::default() });
        talk.bind();
        talk
    }

    /// Loses the connection and makes another, a while after the last one.
    fn reconnect(&mut self) {
        self.sleep(10);
        self.give(Input::Closed);
        self.give(Input::Connected);
        self.answer(self.written.len() - 1, 200);
    }

    fn bind(&mut self) {
        self.open(Setup::Active);
        self.give(Input::Connected);
        self.answer(0, 200);
    }

    fn open(&mut self, setup: Setup) -> Vec<String> {
        self.session.open(self.now, path("msrp://192.0.2.1:9000/peer;tcp"), setup);
        self.drain()
    }

    fn give(&mut self, input: Input) -> Vec<String> {
        self.session.handle(self.now, input);
        self.drain()
    }

    fn receive(&mut self, bytes: &str) -> Vec<String> {
        let mut buffer = BytesMut::from(bytes);
        match Parser::new(Limits::default()).next(&mut buffer) {
            Ok(Some(frame)) => self.give(Input::Frame(frame)),
            Ok(None) => panic!("unfinished"),
            Err(error) => self.give(Input::Malformed(error)),
        }
    }

    /// Answers the frame that was written as number `place`.
    fn answer(&mut self, place: usize, code: u16) -> Vec<String> {
        self.answer_with(place, code, &[])
    }

    fn answer_with(&mut self, place: usize, code: u16, fields: &[(&str, &str)]) -> Vec<String> {
        let Frame { tid, to_path, from_path, .. } = self.written[place].clone();
        let mut response = Frame::response(code, tid, from_path, to_path);
        let header = |(name, value): &(&str, &str)| Header {
            name: Text::new(name),
            value: Text::new(value),
        };
        response.headers = fields.iter().map(header).collect();
        self.give(Input::Frame(response))
    }

    /// The frame written last.
    fn last(&self) -> &Frame {
        self.written.last().unwrap()
    }

    fn send(&mut self, id: &str, body: &str) -> Vec<String> {
        self.try_send(id, body).unwrap();
        self.drain()
    }

    fn send_with(&mut self, id: &str, failure_report: FailureReport) -> Vec<String> {
        let message = Outgoing { failure_report, ..outgoing(id, "x") };
        self.session.send(self.now, message).unwrap();
        self.drain()
    }

    fn try_send(&mut self, id: &str, body: &str) -> Result<(), SendError> {
        self.session.send(self.now, outgoing(id, body))
    }

    fn sleep(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.give(Input::Timeout)
    }

    fn drain(&mut self) -> Vec<String> {
        let mut shown_outputs = Vec::new();
        while let Some(output) = self.session.poll() {
            shown_outputs.push(shown(&output));
            if let Output::Write(bytes) = output {
                self.written.push(parsed(&bytes));
                self.raw.push(bytes);
            }
        }
        shown_outputs
    }
}

fn shown(output: &Output) -> String {
    match output {
        Output::Connect { host, port, secure } => {
            format!("connect {host} {port} {}", if *secure { "tls" } else { "plain" })
        }
        Output::Write(bytes) => shown_frame(&parsed(bytes)),
        Output::WriteParts(parts) => format!("parts: {}", shown_frame(&parsed(&parts.concat()))),
        Output::Close => "close".to_owned(),
        Output::Event(Event::Bound) => "bound".to_owned(),
        Output::Event(Event::Interrupted) => "interrupted".to_owned(),
        Output::Event(Event::Message(Incoming { message_id, content_type, body, .. })) => {
            format!("message {message_id} {content_type} {}", String::from_utf8_lossy(body))
        }
        Output::Event(Event::Sent { message_id }) => format!("sent {message_id}"),
        Output::Event(Event::Failed { message_id, code, .. }) => {
            format!("failed {message_id} {code}")
        }
        Output::Event(Event::Report { message_id, code, .. }) => {
            format!("report {message_id} {code}")
        }
        Output::Event(Event::Nickname { nickname, code, .. }) => {
            format!("nickname {} {code}", nickname.as_deref().unwrap_or("-"))
        }
        Output::Event(Event::NicknameAsked(asked)) => {
            format!("asked for {}", asked.nickname.as_deref().unwrap_or("-"))
        }
        Output::Event(Event::Path(path)) => format!("path {path}"),
        Output::Event(Event::Broken(why)) => format!("broken: {why}"),
    }
}

fn shown_frame(frame: &Frame) -> String {
    let method = match &frame.kind {
        Kind::Response { code, .. } => return format!("{code} {}", frame.tid),
        Kind::Request(method) => method.as_str(),
    };
    let id = frame.message_id.as_ref().filter(|_| frame.body.is_some() || method != "SEND");
    let mut line = format!("{method} {}", id.map_or("-", |id| id.as_str()));
    line += &frame.byte_range.map(|range| format!(" {range}")).unwrap_or_default();
    line += &frame.failure_report.map(|it| format!(" {}", it.as_str())).unwrap_or_default();
    if let Some(status) = &frame.status {
        line += &format!(" {:03} {}", status.namespace, status.code);
    }
    line += &format!(" {}", char::from(frame.flag.octet()));
    if let Some(body) = &frame.body {
        line += &format!(" {}", String::from_utf8_lossy(body));
    }
    line
}

fn request(start: &str, fields: &str) -> String {
    format!(
        "MSRP tid1 {start}\r\nTo-Path: msrp://192.0.2.9:2855/ours;tcp\r\n\
         From-Path: msrp://192.0.2.1:9000/peer;tcp\r\n{fields}-------tid1$\r\n"
    )
}

fn text(id: &str, range: &str, body: &str) -> String {
    request(
        "SEND",
        &format!(
            "Message-ID: {id}\r\nByte-Range: {range}\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
        ),
    )
}

fn parsed(bytes: &[u8]) -> Frame {
    Parser::new(Limits::default()).next(&mut BytesMut::from(bytes)).unwrap().unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}
