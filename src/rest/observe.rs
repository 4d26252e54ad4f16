//! What happens to every request: its correlator is echoed, its outcome is traced.

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::router::template;

/// What is kept of a request until its answer is there.
pub(super) struct Observed {
    began: Instant,
    method: Method,
    correlator: Option<HeaderValue>,
}

impl Observed {
    pub(super) fn of(request: &ServiceRequest) -> Self {
        let correlator = request.headers().get(&X_CORRELATOR).filter(|c| is_fit(c)).cloned();
        Self { began: Instant::now(), method: request.method().clone(), correlator }
    }

    /// Echoes `X-Correlator` and writes one line per request, which never shows a body, an address
    /// or an identifier: the path stands as its template.
    pub(super) fn end(self, response: &mut ServiceResponse) {
        let Self { began, method, correlator } = self;
        tracing::debug!(
            %method,
            path = template(response.request()).unwrap_or("unknown"),
            status = response.status().as_u16(),
            ms = began.elapsed().as_millis() as u64,
            correlator = correlator.as_ref().and_then(|value| value.to_str().ok()),
            "request"
        );
        if let Some(correlator) = correlator {
            response.headers_mut().insert(X_CORRELATOR, correlator);
        }
    }
}

/// Tells whether a correlator may be echoed and logged: short and printable.
fn is_fit(correlator: &HeaderValue) -> bool {
    correlator.len() <= MAX_CORRELATOR && correlator.to_str().is_ok()
}

const X_CORRELATOR: HeaderName = HeaderName::from_static("x-correlator");

/// The longest `X-Correlator` that is echoed, in bytes.
const MAX_CORRELATOR: usize = 256;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use actix_web::test::TestRequest;

    use super::super::stage::{ALICE, Stage};

    #[tokio::test]
    async fn a_line_shows_the_template_and_nothing_of_the_user() {
        let (stage, log) = (Stage::new(), Log::default());
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        // Another test may have been the first at the line, when nobody wanted it.
        stage.get("/").await;
        tracing::callsite::rebuild_interest_cache();
        log.0.lock().unwrap().clear();

        stage.invite_alice("s1");
        let request = TestRequest::post()
            .uri(concat!("/1/chat/tel%3A%2B19585550100", "/sessions/s1/status/"))
            .insert_header(("content-type", "application/x-www-form-urlencoded"))
            .insert_header(("x-correlator", "abc"))
            .set_payload("status=Connected");
        stage.send(request).await;
        stage.get(&format!("{ALICE}/secret-path")).await;
        drop(guard);

        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("status=")).collect();
        assert_eq!(lines.len(), 2, "{log}");
        for part in ["POST", "\"/1/chat/{userId}/sessions/{sessionId}/status\"", "200", "\"abc\""] {
            assert!(lines[0].contains(part), "no {part} in {}", lines[0]);
        }
        assert!(lines[1].contains("unknown") && lines[1].contains("404"), "{}", lines[1]);
        assert!(!log.contains("19585550100") && !log.contains("Connected"), "{log}");
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
