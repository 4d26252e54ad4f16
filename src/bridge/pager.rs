//! SIP MESSAGE beside the sessions: reports on messages, which may outlive the session that the
//! message went through (RFC 3428, RFC 5438 section 12).

use super::access::Access;
use super::delivery::ImdnNews;
use super::identity::Signature;
use super::invite;
use super::received::{self, Received};
use super::settings::Settings;
use crate::address::Address;
use crate::chat::{Party, Refusal};
use crate::sip::{Errand, Hop, Request};

/// Reports on messages, as a MESSAGE brings them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// The API user who sent the messages.
    pub user: Address,
    /// Who reports; anonymous where the core does not tell.
    pub from: Address,
    /// What is said of which message, by its `imdn.Message-ID`.
    pub news: Vec<(String, ImdnNews)>,
}

/// Reads the reports in a MESSAGE of the core, and who sent it: as far as the core is trusted to
/// say so. `None` where it brings anything else.
#[must_use]
pub fn reports_in(
    (settings, access): (&Settings, &Access),
    (message, trusted): (&Request, bool),
) -> Option<Reports> {
    let body = message.body.clone();
    let Received::Reports(news) = received::unwrap(message.content_type()?, body) else {
        return None;
    };
    let invite::Incoming { user, originator, .. } =
        invite::read((settings, access), (message, trusted), &|_| true)?;
    Some(Reports { user, from: originator.address, news })
}

/// Writes where a report goes, and in whose name.
pub(super) fn errand(
    (settings, access): (&Settings, &Access),
    (user, next_hops): (&Address, &[Hop]),
    (own, other): (&Party, &Party),
) -> Result<Errand, Refusal> {
    let realm = &settings.realm;
    let own = Party { address: user.clone(), name: own.name.clone() };
    let Signature { from, headers } = Signature::of(settings, access, &own)?;
    Ok(Errand {
        target: realm.target(&other.address)?,
        from,
        to: realm.name_addr(other)?,
        next_hops: next_hops.to_vec(),
        proxy: settings.core.clone(),
        route: access.service_route.clone(),
        headers,
        contact_user: None,
        contact_params: String::new(),
    })
}
