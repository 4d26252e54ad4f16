//! A chat session as an INVITE, and an INVITE as a chat session.

use super::media;
use super::profile::Ids;
use super::settings::Settings;
use crate::address::Address;
use crate::chat::{Invitation, Party, Refusal};
use crate::ids::Random;
use crate::sip::{Body, Call, Hop, NameAddr, Request, Uri};

/// Where an INVITE goes: the URI that a redirection named instead of the participant's, and the hops
/// of the core, best first.
pub(super) type Way = (Option<Uri>, Vec<Hop>);

/// Writes the INVITE of a 1-1 session (TS Chat 6.3.5).
pub(super) fn call(
    settings: &Settings,
    invitation: &Invitation,
    (target, next_hops): Way,
    (sdp, random): (Body, &mut Random),
) -> Result<Call, Refusal> {
    let realm = &settings.realm;
    let to = realm.name_addr(&invitation.terminating)?;
    let target = match target {
        Some(target) => target,
        None => realm.target(&invitation.terminating.address)?,
    };
    let profile = settings.profile;
    let mut headers = Vec::new();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    for value in profile.accept_contact {
        add("Accept-Contact", (*value).to_owned());
    }
    if let Some(service) = profile.service {
        add("P-Preferred-Service", service.to_owned());
        let identity = realm.home_uri(&invitation.user)?;
        add("P-Preferred-Identity", format!("<{identity}>"));
    }
    match profile.conversation_ids {
        Ids::None => {}
        Ids::Contribution => add("Contribution-ID", random.uuid()),
        Ids::Conversation => {
            add("Conversation-ID", random.uuid());
            add("Contribution-ID", random.uuid());
        }
    }
    if !invitation.subject.is_empty() {
        add("Subject", one_line(&invitation.subject));
    }
    let own = Party { address: invitation.user.clone(), name: invitation.originator.name.clone() };
    Ok(Call {
        target,
        from: realm.name_addr(&own)?,
        to,
        next_hops,
        proxy: settings.core.clone(),
        route: Vec::new(),
        orig: false,
        letter: None,
        headers,
        contact_user: None,
        contact_params: profile.contact_params.to_owned(),
        body: sdp,
    })
}

/// Makes controls to spaces: peers refuse an INVITE with any of them in a header field.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What an incoming INVITE says of the session that it opens.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The API user that it is for.
    pub(super) user: Address,
    /// Who invites.
    pub(super) originator: Party,
    /// Who is invited, as the INVITE names them.
    pub(super) terminating: Party,
    /// The subject.
    pub(super) subject: String,
    /// The session description.
    pub(super) sdp: Option<Vec<u8>>,
    /// A first message that travelled along (`multipart/mixed`).
    pub(super) first_message: Option<bytes::Bytes>,
}

/// Reads an INVITE; what a trusted core asserts comes before what the caller claims (RFC 3325).
pub(super) fn read(settings: &Settings, invite: &Request, trusted: bool) -> Option<Incoming> {
    let realm = &settings.realm;
    let asserted = |name: &str| -> Option<NameAddr> {
        if !trusted {
            return None;
        }
        let values: Vec<NameAddr> =
            invite.headers.list(name).filter_map(|value| NameAddr::parse(value).ok()).collect();
        // Of a sip and a tel identity, the tel one is the address that REST shows.
        let tel = values.iter().position(|value| value.uri.to_string().starts_with("tel:"));
        values.into_iter().nth(tel.unwrap_or(0))
    };
    let to = invite.to().ok()?;
    let called = asserted("P-Called-Party-ID");
    let user = called
        .as_ref()
        .and_then(|called| realm.address(&called.uri))
        .or_else(|| realm.address(&invite.uri))
        .or_else(|| realm.address(&to.uri))?;
    let from = match asserted("P-Asserted-Identity") {
        Some(asserted) => asserted,
        None => invite.from().ok()?,
    };
    let originator = Party {
        address: realm.address(&from.uri).unwrap_or_else(Address::anonymous),
        name: from.display.or_else(|| invite.from().ok().and_then(|from| from.display)),
    };
    let originator = if wants_privacy(invite) {
        Party { address: Address::anonymous(), name: None }
    } else {
        originator
    };
    let (sdp, first_message) = media::parts(invite.content_type(), &invite.body);
    Some(Incoming {
        terminating: Party { address: user.clone(), name: to.display },
        user,
        originator,
        subject: invite.headers.get("Subject").unwrap_or_default().trim().to_owned(),
        sdp,
        first_message,
    })
}

/// Tells whether the caller's identity is for the network only (RFC 3325 section 7).
fn wants_privacy(invite: &Request) -> bool {
    let values = invite.headers.all("Privacy").flat_map(|line| line.split([';', ',']));
    values.map(str::trim).any(|value| value.eq_ignore_ascii_case("id"))
}
