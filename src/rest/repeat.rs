//! A POST that creates: done once, however often the client repeats it.

use std::pin::Pin;

use actix_web::{HttpRequest, HttpResponse, web};
use tokio::time::Instant;

use super::answer::holding;
use super::body::created;
use super::fault::Fault;
use super::{CreatedBody, Face};
use crate::address::Address;
use crate::oma::{Element, Format, ResourceReference};
use crate::store::durable::{AnswerRecord, Change, Created};
use crate::store::{Claim, Correlation, Flushed, Pending};

/// What a POST is about to do: it is kept before it is done, so that a restart in between leaves
/// neither a resource that nobody knows nor an answer that is forgotten.
pub(super) struct Plan {
    /// The resource that comes of it.
    pub(super) created: Created,
    /// What has to be durable before.
    pub(super) changes: Vec<Change>,
    /// Does it.
    pub(super) act: Act,
    /// Takes the plan back; what it gives takes the changes back.
    pub(super) undo: Undo,
}

/// The undoing of a [`Plan`].
pub(super) type Undo = Box<dyn FnOnce(&Face) -> Vec<Change> + Send>;

/// The doing of a [`Plan`], which may hold back the notices that follow.
pub(super) type Act = Pin<Box<dyn Future<Output = Result<Option<Flushed>, Fault>> + Send>>;

/// A created resource, and the hold that its answer has on the notices that follow.
pub(super) struct Made {
    pub(super) created: Created,
    pub(super) flushed: Option<Flushed>,
}

impl Made {
    /// Answers `201`, with a copy of the resource or a reference to it, as configured.
    pub(super) fn answer(self, shows: CreatedBody, format: Format) -> HttpResponse {
        let Created { location, document } = self.created;
        let response = match shows {
            CreatedBody::Copy => created(&location, &document, format),
            CreatedBody::Reference => {
                let reference = ResourceReference { resource_url: location.clone() };
                created(&location, &reference.write(), format)
            }
        };
        match self.flushed {
            Some(flushed) => holding(response, flushed),
            None => response,
        }
    }
}

/// What makes a request the repetition of another.
pub(super) struct Sameness {
    correlation: Correlation,
    content: Vec<u8>,
}

impl Sameness {
    /// Takes the `clientCorrelator` of the body, else the `Idempotency-Key` of the header; with
    /// neither, no request repeats another. `content` says what is asked for, in any format.
    pub(super) fn of(
        request: &HttpRequest,
        (user, collection): (&Address, &str),
        correlator: Option<&str>,
        content: impl FnOnce() -> Element,
    ) -> Result<Option<Self>, Fault> {
        let (collection, correlator) = match correlator {
            Some(correlator) => (collection.to_owned(), correlator),
            None => match idempotency_key(request)? {
                Some(key) => ([collection, BY_KEY].concat(), key),
                None => return Ok(None),
            },
        };
        let (collection, correlator) = (collection.into(), correlator.into());
        let correlation = Correlation { user: user.clone(), collection, correlator };
        Ok(Some(Self { correlation, content: content().render(Format::Json) }))
    }
}

/// Does what `plan` says, unless the same was done before and its resource `still_stands`.
///
/// What is kept, or can be repeated, runs on when its client goes away, so that the repetition
/// finds its outcome; a fault is not an outcome, and the repetition tries again.
pub(super) async fn once(
    face: &web::Data<Face>,
    same: Option<Sameness>,
    still_stands: impl Fn(&Created) -> bool,
    plan: impl FnOnce(&Face) -> Result<Plan, Fault>,
) -> Result<Made, Fault> {
    let pending = match same {
        None => None,
        Some(Sameness { correlation, content }) => {
            let claim = face.correlators.claim(now(), (&correlation, &content), still_stands).await;
            match claim.map_err(|_| reused(correlation))? {
                Claim::Repeat(created) => return Ok(Made { created, flushed: None }),
                Claim::First(pending) => Some(pending),
                Claim::Unknown => {
                    let state = "the bridge was restarted while this was under way: whether it was \
                                 done is not known";
                    return Err(Fault::Conflict { state: state.into() });
                }
            }
        }
    };
    face.demand_store()?;
    let plan = plan(face)?;
    if pending.is_none() && plan.changes.is_empty() {
        let flushed = plan.act.await?;
        return Ok(Made { created: plan.created, flushed });
    }
    let done = tokio::spawn(carry_out(face.clone(), plan, pending));
    done.await.map_err(Fault::internal)?
}

async fn carry_out(
    face: web::Data<Face>,
    Plan { created, mut changes, act, undo }: Plan,
    mut pending: Option<Pending<Created>>,
) -> Result<Made, Fault> {
    let mut begun = None;
    if let Some(pending) = &mut pending {
        let (correlation, content) = pending.keep();
        let (at, created) = (face.keeper.wall(now()), created.clone());
        // Where nothing else is kept of it, a restart could not tell what was done from what was not.
        let is_begun = changes.is_empty();
        begun = is_begun.then(|| correlation.clone());
        let answer = AnswerRecord { correlation, content, at, created, is_begun };
        changes.push(Change::PutAnswer(answer));
    }
    let done = match face.keep(changes).await {
        Ok(()) => act.await,
        Err(fault) => Err(fault),
    };
    match done {
        Ok(flushed) => {
            // What follows from it is told, and kept, behind this.
            face.keeper.write_behind(begun.map(Change::FinishAnswer).into_iter().collect());
            if let Some(pending) = pending {
                let weight = created.weight();
                pending.settle(created.clone(), weight);
            }
            Ok(Made { created, flushed })
        }
        Err(fault) => {
            // A commit that was too late may still come about; this comes behind it.
            face.keeper.write_behind(undo(&face));
            Err(fault)
        }
    }
}

/// Reads the clock that tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

fn reused(Correlation { collection, correlator, .. }: Correlation) -> Fault {
    let is_key = collection.ends_with(BY_KEY);
    let part = if is_key { "Idempotency-Key" } else { "clientCorrelator" };
    Fault::CorrelatorReused { correlator: correlator.into(), part }
}

/// Reads the `Idempotency-Key` header.
fn idempotency_key(request: &HttpRequest) -> Result<Option<&str>, Fault> {
    let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key)),
        Ok(_) | Err(_) => {
            let right = format!("it must be 1 to {MAX_KEY} ASCII characters");
            Err(Fault::Invalid { part: "Idempotency-Key", right })
        }
    }
}

/// What tells the keys of a collection from its correlators.
const BY_KEY: &str = " by key";

/// The header that makes any POST safe to repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest key, in bytes.
const MAX_KEY: usize = 256;
