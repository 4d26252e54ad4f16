//! `/livez` and `/readyz`: what those who keep the process running ask.

use std::fmt;

use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Face;
use super::fault::Fault;

/// Why requests had better go elsewhere for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In a word, for machines.
    pub code: &'static str,
    /// In a sentence, for people.
    pub text: String,
}

type Check = Box<dyn Fn() -> Option<Reason> + Send + Sync>;

/// What has to hold for this process to be of use.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<Check>,
}

impl Readiness {
    /// Adds a check, which gives a reason where something is amiss. It must not wait.
    pub fn add(&mut self, check: impl Fn() -> Option<Reason> + Send + Sync + 'static) {
        self.checks.push(Box::new(check));
    }

    /// Gives all reasons.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        self.checks.iter().filter_map(|check| check()).collect()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("checks", &self.checks.len()).finish()
    }
}

/// The process runs: it can answer this.
pub(super) async fn live() -> HttpResponse {
    answer(HttpResponse::Ok(), json!({"status": "alive"}))
}

/// The process is of use, or the reasons why not.
pub(super) async fn ready(request: HttpRequest) -> Result<HttpResponse, Fault> {
    let face = Face::of(&request)?;
    let reasons = face.readiness.reasons();
    if reasons.is_empty() {
        return Ok(answer(HttpResponse::Ok(), json!({"status": "ready"})));
    }
    let told: Vec<_> = reasons.iter().map(|it| json!({"code": it.code, "text": it.text})).collect();
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((RETRY_AFTER, face.settings.retry_after.as_secs().max(1)));
    Ok(answer(response, json!({"status": "unavailable", "reasons": told})))
}

fn answer(mut response: actix_web::HttpResponseBuilder, body: serde_json::Value) -> HttpResponse {
    response
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::stage::Stage;
    use super::*;

    #[tokio::test]
    async fn reasons_are_told_to_whoever_asks_whether_it_is_ready() {
        let stage = Stage::new();
        stage.get("/livez").await.shows(200, &["{\"status\":\"alive\"}"]);
        stage.get("/readyz").await.shows(200, &["{\"status\":\"ready\"}"]);
        let mut readiness = Readiness::default();
        readiness.add(|| None);
        readiness.add(|| Some(Reason { code: "core", text: "the core \"x\" is lost".into() }));
        let stage = Stage::unready(readiness);
        let seen = stage.get("/readyz").await;
        seen.shows(503, &["\"status\":\"unavailable\"", "\"code\":\"core\"", "\\\"x\\\""]);
        assert_eq!((seen.header("retry-after"), seen.header("cache-control")), ("2", "no-store"));
        stage.get("/livez").await.shows(200, &["alive"]);
        stage.get("/readyz/x").await.shows(404, &["SVC0004"]);
    }
}
