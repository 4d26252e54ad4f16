//! What is rewritten of a message, each of it by a name, with the reason why.

use clap::ValueEnum;

/// One thing that is rewritten in messages of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Rewriting {
    /// Via: our address and a branch of this run in requests; in answers, those of the request.
    Via,
    /// Call-ID: one of this run, or the one that the bridge has drawn.
    CallId,
    /// From and To: as the request has them in answers; in requests, the tags of the bridge.
    Tags,
    /// CSeq of answers, RAck, and the id of an Event: the bridge counts its own requests.
    Cseq,
    /// Request-URI: the Contact of the bridge, or the place where it listens.
    RequestUri,
    /// Record-Route, with our address on top, and Route, as this run has recorded it.
    Route,
    /// Contact: our address.
    Contact,
    /// The address of a group that the bridge hosts, in To, Refer-To and bodies.
    Focus,
    /// Descriptions: our address in o=, c=, m= and a=path.
    Sdp,
    /// To-Path and From-Path of MSRP: the sessions of this run.
    Paths,
    /// Transactions of MSRP answers: those of the requests.
    Transactions,
    /// Message ids in reports: those that the bridge has drawn.
    MessageIds,
    /// Content-Length and Byte-Range, as what else is rewritten changes them.
    Lengths,
    /// Digest credentials, computed anew where --auth gives a password.
    Credentials,
    /// Numbers and domains: only where --map wants it.
    #[value(skip)]
    Map,
    /// Conversation-ID and Contribution-ID: only where --fresh-ids wants it.
    #[value(skip)]
    FreshIds,
}

impl Rewriting {
    /// Says why it is done.
    pub(in super::super) fn why(self) -> &'static str {
        match self {
            Self::Via => "answers come back by it, and a branch is of one transaction only",
            Self::CallId => "a call of this run is none of the recording",
            Self::Tags => "each side of a dialog draws its own tag",
            Self::Cseq => "the bridge counts its own requests",
            Self::RequestUri => "the bridge of this run is meant",
            Self::Route => "the way of this run is the one that was recorded in it",
            Self::Contact => "what follows is to come to us",
            Self::Focus => "the group of this run has another address",
            Self::Sdp => "MSRP of this run is spoken here",
            Self::Paths => "the sessions of this run have their own ids",
            Self::Transactions => "it answers a request of this run",
            Self::MessageIds => "the bridge has drawn another id for what it sent",
            Self::Lengths => "what it counts has changed",
            Self::Credentials => "they answer the challenge of this run",
            Self::Map => "--map",
            Self::FreshIds => "--fresh-ids",
        }
    }
}

/// The rewritings that are not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept(u32);

impl Kept {
    /// Tells whether one is not done.
    pub(in super::super) fn has(self, rewriting: Rewriting) -> bool {
        self.0 & bit(rewriting) != 0
    }
}

impl FromIterator<Rewriting> for Kept {
    fn from_iter<T: IntoIterator<Item = Rewriting>>(all: T) -> Self {
        Self(all.into_iter().fold(0, |bits, rewriting| bits | bit(rewriting)))
    }
}

fn bit(rewriting: Rewriting) -> u32 {
    1 << rewriting as u32
}

/// A message with what was put into the place of what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Rewritten {
    pub(in super::super) bytes: Vec<u8>,
    pub(in super::super) changes: Vec<Change>,
}

/// One rewriting in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Change {
    /// The field, `first line` or `body`.
    pub(in super::super) place: String,
    pub(in super::super) from: String,
    pub(in super::super) to: String,
    pub(in super::super) what: Rewriting,
}

impl Change {
    /// Says it in a line.
    pub(in super::super) fn line(&self) -> String {
        let short = |text: &str| match text.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        let (from, to) = (short(self.from.trim_end()), short(self.to.trim_end()));
        let (place, why) = (&self.place, self.what.why());
        match (from.is_empty(), to.is_empty()) {
            (true, _) => format!("{place}: {to:?} is put in: {why}"),
            (_, true) => format!("{place}: {from:?} is left out: {why}"),
            (false, false) => format!("{place}: {from:?} becomes {to:?}: {why}"),
        }
    }
}

/// How much of a value is shown, in characters.
const MAX_SHOWN: usize = 120;
