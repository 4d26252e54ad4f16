//! Access to the core: by which way a user's requests go there, and what proves whose they are.
//!
//! A bridge that registers its users (mode `ue`) has an [`Access`] for each of them, made anew with
//! what every registration brings. One that does not has the same for all: [`Access::default`].

use super::identity::Realm;
use super::settings::Settings;
use crate::address::Address;
use crate::chat::Refusal;
use crate::ids::Random;
use crate::sip::{
    Credentials, Enrolment, Grant, Hop, Kit, Local, Method, NameAddr, Response, Status, Transport,
    Uri, instance_urn,
};

/// How one user's requests reach the core, and how its requests reach the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The user that is registered; without one, the bridge speaks for whoever asks it.
    pub user: Option<Address>,
    /// The hop of the core that the REGISTER went to; calls go there first.
    pub hop: Option<Hop>,
    /// The Route behind the core's hop (RFC 3608).
    pub service_route: Vec<NameAddr>,
    /// The identities that the core holds for the user's (P-Associated-URI, RFC 7315 section 4.1).
    pub identities: Vec<NameAddr>,
    /// What is answered to a challenge, in place of the credentials of the settings.
    pub credentials: Option<Credentials>,
    /// Our registered contact.
    pub contact: Option<RegisteredContact>,
}

/// The contact that is registered for a user, and that stands in all its dialogs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredContact {
    /// The user part, by which a request of the core tells whom it is for.
    pub user: String,
    /// The name of this bridge as a device of the user (RFC 5626 section 4.1).
    pub instance: String,
    /// What the registrar has made of the contact for all the world (RFC 5627).
    pub gruu: Option<Uri>,
}

/// A user that is to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The public identity, by which applications know the user.
    pub address: Address,
    /// The private identity and its password.
    pub credentials: Option<Credentials>,
}

/// What all registrations have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The domain of the registrar.
    pub registrar: String,
    /// The time that is asked for, in seconds.
    pub expires: u32,
    /// Whether to ask for GRUUs (RFC 5627).
    pub gruu: bool,
}

impl Access {
    /// The access of a user who is not registered yet.
    #[must_use]
    pub fn of(subscriber: &Subscriber, settings: &Settings) -> Self {
        let name = format!("{} at {}", subscriber.address.key(), settings.local.authority());
        let instance = instance_urn(&name);
        let user = instance.trim_start_matches("urn:uuid:").to_owned();
        Self {
            user: Some(subscriber.address.clone()),
            credentials: subscriber.credentials.clone(),
            contact: Some(RegisteredContact { user, instance, gruu: None }),
            ..Self::default()
        }
    }

    /// The access of the same user with what a registrar has granted.
    #[must_use]
    pub fn granted(&self, grant: &Grant) -> Self {
        let gruu = grant.gruu.clone();
        Self {
            hop: Some(grant.hop.clone()),
            service_route: grant.service_route.clone(),
            identities: grant.associated.iter().take(MAX_IDENTITIES).cloned().collect(),
            contact: self.contact.clone().map(|contact| RegisteredContact { gruu, ..contact }),
            ..self.clone()
        }
    }

    /// Says what is to be registered for a user. The contact is the one that stands in its dialogs
    /// with the same core.
    ///
    /// # Errors
    /// The address, or the registrar, makes no SIP URI.
    pub(super) fn enrolment(
        &self,
        settings: &Settings,
        terms: &Terms,
        (local, next_hops): (&Local, Vec<Hop>),
    ) -> Result<Enrolment, Refusal> {
        let user = self.user.clone().unwrap_or_else(Address::anonymous);
        let unusable = |_| Refusal::BadAddress {
            address: user.spelling().to_owned(),
            why: "it cannot be registered: no SIP URI can be made of it",
        };
        let registrar = Uri::parse(&format!("sip:{}", bracketed(&terms.registrar)));
        let contact_user = self.contact.as_ref().map(|contact| contact.user.as_str());
        let transport = next_hops.first().map_or(local.hop.transport, |hop| hop.transport);
        let hop = local.contact(transport);
        let mut uri = Uri::sip(contact_user, &hop.authority()).map_err(unusable)?;
        if hop.transport != Transport::Udp {
            uri = uri.with_param("transport", Some(hop.transport.param()));
        }
        let contact = NameAddr::parse(&format!("<{uri}>{}", self.contact_params(settings)));
        Ok(Enrolment {
            registrar: registrar.map_err(unusable)?,
            aor: NameAddr::new(address_of_record(&settings.realm, &user)?),
            contact: contact.unwrap_or_else(|_| NameAddr::new(uri)),
            expires: terms.expires,
            next_hops,
            proxy: settings.core.clone(),
            introduces: settings.profile.ims,
            gruu: terms.gruu,
            headers: Vec::new(),
        })
    }

    /// Makes the kit of a leg, or of a registration, of this user.
    pub(super) fn kit(&self, settings: &Settings, random: Random) -> Kit {
        let mut local = settings.on_the_wire();
        local.credentials = self.credentials.clone().or(local.credentials);
        local.contact_params = self.contact_params(settings);
        if let Some(contact) = &self.contact {
            local.contact_user = Some(contact.user.clone());
            local.gruu = contact.gruu.clone();
        }
        Kit { local: local.into(), timers: settings.timers, random }
    }

    /// Puts the hops of the core into the order in which to try them for this user: the one that
    /// knows it first (3GPP TS 24.229 section 5.1.2A.1).
    #[must_use]
    pub fn order(&self, mut next_hops: Vec<Hop>) -> Vec<Hop> {
        next_hops.sort_by_key(|hop| self.hop.as_ref() != Some(hop));
        next_hops
    }

    /// Gives the parameters of our Contact, each with its semicolon: the same when it is registered
    /// and in dialogs.
    pub(super) fn contact_params(&self, settings: &Settings) -> String {
        let tags = settings.profile.contact_params;
        match &self.contact {
            Some(contact) => format!("{tags};+sip.instance=\"<{}>\"", contact.instance),
            None => tags.to_owned(),
        }
    }

    /// Tells whether `address` is the user, or one that the core holds for the same.
    #[must_use]
    pub fn is_for(&self, realm: &Realm, address: &Address) -> bool {
        self.user.as_ref() == Some(address) || self.identity(realm, address).is_some()
    }

    /// Finds how the core writes one of the user's addresses.
    #[must_use]
    pub fn identity(&self, realm: &Realm, address: &Address) -> Option<&Uri> {
        let uris = self.identities.iter().map(|identity| &identity.uri);
        uris.into_iter().find(|uri| realm.address(uri).as_ref() == Some(address))
    }
}

/// Tells whether a refusal of our INVITE may mean that the core does not know the caller any more:
/// 403 for who is not registered, and 504 where the server that knew has failed (3GPP TS 24.229
/// section 5.1.2A.1.6). A REGISTER shows, and mends it.
#[must_use]
pub fn may_be_forgotten(response: &Response) -> bool {
    let is_invite = response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
    is_invite && [Status::FORBIDDEN, Status::SERVER_TIMEOUT].contains(&response.status)
}

/// Gives the address of record: a SIP URI without parameters (3GPP TS 24.229 section 5.1.1.2), of
/// the domain that the configuration wrote, if it wrote one.
fn address_of_record(realm: &Realm, user: &Address) -> Result<Uri, Refusal> {
    let written = Uri::parse(user.spelling()).ok().filter(Uri::is_sip);
    let uri = written.map_or_else(|| realm.home_uri(user), Ok)?;
    let names: Vec<String> = uri.params().map(|(name, _)| name.to_owned()).collect();
    Ok(names.iter().fold(uri.without_headers(), |uri, name| uri.without_param(name)))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// More identities than any honest registrar associates with one user.
const MAX_IDENTITIES: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::settings::sample;
    use super::*;
    use crate::sip::{RequestBuilder, response_to};

    #[test]
    fn an_address_of_record_has_the_domain_that_was_written_and_no_parameters() {
        for (address, aor) in [
            ("tel:+1-958-555-0100", "sip:+19585550100@example.com"),
            ("sip:+19585550100@ims.example;user=phone", "sip:+19585550100@ims.example"),
            ("sip:alice@Home.example;transport=tcp", "sip:alice@Home.example"),
        ] {
            let access = Access::of(&subscriber(address), &sample());
            let enrolment = enrolment(&access, &sample());
            assert_eq!(enrolment.aor.to_string(), format!("<{aor}>"));
            assert_eq!(enrolment.registrar.as_str(), "sip:[2001:db8::1]");
        }
    }

    #[test]
    fn a_contact_names_the_transport_and_the_host_as_dialogs_do() {
        let mut settings = sample();
        settings.local = Hop::new(Transport::Tcp, "2001:db8::9", 5080);
        let access = Access::of(&subscriber("tel:+1"), &settings);
        let contact = enrolment(&access, &settings).contact;
        let uri = contact.uri.as_str();
        assert!(uri.ends_with("@[2001:db8::9]:5080;transport=tcp"), "{uri}");
        // Another bridge is another device of the user, and another user another one of this.
        let elsewhere = Access::of(&subscriber("tel:+1"), &sample());
        let other = Access::of(&subscriber("tel:+2"), &settings);
        assert_ne!(elsewhere.contact, access.contact);
        assert_ne!(other.contact, access.contact);
    }

    #[test]
    fn a_grant_says_how_requests_go_until_the_next_one() {
        let access = Access::of(&subscriber("tel:+19585550100"), &sample());
        let many = (0..200).map(|number| format!("<sip:alice{number}@home.example>"));
        let mut grant = Grant {
            hop: Hop::new(Transport::Udp, "192.0.2.2", 5060),
            path: Vec::new(),
            service_route: vec![NameAddr::parse("<sip:core.example;lr>").unwrap()],
            associated: many.map(|text| NameAddr::parse(&text).unwrap()).collect(),
            gruu: Uri::parse("sip:alice@home.example;gr").ok(),
        };
        let granted = access.granted(&grant);
        assert_eq!((granted.service_route.len(), granted.identities.len()), (1, MAX_IDENTITIES));
        assert!(granted.contact.as_ref().is_some_and(|contact| contact.gruu.is_some()));
        let realm = &sample().realm;
        let address = |text| Address::parse(text).unwrap();
        assert!(granted.is_for(realm, &address("sip:alice5@home.example")));
        assert!(granted.is_for(realm, &address("+19585550100")));
        assert!(!granted.is_for(realm, &address("sip:bob@home.example")));
        grant.gruu = None;
        grant.service_route.clear();
        let again = granted.granted(&grant);
        assert!(again.contact.is_some_and(|contact| contact.gruu.is_none()));
        assert!(again.service_route.is_empty());
    }

    #[test]
    fn the_hop_that_knows_a_user_is_tried_first() {
        let hops = |hosts: &[&str]| -> Vec<Hop> {
            hosts.iter().map(|host| Hop::new(Transport::Udp, host, 5060)).collect()
        };
        let mut access = Access::default();
        assert_eq!(access.order(hops(&["a", "b", "c"])), hops(&["a", "b", "c"]));
        access.hop = hops(&["c"]).pop();
        assert_eq!(access.order(hops(&["a", "b", "c"])), hops(&["c", "a", "b"]));
        // One that rests, or is not there any more, is not called all the same.
        access.hop = hops(&["d"]).pop();
        assert_eq!(access.order(hops(&["a", "b"])), hops(&["a", "b"]));
    }

    #[test]
    fn a_refused_invite_may_mean_that_a_user_is_forgotten() {
        let told = |method: Method, code: u16| {
            let uri = Uri::parse("sip:x@example.com").unwrap();
            let request = RequestBuilder::new(method, uri).cseq(1).build();
            may_be_forgotten(&response_to(&request, Status::new(code).unwrap(), None))
        };
        for code in 100..700 {
            assert_eq!(told(Method::Invite, code), code == 403 || code == 504, "{code}");
        }
        assert!(!told(Method::Bye, 403));
    }

    fn enrolment(access: &Access, settings: &Settings) -> Enrolment {
        let kit = access.kit(settings, Random::seeded(1));
        access.enrolment(settings, &terms(), (&kit.local, Vec::new())).unwrap()
    }

    fn subscriber(address: &str) -> Subscriber {
        Subscriber { address: Address::parse(address).unwrap(), credentials: None }
    }

    fn terms() -> Terms {
        Terms { registrar: "2001:db8::1".into(), expires: 60, gruu: false }
    }
}
