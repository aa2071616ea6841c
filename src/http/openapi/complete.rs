//! What is true of every route of a kind: added to the document after the annotations were read.

use serde_json::{Map, Value, json};

use crate::http::once::CREATING;

/// What programs that look after the server ask again and again has no rate limit.
const WITHOUT_LIMIT: [&str; 3] = ["/live", "/ready", "/metrics"];

/// Statuses that many routes give: name of the shared answer, status, description.
const SHARED: [(&str, &str, &str); 11] = [
    ("BadRequest", "400", "`invalid_json`: the body is not the JSON that this address takes."),
    ("Unauthorized", "401", "`token_missing`, `token_expired`, `token_invalid` or `token_revoked`."),
    ("Forbidden", "403", "`forbidden`: the caller's roles do not allow this."),
    ("RequestTimeout", "408", "`request_timeout`: the body did not arrive in time."),
    ("PayloadTooLarge", "413", "`payload_too_large`: a body has at most 16 kB."),
    ("UnsupportedMediaType", "415", "`unsupported_media_type`: the body's type is not understood."),
    ("TooManyRequests", "429", "`too_many_requests`: wait for `Retry-After` seconds."),
    (
        "InternalError",
        "500",
        "`internal`: the server failed; its operator finds the request's id in the log.",
    ),
    ("Unavailable", "503", "`unavailable`: a component is away; try again after `Retry-After` seconds."),
    ("Conflict", "409", "`idempotency_in_progress` or `idempotency_replay`."),
    ("Unprocessable", "422", "`idempotency_mismatch`: another request was made with this key."),
];

/// Adds security schemes, shared answers, and the media type of every error.
pub(super) fn complete(document: &mut Value) {
    let shared = SHARED.iter().map(|(name, status, description)| {
        ((*name).to_owned(), problem(description, ["401", "429", "503"].contains(status).then_some(*status)))
    });
    document["components"]["responses"] = Value::Object(shared.collect());
    document["components"]["securitySchemes"] = security_schemes();
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            complete_operation(path, method, operation);
        }
    }
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let body = operation.get("requestBody").is_some();
    let needs: Vec<&Map<String, Value>> =
        operation["security"].as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let secured = !needs.is_empty() && needs.iter().all(|one| !one.is_empty());
    let names_permission = |one: &&Map<String, Value>| {
        one.get("bearer").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    };
    let permission = secured && needs.iter().any(names_permission);
    let creating = method == "post" && CREATING.contains(&path);
    let added = [
        (body, &["400", "408", "413", "415"][..]),
        (secured, &["401"]),
        (permission, &["403"]),
        (creating, &["409", "422"]),
        (!WITHOUT_LIMIT.contains(&path), &["429"]),
        (secured || body, &["500", "503"]),
    ];
    let answers = &mut operation["responses"];
    for status in added.iter().filter(|(applies, _)| *applies).flat_map(|(_, statuses)| *statuses) {
        if answers.get(*status).is_none() {
            let shared = SHARED.iter().find(|(_, known, _)| known == status);
            let name = shared.map_or("InternalError", |(name, ..)| name);
            answers[*status] = json!({"$ref": format!("#/components/responses/{name}")});
        }
    }
    for (status, answer) in answers.as_object_mut().into_iter().flatten() {
        complete_answer(status, answer);
    }
    if creating {
        add_parameter(operation, idempotency_key());
    }
}

/// An error that says nothing of its body has a problem.
fn complete_answer(status: &str, answer: &mut Value) {
    if answer.get("$ref").is_some() {
        return;
    }
    if answer["description"].as_str().is_none_or(str::is_empty) {
        answer["description"] = match status {
            "201" => "Made.".into(),
            "202" => "Accepted: it is being done.".into(),
            "204" => "Done.".into(),
            _ => "The answer.".into(),
        };
    }
    let empty = answer["content"].as_object().is_none_or(Map::is_empty);
    if status >= "400" && empty {
        answer["content"] = problem_content();
    }
}

fn problem(description: &str, with_header: Option<&str>) -> Value {
    let mut answer = json!({"description": description, "content": problem_content()});
    let header = match with_header {
        Some("401") => Some(("www-authenticate", "The challenge of RFC 6750.", json!({"type": "string"}))),
        Some(_) => Some(("retry-after", "Seconds to wait.", json!({"type": "integer", "minimum": 1}))),
        None => None,
    };
    if let Some((name, description, schema)) = header {
        answer["headers"] = json!({name: {"description": description, "schema": schema}});
    }
    answer
}

fn problem_content() -> Value {
    json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}})
}

fn add_parameter(operation: &mut Value, parameter: Value) {
    match operation["parameters"].as_array_mut() {
        Some(list) => list.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
}

fn idempotency_key() -> Value {
    json!({
        "name": "idempotency-key", "in": "header", "required": false,
        "description": "Chosen by the caller, new for each thing to be made. The same key with the same body is \
            answered as the first time for 24 hours, with the header `idempotency-replayed`, and makes \
            nothing. With other characters it is 400 `invalid_idempotency_key`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._:-]+$"},
        "example": "0198c2f4-7b1e-7c3a-9a55-0c1d2e3f4a5b"
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "An access token of a login, or the key of an agent. What an operation names beside it is \
                the permission that is needed."
        },
        "ticket": {
            "type": "apiKey", "in": "query", "name": "ticket",
            "description": "For browsers, which cannot send a header with a WebSocket: good once, for 30 seconds."
        }
    })
}
