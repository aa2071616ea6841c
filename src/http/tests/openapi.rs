//! The OpenAPI document, its page and the schema of events: complete, and served to everybody.

use std::collections::BTreeSet;

use kinora_actors::domain::StreamState;
use serde_json::Value;

use super::client::http;
use super::fakes::Fixture;
use crate::http::document;
use crate::http::router::ROUTES;

fn read() -> Value {
    serde_json::from_str(document()).unwrap()
}

/// Each operation with its method and path.
fn operations(api: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = api["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, one)| (method.as_str(), path.as_str(), one))
        })
        .collect()
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let api = read();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let told: BTreeSet<_> = operations(&api).iter().map(|(method, path, _)| (*method, *path)).collect();
    let routes: BTreeSet<_> = ROUTES.iter().copied().collect();
    assert_eq!(told, routes);
}

#[test]
fn each_operation_is_named_grouped_and_told_in_words() {
    let api = read();
    let groups: Vec<&str> =
        api["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&api) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.len() > 8, "{method} {path} is told in no words");
        assert!(groups.contains(&operation["tags"][0].as_str().unwrap()), "{method} {path}");
        assert!(
            names.insert(operation["operationId"].as_str().unwrap()),
            "{method} {path} has another's name"
        );
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let told = answer["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(told || answer.get("$ref").is_some(), "{method} {path} {status}");
        }
        let in_path =
            operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
        assert_eq!(in_path.count(), path.matches('{').count(), "{method} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| visit(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| visit(value, found)),
            _ => {}
        }
    }
    let (api, mut references) = (read(), Vec::new());
    visit(&api, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        assert!(api.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn states_are_told_as_streams_tell_them() {
    let states = [
        StreamState::Connecting,
        StreamState::Running,
        StreamState::Stalled,
        StreamState::Reconnecting,
        StreamState::AuthFailed,
        StreamState::Unsupported,
        StreamState::Stopped,
        StreamState::Failed,
    ];
    let api = read();
    let told = api["components"]["schemas"]["StateName"]["enum"].as_array().unwrap();
    assert_eq!(told.iter().filter_map(Value::as_str).collect::<Vec<_>>(), states.map(StreamState::code));
}

#[actix_web::test]
async fn document_and_schema_are_served_as_they_are() {
    let fixture = Fixture::start();
    let served = fixture.get("/openapi.json", None).await;
    assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
    assert_eq!(served.body, document());
    let schema = fixture.get("/api/v1/schemas/event.json", None).await;
    assert_eq!(
        schema.json(),
        serde_json::from_str::<Value>(include_str!("../../../docs/reference/event.schema.json")).unwrap()
    );
}

#[actix_web::test]
async fn the_page_and_its_files_allow_no_more_than_they_need() {
    let fixture = Fixture::start();
    let files = ["", "/page.js", "/schema.js", "/call.js", "/page.css", "/icon.svg"];
    for file in files {
        let reply = http(fixture.address, "GET", &format!("/docs{file}"), &[], "").await;
        assert_eq!(reply.status, 200, "{file}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(
            !reply.body.contains("http://") || file == "/icon.svg",
            "{file} needs nothing from elsewhere"
        );
        assert!(!reply.body.contains("innerHTML") && !reply.body.contains(" style="), "{file}");
    }
    assert_eq!(fixture.get("/docs/..%2Frouter.rs", None).await.status, 404);
    assert_eq!(fixture.get("/docs/page.html", None).await.status, 404);
}
