//! A page that shows the API and lets it be tried, made of its description; nothing is fetched from
//! elsewhere.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse};

use super::Face;
use super::fault::Fault;
use super::router::variable;

const PAGE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/page.css");
const SCRIPT: &str = include_str!("docs/page.js");

/// Gives the page.
pub(super) async fn page(request: HttpRequest) -> Result<HttpResponse, Fault> {
    // With and without a trailing slash, so that links cannot be relative.
    let page = PAGE.replace("{base}", &Face::of(&request)?.settings.base());
    Ok(file("text/html; charset=utf-8", page))
}

/// Gives its style or its script.
pub(super) async fn part(request: HttpRequest) -> Result<HttpResponse, Fault> {
    match variable(&request, "file") {
        Some("page.css") => Ok(file("text/css; charset=utf-8", STYLE.to_owned())),
        Some("page.js") => Ok(file("text/javascript; charset=utf-8", SCRIPT.to_owned())),
        Some(_) | None => Err(Fault::NotFound),
    }
}

/// A page of this kind runs its own script alone, and talks to this server alone.
fn file(media_type: &'static str, text: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ))
        .body(text)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::stage::Stage;

    #[tokio::test]
    async fn the_page_and_its_parts_are_under_the_base_path() {
        let stage =
            Stage::with(Settings { base_path: "/exampleAPI".into(), ..Settings::default() });
        for path in ["/exampleAPI/docs", "/exampleAPI/docs/"] {
            let seen = stage.get(path).await;
            seen.shows(200, &["\"/exampleAPI/docs/page.js\"", "\"/exampleAPI/docs/page.css\""]);
            seen.shows(200, &["data-api=\"/exampleAPI/openapi.json\""]);
            assert_eq!(seen.header("content-type"), "text/html; charset=utf-8");
            assert!(seen.header("content-security-policy").contains("default-src 'none'"));
        }
        stage.get("/exampleAPI/docs/page.js").await.shows(200, &["fetch("]);
        stage.get("/exampleAPI/docs/page.css").await.shows(200, &["body {"]);
        stage.get("/exampleAPI/docs/other").await.shows(404, &["SVC0004"]);
    }
}
