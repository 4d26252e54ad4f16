//! The body of a request, read within limits, and the format of the answer to it.

use std::future::Future;
use std::pin::Pin;

use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use tokio::time::timeout;

use super::Face;
use super::body::{Negotiated, document, negotiate};
use super::fault::Fault;
use crate::oma::{DocumentError, Element};

/// A body that was read.
#[derive(Debug)]
pub(super) struct Posted {
    /// In which format it came, and in which one the answer goes.
    pub(super) formats: Negotiated,
    /// Its bytes.
    bytes: Bytes,
}

impl Posted {
    /// Reads the document that the resource takes.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Element) -> Result<T, DocumentError>,
    ) -> Result<T, Fault> {
        document(&self.formats, &self.bytes, read)
    }
}

impl FromRequest for Posted {
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Fault>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read_bytes(&request, payload).await?;
            let formats = negotiate(&request, &bytes)?;
            Ok(Self { formats, bytes })
        })
    }
}

/// Reads the body, but no more of it, and no longer, than the settings allow.
async fn read_bytes(request: &HttpRequest, payload: Payload) -> Result<Bytes, Fault> {
    let face = Face::of(request)?;
    let (limit, wait) = (face.settings.max_body, face.settings.body_wait);
    if declared_length(request).is_some_and(|length| length > limit as u64) {
        return Err(Fault::TooLarge);
    }
    match timeout(wait, to_bytes_limited(BodyStream::new(payload), limit)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(error))) => Err(incomplete(error.to_string())),
        Ok(Err(_)) => Err(Fault::TooLarge),
        Err(_) => Err(incomplete(format!("it must arrive within {} s", wait.as_secs()))),
    }
}

fn incomplete(right: String) -> Fault {
    Fault::Invalid { part: "body", right }
}

fn declared_length(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
