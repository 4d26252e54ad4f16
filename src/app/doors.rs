//! The doors of MSRP: a listener for each of its bearers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{named, settings};
use crate::config::{Config, CoreMode, GroupFocus};
use crate::net::{MsrpListener, MsrpSettings, MsrpTls, RoomSockets, Service};

/// Where the bearers of MSRP beside TCP are listened for, as far as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Doors {
    pub(super) tls: Option<SocketAddr>,
    pub(super) ws: Option<SocketAddr>,
    pub(super) wss: Option<SocketAddr>,
}

/// The listeners, bound.
pub(super) struct Bound {
    pub(super) listeners: Vec<MsrpListener>,
    pub(super) settings: MsrpSettings,
    /// Where TCP is listened for.
    pub(super) tcp: SocketAddr,
    pub(super) others: Doors,
}

/// Binds the listener of the conference focus, if there is to be one.
///
/// # Errors
/// The socket cannot be bound; the error names it.
pub(super) async fn bind_rooms(config: &Config) -> io::Result<Option<RoomSockets>> {
    let focus = &config.im_server.focus;
    if config.core.mode != CoreMode::Embedded || focus.factory.is_empty() {
        return Ok(None);
    }
    let framing = settings::room_limits(config).into();
    let settings = MsrpSettings { framing, ..settings::msrp(config, None) };
    let (listen, ports) = (focus.msrp_listen, focus.msrp_ports);
    let listener = MsrpListener::bind(listen, ports, settings.clone()).await;
    let listener = named("[im_server] msrp_listen", listen, listener)?;
    Ok(Some(RoomSockets { listener, settings }))
}

/// Binds the listener of the groups that our users host, if they do.
///
/// # Errors
/// The socket cannot be bound; the error names it.
pub(super) async fn bind_host(config: &Config) -> io::Result<Option<RoomSockets>> {
    let group = &config.group;
    if group.focus != GroupFocus::Host {
        return Ok(None);
    }
    let framing = settings::room_limits(config).into();
    let settings = MsrpSettings { framing, ..settings::msrp(config, None) };
    let (listen, ports) = (group.host_listen, group.host_ports);
    let listener = MsrpListener::bind(listen, ports, settings.clone()).await;
    let listener = named("[group] host_listen", listen, listener)?;
    Ok(Some(RoomSockets { listener, settings }))
}

/// Binds them all.
///
/// # Errors
/// A socket cannot be bound, or a file of TLS is no use; the error names it.
pub(super) async fn bind(config: &Config) -> io::Result<Bound> {
    let msrp = &config.msrp;
    let relay_wants_tls = msrp.relay.as_ref().is_some_and(|relay| relay.first().secure());
    let wants_tls = msrp.tls_listen.or(msrp.wss_listen).is_some() || relay_wants_tls;
    let tls = match wants_tls {
        true => Some(Arc::new(MsrpTls::read(&config.tls()).map_err(|faults| {
            let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
            io::Error::new(io::ErrorKind::InvalidInput, format!("[sip] {}", all.join("; ")))
        })?)),
        false => None,
    };
    let settings = settings::msrp(config, tls);
    let (listen, ports) = (msrp.listen, msrp.ports);
    let plain = MsrpListener::bind(listen, ports, settings.clone()).await;
    let plain = named("[msrp] listen", listen, plain)?;
    let (tcp, mut others) = (plain.local_addr()?, Doors::default());
    let mut listeners = vec![plain];
    for (key, listen, service, place) in [
        ("[msrp] tls_listen", msrp.tls_listen, Service::Tls, &mut others.tls),
        ("[msrp] ws_listen", msrp.ws_listen, Service::Ws, &mut others.ws),
        ("[msrp] wss_listen", msrp.wss_listen, Service::Wss, &mut others.wss),
    ] {
        let Some(listen) = listen else { continue };
        let bound = MsrpListener::bind(listen, 1, settings.clone()).await;
        let bound = named(key, listen, bound)?.serving(service);
        *place = Some(bound.local_addr()?);
        listeners.push(bound);
    }
    Ok(Bound { listeners, settings, tcp, others })
}
