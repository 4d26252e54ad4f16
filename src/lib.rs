//! chatbridge: REST chat applications meet SIP and MSRP.
//!
//! This table is the map of the house. A folder may import from lower floors only, never from a
//! higher floor and never from a neighbour; `tests/architecture.rs` reads this very table and holds
//! the source to it. Below floor 3 nothing happens, things are only decided: no socket, clock,
//! task, lock, file, environment or randomness of its own, no `async`.
//!
//! | floor | folder | what stands there | foreign crates that live only there |
//! |---|---|---|---|
//! | 6 | `app` | wiring: sockets, tasks and channels; graceful stop | `actix_web`, `actix_http`, `actix_server`, `actix_service`, `rand` |
//! | 6 | `config` | the configuration file as one typed value | `toml` |
//! | 5 | `rest` | the face of the API: HTTP in, commands down, documents out | `actix_web`, `serde_json`, `httparse` |
//! | 5 | `replay` | recorded chats: told, drawn, compared, played | `serde_json` |
//! | 4 | `net` | sockets and timers that drive the machines | `tokio_rustls`, `tokio_tungstenite`, `webpki`, `rustls_native_certs`, `socket2`, `hickory_resolver` |
//! | 4 | `notify` | notices on their way to applications: callbacks and channels | `reqwest`, `ring`, `base64` |
//! | 3 | `store` | what outlives a request or a restart: sessions, subscriptions, channels | `dashmap`, `rusqlite`, `serde_json` |
//! | 2 | `bridge` | chat session, SIP leg and MSRP session in step; the two tables | |
//! | 2 | `im_server` | the embedded IM server: registrar and proxy | |
//! | 2 | `oma` | the documents of the API in XML, JSON and form encoding | `quick_xml`, `serde_json`, `form_urlencoded` |
//! | 1 | `chat` | what a chat is: commands, notices, the rules of a session | |
//! | 1 | `sip` | RFC 3261 and its company | `rsip`, `sha2` |
//! | 1 | `msrp` | RFC 4975 | `nom` |
//! | 1 | `sdp` | session descriptions with an `m=message` line | |
//! | 1 | `access` | who may come in: passwords, tokens, rates | `ring`, `base64`, `serde_json` |
//! | 1 | `payload` | bodies: CPIM, IMDN, isComposing, multipart | `quick_xml` |
//! | 1 | `trace` | recorded traffic: captures and logs in, messages out | `flate2` |
//! | 0 | `ids` | identifiers and the source of randomness that is handed in | `rand` |
//! | 0 | `address` | `tel:`, `sip:` and `acr:` addresses | |
//! | 0 | `digest` | Digest authentication as arithmetic: challenges, answers, hashes; fingerprints | `md5`, `sha2`, `aes` |
//! | 0 | `clock` | wall time derived from the instant that is handed in | |
//! | 0 | `reach` | how far an IP address reaches | |

pub mod address;
pub mod clock;
pub mod digest;
pub mod ids;
pub mod reach;

pub mod access;
pub mod chat;
pub mod msrp;
pub mod payload;
pub mod sdp;
pub mod sip;
pub mod trace;

pub mod bridge;
pub mod im_server;
pub mod oma;

pub mod store;

pub mod net;
pub mod notify;

pub mod replay;
pub mod rest;

pub mod app;
pub mod config;
