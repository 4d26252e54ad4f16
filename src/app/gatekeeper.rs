//! Keeps the gate of the API as its files have it.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;

use actix_web::web;
use rand::Rng;
use tokio::task::spawn_blocking;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::access::{self, Gate};
use crate::config::{Auth, AuthMode, Config};
use crate::rest::Face;

/// Makes the gate at the start.
///
/// # Errors
/// A file is no use; the error names its key.
pub(super) fn gate(config: &Config, secret: &[u8; 32]) -> io::Result<Gate> {
    let is_remote = !config.rest.listen.ip().is_loopback();
    if config.auth.mode != AuthMode::None && is_remote && config.rest.certificate.is_none() {
        warn!("credentials come in without TLS: let nobody listen between here and the clients");
    }
    let gate = config.auth.gate(secret);
    gate.map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault.to_string()))
}

/// Hashes a password as `[auth] users` takes it, with a salt of its own.
#[must_use]
pub fn hash_password(password: &str) -> String {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    access::hash_password(password, salt)
}

/// Looks at the files again and again. What they hold now is taken; where that is bad, it is said
/// once, and what held before goes on to hold. However many tokens name keys that nobody knows, no
/// file is read sooner.
pub(super) async fn keep(
    auth: Auth,
    secret: [u8; 32],
    face: web::Data<Face>,
    stop: CancellationToken,
) {
    if auth.files().is_empty() {
        return;
    }
    let mut ticks = interval(auth.reload);
    let mut known = sums(&auth);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let looking = auth.clone();
        let read = spawn_blocking(move || {
            let files = sums(&looking);
            let gate = (files != known).then(|| looking.gate(&secret));
            (files, gate)
        });
        let Ok((files, gate)) = read.await else { return };
        known = files;
        match gate {
            None => {}
            Some(Ok(gate)) => {
                face.door.change(gate);
                info!("the files of [auth] have changed: requests go by them");
            }
            Some(Err(fault)) => {
                error!(%fault, "the files of [auth] have changed for the worse: the old ones hold");
            }
        }
    }
}

/// Sums up what the files hold: times of change are too coarse to show every change.
fn sums(auth: &Auth) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in auth.files() {
        // A file that is not there differs from an empty one.
        let read = fs::read(file);
        hasher.write_u8(u8::from(read.is_ok()));
        hasher.write(&read.unwrap_or_default());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}
