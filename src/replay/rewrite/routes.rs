//! The way of requests within a dialog: what was recorded on the way of this run (RFC 3261 section
//! 12.1), and not what stood in the recording.

use std::collections::BTreeMap;

use super::super::raw::Raw;
use super::hosts::elements;
use super::{RECORD_ROUTE, TO, tag};

/// The ways of the dialogs, by recorded Call-ID.
#[derive(Debug, Default)]
pub(super) struct Routes {
    by_call: BTreeMap<String, Way>,
    /// How many hops our own invitations have recorded: we stand for all of them.
    own: BTreeMap<String, usize>,
}

/// The way of a dialog.
#[derive(Debug)]
struct Way {
    hops: Vec<String>,
    /// Whether it holds until the dialog ends; that of a provisional answer does not.
    is_settled: bool,
}

impl Routes {
    /// Notes how many hops a request of ours has recorded.
    pub(super) fn note(&mut self, call: &str, request: &Raw<'_>) {
        self.own.insert(call.to_owned(), hops(request).len());
    }

    /// Learns the way from a message of the bridge that makes a dialog.
    pub(super) fn learn(&mut self, call: &str, live: &Raw<'_>) {
        let line = live.of(&(0..live.line_end())).into_owned();
        let Some(code) = line.strip_prefix("SIP/2.0 ") else {
            // A request within a dialog changes nothing (RFC 3261 section 12.2).
            if live.text(TO).is_some_and(|to| tag(&to).is_none()) {
                let way = Way { hops: hops(live), is_settled: true };
                self.by_call.insert(call.to_owned(), way);
            }
            return;
        };
        let code: u16 = code.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
        if self.by_call.get(call).is_some_and(|way| way.is_settled) {
            return;
        }
        match code {
            101..300 => {
                let mut hops = hops(live);
                let own = self.own.get(call).copied().unwrap_or_default();
                hops.truncate(hops.len().saturating_sub(own));
                hops.reverse();
                let way = Way { hops, is_settled: code >= 200 };
                self.by_call.insert(call.to_owned(), way);
            }
            // It ends the early dialogs (RFC 3261 section 13.2.2.3).
            300.. => {
                self.by_call.remove(call);
            }
            _ => {}
        }
    }

    /// Writes the way of a dialog as fields.
    pub(super) fn lines(&self, call: &str) -> String {
        let hops = self.by_call.get(call).map(|way| way.hops.as_slice()).unwrap_or_default();
        hops.iter().map(|hop| format!("Route: {hop}\r\n")).collect()
    }
}

/// Gives the hops that a message has recorded.
fn hops(raw: &Raw<'_>) -> Vec<String> {
    let fields = raw.named(RECORD_ROUTE).take(MAX_HOPS);
    let mut hops: Vec<String> = fields
        .flat_map(|field| {
            let list = raw.bytes(&field.value);
            let texts = elements(list).into_iter().map(|it| String::from_utf8_lossy(&list[it]));
            texts.map(std::borrow::Cow::into_owned).collect::<Vec<_>>()
        })
        .collect();
    hops.truncate(MAX_HOPS);
    hops
}

/// No request may have more hops (RFC 3261 section 8.1.1.6).
const MAX_HOPS: usize = 70;
