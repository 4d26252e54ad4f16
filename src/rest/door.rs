//! The door of the API: who comes in, as what, and how often.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use actix_web::dev::ServiceRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpMessage, HttpRequest, web};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{debug, info};

use super::Face;
use super::fault::Fault;
use crate::access::{
    AttemptLimits, Attempts, Caller, Gate, PasswordCheck, Proven, Rate, Rates, Refusal, Verdict,
};
use crate::address::Address;

/// How the door is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorSettings {
    /// How the API is called in a challenge (RFC 9110 section 11.5).
    pub realm: String,
    /// How many attempts may fail.
    pub attempts: AttemptLimits,
    /// How often one user's resources may be asked for.
    pub rate: Rate,
    /// How many requests may be worked on at once; long polls are not among them.
    pub in_flight: usize,
}

impl Default for DoorSettings {
    fn default() -> Self {
        let window = std::time::Duration::from_secs(60);
        Self {
            realm: "chat".to_owned(),
            attempts: AttemptLimits { failures: 20, window, sources: 10_000 },
            rate: Rate { per_second: 0, burst: 1, users: 10_000 },
            in_flight: 1024,
        }
    }
}

/// What stands between the network and the resources.
#[derive(Debug)]
pub struct Door {
    gate: RwLock<Arc<Gate>>,
    settings: DoorSettings,
    attempts: Mutex<Attempts>,
    rates: Mutex<Rates>,
    proven: Mutex<Proven>,
    room: Semaphore,
    /// Lets few passwords be checked at once that are slow to check.
    bench: Semaphore,
}

impl Door {
    /// Hangs a door.
    #[must_use]
    pub fn new(gate: Gate, settings: DoorSettings) -> Self {
        Self {
            gate: RwLock::new(Arc::new(gate)),
            attempts: Mutex::new(Attempts::new(settings.attempts)),
            rates: Mutex::new(Rates::new(settings.rate)),
            proven: Mutex::new(Proven::default()),
            room: Semaphore::new(settings.in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            bench: Semaphore::new(2),
            settings,
        }
    }

    /// Holds all that come from now on against another gate.
    pub fn change(&self, gate: Gate) {
        *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gate);
        locked(&self.proven).clear();
    }

    fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Finds out who a request is from.
    async fn admit(&self, request: &HttpRequest) -> Result<Caller, Fault> {
        let (gate, source) = (self.gate(), source(request));
        if gate.is_guessable() {
            self.demand_patience(source)?;
        }
        let mut fields = request.headers().get_all(AUTHORIZATION);
        let (field, other) = (fields.next(), fields.next());
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let refusal = match (gate.judge(now, field.map(|field| field.as_bytes())), other) {
            // Whoever shows two credentials hopes that two readers take different ones.
            (_, Some(_)) => Refusal::Invalid(None),
            (Verdict::Admitted(caller), None) => return Ok(caller),
            (Verdict::Refused(refusal), None) => refusal,
            (Verdict::Costly(check), None) => match self.check(check).await? {
                Some(caller) => return Ok(caller),
                None => Refusal::Invalid(None),
            },
        };
        let challenge = gate.challenge(&self.settings.realm, &refusal);
        match refusal {
            Refusal::Missing => Err(Fault::Unauthorized { challenge }),
            Refusal::Scope => Err(Fault::InsufficientScope { challenge }),
            Refusal::Invalid(_) => {
                self.demand_patience(source)?;
                debug!(%refusal, "a credential was refused");
                if let Some(source) = source {
                    locked(&self.attempts).failed(Instant::now().into_std(), source);
                }
                Err(Fault::Unauthorized { challenge })
            }
        }
    }

    /// Refuses who has failed too often.
    fn demand_patience(&self, source: Option<IpAddr>) -> Result<(), Fault> {
        let Some(source) = source else { return Ok(()) };
        match locked(&self.attempts).wait(Instant::now().into_std(), source) {
            None => Ok(()),
            Some(retry_after) => {
                info!(%source, ?retry_after, "too many wrong credentials");
                Err(Fault::TooManyRequests { what: "wrong credentials", retry_after })
            }
        }
    }

    /// Checks a password against a slow hash, where it was not found right before. The work is done
    /// where it holds nobody up, by few at a time.
    async fn check(&self, check: PasswordCheck) -> Result<Option<Caller>, Fault> {
        let known = locked(&self.proven).find(&check);
        if known.is_some() {
            return Ok(known);
        }
        let _seat = self.bench.acquire().await.map_err(Fault::internal)?;
        let work = spawn_blocking(move || (check.run(), check));
        let (caller, check) = work.await.map_err(Fault::internal)?;
        if caller.is_some() {
            locked(&self.proven).note(&check);
        }
        Ok(caller)
    }

    /// Finds out whose resources a request means, in the words of its URL, and whether its caller
    /// may have them.
    ///
    /// # Errors
    /// The credential does not cover the user. That is told before anything was looked for, so that
    /// it says nothing about what there is.
    pub(super) fn user(&self, request: &HttpRequest, named: Address) -> Result<Address, Fault> {
        let extensions = request.extensions();
        let caller = extensions.get::<Caller>();
        // A resource that forgot to ask who is there is open to nobody.
        let caller = caller.ok_or_else(|| Fault::internal("the door was not passed"))?;
        let user = if named.key().eq_ignore_ascii_case(OWN) {
            let reason = "acr:auth stands for the user of a credential for one user".to_owned();
            caller.own().cloned().ok_or(Fault::Forbidden { reason })?
        } else {
            named
        };
        if !caller.covers(&user) {
            let reason = "the credential does not cover this user".to_owned();
            return Err(Fault::Forbidden { reason });
        }
        match locked(&self.rates).take(Instant::now().into_std(), user.key()) {
            Ok(()) => Ok(user),
            Err(retry_after) => Err(Fault::TooManyRequests { what: "requests", retry_after }),
        }
    }
}

/// A place among the requests that are worked on, given back when it is dropped.
pub(super) struct Inside(web::Data<Face>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.door.room.add_permits(1);
    }
}

/// Lets nobody through who may not come in, and not too many at once.
pub(super) async fn enter(request: &ServiceRequest) -> Result<Inside, Fault> {
    let face = Face::of(request.request())?.clone();
    let Ok(permit) = face.door.room.try_acquire() else {
        let (why, retry_after) = ("too many requests at once".into(), face.settings.retry_after);
        return Err(Fault::Unavailable { why, retry_after });
    };
    permit.forget();
    let inside = Inside(face);
    let caller = inside.0.door.admit(request.request()).await?;
    request.extensions_mut().insert(caller);
    Ok(inside)
}

/// Gives the address that a request comes from; none where there is no network in between.
fn source(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|address| address.ip())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The `{userId}` that stands for the user of the credential.
const OWN: &str = "acr:auth";

#[cfg(test)]
mod tests;
