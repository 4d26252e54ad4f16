//! Opening a connection to where a peer's description says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::MsrpSettings;
use super::line::Line;
use super::link::Reach as Goal;
use super::wire::ByteWire;
use crate::bridge::Shown;
use crate::net::tether::{Held, Tether};
use crate::reach::{Reach, reach};

/// Opens a connection, with its handshake where there is one.
pub(super) async fn dial(goal: Goal, settings: Arc<MsrpSettings>) -> io::Result<Line> {
    let stream = timeout(settings.connect_timeout, connect(&goal, &settings)).await??;
    let framing = &settings.framing;
    if !goal.secure {
        return Ok(Line::new(Box::new(ByteWire::new(stream)), framing, Shown::default()));
    }
    let tls = settings.tls.as_ref().ok_or_else(|| io::Error::other("TLS is not set up"))?;
    let host = goal.host.trim_matches(['[', ']']);
    let stream = tls.connect(stream, (host, goal.fingerprints)).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.map(|it| Bytes::copy_from_slice(it));
    let shown = Shown { secure: true, certificate };
    Ok(Line::new(Box::new(ByteWire::new(stream)), framing, shown))
}

async fn connect(goal: &Goal, settings: &MsrpSettings) -> io::Result<TcpStream> {
    let host = goal.host.trim_matches(['[', ']']);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let tether = settings.tether.as_deref();
    let is_name = host.parse::<IpAddr>().is_err();
    let may_ask = |tether: &Tether| !is_name || tether.knows(host, (&Held::Msrp, goal.port));
    if !tether.is_none_or(may_ask) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "nobody to be dialled"));
    }
    for address in settings.names.addresses(host).await? {
        let address = SocketAddr::from((address, goal.port));
        let why = match reach(address.ip()) {
            Reach::Private(why) if !settings.allow_private_dial => Some(why),
            // A lab may well sit on link-local addresses.
            Reach::Never(why) if !settings.allow_private_dial || why != "link-local" => Some(why),
            Reach::Global | Reach::Private(_) | Reach::Never(_) => None,
        };
        if let Some(why) = why {
            last = io::Error::new(io::ErrorKind::PermissionDenied, format!("{address} is {why}"));
            continue;
        }
        if !tether.is_none_or(|tether| tether.reaches(address, &Held::Msrp)) {
            last = io::Error::new(io::ErrorKind::PermissionDenied, "nobody to be dialled");
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
