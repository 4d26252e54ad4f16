//! A group as an INVITE to its focus, and the INVITE of a focus as a group.

use crate::address::Address;
use crate::bridge::access::Access;
use crate::bridge::identity::{self, Signature};
use crate::bridge::invite::{self, Way};
use crate::bridge::settings::Settings;
use crate::chat::{Party, Refusal};
use crate::payload::multipart::{self, Part};
use crate::payload::resource_list::{self, Entry, ResourceList};
use crate::sip::{Body, Call, NameAddr, Request, Uri};

/// All that the INVITEs of one group have in common.
#[derive(Debug)]
pub(super) struct Draft {
    /// The user, as the others see it.
    pub(super) own: Party,
    pub(super) subject: String,
    /// Conversation-ID and Contribution-ID: the same for as long as the group lives.
    pub(super) session_ids: Vec<(String, String)>,
    /// What stands between the parts of a body; the same when the INVITE is repeated.
    pub(super) boundary: String,
}

impl Draft {
    /// Writes the INVITE to `to`, with a list of those who are to be invited, if there is one (RFC 5366
    /// section 4).
    ///
    /// # Errors
    /// The user's address makes no SIP URI.
    pub(super) fn call(
        &self,
        (settings, access): (&Settings, &Access),
        to: &Uri,
        (target, next_hops): Way,
        (sdp, list): (Body, Option<&ResourceList>),
    ) -> Result<Call, Refusal> {
        let Signature { from, headers: identity } = Signature::of(settings, access, &self.own)?;
        let mut headers = invite::service_headers(settings);
        headers.extend(identity);
        headers.extend(self.session_ids.iter().cloned());
        if !self.subject.is_empty() {
            headers.push(("Subject".to_owned(), invite::one_line(&self.subject)));
        }
        let letter = list.map(|list| {
            headers.push(("Require".to_owned(), "recipient-list-invite".to_owned()));
            self.letter(&sdp, list)
        });
        Ok(Call {
            target: target.unwrap_or_else(|| to.clone()),
            from,
            to: NameAddr::new(to.clone()),
            next_hops,
            proxy: settings.core.clone(),
            route: access.service_route.clone(),
            orig: settings.standing.orig,
            headers,
            contact_user: access.contact.as_ref().map(|contact| contact.user.clone()),
            contact_params: access.contact_params(settings),
            letter,
            body: sdp,
        })
    }

    fn letter(&self, sdp: &Body, list: &ResourceList) -> Body {
        let offer = Part::new(sdp.content_type.clone(), sdp.bytes.clone());
        let mut recipients = Part::new(resource_list::CONTENT_TYPE, list.write());
        let disposition = resource_list::RECIPIENTS.to_owned();
        recipients.headers.push(("Content-Disposition".to_owned(), disposition));
        let bytes = multipart::write(&[offer, recipients], &self.boundary);
        Body { content_type: multipart::content_type(&self.boundary), bytes }
    }
}

/// What the INVITE of a focus says of its group.
#[derive(Debug)]
pub(super) struct Invited {
    /// The URI of the group, as its Contact has it.
    pub(super) focus: Uri,
    /// Who calls, as our trust domain asserts.
    pub(super) party: Option<Address>,
    /// Who has invited.
    pub(super) originator: Party,
    /// Who else is in or invited, the user left out.
    pub(super) others: Vec<Party>,
    pub(super) session_ids: Vec<(String, String)>,
}

/// Tells whether an INVITE is that of a focus (RFC 4579 section 5.1).
pub(in crate::bridge) fn is_of_focus(invite: &Request) -> bool {
    invite.contact().ok().flatten().is_some_and(|contact| is_focus(&contact))
}

/// Tells whether a Contact is that of a focus.
pub(super) fn is_focus(contact: &NameAddr) -> bool {
    contact.params.iter().any(|(name, _)| name.eq_ignore_ascii_case("isfocus"))
}

/// Reads the INVITE of a focus: `inviter` is who has sent it by its headers.
///
/// The one who has invited is Referred-By (RFC 3892), if the core is `trusted` to tell the truth; or
/// the sender, where that is not the focus itself; or the first of the list (RFC 5366 section 5). A
/// number is a user, and never a focus; a focus is called as it is reached, port and all.
pub(super) fn read(
    settings: &Settings,
    (invite, inviter, trusted): (&Request, Party, bool),
    is_own: &dyn Fn(&Address) -> bool,
) -> Option<Invited> {
    let realm = &settings.realm;
    let focus = invite.contact().ok().flatten()?.uri;
    let mut listed: Vec<Party> = history(invite)
        .entries
        .iter()
        .filter_map(|entry| party_of(settings, entry))
        .filter(|party| !is_own(&party.address))
        .collect();
    let referred_by = invite.headers.addresses("Referred-By").into_iter().next();
    let referred_by = referred_by
        .filter(|_| trusted)
        .and_then(|by| Some(Party { address: realm.address(&by.uri)?, name: by.display }));
    let is_number = realm.address(&focus).is_some_and(|focus| focus.number().is_some());
    let is_focus = !is_number && identity::is_called(realm, (invite, trusted), &focus);
    let first = listed.first().filter(|_| is_focus).cloned();
    let originator = referred_by.or(first).unwrap_or(inviter);
    let of_list = listed.iter().find(|party| party.address == originator.address);
    let name = originator.name.clone().or_else(|| of_list.and_then(|party| party.name.clone()));
    listed.retain(|party| party.address != originator.address);
    let session_ids = ["Conversation-ID", "Contribution-ID"].into_iter();
    let session_ids = session_ids
        .filter_map(|name| Some((name.to_owned(), invite.headers.get(name)?.to_owned())));
    let senders = if trusted { identity::senders(realm, invite) } else { Vec::new() };
    Some(Invited {
        focus,
        party: senders.into_iter().next(),
        originator: Party { name, ..originator },
        others: listed,
        session_ids: session_ids.collect(),
    })
}

/// Finds out from the INVITE of a focus, come by a core that is trusted, who has begun the group, as
/// [`read`] does.
pub(in crate::bridge) fn founder(
    settings: &Settings,
    invite: &Request,
    inviter: Party,
) -> Option<Address> {
    let invited = read(settings, (invite, inviter, true), &|_| false)?;
    Some(invited.originator.address)
}

/// Finds the list of the others in the body of an INVITE; an unreadable one is none.
fn history(invite: &Request) -> ResourceList {
    let content_type = invite.content_type().unwrap_or_default();
    let parts = multipart::leaves(content_type, invite.body.clone()).unwrap_or_default();
    let is_list = |part: &&Part| {
        let kind = part.media_type();
        kind.is_some_and(|kind| kind.essence() == resource_list::CONTENT_TYPE)
    };
    let list = parts.iter().find(is_list);
    list.and_then(|part| ResourceList::parse(&part.body).ok()).unwrap_or_default()
}

fn party_of(settings: &Settings, entry: &Entry) -> Option<Party> {
    let bare = entry.uri.split('?').next().unwrap_or_default();
    let address = settings.realm.address(&Uri::parse(bare).ok()?)?;
    Some(Party { address, name: entry.display_name.clone() })
}
