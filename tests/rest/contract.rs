//! The server's own description (OpenAPI 3.1): it covers the URL tree, and every answer keeps to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;

use super::document::Format;
use super::world::{ALICE, Seen, World};

/// The description of a running server.
#[derive(Debug, Clone)]
pub(crate) struct Contract(Arc<Value>);

impl Contract {
    pub(crate) fn read(text: &str) -> Self {
        Self(Arc::new(serde_json::from_str(text).unwrap()))
    }

    /// Demands that the answer is one that the description has for the operation.
    ///
    /// `path` is the part of the URL behind the server's. What is not described at all is not judged:
    /// it is told by 404 and 405, for which there are tests.
    pub(crate) fn hold(&self, method: &Method, path: &str, seen: &Seen) {
        let Some(item) = self.path_item(path) else { return };
        let name = method.as_str().to_ascii_lowercase();
        let name = if name == "head" { "get" } else { &name };
        let Some(operation) = item.get(name) else { return };
        let what = format!("{method} {path}: {} {}", seen.status, seen.body);
        let response = operation["responses"].get(seen.status.to_string());
        let response =
            self.resolved(response.unwrap_or_else(|| panic!("is not described: {what}")));
        for (header, described) in members(&response["headers"]) {
            let is_there = described["required"] != true || !seen.header(header).is_empty();
            assert!(is_there, "no {header}: {what}");
        }
        if seen.body.is_empty() {
            let may_be_empty = response.get("content").is_none() || *method == Method::HEAD;
            assert!(may_be_empty || seen.status == 200 || seen.status == 204, "no body: {what}");
            return;
        }
        let media_type = seen.header("content-type").split(';').next().unwrap_or_default();
        let content = response["content"].get(media_type);
        let content = content.unwrap_or_else(|| panic!("{media_type} is not described: {what}"));
        if media_type.ends_with("json") && !path.starts_with("/openapi.json") {
            let value = serde_json::from_str(&seen.body).unwrap();
            if let Err(error) = self.check(&content["schema"], &value) {
                panic!("{error}: {what}");
            }
        }
    }

    /// Finds the description of a path: the one with the most segments that are no variables.
    fn path_item(&self, path: &str) -> Option<&Value> {
        let path = path.split('?').next()?.trim_end_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == segments.len()
                && wanted.iter().zip(&segments).all(|(wanted, segment)| {
                    wanted == segment || (wanted.starts_with('{') && !segment.is_empty())
                })
        };
        let found = members(&self.0["paths"]).into_iter().filter(|(template, _)| fits(template));
        found.min_by_key(|(template, _)| template.matches('{').count()).map(|(_, item)| item)
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let found = self.0.pointer(reference.trim_start_matches('#'));
                found.unwrap_or_else(|| panic!("nothing at {reference}"))
            }
            None => value,
        }
    }

    /// Checks a value as strictly as can be: members that the schema does not name are faults.
    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        if schema.get("$ref").is_some() {
            return self.check(self.resolved(schema), value);
        }
        check_type(&schema["type"], value)?;
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            return Err(format!("{value} is none of {allowed:?}"));
        }
        let is_within = |limit: &str, fits: fn(u64, u64) -> bool| {
            let number = value.as_u64().or(value.as_str().map(|t| t.chars().count() as u64));
            match (schema[limit].as_u64(), number) {
                (Some(limit), Some(number)) => fits(number, limit),
                (_, _) => true,
            }
        };
        if !is_within("minimum", |number, limit| number >= limit)
            || !is_within("maximum", |number, limit| number <= limit)
            || !is_within("maxLength", |number, limit| number <= limit)
        {
            return Err(format!("{value} is out of bounds"));
        }
        if let Some(items) = value.as_array() {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            if (items.len() as u64) < least {
                return Err(format!("fewer than {least}: {value}"));
            }
            items.iter().try_for_each(|item| self.check(&schema["items"], item))?;
        }
        self.check_members(schema, value)?;
        let Some(choices) = schema["oneOf"].as_array() else { return Ok(()) };
        let fits = choices.iter().filter(|choice| self.check(choice, value).is_ok()).count();
        if fits == 1 { Ok(()) } else { Err(format!("{value} fits {fits} of {choices:?}")) }
    }

    fn check_members(&self, schema: &Value, value: &Value) -> Result<(), String> {
        for name in schema["required"].as_array().into_iter().flatten() {
            if value.get(name.as_str().unwrap()).is_none() {
                return Err(format!("no {name} in {value}"));
            }
        }
        let Some(known) = schema["properties"].as_object() else { return Ok(()) };
        for (name, value) in members(value) {
            let schema = known.get(name).ok_or_else(|| format!("{name} is not described"))?;
            self.check(schema, value).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }
}

fn check_type(wanted: &Value, value: &Value) -> Result<(), String> {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other}"),
    };
    let names: Vec<&str> = match wanted {
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
        Value::String(name) => vec![name],
        _ => return Ok(()),
    };
    if names.iter().any(|name| is(name)) { Ok(()) } else { Err(format!("{value}: no {names:?}")) }
}

fn members(value: &Value) -> Vec<(&str, &Value)> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_whole() {
    let world = World::with(|config| config.rest.base_path = "/exampleAPI".into()).await;
    let alice = world.user(ALICE, Format::Json);
    let seen = alice.get(&format!("{}/openapi.json", world.root)).await;
    let contract = Contract::read(&seen.shows(200).body);
    let document = &*contract.0;
    assert_eq!(
        (&document["openapi"], &document["servers"][0]["url"]),
        (&"3.1.0".into(), &"/exampleAPI".into())
    );

    let mut ids = BTreeSet::new();
    let mut references = Vec::new();
    gather(document, &mut references);
    assert!(references.len() > 100, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for (path, item) in members(&document["paths"]) {
        // What stands beside the API has a server of its own: the host.
        let root = match item["servers"][0]["url"].as_str() {
            Some(url) => world.root.replace("/exampleAPI", url.trim_end_matches('/')),
            None => world.root.clone(),
        };
        let variables = path.matches('{').count();
        assert_eq!(item["parameters"].as_array().map_or(0, Vec::len), variables, "{path}");
        for (method, operation) in
            members(item).into_iter().filter(|(name, _)| !["parameters", "servers"].contains(name))
        {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
            assert!(ids.insert(id), "{id} twice");
            // Extending a session is served by pointing to another (TS Chat 6.6.5).
            let is_served = |status: &str| status.starts_with('2') || status == "303";
            let is_served =
                members(&operation["responses"]).iter().any(|(status, _)| is_served(status));
            assert!(is_served, "{id}");
            // What is described is routed: nothing but a method that is not there gets 405.
            let url = path.replace("{userId}", "tel:+1").replace(['{', '}'], "");
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let seen = alice.send(alice.request(method, &format!("{root}{url}"))).await;
            assert_ne!(seen.status, 405, "{id}");
        }
        // What is not described is not routed.
        let allowed: Vec<_> =
            members(item).into_iter().map(|(name, _)| name.to_uppercase()).collect();
        let url = path.replace("{userId}", "tel:+1").replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if !allowed.iter().any(|name| name == method) {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let seen = alice.send(alice.request(method, &format!("{root}{url}"))).await;
                seen.shows(405);
            }
        }
    }
    world.stop().await;
}

/// What is wrong with the head alone can happen to every operation, and so is described for each.
#[tokio::test(flavor = "multi_thread")]
async fn what_any_operation_is_refused_for_is_described() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    let seen = alice.get(&format!("{}/openapi.json", world.root)).await;
    let contract = Contract::read(&seen.shows(200).body);
    let long = "x".repeat(10_000);
    for (path, item) in members(&contract.0["paths"]) {
        let is_operation = |name: &str| !["parameters", "servers"].contains(&name);
        for (method, operation) in members(item).into_iter().filter(|(name, _)| is_operation(name))
        {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let url = path.replace("{userId}", ALICE).replace(['{', '}'], "");
            let url = format!("{}{url}", world.root);
            let request = alice.request(method.clone(), &format!("{url}?{long}"));
            contract.hold(&method, path, alice.send(request).await.shows(414));
            let request = alice.request(method.clone(), &url).header("x-much", &long.repeat(9));
            contract.hold(&method, path, alice.send(request).await.shows(431));
            let request = alice.request(method.clone(), &url).body(long.repeat(300));
            contract.hold(&method, path, &alice.send(request).await);
            // A head that does not come to its end cannot be waited for here.
            assert!(operation["responses"].get("408").is_some(), "{method} {path}");
        }
    }
    world.stop().await;
}

/// Every example of a request is one that the server takes for what it is: none gets 400.
#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_a_request_can_be_read() {
    let world = World::start().await;
    let alice = world.user(ALICE, Format::Json);
    let seen = alice.get(&format!("{}/openapi.json", world.root)).await;
    let contract = Contract::read(&seen.shows(200).body);
    let mut tried = 0;
    for (path, item) in members(&contract.0["paths"]) {
        for (method, operation) in members(item) {
            for (media_type, content) in members(&operation["requestBody"]["content"]) {
                let url = path.replace("{userId}", ALICE).replace(['{', '}'], "");
                for body in examples(media_type, content) {
                    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                    let request = alice.request(method, &format!("{}{url}", world.root));
                    let request = request.header("content-type", media_type).body(body.clone());
                    let seen = alice.send(request).await;
                    // A report is on a message that the user has got, and here the user has sent it.
                    let is_of_another = seen.body.contains("userId");
                    assert!(
                        seen.status != 400 || is_of_another,
                        "{media_type} {body}: {}",
                        seen.body
                    );
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 20, "{tried}");
    world.stop().await;
}

fn examples(media_type: &str, content: &Value) -> Vec<String> {
    let all = members(&content["examples"]).into_iter().map(|(_, example)| &example["value"]);
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other if media_type.ends_with("json") => other.to_string(),
        other => {
            let fields = members(other).into_iter().flat_map(|(name, value)| match value {
                Value::Array(items) => items.iter().map(|item| (name, item)).collect(),
                value => vec![(name, value)],
            });
            let fields = fields.map(|(name, value)| {
                format!("{name}={}", super::world::escaped(value.as_str().unwrap()))
            });
            fields.collect::<Vec<_>>().join("&")
        }
    };
    all.chain(content.get("example")).map(text).collect()
}

fn gather<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(all) => {
            references.extend(all.get("$ref").and_then(Value::as_str));
            all.values().for_each(|value| gather(value, references));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
