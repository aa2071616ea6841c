//! The OpenAPI document against its committed copy, against real answers, and in a browser.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::analyze::errors_by;
use crate::server_support::{Server, looping};
use crate::support::{kinora, root, text, wait_for};

fn document() -> Value {
    serde_json::from_str(&kinora(&["openapi"]).stdout).unwrap()
}

#[test]
fn the_committed_document_is_what_the_binary_prints() {
    let committed = fs::read_to_string(root().join("docs/reference/openapi.json")).unwrap();
    let hint = "`target/release/kinora openapi > docs/reference/openapi.json` brings it up to date";
    assert!(kinora(&["openapi"]).stdout == committed, "{hint}");
}

/// Every answer of a route without parameters, and of those of the stream, while it runs.
#[test]
fn answers_keep_to_the_document() {
    let server = Server::start(&looping("dance"));
    let session = server.session("dance");
    server.until_state("dance", "running");
    let api = document();
    let mut asked = 0;
    for (pattern, item) in api["paths"].as_object().unwrap() {
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        // No identity provider is configured here: its routes answer 404.
        if schema.get("$ref").is_none() || pattern.contains("/oidc/") {
            continue;
        }
        let id = if pattern.contains("sessions") { session.as_str() } else { "dance" };
        let name = if pattern.contains("users") { "admin" } else { "dance" };
        let answer = server.get(&pattern.replace("{id}", id).replace("{name}", name));
        let whole = json!({"$ref": schema["$ref"], "components": api["components"]});
        let (rules, value) = (server.home.path("rules.json"), server.home.path("answer.json"));
        fs::write(&rules, whole.to_string()).unwrap();
        fs::write(&value, answer.to_string()).unwrap();
        assert_eq!(errors_by(&rules, &value), "", "{pattern}: {answer}");
        asked += 1;
    }
    assert!(asked >= 15, "{asked} answers were looked at");
}

#[test]
fn models_and_devices_tell_what_runs() {
    let server = Server::start(&looping("dance"));
    server.until_state("dance", "running");
    let published = kinora(&["models", "status"]).stdout;
    let models = server.get("/api/v1/models")["models"].as_array().unwrap().clone();
    let sides: Vec<u64> = models.iter().map(|model| model["inputSize"][0].as_u64().unwrap()).collect();
    assert_eq!(sides, [224, 256]);
    for model in &models {
        assert!(published.contains(model["sha256"].as_str().unwrap()), "{model}");
        assert_eq!((&model["device"], &model["precision"]), (&json!("cpu"), &json!("auto")));
    }
    let devices = server.get("/api/v1/devices")["devices"].clone();
    let lanes = devices[0]["lanes"].as_array().unwrap();
    let pinned: u64 = lanes.iter().map(|lane| lane["streams"].as_u64().unwrap()).sum();
    assert_eq!((&devices[0]["device"], pinned), (&json!("cpu"), 1), "{devices}");
    let busy = wait_for("lanes that worked", Duration::from_secs(20), || {
        let devices = server.get("/api/v1/devices");
        devices["devices"][0]["utilization"]["lanes"].as_f64().filter(|lanes| *lanes > 0.0)
    });
    assert!(busy <= 1.0, "{busy}");
}

/// Debian's Chromium with a profile of its own, which can reach this machine only.
struct Browser(PathBuf);

impl Browser {
    /// The page after its scripts ran, and what the browser said meanwhile.
    fn shown(&self, address: &str) -> (String, String) {
        let mut command = Command::new("chromium");
        command.args(["--headless", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]);
        // Root has no sandbox; the pages are our own.
        command.args([
            "--no-sandbox",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            "--dump-dom",
        ]);
        command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
        command.arg(format!("--user-data-dir={}", text(&self.0))).arg(address).stdin(Stdio::null());
        let Output { stdout, stderr, .. } =
            command.output().expect("chromium should be installed; `make setup` does that");
        (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr).into_owned())
    }

    /// What the page itself said: scripts that failed, and what the policy refused.
    fn complaints(said: &str) -> Vec<&str> {
        let telling = ["CONSOLE", "Content Security Policy", "Refused to"];
        said.lines().filter(|line| telling.iter().any(|word| line.contains(word))).collect()
    }
}

#[test]
fn the_page_shows_every_operation_in_a_browser_and_breaks_no_policy() {
    let server = Server::start("");
    let browser = Browser(server.home.path("chromium"));
    let (page, said) = browser.shown(&format!("http://{}/docs#create_stream", server.address));
    assert_eq!(Browser::complaints(&said), Vec::<&str>::new());
    let api = document();
    let methods =
        api["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let names: BTreeSet<&str> = methods.map(|one| one["operationId"].as_str().unwrap()).collect();
    let missing: Vec<_> = names.iter().filter(|name| !page.contains(&format!("id=\"{name}\""))).collect();
    assert!(names.len() > 40 && missing.is_empty(), "{missing:?} of {} are missing in {page}", names.len());
    for inside in ["Try it", "idempotency-key", "Body, application/json", "everyNth"] {
        assert!(page.contains(inside), "the operation that the address names is open: {inside}");
    }
}

/// That the test above can fail: a page with a script of its own is refused by the policy, and the browser says so.
#[test]
fn a_browser_tells_what_the_policy_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "default-src 'none'; script-src 'self'";
    let page = folder.path().join("page.html");
    let inline = "<script>document.title = 'inline'</script>";
    let head = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">");
    fs::write(&page, format!("<!doctype html><html><head>{head}</head><body>{inline}</body></html>"))
        .unwrap();
    let (_, said) = Browser(folder.path().join("chromium")).shown(&format!("file://{}", text(&page)));
    assert!(!Browser::complaints(&said).is_empty(), "{said}");
}
