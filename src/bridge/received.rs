//! Message bodies that came in: what they say, out of CPIM, IMDN, isComposing and multipart.

use std::num::NonZeroU32;

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::delivery::ImdnNews;
use super::media::{CPIM, IS_COMPOSING};
use crate::chat::{Composing, ComposingState, ReportRequest};
use crate::payload::imdn::{self, DeliveryStatus, DisplayStatus, Imdn, ProcessingStatus, Report};
use crate::payload::{Cpim, MediaType, Part, composing, multipart};

/// A text that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextIn {
    pub(super) wire_id: Option<String>,
    pub(super) date_time: Option<String>,
    pub(super) text: String,
    pub(super) reports: ReportRequest,
}

/// What a received body says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A message.
    Text(TextIn),
    /// A composing state.
    Composing(Composing),
    /// Reports on messages that we sent, by their ids.
    Reports(Vec<(String, ImdnNews)>),
    /// Nothing for an application.
    Nothing,
    /// Nothing that can be used: what its sender is to be told, a code of RFC 4975 section 10.
    Useless(u16),
}

/// Reads a received body; identities inside are not looked at, the SIP layer has named the sender.
///
/// A notification or a composing state that cannot be read is passed over: its sender has nobody to
/// tell of it, and must not be answered with a notification (RFC 5438 section 7.2.1).
pub(super) fn unwrap(content_type: &str, body: Bytes) -> Received {
    if content_type.is_empty() && body.is_empty() {
        return Received::Nothing;
    }
    let Some(kind) = MediaType::parse(content_type) else { return Received::Useless(415) };
    if kind.essence() != CPIM {
        return content(content_type, &kind, body, None);
    }
    let Ok(cpim) = Cpim::parse(body) else { return Received::Useless(400) };
    // Whoever requires what we do not know does not want the message read (RFC 3862 section 3.5).
    if cpim.not_understood().is_some() {
        return Received::Useless(400);
    }
    let Some(kind) = cpim.media_type() else { return Received::Useless(415) };
    let content_type = cpim.content_type.clone();
    content(&content_type, &kind, cpim.body.clone(), Some(&cpim))
}

fn content(content_type: &str, kind: &MediaType, body: Bytes, cpim: Option<&Cpim>) -> Received {
    if kind.essence() == IS_COMPOSING {
        return composing::Composing::parse(&body)
            .map_or(Received::Nothing, |composing| Received::Composing(composing_of(&composing)));
    }
    if cpim.is_some_and(Cpim::is_notification) || kind.essence() == imdn::CONTENT_TYPE {
        let reports = Imdn::parse_all(content_type, &body).unwrap_or_default();
        return Received::Reports(reports.into_iter().map(news_of).collect());
    }
    if kind.family() == "multipart" {
        return match multipart::leaves(content_type, body) {
            Ok(parts) => several(&parts, cpim),
            Err(_) => Received::Useless(400),
        };
    }
    let text = match cpim.filter(|_| kind.essence() == CPIM) {
        Some(cpim) => cpim.text_content(),
        None => kind.text(&body),
    };
    text_of(text, cpim)
}

/// Reads parts that came together: reports that an intermediary has gathered (RFC 5438 section
/// 8.3), or else a text with its attachments, for which an application has no place.
fn several(parts: &[Part], cpim: Option<&Cpim>) -> Received {
    let typed = || parts.iter().filter_map(|part| Some((part.media_type()?, &part.body)));
    let reports: Vec<_> = typed()
        .filter(|(kind, _)| kind.essence() == imdn::CONTENT_TYPE)
        .map(|(_, body)| Imdn::parse(body))
        .collect();
    if !reports.is_empty() {
        return Received::Reports(reports.into_iter().flatten().map(news_of).collect());
    }
    text_of(typed().find_map(|(kind, body)| kind.text(body)), cpim)
}

fn text_of(text: Option<String>, cpim: Option<&Cpim>) -> Received {
    let asked = cpim.map(Cpim::imdn).unwrap_or_default();
    match text {
        Some(text) if !text.is_empty() => Received::Text(TextIn {
            wire_id: asked.message_id,
            date_time: cpim.and_then(|cpim| cpim.date_time.clone()),
            text,
            reports: ReportRequest {
                delivered: asked.positive_delivery,
                displayed: asked.display,
                failed: false,
            },
        }),
        Some(_) => Received::Nothing,
        None => Received::Useless(415),
    }
}

fn composing_of(document: &composing::Composing) -> Composing {
    let parsed = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    Composing {
        state: match document.state {
            composing::State::Active => ComposingState::Active,
            composing::State::Idle => ComposingState::Idle,
        },
        last_active: document.last_active.as_deref().and_then(parsed),
        content_type: document.content_type.clone(),
        refresh: document.refresh.and_then(NonZeroU32::new),
    }
}

fn news_of(imdn: Imdn) -> (String, ImdnNews) {
    let news = match imdn.report {
        Report::Delivery(DeliveryStatus::Delivered) => ImdnNews::Delivered,
        Report::Delivery(DeliveryStatus::Failed) => ImdnNews::Failed,
        Report::Delivery(DeliveryStatus::Forbidden) => ImdnNews::Forbidden,
        Report::Delivery(DeliveryStatus::Error) => ImdnNews::Error,
        Report::Display(DisplayStatus::Displayed) => ImdnNews::Displayed,
        Report::Display(DisplayStatus::Forbidden) => ImdnNews::DisplayForbidden,
        Report::Display(DisplayStatus::Error) => ImdnNews::DisplayError,
        Report::Processing(ProcessingStatus::Processed) => ImdnNews::Processed,
        Report::Processing(ProcessingStatus::Stored) => ImdnNews::Stored,
        Report::Processing(ProcessingStatus::Forbidden) => ImdnNews::ProcessingForbidden,
        Report::Processing(ProcessingStatus::Error) => ImdnNews::ProcessingError,
    };
    (imdn.message_id, news)
}
