//! Those whom a list or a REFER names: read, checked, each once (RFC 5363 section 4.3, RFC 5368).

use bytes::Bytes;

use super::media::Parts;
use super::name::Names;
use super::policy::Denial;
use crate::address::Address;
use crate::payload::ResourceList;
use crate::payload::resource_list::Entry;
use crate::sip::{Method, Refer, Reference, References, Status};

/// Somebody whom a list or a REFER names.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) user: Address,
    /// What is to be done.
    pub(super) deed: Deed,
    /// The entry of the list.
    pub(super) entry: Option<Entry>,
    /// What its INVITE is to say: which session it replaces.
    pub(super) headers: Vec<(String, String)>,
}

/// What is to be done with somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// To ask it in.
    Invite,
    /// To send it away.
    Remove,
}

/// Reads the recipients of an INVITE; `host`, who sends it, is none of them.
pub(super) fn of_list(
    names: &Names,
    list: &Bytes,
    (host, most): (&Address, usize),
) -> Result<Vec<Guest>, Denial> {
    let guests = of_entries(names, list, most)?;
    if guests.iter().any(|guest| guest.deed != Deed::Invite) {
        return Err(Status::FORBIDDEN.into());
    }
    Ok(guests.into_iter().filter(|guest| guest.user != *host).collect())
}

/// Reads whom a REFER names.
pub(super) fn of_refer(names: &Names, refer: &Refer, most: usize) -> Result<Vec<Guest>, Status> {
    match &refer.to {
        References::One(reference) => Ok(vec![guest(names, reference.clone(), None)?]),
        References::Many { list, .. } => {
            let parts = Parts::of_body(&list.content_type, &list.bytes)?;
            let list = parts.list.ok_or(Status::BAD_REQUEST)?;
            of_entries(names, &list, most).map_err(|denial| denial.status)
        }
    }
}

fn of_entries(names: &Names, list: &Bytes, most: usize) -> Result<Vec<Guest>, Denial> {
    let list = ResourceList::parse(list).map_err(|why| match why.is_too_long() {
        true => Denial::crowded(),
        false => Status::BAD_REQUEST.into(),
    })?;
    let mut guests: Vec<Guest> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for entry in list.entries {
        let reference = Reference::parse(&entry.uri).map_err(|fault| fault.status())?;
        let guest = guest(names, reference, Some(entry))?;
        if known.insert(guest.user.clone()) {
            guests.push(guest);
        }
        if guests.len() > most {
            return Err(Denial::crowded());
        }
    }
    Ok(guests)
}

/// Finds who is meant. The focus itself is not to be invited to anything, nor is nobody.
fn guest(names: &Names, reference: Reference, entry: Option<Entry>) -> Result<Guest, Status> {
    let user = names.user(&reference.uri).ok_or(Status::FORBIDDEN)?;
    if user.is_anonymous() {
        return Err(Status::FORBIDDEN);
    }
    // Other methods no reference has.
    let deed = if reference.method == Method::Bye { Deed::Remove } else { Deed::Invite };
    Ok(Guest { user, deed, entry, headers: reference.headers })
}
