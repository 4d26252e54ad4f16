//! RFC 3261 and its company: the wire, the values on it, and the machines that speak it.
//!
//! From the bottom up: `grammar` has the words; `uri`, `name_addr` and `via` the values; `headers`
//! and `message` the whole, with `views` upon them; `wire` and `head` bring bytes in, `message`
//! brings them out, `build` writes anew. Upon these stand the machines: `transaction` (with
//! `timers`), `dialog`, and the usages: `leg` is that of INVITE, `registration` that of REGISTER,
//! `subscription` that of SUBSCRIBE and NOTIFY, `refer` that of REFER, `inquiry` that of MESSAGE and
//! OPTIONS; the last three share `usage`, and `fate` says what a refusal leaves of a usage. `digest`
//! proves who we are, and asks others to, with the arithmetic of [`crate::digest`]; `seal` proves
//! what we wrote ourselves; `instance` names us as a device; `endpoint` says whose a message is, and
//! `locate` where one goes.
//! `rsip` lends the vocabulary of header fields to `headers`; all parsing is ours.

mod build;
mod dialog;
mod digest;
mod endpoint;
mod fate;
mod grammar;
mod head;
mod header_name;
mod headers;
mod hop;
mod inquiry;
mod instance;
mod leg;
mod locate;
mod message;
mod method;
mod name_addr;
mod plain;
mod reason;
mod refer;
mod registration;
mod replaces;
mod seal;
mod status;
mod subscription;
mod timers;
mod transaction;
mod uri;
mod usage;
mod via;
mod views;
mod wire;

pub use crate::digest::{
    Algorithm, Answer, AnswerProtection, Challenge, Credentials, Password, Qop, Sim,
};
pub use build::{RequestBuilder, response_to, stamp_answer, stamp_source};
pub use dialog::{Dialog, DialogError};
pub use digest::{Asker, DigestClient, DigestServer, DigestSettings, GiveUp, Verdict, challenges};
pub use endpoint::{ALLOW, DialogKey, Route, accept_stateless, answer_stateless, route, stray};
pub use grammar::{BadParams, SplitOutside, split_outside};
pub use headers::Headers;
pub use hop::{Hop, Transport, UnknownTransport};
pub use inquiry::{Inquired, Inquiry, InquiryEvent, NoEvent};
pub use instance::instance_urn;
pub use leg::{
    Body, Call, DATAGRAM, Kit, Leg, LegEvent, LegInput, LegOutput, Local, NoAnswer, ReferId,
};
pub use locate::{Destination, Located, Locator, MAX_HOPS, Naptr, Question, Records, Srv};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use name_addr::{NameAddr, NameAddrError};
pub use reason::Reason;
pub use refer::{
    MethodForm, Refer, ReferFault, Reference, References, Referral, ReferralEvent, Referred,
};
pub use registration::{
    Enrolment, Grant, Registration, RegistrationEvent, RegistrationFailure, RegistrationInput,
    RegistrationOutput,
};
pub use replaces::{BadReplaces, REPLACES, Replaces};
pub use seal::Seal;
pub use status::Status;
pub use subscription::{
    Again, EndReason, Ended, Ending, EventType, Forks, Notifier, NotifierEvent, NotifierTerms,
    Parting, Standing, Subscriber, SubscriberEvent, Subscription, SubscriptionState,
};
pub use timers::{Deadlines, Timer, Timers};
pub use transaction::{
    ClientOutput, ClientTransaction, ServerOutput, ServerTransaction, TransactionKey,
};
pub use uri::{MAX_URI, Scheme, Uri, UriError};
pub use usage::{Errand, UsageFailure, UsageInput, UsageOutput};
pub use via::{BRANCH_COOKIE, Via, ViaError, ViaTransport, readdress, reply_fallback, reply_hop};
pub use views::{CSeq, Contacts, ViewError};
pub use wire::{Decoded, KeepAlive, StreamDecoder, WireError, WireLimits, decode_datagram};
