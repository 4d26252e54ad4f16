//! Bodies of messages: CPIM (RFC 3862), IMDN (RFC 5438), isComposing (RFC 3994), the state of
//! conferences (RFC 4575), lists of recipients (RFC 4826) and multipart.
//!
//! Every reader takes hostile bytes: sizes, counts and depths are bounded, and a fault is an error
//! that names it. Readers are lenient, writers are strict, and no value that is handed in can
//! break out of its header field or element.

pub mod composing;
pub mod conference;
pub mod cpim;
pub mod imdn;
pub mod multipart;
pub mod resource_list;

mod base64;
mod date;
mod mime;
mod xml;

pub use composing::Composing;
pub use conference::Conference;
pub use cpim::{Cpim, Letter, Letterhead};
pub use date::timestamp;
pub use imdn::Imdn;
pub use mime::{MediaType, MimeError};
pub use multipart::Part;
pub use resource_list::ResourceList;
pub use xml::XmlError;
