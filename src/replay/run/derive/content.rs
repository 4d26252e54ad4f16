//! What a received body says to an application (RFC 3862, RFC 5438, RFC 3994).

use bytes::Bytes;

use super::super::super::head::address;
use super::super::script::user;
use crate::bridge::delivery::ImdnNews;
use crate::payload::imdn::{self, Report};
use crate::payload::{Composing, Cpim, Imdn, MediaType, multipart};

/// What a body says, and who has written it, where the body says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A text, with the id that its sender gave it and the reports that the sender asks for.
    Text { from: Option<String>, id: Option<String>, text: String, reports: Vec<&'static str> },
    /// A composing state.
    Composing { from: Option<String>, is_active: bool, refresh: Option<u32> },
    /// What became of messages, by their ids.
    Reports(Vec<(String, ImdnNews)>),
    /// Nothing that an application is told.
    Nothing,
}

impl Content {
    /// Reads a body; what cannot be read is told to nobody.
    pub(super) fn read(content_type: &str, body: Bytes) -> Self {
        let Some(kind) = MediaType::parse(content_type) else { return Self::Nothing };
        if kind.essence() != CPIM {
            return Self::within(content_type, body, None);
        }
        match Cpim::parse(body) {
            // Whoever requires what nobody knows does not want it read (RFC 3862 section 3.5).
            Ok(cpim) if cpim.not_understood().is_none() => {
                Self::within(&cpim.content_type.clone(), cpim.body.clone(), Some(&cpim))
            }
            Ok(_) | Err(_) => Self::Nothing,
        }
    }

    fn within(content_type: &str, body: Bytes, cpim: Option<&Cpim>) -> Self {
        let Some(kind) = MediaType::parse(content_type) else { return Self::Nothing };
        let from = cpim.and_then(Cpim::from_uri).map(|uri| user(address(uri)));
        if kind.essence() == COMPOSING {
            return Composing::parse(&body).map_or(Self::Nothing, |composing| Self::Composing {
                from,
                is_active: composing.state.as_str() == "active",
                refresh: composing.refresh,
            });
        }
        if kind.essence() == imdn::CONTENT_TYPE || cpim.is_some_and(Cpim::is_notification) {
            let all = Imdn::parse_all(content_type, &body).unwrap_or_default();
            return Self::Reports(all.into_iter().filter_map(news_of).collect());
        }
        let text = match cpim.map(Cpim::text_content) {
            Some(Some(text)) => Some(text),
            Some(None) | None => kind.text(&body).or_else(|| first_text(content_type, body)),
        };
        match text.filter(|text| !text.is_empty()) {
            Some(text) => {
                let asked = cpim.map(Cpim::imdn).unwrap_or_default();
                let wanted = [(asked.positive_delivery, "Delivered"), (asked.display, "Displayed")];
                let reports =
                    wanted.into_iter().filter_map(|(is_so, report)| is_so.then_some(report));
                Self::Text { from, id: asked.message_id, text, reports: reports.collect() }
            }
            None => Self::Nothing,
        }
    }
}

/// Gives the first text among parts: an application has no place for the others.
fn first_text(content_type: &str, body: Bytes) -> Option<String> {
    let parts = multipart::leaves(content_type, body).ok()?;
    parts.iter().find_map(|part| part.media_type()?.text(&part.body))
}

/// Finds the row of the table of messages for a notification.
fn news_of(imdn: Imdn) -> Option<(String, ImdnNews)> {
    let words = match imdn.report {
        Report::Delivery(status) => ("delivery", format!("{status:?}").to_ascii_lowercase()),
        Report::Display(status) => ("display", format!("{status:?}").to_ascii_lowercase()),
        Report::Processing(status) => ("processing", format!("{status:?}").to_ascii_lowercase()),
    };
    let is_it = |news: &&ImdnNews| news.words() == (words.0, words.1.as_str());
    Some((imdn.message_id, *ImdnNews::ALL.iter().find(is_it)?))
}

pub(super) const CPIM: &str = "message/cpim";
const COMPOSING: &str = "application/im-iscomposing+xml";
