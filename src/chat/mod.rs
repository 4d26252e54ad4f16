//! What a chat is: the orders an application gives, the notices it gets, the rules between them.
//!
//! Nothing here knows SIP, MSRP or HTTP; `bridge` and `oma` translate.

mod command;
mod composing;
mod group;
mod message;
mod notice;
mod participants;
mod receipts;
mod session;

pub use command::{Answer, AnswerId, Command, Invitation, OutgoingMessage, Refusal};
pub use composing::{Composing, ComposingState, ComposingWatch};
pub use group::{
    Extended, Extension, GroupInfo, GroupInvitation, GroupRules, GroupSession, GroupState,
    GroupStep,
};
pub use message::{
    DeliveryReport, IncomingMessage, MessageBook, MessageStatus, ReceivedStatus, ReportRequest,
    UnknownMessage,
};
pub use notice::{EventType, Notice, NoticeKind, NotificationFormat, SessionKind};
pub use participants::{Identity, Newcomer, Participant, Participants, Parting, Standing};
pub use receipts::Receipts;
pub use session::{Ending, ParticipantStatus, Party, Role, Session, SessionInfo, State, Step};
