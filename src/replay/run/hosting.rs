//! Groups that the bridge hosts for one of its users: a call of the application stands behind
//! several dialogs, one with each participant, and what is said is said in all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::book::Book;
use super::super::head::address;
use super::script::{Cause, user};

/// The groups of a script that the bridge hosts.
#[derive(Debug, Default)]
pub(super) struct Hosting {
    groups: Vec<Group>,
    group_by_dialog: BTreeMap<usize, usize>,
}

#[derive(Debug)]
struct Group {
    /// The address that the bridge gives to the group.
    focus: String,
    /// Who hosts it.
    user: String,
    /// The dialog in which it began.
    first: usize,
    invited: BTreeSet<String>,
    /// How often the application has said something.
    said: BTreeMap<Vec<u8>, usize>,
    /// How often that came in each dialog.
    copies: BTreeMap<(usize, Vec<u8>), usize>,
}

/// Whom an INVITE of a host is from, whom it is for, and who else there is.
pub(super) struct Invitation<'a> {
    pub(super) dialog: usize,
    pub(super) contact: &'a str,
    pub(super) user: String,
    pub(super) whom: String,
    pub(super) others: Vec<String>,
    pub(super) subject: String,
}

impl Hosting {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Tells whether an address is that of a group.
    pub(super) fn is_focus(&self, uri: &str) -> bool {
        self.groups.iter().any(|group| group.focus == uri)
    }

    /// Gives the dialog in which the group of a dialog began.
    pub(super) fn first_of(&self, dialog: usize) -> Option<usize> {
        self.group(dialog).map(|group| group.first)
    }

    /// Enters an INVITE, and finds the call behind it: the first one opens the group, one for
    /// somebody new adds him.
    pub(super) fn invite(&mut self, invitation: Invitation<'_>) -> Option<Cause> {
        let Invitation { dialog, contact, user, whom, others, subject } = invitation;
        let focus = address(contact).to_owned();
        if let Some(place) = self.groups.iter().position(|group| group.focus == focus) {
            self.group_by_dialog.insert(dialog, place);
            let is_new = self.groups[place].invited.insert(whom.clone());
            return is_new.then_some(Cause::Add { whom });
        }
        let mut all = others;
        all.retain(|other| *other != user && *other != whom);
        all.insert(0, whom);
        self.group_by_dialog.insert(dialog, self.groups.len());
        self.groups.push(Group {
            focus,
            user: user.clone(),
            first: dialog,
            invited: all.iter().cloned().collect(),
            said: BTreeMap::new(),
            copies: BTreeMap::new(),
        });
        Some(Cause::Group { user, whom: all, subject })
    }

    /// Enters what the host says in a dialog; tells whether it is the first copy of something that
    /// the application says, and neither a further one nor a word of somebody else.
    pub(super) fn says(&mut self, dialog: usize, from: Option<&str>, body: &[u8]) -> bool {
        let Some(place) = self.group_by_dialog.get(&dialog) else { return true };
        let group = &mut self.groups[*place];
        if from.is_some_and(|from| user(address(from)) != group.user) {
            return false;
        }
        let copies = group.copies.entry((dialog, body.to_vec())).or_default();
        *copies += 1;
        let said = group.said.entry(body.to_vec()).or_default();
        let is_first = *copies > *said;
        *said += usize::from(is_first);
        is_first
    }

    /// Finds the call behind a BYE of the host: he leaves, or removes somebody while others stay.
    pub(super) fn part(&self, book: &Book, dialog: usize, has_left: bool) -> Option<Cause> {
        let stays = |(other, place): (&usize, &usize)| {
            let is_other = *other != dialog && self.group_by_dialog.get(&dialog) == Some(place);
            let other = &book.dialogs[*other];
            let was_there =
                other.answer.as_ref().is_some_and(|(code, ..)| (200..300).contains(code));
            let ended = |at| other.ended.as_ref().is_none_or(|end| !end.by_caller && end.at > at);
            is_other
                && was_there
                && book.dialogs[dialog].ended.as_ref().is_some_and(|end| ended(end.at))
        };
        if self.group_by_dialog.iter().any(stays) {
            return Some(Cause::Remove { whom: user(&book.dialogs[dialog].callee) });
        }
        (!has_left).then_some(Cause::Leave)
    }

    fn group(&self, dialog: usize) -> Option<&Group> {
        self.group_by_dialog.get(&dialog).and_then(|place| self.groups.get(*place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(dialog: usize, whom: &str) -> Invitation<'_> {
        let others = vec!["tel:+1".to_owned(), "tel:+3".to_owned()];
        let (user, whom) = ("tel:+1".to_owned(), whom.to_owned());
        let contact = "<sip:focus@192.0.2.1>;isfocus";
        Invitation { dialog, contact, user, whom, others, subject: "Trip".to_owned() }
    }

    #[test]
    fn one_call_stands_behind_all_invitations_and_all_copies() {
        let mut hosting = Hosting::default();
        let Some(Cause::Group { whom, .. }) = hosting.invite(invitation(4, "tel:+2")) else {
            panic!("a group")
        };
        assert_eq!(whom, ["tel:+2", "tel:+3"]);
        assert_eq!(hosting.invite(invitation(6, "tel:+3")), None);
        let added = Cause::Add { whom: "tel:+4".to_owned() };
        assert_eq!(hosting.invite(invitation(7, "tel:+4")), Some(added));
        assert_eq!(
            [4, 6, 7, 8].map(|dialog| hosting.first_of(dialog)),
            [Some(4), Some(4), Some(4), None]
        );
        assert!(hosting.is_focus("sip:focus@192.0.2.1") && !hosting.is_focus("sip:focus"));
        // The same text twice is said twice, whatever the order of its copies.
        let own = Some("<tel:+1>");
        let told = [(4, own), (6, own), (6, own), (4, own), (4, Some("<tel:+2>")), (9, None)];
        let is_first = told.map(|(dialog, from)| hosting.says(dialog, from, b"Hello"));
        assert_eq!(is_first, [true, false, true, false, false, true]);
    }
}
