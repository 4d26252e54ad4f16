//! The description of the API (OpenAPI 3.1), made of the routes and of the outlines of the documents.

mod schema;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::body::{EVENTS, PROBLEM};
use super::fault::Fault;
use super::intake::Refused;
use super::resource::{Body, Gives, Operation, Query, Resource, Takes};
use super::routes::tree;
use super::{CreatedBody, Face, Settings};
use crate::oma::{Format, Notification, Outline, RequestError, ResourceReference, Speaker};
use schema::Schemas;

/// The description, made when it is asked for first.
#[derive(Debug, Default)]
pub(super) struct Description(OnceLock<Bytes>);

/// Gives the description.
pub(super) async fn show(
    request: HttpRequest,
    description: web::Data<Description>,
) -> Result<HttpResponse, Fault> {
    let settings = &Face::of(&request)?.settings;
    let text = description.0.get_or_init(|| describe(settings).to_string().into());
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text.clone()))
}

/// Describes the API as it is set.
fn describe(settings: &Settings) -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    let mut headings = Vec::new();
    for resource in tree() {
        if !headings.contains(&resource.heading) {
            headings.push(resource.heading);
        }
        if !resource.operations.is_empty() {
            paths.insert(resource.path.to_owned(), path(&resource, settings, &mut schemas));
        }
    }
    let error = content(&[RequestError::OUTLINE], Speaker::Server, &mut schemas);
    let responses: Map<String, Value> = REFUSALS
        .iter()
        .map(|refusal| (refusal.name.to_owned(), refusal.describe(&error, &mut schemas)))
        .collect();
    let url = match (&settings.server_root, settings.base()) {
        (Some(root), _) => root.trim_end_matches('/').to_owned(),
        (None, base) if base.is_empty() => "/".to_owned(),
        (None, base) => base,
    };
    let security = match settings.scheme {
        Some(scheme) => json!({CREDENTIAL: {"type": "http", "scheme": scheme}}),
        None => json!({}),
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "RESTful Chat API",
            "version": "1",
            "summary": "Chat by HTTP with everybody who is reached by SIP and MSRP.",
            "description": ABOUT,
        },
        "servers": [{"url": url}],
        "tags": headings.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "responses": responses,
            "securitySchemes": security,
            "parameters": {
                "resFormat": query_parameter(&RES_FORMAT),
                "X-Correlator": header_parameter("X-Correlator", "Is echoed and logged."),
                "Last-Event-ID": header_parameter(
                    "Last-Event-ID",
                    "The id of the last event that the reader of a stream has got.",
                ),
                "Idempotency-Key": header_parameter(
                    "Idempotency-Key",
                    "Makes it safe to repeat the request, where the body has no clientCorrelator.",
                ),
            },
        },
    })
}

fn path(resource: &Resource, settings: &Settings, schemas: &mut Schemas) -> Value {
    let mut item = Map::new();
    let variables: Vec<Value> =
        resource.path.split(['{', '}']).skip(1).step_by(2).map(path_parameter).collect();
    if !variables.is_empty() {
        item.insert("parameters".into(), variables.into());
    }
    if resource.apart {
        item.insert("servers".into(), json!([{"url": "/"}]));
    }
    for operation in &resource.operations {
        for method in operation.verb.methods() {
            let described = describe_operation((resource, method), operation, settings, schemas);
            item.insert(method.to_ascii_lowercase(), described);
        }
    }
    Value::Object(item)
}

fn describe_operation(
    (resource, method): (&Resource, &str),
    operation: &Operation,
    settings: &Settings,
    schemas: &mut Schemas,
) -> Value {
    let is_stand_in = operation.verb.methods().first() != Some(&method);
    let id = if is_stand_in { format!("{}By{method}", operation.id) } else { operation.id.into() };
    let mut described = Map::new();
    described.insert("operationId".into(), id.into());
    described.insert("tags".into(), json!([resource.heading]));
    described.insert("summary".into(), operation.summary.into());
    described.insert("parameters".into(), parameters(operation, method).into());
    if let Some(takes) = operation.takes {
        described.insert("requestBody".into(), request_body(takes, method, schemas));
    }
    let mut responses = Map::new();
    for status in operation.gives.iter().map(|gives| gives.status).collect::<BTreeSet<_>>() {
        let all: Vec<&Gives> = operation.gives.iter().filter(|g| g.status == status).collect();
        responses.insert(status.to_string(), response(&all, settings, schemas));
    }
    for status in refusals(resource, operation) {
        if responses.contains_key(&status.to_string()) {
            continue;
        }
        if let Some(refusal) = REFUSALS.iter().find(|refusal| refusal.status == status) {
            let reference = format!("#/components/responses/{}", refusal.name);
            responses.insert(status.to_string(), json!({"$ref": reference}));
        }
    }
    described.insert("responses".into(), responses.into());
    if resource.guarded && settings.scheme.is_some() {
        described.insert("security".into(), json!([{CREDENTIAL: []}]));
    }
    if operation.id == "subscribe" {
        described.insert("callbacks".into(), callbacks(schemas));
    }
    Value::Object(described)
}

/// Gives the statuses of the refusals that the operation can meet.
fn refusals(resource: &Resource, operation: &Operation) -> BTreeSet<u16> {
    let mut all: BTreeSet<u16> =
        operation.refusals.iter().copied().chain([400, 500, 503]).collect();
    // What is refused before it is known where it goes.
    all.extend(Refused::ALL.map(Refused::status));
    if resource.guarded {
        all.extend([401, 403, 429]);
    }
    if operation.negotiates() {
        all.insert(406);
    }
    if operation.takes.is_some() {
        all.extend([406, 413, 415]);
    }
    all
}

fn parameters(operation: &Operation, method: &str) -> Vec<Value> {
    let mut all = vec![json!({"$ref": "#/components/parameters/X-Correlator"})];
    if operation.negotiates() {
        all.push(json!({"$ref": "#/components/parameters/resFormat"}));
    }
    if method == "POST" && operation.gives.iter().any(|gives| matches!(gives.status, 201 | 303)) {
        all.push(json!({"$ref": "#/components/parameters/Idempotency-Key"}));
    }
    if operation.gives.iter().any(|gives| matches!(gives.body, Body::Events)) {
        all.push(json!({"$ref": "#/components/parameters/Last-Event-ID"}));
    }
    all.extend(operation.query.iter().map(query_parameter));
    all
}

fn request_body(takes: Takes, method: &str, schemas: &mut Schemas) -> Value {
    let mut content = content(takes.documents, Speaker::Client, schemas);
    // TS Chat Appendix C defines forms for POST alone.
    if let (Some(form), "POST") = (takes.form, method) {
        let schema = schemas.form(form);
        let described = json!({"schema": schema, "example": form_example(form)});
        content.insert(FORM.into(), described);
    }
    json!({"required": true, "content": content})
}

fn response(all: &[&Gives], settings: &Settings, schemas: &mut Schemas) -> Value {
    let mut when = Vec::new();
    let mut content = Map::new();
    let mut headers = Map::new();
    for gives in all {
        when.push(gives.when);
        match gives.body {
            Body::Nothing => {}
            Body::Document(outline) => {
                content.extend(self::content(&[*outline], Speaker::Server, schemas));
            }
            Body::Created(outline) => {
                let shown = match settings.created {
                    CreatedBody::Copy => *outline,
                    CreatedBody::Reference => ResourceReference::OUTLINE,
                };
                content.extend(self::content(&[shown], Speaker::Server, schemas));
                let location = json!({
                    "description": "The URL of the new resource.",
                    "required": true,
                    "schema": {"type": "string", "format": "uri"},
                });
                headers.insert("Location".into(), location);
            }
            Body::Notifications => content.extend(notifications(schemas)),
            Body::Events => {
                let example = "id: 7\ndata: {\"chatEventNotification\": {}}\n\n";
                let described = json!({"schema": {"type": "string"}, "example": example});
                content.insert(EVENTS.into(), described);
            }
            Body::Other(media_type) => {
                let of_json = media_type == "application/json";
                let kind = if of_json { "object" } else { "string" };
                content.insert(media_type.into(), json!({"schema": {"type": kind}}));
            }
        }
    }
    let mut described = Map::new();
    described.insert("description".into(), when.join(" ").into());
    for (name, map) in [("headers", headers), ("content", content)] {
        if !map.is_empty() {
            described.insert(name.into(), map.into());
        }
    }
    Value::Object(described)
}

/// Describes the bodies that hold one of the documents, in both formats.
fn content(documents: &[Outline], speaker: Speaker, schemas: &mut Schemas) -> Map<String, Value> {
    let examples = |format: Format| -> Value {
        let example = |outline: &Outline| {
            let text = outline.example(speaker).render(format);
            let text = String::from_utf8_lossy(&text).into_owned();
            let value = match format {
                Format::Xml => Value::String(text),
                Format::Json => serde_json::from_str(&text).unwrap_or_default(),
            };
            let root = outline.root.map_or(outline.name, |(_, root)| root);
            (root.to_owned(), json!({"value": value}))
        };
        Value::Object(documents.iter().map(example).collect())
    };
    let (xml, json) = (schemas.xml(documents), schemas.json(documents));
    Map::from_iter([
        (
            Format::Xml.media_type().to_owned(),
            json!({"schema": xml, "examples": examples(Format::Xml)}),
        ),
        (
            Format::Json.media_type().to_owned(),
            json!({"schema": json, "examples": examples(Format::Json)}),
        ),
    ])
}

/// Describes a `notificationList` in both formats.
fn notifications(schemas: &mut Schemas) -> Map<String, Value> {
    let one = schemas.json(&Notification::OUTLINES);
    let list = json!({
        "type": "object",
        "required": ["notificationList"],
        "properties": {"notificationList": {"type": ["array", "null"], "items": one}},
    });
    let in_xml = json!({"type": "object", "xml": {
        "name": "notificationList",
        "prefix": "nc",
        "namespace": "urn:oma:xml:rest:netapi:notificationchannel:1",
    }});
    Map::from_iter([
        ("application/xml".to_owned(), json!({"schema": in_xml})),
        ("application/json".to_owned(), json!({"schema": list})),
    ])
}

/// Describes what the server posts to a callback URL.
fn callbacks(schemas: &mut Schemas) -> Value {
    let content = content(&Notification::OUTLINES, Speaker::Server, schemas);
    let pointer = "{$request.body#/chatNotificationSubscription/callbackReference/notifyURL}";
    json!({"notification": {pointer: {"post": {
        "summary": "A notification, in the format of the subscription",
        "requestBody": {"required": true, "content": content},
        "responses": {
            "2XX": {"description": "Taken."},
            "404": {"description": "Ends the subscription."},
            "410": {"description": "Ends the subscription."},
            "default": {"description": "The notification is sent again later."},
        },
    }}}})
}

fn form_example(form: &Outline) -> Value {
    let parts = form.parts.iter().filter(|part| part.is_said_by(Speaker::Client));
    let example = form.example(Speaker::Client);
    let mut values = Map::new();
    for part in parts {
        let texts: Vec<Value> = example
            .all(part.name)
            .filter_map(|field| field.value().map(|text| text.into_owned().into()))
            .collect();
        let is_list = schema::is_list(part);
        let value = if is_list { Some(Value::Array(texts)) } else { texts.into_iter().next() };
        if let Some(value) = value {
            values.insert(part.name.to_owned(), value);
        }
    }
    Value::Object(values)
}

fn path_parameter(name: &str) -> Value {
    let (what, example) = match name {
        "userId" => ("The address of the user: tel:+N, sip:user@host or acr:reference.", USER),
        "secret" => ("The secret part of the channelURL.", "x"),
        "file" => ("The name of the part.", "page.js"),
        _ => ("The identifier that the server has given.", "x"),
    };
    let schema = match name {
        "userId" => schema::address(),
        _ => json!({"type": "string", "minLength": 1, "maxLength": 256}),
    };
    json!({
        "name": name, "in": "path", "required": true, "description": what, "schema": schema,
        "example": example,
    })
}

fn query_parameter(query: &Query) -> Value {
    let schema = if query.values.is_empty() {
        json!({"type": "string"})
    } else {
        json!({"type": "string", "enum": query.values})
    };
    json!({"name": query.name, "in": "query", "description": query.what, "schema": schema})
}

fn header_parameter(name: &str, what: &str) -> Value {
    let schema = json!({
        "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]([ -~]*[!-~])?$",
    });
    json!({"name": name, "in": "header", "description": what, "schema": schema})
}

/// Why a request is not served.
struct Refusal {
    status: u16,
    name: &'static str,
    when: &'static str,
    /// The header that comes with it.
    header: Option<&'static str>,
}

impl Refusal {
    const fn new(status: u16, name: &'static str, when: &'static str) -> Self {
        Self { status, name, when, header: None }
    }

    const fn with(self, header: &'static str) -> Self {
        Self { header: Some(header), ..self }
    }

    fn describe(&self, error: &Map<String, Value>, schemas: &mut Schemas) -> Value {
        let mut content = error.clone();
        let problem = schemas.component(&RequestError::PROBLEM);
        content.insert(PROBLEM.to_owned(), json!({"schema": problem}));
        let mut described = json!({"description": self.when, "content": content});
        if let Some(header) = self.header {
            described["headers"] =
                json!({header: {"required": true, "schema": {"type": "string"}}});
        }
        described
    }
}

/// All refusals of the API; [`Fault`] picks among them.
const REFUSALS: [Refusal; 15] = [
    Refusal::new(400, "BadRequest", "A part of the request is missing or wrong."),
    Refusal::new(401, "Unauthorized", "The credentials are missing or wrong.")
        .with("WWW-Authenticate"),
    Refusal::new(403, "Forbidden", "A rule forbids it."),
    Refusal::new(404, "NotFound", "There is no such resource, or not any more."),
    Refusal::new(405, "MethodNotAllowed", "The resource has no such method.").with("Allow"),
    Refusal::new(406, "NotAcceptable", "The client accepts neither XML nor JSON."),
    Refusal::new(408, "TooSlow", "The request did not come in time."),
    Refusal::new(409, "Conflict", "The state does not permit it, or the correlator was used."),
    Refusal::new(413, "TooLarge", "The body is too large."),
    Refusal::new(414, "UriTooLong", "The request-target is too long."),
    Refusal::new(415, "UnsupportedMediaType", "The body is in none of the formats.").with("Accept"),
    Refusal::new(429, "TooManyRequests", "The client has used up what it may use.")
        .with("Retry-After"),
    Refusal::new(431, "HeadersTooLarge", "The headers are too large."),
    Refusal::new(500, "InternalError", "The server is at fault; its log has the code."),
    Refusal::new(503, "Unavailable", "Something is full or not there at the moment.")
        .with("Retry-After"),
];

const RES_FORMAT: Query = Query {
    name: "resFormat",
    what: "The format of the answer; without it, Accept says, else the format of the request.",
    values: &["XML", "JSON"],
};

const ABOUT: &str = "Users are named by their addresses. A client subscribes to notifications, \
    at a URL of its own or at a channel that it polls, and invites others to sessions or is invited. \
    Bodies are XML or JSON; lists are arrays in JSON, and unknown members are passed over.";

/// The name of what callers are asked for.
const CREDENTIAL: &str = "credential";

const FORM: &str = "application/x-www-form-urlencoded";

const USER: &str = "tel:+19585550100";
