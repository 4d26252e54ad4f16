//! Sockets and timers: the hands that drive the machines below.

mod alarm;
mod core;
mod dns;
mod driver;
mod heartbeat;
mod hosting;
mod im_server_driver;
mod lodging;
mod msrp;
mod outbox;
mod registrations;
mod rooms;
mod sip;
mod sip_outbound;
mod sip_stream;
mod sip_tcp;
mod sip_udp;
mod switch;
mod tls;
mod tls_identity;
mod unanswered;
mod web_tls;

pub use self::core::{Core, CoreSettings};
pub use dns::DnsSettings;
pub use driver::DriverKit;
pub use hosting::HostDoor;
pub use im_server_driver::{run as run_im_server, run_element};
pub use msrp::{LinkEvent, MsrpLink, MsrpListener, MsrpSettings, MsrpTls, Reach, Service};
pub use registrations::{KeeperWays, run as run_registrations};
pub use rooms::RoomSockets;
pub use sip::{SipSockets, bind as bind_sip};
pub use sip_outbound::{Inbound, SipOutbound, SipSettings};
pub use switch::{Neighbours, Switch, run as run_switch};
pub use tls::{TlsFault, TlsSettings};
pub use tls_identity::CoreNames;
pub use web_tls::WebTls;
