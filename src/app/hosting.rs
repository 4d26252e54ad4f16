//! The host of our users' groups, where users host them themselves: its machine, its sockets, its
//! door.

use std::io;
use std::net::SocketAddr;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::settings::{self, Places};
use super::{doors, find_hop};
use crate::config::Config;
use crate::ids::Random;
use crate::im_server::{Host, HostNames};
use crate::net::{HostDoor, MsrpSettings, SipOutbound, run_element};
use crate::sip::Credentials;

/// Starts the host, if there is to be one; gives its door.
///
/// # Errors
/// The socket for its MSRP cannot be bound; the error names it.
pub(super) async fn start(
    config: &Config,
    places: &Places,
    (outbound, credentials): (&SipOutbound, Option<Credentials>),
    mut random: Random,
    ending: (CancellationToken, TaskTracker),
) -> io::Result<Option<HostDoor>> {
    let Some(mut rooms) = doors::bind_host(config).await? else { return Ok(None) };
    let msrp: SocketAddr = rooms.listener.local_addr()?;
    tether(outbound, (&mut rooms.settings, msrp));
    let names = HostNames::draw(settings::local(config, places.sip), &mut random);
    let way = (find_hop(config, places.im_server)?, credentials);
    let host = Host::new(names.clone(), settings::host(config, msrp, way), random);
    let (inbox, waiting) = mpsc::channel(config.limits.sip_inbound);
    let sockets = (outbound.clone(), waiting);
    ending.1.clone().spawn(run_element(host, sockets, Some(rooms), ending));
    Ok(Some(HostDoor { names, own: places.sip, inbox }))
}

/// Keeps MSRP to those whom SIP may call, if that is not everybody, and to a place of our own.
pub(super) fn tether(outbound: &SipOutbound, (settings, own): (&mut MsrpSettings, SocketAddr)) {
    settings.tether = outbound.tether();
    if let Some(tether) = &settings.tether {
        tether.permit(own);
    }
}
