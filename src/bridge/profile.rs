//! Signalling profiles as data: what tells an IM core that an INVITE is a chat.
//!
//! They say what a 1-1 session needs. What tells a group from it (`isfocus`, the service id
//! `…cpm.session.group`, the conference factory, the recipient list) belongs to group sessions, and
//! the application ids (`+g.3gpp.iari-ref`) belong to the services that they name: file transfer
//! and location, which the bridge does not offer.

/// Identity as CPIM shows it in a 1-1 chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpimIdentity {
    /// `sip:anonymous@anonymous.invalid` both ways: the SIP layer names the parties.
    Anonymous,
    /// The parties' own URIs.
    Real,
}

/// What differs between the families of IM cores.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name in the configuration.
    pub name: &'static str,
    /// Whether the core is an IMS, which knows a user by a private identity, and wants to be told
    /// which public one a request is from (3GPP TS 24.229).
    pub ims: bool,
    /// The feature tags behind the Contact, with their leading semicolon.
    pub contact_params: &'static str,
    /// The Accept-Contact values (RFC 3841), one header each.
    pub accept_contact: &'static [&'static str],
    /// What P-Preferred-Service or P-Asserted-Service says (RFC 6050).
    pub service: Option<&'static str>,
    /// Whether Conversation-ID and Contribution-ID are sent.
    pub conversation_ids: Ids,
    /// Whether the INVITE carries the subject as a first message: a client of this family refuses
    /// an invitation that comes without one.
    pub first_message: bool,
    /// Whether the CPIM wrapper names the parties.
    pub cpim_identity: CpimIdentity,
    /// How the User-Agent header begins, where a core looks at it.
    pub user_agent_prefix: Option<&'static str>,
}

/// Which of the session identity headers are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// None: the Call-ID is all there is.
    None,
    /// Contribution-ID, 128 bits in hexadecimal.
    Contribution,
    /// Conversation-ID and Contribution-ID, each a UUID.
    Conversation,
}

const SIP_IM: &str = ";+g.oma.sip-im";
const CPM_SESSION: &str =
    ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session\"";
const CPM_ACCEPT: &str =
    "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session\"";
const CPM_SERVICE: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session";

/// All profiles, the default first.
pub static PROFILES: &[Profile] = &[
    Profile {
        name: "plain",
        ims: false,
        contact_params: "",
        accept_contact: &[],
        service: None,
        conversation_ids: Ids::None,
        first_message: false,
        cpim_identity: CpimIdentity::Real,
        user_agent_prefix: None,
    },
    Profile {
        name: "simple-im",
        ims: true,
        contact_params: SIP_IM,
        accept_contact: &["*;+g.oma.sip-im"],
        service: None,
        conversation_ids: Ids::Contribution,
        first_message: false,
        cpim_identity: CpimIdentity::Anonymous,
        user_agent_prefix: Some("IM-client/OMA1.0"),
    },
    Profile {
        name: "rcs-e",
        ims: true,
        contact_params: SIP_IM,
        accept_contact: &["*;+g.oma.sip-im"],
        service: None,
        conversation_ids: Ids::Contribution,
        first_message: true,
        cpim_identity: CpimIdentity::Anonymous,
        user_agent_prefix: Some("IM-client/OMA1.0"),
    },
    Profile {
        name: "cpm",
        ims: true,
        contact_params: CPM_SESSION,
        accept_contact: &[CPM_ACCEPT],
        service: Some(CPM_SERVICE),
        conversation_ids: Ids::Conversation,
        first_message: false,
        cpim_identity: CpimIdentity::Anonymous,
        user_agent_prefix: Some("CPM-client/OMA1.0"),
    },
    Profile {
        name: "cpm-cmcc",
        ims: true,
        contact_params: CPM_SESSION,
        accept_contact: &[CPM_ACCEPT],
        service: Some(CPM_SERVICE),
        conversation_ids: Ids::Conversation,
        first_message: false,
        cpim_identity: CpimIdentity::Anonymous,
        user_agent_prefix: Some("CPM-client/OMA1.0"),
    },
];

impl Profile {
    /// Gives the default profile, for peers that are no IMS.
    #[must_use]
    pub fn plain() -> &'static Self {
        &PROFILES[0]
    }

    /// Finds a profile by its name in the configuration.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name_and_names_are_unique() {
        for profile in PROFILES {
            assert_eq!(Profile::named(profile.name), Some(profile));
        }
        assert_eq!(Profile::named("ims"), None);
        assert_eq!(Profile::plain().name, "plain");
    }
}
