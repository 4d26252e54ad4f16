//! What all parsers read by: their limits, and the searcher for end-lines.

use std::sync::Arc;

use memchr::memmem::Finder;

use super::limits::Limits;

/// What all parsers read by. A copy shares it, so that a connection need not hold one of its own.
#[derive(Debug, Clone)]
pub struct Framing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    end_lines: Finder<'static>,
}

impl Framing {
    /// Gives the limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(super) fn end_lines(&self) -> &Finder<'static> {
        &self.0.end_lines
    }
}

impl From<Limits> for Framing {
    fn from(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, end_lines: Finder::new(END_LINE) }))
    }
}

/// What every end-line begins with (RFC 4975 section 7.1).
pub(super) const END_LINE: &[u8] = b"\r\n-------";
