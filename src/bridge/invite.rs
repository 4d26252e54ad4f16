//! A chat session as an INVITE, and an INVITE as a chat session.

use bytes::Bytes;
use time::OffsetDateTime;

use super::access::Access;
use super::identity::{self, Naming, Signature};
use super::media::{self, TextOut};
use super::profile::Ids;
use super::settings::Settings;
use super::succession::SessionIds;
use crate::address::Address;
use crate::chat::{Invitation, Party, Refusal, ReportRequest};
use crate::ids::{MessageId, Random};
use crate::payload::multipart::{self, Part};
use crate::sip::{Body, Call, Hop, NameAddr, Request, Uri};

/// Where an INVITE goes: the URI that a redirection named instead of the participant's, and the hops
/// of the core, best first.
pub(super) type Way = (Option<Uri>, Vec<Hop>);

/// All that the INVITEs of one 1-1 session have in common, however often it takes to place one.
#[derive(Debug)]
pub(super) struct Draft {
    invitation: Invitation,
    /// Conversation-ID and Contribution-ID, as the profile has them.
    session_ids: Vec<(String, String)>,
    /// The subject as a message, and the boundary before it, where the profile sends one along.
    first_message: Option<(Part, String)>,
}

impl Draft {
    /// Draws the ids of the session that an invitation opens.
    pub(super) fn new(
        settings: &Settings,
        invitation: Invitation,
        date_time: OffsetDateTime,
        random: &mut Random,
    ) -> Self {
        let session_ids = session_ids(settings.profile.conversation_ids, random);
        let speaks = settings.profile.first_message && !invitation.subject.is_empty();
        let first_message = speaks.then(|| {
            let id = MessageId::new(random.token());
            let part = first_message(
                settings,
                &invitation,
                TextOut {
                    id: &id,
                    text: &invitation.subject,
                    reports: ReportRequest::default(),
                    date_time,
                },
            );
            (part, random.token())
        });
        Self { invitation, session_ids, first_message }
    }

    /// Gives the ids by which the network knows the session, where it has any.
    pub(super) fn ids(&self) -> SessionIds {
        SessionIds::among(&self.session_ids)
    }

    /// Writes the INVITE (TS Chat 6.3.5).
    ///
    /// # Errors
    /// The addresses make no SIP URI.
    pub(super) fn call(
        &self,
        (settings, access): (&Settings, &Access),
        (target, next_hops): Way,
        sdp: Body,
    ) -> Result<Call, Refusal> {
        let (realm, invitation) = (&settings.realm, &self.invitation);
        let name = invitation.originator.name.clone();
        let own = Party { address: invitation.user.clone(), name };
        let Signature { from, headers: identity } = Signature::of(settings, access, &own)?;
        let to = realm.name_addr(&invitation.terminating)?;
        let target = match target {
            Some(target) => target,
            None => realm.target(&invitation.terminating.address)?,
        };
        let mut headers = service_headers(settings);
        headers.extend(identity);
        headers.extend(self.session_ids.iter().cloned());
        if !invitation.subject.is_empty() {
            headers.push(("Subject".to_owned(), one_line(&invitation.subject)));
        }
        Ok(Call {
            target,
            from,
            to,
            next_hops,
            proxy: settings.core.clone(),
            route: access.service_route.clone(),
            orig: settings.standing.orig,
            headers,
            contact_user: access.contact.as_ref().map(|contact| contact.user.clone()),
            contact_params: access.contact_params(settings),
            letter: self.letter(&sdp),
            body: sdp,
        })
    }

    /// Puts the first message behind the offer.
    fn letter(&self, sdp: &Body) -> Option<Body> {
        let (message, boundary) = self.first_message.as_ref()?;
        let offer = Part::new(sdp.content_type.clone(), sdp.bytes.clone());
        let bytes = multipart::write(&[offer, message.clone()], boundary);
        Some(Body { content_type: multipart::content_type(boundary), bytes })
    }
}

/// Says which service the INVITE is for: to those who choose a callee's device, and to the core.
pub(super) fn service_headers(settings: &Settings) -> Vec<(String, String)> {
    let profile = settings.profile;
    let accept = profile.accept_contact.iter().map(|value| ("Accept-Contact", *value));
    let service = profile.service.map(|service| match settings.standing.naming {
        Naming::Asserted => ("P-Asserted-Service", service),
        Naming::Preferred | Naming::FromOnly => ("P-Preferred-Service", service),
    });
    accept.chain(service).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Draws the ids by which a core, and the archive of a client, know the session.
pub(super) fn session_ids(ids: Ids, random: &mut Random) -> Vec<(String, String)> {
    let mut draw = |name: &str| (name.to_owned(), random.uuid());
    match ids {
        Ids::None => Vec::new(),
        // 128 bits in hexadecimal. Clients of this family hash them from the Call-ID with a key of
        // their own, so that to all others they are as good as drawn.
        Ids::Contribution => {
            let (name, uuid) = draw("Contribution-ID");
            vec![(name, uuid.replace('-', ""))]
        }
        Ids::Conversation => vec![draw("Conversation-ID"), draw("Contribution-ID")],
    }
}

fn first_message(settings: &Settings, invitation: &Invitation, text: TextOut<'_>) -> Part {
    let own = Party { address: invitation.user.clone(), name: None };
    let other = &invitation.terminating;
    let envelope = media::Envelope::Pair { own: &own, other };
    let context = media::Context { settings, peer: None, cpim: true, envelope };
    let parcel = media::wrap_text(&context, &context.letterhead(), text);
    Part::new(parcel.content_type, parcel.body)
}

/// Makes controls to spaces: peers refuse an INVITE with any of them in a header field.
pub(super) fn one_line(text: &str) -> String {
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
    pub(super) first_message: Option<Bytes>,
    /// Whether a store delivers what it has kept: nobody is there who waits for an answer.
    pub(super) is_deferred: bool,
}

/// Reads an INVITE; what a trusted core asserts comes before what the caller claims (RFC 3325).
pub(super) fn read(
    (settings, access): (&Settings, &Access),
    (invite, trusted): (&Request, bool),
    has_client: &dyn Fn(&Address) -> bool,
) -> Option<Incoming> {
    let realm = &settings.realm;
    let to = invite.to().ok()?;
    let called = if trusted { invite.headers.addresses("P-Called-Party-ID") } else { Vec::new() };
    let called = called.iter().map(|called: &NameAddr| &called.uri).take(1);
    let mut named = called.chain([&invite.uri, &to.uri]).filter_map(|uri| realm.address(uri));
    let user = match &access.user {
        None => named.next()?,
        // The contact that was called tells the user. Where the user has several identities, the
        // one that was called counts, if an application listens for it.
        Some(registered) => {
            let own = named.find(|address| access.is_for(realm, address));
            own.filter(has_client).unwrap_or_else(|| registered.clone())
        }
    };
    let sender = identity::originator(realm, invite, trusted)?;
    let author = invite.headers.addresses("Referred-By").into_iter().next().filter(|_| trusted);
    let is_deferred = trusted && (author.is_some() || is_of_store(invite));
    // The store speaks for who has written what it has kept.
    let originator = match author {
        Some(author) if sender.address != Address::anonymous() => {
            let address = realm.address(&author.uri).unwrap_or_else(Address::anonymous);
            Party { address, name: author.display }
        }
        Some(_) | None => sender,
    };
    let (sdp, first_message) = media::parts(invite.content_type(), &invite.body);
    Some(Incoming {
        terminating: Party { address: user.clone(), name: to.display },
        user,
        originator,
        subject: invite.headers.get("Subject").unwrap_or_default().trim().to_owned(),
        sdp,
        first_message,
        is_deferred,
    })
}

/// Tells whether the store of a core has sent an INVITE, to deliver reports: its asserted identity
/// has this name.
fn is_of_store(invite: &Request) -> bool {
    let asserted = invite.headers.addresses("P-Asserted-Identity");
    let names = asserted.iter().filter_map(|asserted| asserted.uri.user_unescaped());
    names.into_iter().any(|name| name.eq_ignore_ascii_case("rcse-standfw"))
}
