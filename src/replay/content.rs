//! What a body is about, in a few words for a ladder.

use bytes::Bytes;

use crate::payload::imdn::{self, Report};
use crate::payload::{Composing, Cpim, Imdn};

/// Describes a body by its media type and, where that helps, by what it says.
pub(super) fn describe(content_type: &str, body: &[u8]) -> Option<String> {
    if content_type.is_empty() || body.is_empty() {
        return None;
    }
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/sdp" => Some("SDP".to_owned()),
        "message/cpim" => Some(cpim(body).unwrap_or(kind)),
        _ => Some(plain(&kind, body).unwrap_or(kind)),
    }
}

fn cpim(body: &[u8]) -> Option<String> {
    let cpim = Cpim::parse(Bytes::copy_from_slice(body)).ok()?;
    let kind = cpim.content_type.to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    plain(kind, &cpim.body).or_else(|| Some(kind.to_owned()))
}

fn plain(kind: &str, body: &[u8]) -> Option<String> {
    match kind {
        "text/plain" => Some(quoted(&String::from_utf8_lossy(body))),
        imdn::CONTENT_TYPE => {
            let report = Imdn::parse(body).ok()?.report;
            let status = match report {
                Report::Delivery(status) => format!("{status:?}"),
                Report::Display(status) => format!("{status:?}"),
                Report::Processing(status) => format!("{status:?}"),
            };
            Some(format!("IMDN {}", status.to_lowercase()))
        }
        "application/im-iscomposing+xml" => {
            Some(format!("isComposing {}", Composing::parse(body).ok()?.state.as_str()))
        }
        _ => None,
    }
}

/// Quotes the beginning of a text on one line.
fn quoted(text: &str) -> String {
    let line: String =
        text.chars().take(MAX_QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let rest = if text.chars().nth(MAX_QUOTED).is_some() { "…" } else { "" };
    format!("\"{}{rest}\"", line.trim_end())
}

const MAX_QUOTED: usize = 24;
