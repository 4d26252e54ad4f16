//! The body of a request, read within limits, and the format of the answer to it.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
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
    let late = || incomplete(format!("it must arrive within {} s", wait.as_secs()));
    timeout(wait, gather(payload, limit)).await.map_err(|_| late())?
}

/// Puts the body together. One that has come in one piece, as most do, stays where it was read.
async fn gather(mut payload: Payload, limit: usize) -> Result<Bytes, Fault> {
    let mut room = limit;
    let first = part(&mut payload, &mut room).await?.unwrap_or_default();
    let Some(second) = part(&mut payload, &mut room).await? else { return Ok(first) };
    let mut whole = BytesMut::from(&first[..]);
    whole.extend_from_slice(&second);
    while let Some(next) = part(&mut payload, &mut room).await? {
        whole.extend_from_slice(&next);
    }
    Ok(whole.freeze())
}

/// Reads the next part, for which there has to be room.
async fn part(payload: &mut Payload, room: &mut usize) -> Result<Option<Bytes>, Fault> {
    let part = payload.try_next().await.map_err(|why| incomplete(why.to_string()))?;
    *room = room.checked_sub(part.as_ref().map_or(0, Bytes::len)).ok_or(Fault::TooLarge)?;
    Ok(part)
}

fn incomplete(right: String) -> Fault {
    Fault::Invalid { part: "body", right }
}

fn declared_length(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;

    use actix_web::error::PayloadError;
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_is_put_together_as_far_as_the_limit_goes() {
        let gathered = async |parts: &[&'static str], limit| {
            let parts: Vec<_> =
                parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
            gather(payload(parts), limit).await
        };
        for parts in [&[][..], &["abcdef"], &["", "abc", "def"], &["a", "bc", "", "def"]] {
            let whole: String = parts.concat();
            assert_eq!(gathered(parts, whole.len()).await.unwrap(), whole, "{parts:?}");
            if !whole.is_empty() {
                let seen = gathered(parts, whole.len() - 1).await;
                assert!(matches!(seen, Err(Fault::TooLarge)), "{parts:?}: {seen:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_none() {
        let broken = PayloadError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        let seen = gather(payload(vec![Ok(Bytes::from_static(b"{")), Err(broken)]), 10).await;
        assert!(matches!(seen, Err(Fault::Invalid { part: "body", .. })), "{seen:?}");
    }

    fn payload(parts: Vec<Result<Bytes, PayloadError>>) -> Payload {
        Payload::from(Box::pin(stream::iter(parts)) as Pin<Box<dyn stream::Stream<Item = _>>>)
    }
}
