//! What a bridge of our own was held back from: whom it wanted to call, and what had it do so.

use clap::ValueEnum as _;

use super::super::raw::Raw;
use super::super::rewrite::{Kept, Rewriting};
use super::player::{Halt, Player};
use crate::net::{Held, HeldBack};
use crate::trace::{End, Recorded};

/// Says why a run does not go on where the bridge wanted to call somebody else.
pub(super) fn halt(player: &Player<'_>, held: &HeldBack) -> Halt {
    let ours = [player.wires.sip, player.wires.msrp].map(End::At);
    let said = player.log.iter().filter(|message| ours.contains(&message.from));
    let causes = causes(held, player.names.kept, said);
    let why = match causes.is_empty() {
        true => "nobody who plays is there".to_owned(),
        false => causes.join(" or "),
    };
    let what = format!("{held} was held back: {why}; --allow-target {} if it is meant", held.host);
    Halt::Held { what, is_asked_for: !causes.is_empty() }
}

/// Names the rewritings that were left out and have the bridge call another one: of more than one,
/// those that have left the host in what was said.
fn causes<'a>(
    held: &HeldBack,
    kept: Kept,
    said: impl Iterator<Item = &'a Recorded> + Clone,
) -> Vec<String> {
    let may: &[Rewriting] = match held.what {
        Held::Answer(_) => &[Rewriting::Via],
        Held::Request(_) => {
            &[Rewriting::Contact, Rewriting::Route, Rewriting::RequestUri, Rewriting::Focus]
        }
        Held::Msrp => &[Rewriting::Sdp, Rewriting::Paths],
    };
    let may: Vec<Rewriting> = may.iter().copied().filter(|it| kept.has(*it)).collect();
    let left = |it: &Rewriting| said.clone().any(|message| has_left(*it, message, &held.host));
    let sure: Vec<Rewriting> = may.iter().copied().filter(left).collect();
    let causes = if sure.is_empty() { may } else { sure };
    let name = |it: Rewriting| it.to_possible_value().map(|it| format!("--keep {}", it.get_name()));
    causes.into_iter().filter_map(name).collect()
}

/// Tells whether a message has a host where a rewriting would have put another.
fn has_left(what: Rewriting, message: &Recorded, host: &str) -> bool {
    let field = match what {
        Rewriting::Via => ("Via", "v"),
        Rewriting::Contact => ("Contact", "m"),
        Rewriting::Route => ("Record-Route", "Record-Route"),
        Rewriting::Paths => ("From-Path", "From-Path"),
        Rewriting::Sdp => return holds(Raw::read(&message.bytes).body(), host),
        Rewriting::CallId
        | Rewriting::Tags
        | Rewriting::Cseq
        | Rewriting::RequestUri
        | Rewriting::Focus
        | Rewriting::Transactions
        | Rewriting::MessageIds
        | Rewriting::Lengths
        | Rewriting::Credentials
        | Rewriting::Map
        | Rewriting::FreshIds => return false,
    };
    let raw = Raw::read(&message.bytes);
    raw.named(field).any(|field| holds(&message.bytes[field.value.clone()], host))
}

fn holds(bytes: &[u8], host: &str) -> bool {
    memchr::memmem::find(bytes, host.as_bytes()).is_some()
}
