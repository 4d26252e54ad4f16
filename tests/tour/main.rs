//! The tour: what the README lets a newcomer paste works, and prints what the README shows.
//!
//! Every `bash` block of the README's Quick start is run, in one shell and in its order, against a
//! server of the test's own; the `text` block right below a `bash` block is what it must print,
//! identifiers and the port aside. So is the short tour that `chatbridge` prints when it starts,
//! and the README's table of SIP answers is held to the one that the bridge works by.
//! `UPDATE=1 cargo test --test tour` writes what was printed into the README.
//!
//! The tours need bash and curl. Where one of them is missing, a note on standard error says so and
//! the two tests that need them pass: whoever has only Rust can still run `cargo test`. The checks
//! of a change always have both.

mod answers;
mod printed;
mod readme;
mod shell;
