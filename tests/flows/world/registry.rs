//! The registrations of the world: what the keeper of `net` and its directory do.

use std::sync::Arc;
use std::time::Duration;

use chatbridge::bridge::{
    Access, Pace, Roster, RosterInput, RosterOutput, Settings, Subscriber, Terms,
};
use chatbridge::chat::Refusal;
use chatbridge::im_server::{Account, ImServer};
use chatbridge::sip::{Credentials, Message, Method, Password, Request};
use chatbridge::store::Registrations;

use super::{ALICE, BOB, BRIDGE, World, address, hop, lines, settings};
use crate::proxies::{EDGE, HOME, Proxy};

/// The users that are registered.
pub(crate) struct Registry {
    pub(super) roster: Roster,
    directory: Registrations,
    told: Vec<String>,
}

impl World {
    /// A world whose bridge registers Alice and Bob at the IM server, through two proxies.
    pub(crate) fn registering(change: impl FnOnce(&mut Settings)) -> Self {
        let mut world = Self::with(|settings| {
            settings.core = Some(hop(EDGE));
            change(settings);
        });
        let mut im_server = settings::of_im_server();
        // The proxy before it guards it: the IM server takes whatever comes from there. And nobody is
        // found at the bridge but those who are registered there.
        im_server.home = Some(hop(HOME));
        im_server.create_users = false;
        im_server.accounts = [ALICE, BOB].map(account).to_vec();
        world.im_server = ImServer::new(world.now, im_server, world.random.fork());
        world.proxies = Proxy::two(world.now);
        let terms = Terms { registrar: "example.com".into(), expires: 3600, gruu: false };
        let pace =
            Pace { start: Duration::from_millis(50), retry_refused: Duration::from_secs(1800) };
        let subscribers = [(ALICE, "alice"), (BOB, "bob")].map(|(user, name)| {
            let password = Password::Text(format!("{name}'s secret"));
            let (username, realms) = (format!("{name}@ims.example.com"), Vec::new());
            let credentials = Some(Credentials { username, password, realms });
            Subscriber { address: address(user), credentials }
        });
        let manner = (Arc::clone(&world.settings), terms, pace);
        let roster = Roster::new(world.now, manner, &subscribers, world.random.fork());
        let (directory, _letters) = Registrations::new(roster.accesses(), 1);
        world.registry = Some(Registry { roster, directory, told: Vec::new() });
        world.roster_hears(RosterInput::Hops(vec![hop(EDGE)]));
        world.wait(Duration::from_millis(100));
        world
    }

    /// Gives the roster something that only the keeper of `net` would.
    pub(crate) fn roster_hears(&mut self, input: RosterInput) {
        if let Some(registry) = &mut self.registry {
            registry.roster.handle(self.now, input);
            self.drain_registry();
            self.run();
        }
    }

    /// The requests that the proxy at `port` let pass.
    pub(crate) fn proxies_passed(&self, port: u16) -> Vec<Request> {
        let proxy = self.proxies.iter().find(|proxy| proxy.port == port);
        proxy.map(|proxy| proxy.passed.clone()).unwrap_or_default()
    }

    /// The proxy at `port` knows nobody any more.
    pub(crate) fn proxy_forgets(&mut self, port: u16) {
        let proxy = self.proxies.iter_mut().find(|proxy| proxy.port == port);
        proxy.expect("a proxy").has_forgotten = true;
    }

    /// Takes what has become of the registrations, as lines.
    pub(crate) fn registered(&mut self) -> Vec<String> {
        self.registry.as_mut().map(|it| std::mem::take(&mut it.told)).unwrap_or_default()
    }

    pub(super) fn wake_registry(&mut self) {
        if let Some(registry) = &mut self.registry
            && registry.roster.next_timeout().is_some_and(|next| next <= self.now)
        {
            registry.roster.handle(self.now, RosterInput::Timeout);
            self.drain_registry();
        }
    }

    /// Takes a response to a REGISTER, and gives all else back.
    pub(super) fn keep_for_registry(&mut self, message: Message) -> Option<Message> {
        match (message, &mut self.registry) {
            (Message::Response(response), Some(registry))
                if response.cseq().is_ok_and(|cseq| cseq.method == Method::Register) =>
            {
                registry.roster.handle(self.now, RosterInput::Response(response));
                self.drain_registry();
                None
            }
            (message, _) => Some(message),
        }
    }

    pub(super) fn access_of(&self, user: &super::Address) -> Result<Arc<Access>, Refusal> {
        match &self.registry {
            Some(registry) => registry.directory.originating(self.now, user),
            None => Ok(Arc::default()),
        }
    }

    pub(super) fn access_to(&self, request: &Request) -> Option<Arc<Access>> {
        match &self.registry {
            Some(registry) => registry.directory.terminating(&self.settings.realm, &request.uri),
            None => Some(Arc::default()),
        }
    }

    fn drain_registry(&mut self) {
        let Some(registry) = &mut self.registry else { return };
        let mut lost = Vec::new();
        while let Some(output) = registry.roster.poll() {
            let line = match output {
                RosterOutput::Send { bytes, hop, .. } => {
                    self.written.push(bytes.clone());
                    self.wire.push_back((BRIDGE, hop.port, bytes));
                    continue;
                }
                RosterOutput::Spare { hop, .. } => format!("{hop} is spared"),
                RosterOutput::Registered { access, aliases } => {
                    let user = access.user.clone().expect("a user");
                    registry.directory.keep(access, aliases);
                    format!("{}: registered", lines::user(user.spelling()))
                }
                RosterOutput::Failed { user, why, again_at } => {
                    registry.directory.expect(&user, again_at);
                    format!("{}: {why:?}", lines::user(user.spelling()))
                }
                RosterOutput::Lost { user, .. } => {
                    lost.extend(registry.directory.lose(&user));
                    format!("{}: lost", lines::user(user.spelling()))
                }
                RosterOutput::Unusable { user, .. } => format!("{user}: unusable"),
                RosterOutput::Gone(user) => {
                    registry.directory.lose(&user);
                    format!("{}: gone", lines::user(user.spelling()))
                }
            };
            registry.told.push(line);
        }
        for user in lost {
            self.lose_core(&user);
        }
    }
}

/// Only who has an account may register; the password is asked for by the proxy alone.
fn account(user: &str) -> Account {
    Account { address: address(user), password: Password::Text("unasked".to_owned()) }
}
