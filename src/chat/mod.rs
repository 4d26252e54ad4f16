//! What a chat is: the orders an application gives, the notices it gets, the rules between them.
//!
//! Nothing here knows SIP, MSRP or HTTP; `bridge` and `oma` translate.

mod command;
mod composing;
mod message;
mod notice;
mod session;

pub use command::{Answer, Command, Invitation, OutgoingMessage, Refusal};
pub use composing::{Composing, ComposingState, ComposingWatch};
pub use message::{
    DeliveryReport, IncomingMessage, MessageBook, MessageStatus, ReceivedStatus, ReportRequest,
    UnknownMessage,
};
pub use notice::{EventType, Notice, NoticeKind, NotificationFormat};
pub use session::{Ending, ParticipantStatus, Party, Role, Session, SessionInfo, State, Step};
