//! A POST that creates: done once, however often the client repeats it.

use std::future::Future;

use actix_web::{HttpRequest, HttpResponse};
use tokio::time::Instant;

use super::answer::holding;
use super::body::created;
use super::fault::Fault;
use super::{CreatedBody, Face};
use crate::address::Address;
use crate::oma::{Element, Format, ResourceReference};
use crate::store::{Claim, Correlation, Flushed};

/// A resource as the answer to its creation shows it, also to those who repeat the request.
#[derive(Debug, Clone)]
pub struct Created {
    /// The URL of the resource.
    pub location: String,
    /// The copy of the resource.
    pub document: Element,
}

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
        content: &Element,
    ) -> Result<Option<Self>, Fault> {
        let (collection, correlator) = match correlator {
            Some(correlator) => (collection.to_owned(), correlator),
            None => match idempotency_key(request)? {
                Some(key) => (format!("{collection} by key"), key),
                None => return Ok(None),
            },
        };
        let (collection, correlator) = (collection.into(), correlator.into());
        let correlation = Correlation { user: user.clone(), collection, correlator };
        Ok(Some(Self { correlation, content: content.render(Format::Json) }))
    }
}

/// Does `work`, unless the same was done before and its resource `still_stands`.
///
/// Work that can be repeated runs on when its client goes away, so that the repetition finds its
/// outcome; a fault is not an outcome, and the repetition tries again.
pub(super) async fn once(
    face: &Face,
    same: Option<Sameness>,
    still_stands: impl Fn(&Created) -> bool,
    work: impl Future<Output = Result<Made, Fault>> + Send + 'static,
) -> Result<Made, Fault> {
    let Some(Sameness { correlation, content }) = same else {
        return work.await;
    };
    let now = Instant::now().into_std();
    let claim = face.correlators.claim(now, (&correlation, &content), still_stands).await;
    let pending = match claim.map_err(|_| reused(correlation.correlator))? {
        Claim::Repeat(created) => return Ok(Made { created, flushed: None }),
        Claim::First(pending) => pending,
    };
    let done = tokio::spawn(async move {
        let made = work.await?;
        // The tree of a document is a few times as large as what was asked for.
        pending.settle(made.created.clone(), 512 + 2 * content.len());
        Ok(made)
    });
    done.await.map_err(Fault::internal)?
}

fn reused(correlator: Box<str>) -> Fault {
    Fault::CorrelatorReused { correlator: correlator.into() }
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

/// The header that makes any POST safe to repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest key, in bytes.
const MAX_KEY: usize = 256;
