//! A core at which the bridge registers its users: the embedded IM server on sockets of its own,
//! which asks everybody for a password.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use chatbridge::address::Address;
use chatbridge::config::Config;
use chatbridge::ids::Random;
use chatbridge::im_server::{self, ImServer};
use chatbridge::sip::{
    Decoded, Hop, Message, Method, Password, Request, Response, Status, Transport, WireLimits,
    decode_datagram, reply_hop, response_to, stamp_source,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant as Tick, sleep_until};

use super::world::{ALICE, BOB, within};

/// The core; it goes when it is dropped.
pub(crate) struct Core {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
    has_forgotten: Arc<AtomicBool>,
    passed: mpsc::Receiver<Request>,
    task: JoinHandle<()>,
}

struct Desk {
    socket: UdpSocket,
    server: ImServer,
    is_open: Arc<AtomicBool>,
    has_forgotten: Arc<AtomicBool>,
    passed: mpsc::Sender<Request>,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Core {
    /// Starts a core that answers nobody before it is opened.
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let settings = im_server::Settings {
            domain: "example.com".to_owned(),
            local: hop(address),
            users: [ALICE, BOB].map(|user| Address::parse(user).unwrap()).to_vec(),
            create_users: false,
            home: None,
            accounts: [(ALICE, "one"), (BOB, "two")].map(account).to_vec(),
            ..im_server::Settings::default()
        };
        let (is_open, has_forgotten) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (sender, passed) = mpsc::channel(256);
        let desk = Desk {
            socket,
            server: ImServer::new(now(), settings, Random::seeded(5)),
            is_open: Arc::clone(&is_open),
            has_forgotten: Arc::clone(&has_forgotten),
            passed: sender,
        };
        let task = tokio::spawn(desk.run());
        Self { address, is_open, has_forgotten, passed, task }
    }

    /// Makes this the core of a bridge that registers Alice and Bob.
    pub(crate) fn carry(&self, config: &mut Config) {
        let text = format!(
            "[core]\nmode = \"ue\"\nnext_hop = \"{}\"\nrealms = [\"example.com\"]\n\
             [sip]\nprofile = \"simple-im\"\n\
             [ue]\nusers = [\"{ALICE} +19585550100\", \"{BOB} +19585550101\"]\n",
            self.address
        );
        let passwords = ("CHATBRIDGE_UE_PASSWORDS".to_owned(), "one,two".to_owned());
        let read = Config::read(&text, [passwords]).unwrap();
        (config.core, config.ue) = (read.core, read.ue);
        config.sip.profile = read.sip.profile;
    }

    /// Answers from now on.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// Forgets who is registered, as far as calls are concerned.
    pub(crate) fn forget(&self) {
        self.has_forgotten.store(true, Ordering::Relaxed);
    }

    /// Waits for the next request with this method that has got through.
    pub(crate) async fn passed(&mut self, method: &Method) -> Request {
        within(method.as_str(), async {
            loop {
                let request = self.passed.recv().await.unwrap();
                if request.method == *method {
                    return request;
                }
            }
        })
        .await
    }
}

impl Desk {
    async fn run(mut self) {
        let mut datagram = vec![0; 65_536];
        loop {
            while let Some(im_server::Output::Send { bytes, hop }) = self.server.poll() {
                self.send(&bytes, &hop).await;
            }
            let deadline = self.server.next_timeout().map(Tick::from_std);
            let timer = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.socket.recv_from(&mut datagram) => {
                    let (length, from) = received.unwrap();
                    let bytes = Bytes::copy_from_slice(&datagram[..length]);
                    if self.is_open.load(Ordering::Relaxed) {
                        self.take(bytes, hop(from)).await;
                    }
                }
                () = timer => self.server.handle(now(), im_server::Input::Timeout),
            }
        }
    }

    async fn take(&mut self, bytes: Bytes, source: Hop) {
        let Decoded::Message(message) = decode_datagram(bytes, &WireLimits::default()) else {
            return;
        };
        if let Message::Request(request) = &message {
            if request.to_tag().as_deref() == Some(TAG) {
                return;
            }
            if let Some(refusal) = self.refuse(request, &source) {
                let via = refusal.via().unwrap();
                return self.send(&refusal.encode(), &reply_hop(&via, &source)).await;
            }
            // The first REGISTER gives the name alone, and proves nothing.
            let is_proof = |value: &str| !value.contains("response=\"\"");
            let proofs = ["Authorization", "Proxy-Authorization"];
            if proofs.into_iter().filter_map(|it| request.headers.get(it)).any(is_proof) {
                // A test that does not look does not hold the core up.
                let _unread = self.passed.try_send(request.clone());
            }
        }
        self.server.handle(now(), im_server::Input::Message { message, source });
    }

    /// Refuses to call for users who are forgotten, as a core does that has lost their state.
    fn refuse(&mut self, request: &Request, source: &Hop) -> Option<Response> {
        let is_call = request.method == Method::Invite && request.to_tag().is_none();
        if !is_call || !self.has_forgotten.load(Ordering::Relaxed) {
            return None;
        }
        let mut stamped = request.clone();
        stamp_source(&mut stamped, source);
        Some(response_to(&stamped, Status::FORBIDDEN, Some(TAG)))
    }

    async fn send(&self, bytes: &[u8], hop: &Hop) {
        let to = SocketAddr::new(hop.host.parse().unwrap(), hop.port);
        self.socket.send_to(bytes, to).await.unwrap();
    }
}

fn hop(address: SocketAddr) -> Hop {
    Hop::new(Transport::Udp, &address.ip().to_string(), address.port())
}

fn now() -> Instant {
    Tick::now().into_std()
}

fn account((user, password): (&str, &str)) -> im_server::Account {
    let password = Password::Text(password.to_owned());
    im_server::Account { address: Address::parse(user).unwrap(), password }
}

/// The tag of what is refused for a user who is forgotten.
const TAG: &str = "forgotten";
