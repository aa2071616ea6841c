//! Agents that are not our own code: those of the guide, word for word as their readers would run them, and their
//! sisters that print whole events.

use std::env::join_paths;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::analyze::schema_errors;
use crate::server_support::{Agent, PYTHON, Server, gapless, looping, seq, stored};
use crate::support::{root, text};

/// Lines of a document's first block in this language, as they stand there.
fn block(document: &str, language: &str) -> String {
    let page = fs::read_to_string(root().join(document)).unwrap();
    let fence = format!("\n```{language}\n");
    let (_, rest) =
        page.split_once(&fence).unwrap_or_else(|| panic!("{document} has no block of {language}"));
    let (block, _) = rest.split_once("\n```").unwrap();
    format!("{block}\n")
}

/// Writes a block of the guide into a file that its reader would make.
fn copied(folder: &Path, name: &str, language: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, block("docs/guide/agents.md", language)).unwrap();
    path
}

/// The guide's program in Rust, which cargo builds beside the tests.
fn example() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let path = deps.ancestors().nth(2).unwrap().join("examples/agent");
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let fresh =
        changed(&path).is_ok_and(|built| built >= changed(&root().join("docs/guide/agent.rs")).unwrap());
    assert!(
        fresh,
        "{}: `cargo build --release --example agent` builds it, as `make test` does",
        path.display()
    );
    path
}

/// What a line of an agent says: a stream, a number, and a score if there was a pose.
fn said(line: &str) -> (String, u64, Option<f64>) {
    let mut words = line.splitn(3, ' ');
    let (stream, seq) = (words.next().unwrap(), words.next().unwrap_or_default());
    let score = words.next().unwrap_or_default().trim_matches(['[', ']', ' ']).parse().ok();
    let seq = seq.parse().unwrap_or_else(|_| panic!("not a stream and a number: {line}"));
    (stream.to_owned(), seq, score)
}

/// What an agent should say of a row.
fn to_say(row: &Value) -> (String, u64, Option<f64>) {
    let stream = row["payload"]["stream"].as_str().unwrap().to_owned();
    (stream, seq(row), row["payload"]["poses"][0]["score"].as_f64())
}

#[test]
fn the_agents_of_the_guide_print_what_the_database_keeps() {
    let server = Server::start(&looping("dance"));
    let session = server.session("dance");
    let here = server.home.path("reader");
    fs::create_dir(&here).unwrap();
    make_the_guides_user(&server, &here);
    let token = server.log_in(&here.join("agent-login"));

    let mut agents = [
        ("Python", in_python(&server, &here)),
        ("JavaScript", in_javascript(&server, &here)),
        ("Rust", in_rust(&server, &token)),
    ];
    for (language, agent) in &mut agents {
        agent.until_more(20);
        let lines: Vec<_> = agent.lines().iter().map(|line| said(line)).collect();
        let (first, last) = (lines[0].1, lines.last().unwrap().1);
        let rows = server.home.rows_to(&session, last);
        let kept =
            rows.iter().filter(|row| row["event"] == "frameAnalyzed" && (first..=last).contains(&seq(row)));
        assert_eq!(lines, kept.map(to_say).collect::<Vec<_>>(), "{language}");
        assert!(lines.iter().any(|(_, _, score)| score.is_some()), "{language}: a pose should be found");
    }
}

/// Runs the guide's two shell lines beside the server's configuration.
fn make_the_guides_user(server: &Server, here: &Path) {
    fs::copy(server.home.path("config.toml"), here.join("config.toml")).unwrap();
    let script = copied(here, "user.sh", "sh");
    let kinora = Path::new(env!("CARGO_BIN_EXE_kinora")).parent().unwrap().to_owned();
    let places = std::env::var_os("PATH").unwrap();
    let path = join_paths([kinora].into_iter().chain(std::env::split_paths(&places))).unwrap();
    let piped = format!("printf '%s\\n' \"$PASSWORD\" | sh -eu {}", text(&script));
    let mut shell = Command::new("sh");
    shell.args(["-euc", &piped]).current_dir(here).env("PATH", path).env("PASSWORD", "a good password");
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn in_python(server: &Server, here: &Path) -> Agent {
    let mut command = Command::new(PYTHON);
    command.arg(copied(here, "agent.py", "python")).args([&server.address, "agent-login"]).current_dir(here);
    Agent::spawn(command, &server.home)
}

fn in_javascript(server: &Server, here: &Path) -> Agent {
    fs::create_dir(here.join("node_modules")).unwrap();
    symlink("/usr/share/nodejs/ws", here.join("node_modules/ws")).unwrap();
    let mut command = Command::new("node");
    command
        .arg(copied(here, "agent.mjs", "javascript"))
        .args([&server.address, "agent-login"])
        .current_dir(here);
    Agent::spawn(command, &server.home)
}

fn in_rust(server: &Server, token: &str) -> Agent {
    let program = fs::read_to_string(root().join("docs/guide/agent.rs")).unwrap();
    assert_eq!(block("docs/guide/agents.md", "rust"), program, "docs/guide/agent.rs is what the guide shows");
    let mut command = Command::new(example());
    command.args([&server.address, token]);
    Agent::spawn(command, &server.home)
}

#[test]
fn the_few_lines_of_the_readme_print_events() {
    let server = Server::start(&looping("dance"));
    let lines = block("README.md", "python").replace("127.0.0.1:8080", &server.address);
    let script = server.home.path("readme.py");
    // The reader's part is the token.
    let call = format!("asyncio.run(main(\"{}\"))\n", server.token());
    fs::write(&script, format!("{lines}\n{call}")).unwrap();
    let mut command = Command::new(PYTHON);
    command.arg("-u").arg(&script);
    let mut agent = Agent::spawn(command, &server.home);
    agent.until_more(5);
    for line in agent.lines() {
        assert!(line.contains("frameAnalyzed {'seq': ") || line.contains("streamState {'seq': "), "{line}");
    }
}

#[test]
fn agents_in_python_and_javascript_receive_the_same_valid_events() {
    let server = Server::start(&looping("dance"));
    let session = server.session("dance");
    let query = format!("session={session}&after=0");
    let mut agents = [server.agent(&query), server.node_agent(&query)];
    for agent in &mut agents {
        agent.until_more(40);
    }
    let received = agents.each_ref().map(Agent::events);
    for (agent, events) in agents.iter().zip(&received) {
        assert_eq!(schema_errors(agent.file()), "");
        let (first, last) = gapless(events);
        assert_eq!(first, 1);
        stored(events, &server.home.rows_to(&session, last));
    }
    let both = received.each_ref().map(Vec::len).into_iter().min().unwrap();
    assert_eq!(received[0][..both], received[1][..both]);

    let (_home, _) = server.stop();
    let ends = agents.map(|agent| {
        let end = agent.until_end().pop().unwrap();
        (end["event"].clone(), end["payload"]["reason"].clone())
    });
    assert_eq!(ends, [("sessionEnded".into(), "stopped".into()), ("sessionEnded".into(), "stopped".into())]);
}
