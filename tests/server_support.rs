//! Running `kinora serve` with a database of its own, and agents that listen to it.
//!
//! Each server has a folder that goes with it, listens on a free port and ends, its PostgreSQL included, when the
//! test ends, however it ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clips;
use crate::log_search::Secrets;
pub(crate) use crate::rtsp_camera::{Camera, h264_of, long_clip};
use crate::support::{Run, command, root, text, wait_for};

/// A start makes a cluster, a stop ends one; both take a second or two on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);
/// SIGTERM ends everything within this time.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The password of users that tests make: a word that is in no log by chance.
pub(crate) const USER_PASSWORD: &str = "open-sesame-4711";
/// The interpreter that Debian's packages for Python belong to.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// What a server needs to be started: a folder with its data and its configuration.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    starts: u32,
    /// What no log may hold.
    secrets: Secrets,
}

impl Home {
    /// A folder for a server with these `[[streams]]`.
    pub(crate) fn new(streams: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kinora-serve-").tempdir().unwrap();
        // Root's PostgreSQL runs as another user, who has to come through.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let home = Self { folder, starts: 0, secrets: Secrets::default() };
        home.configure("127.0.0.1:0", &home.data(), streams);
        home
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, listen: &str, data: &Path, streams: &str) {
        let head = format!(
            "[server]\nlisten = \"{listen}\"\ndata_directory = \"{}\"\n[log]\nformat = \"json\"\n[http]\nrate_limit = 1000000\nrate_limit_heavy = 1000000\n",
            data.display()
        );
        fs::write(self.config(), head + streams).unwrap();
    }

    /// Where the server keeps its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// The lines of the last start's log so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        let said = fs::read_to_string(self.path(&format!("log-{}", self.starts))).unwrap();
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn spawn(&mut self) -> (Child, PathBuf) {
        self.starts += 1;
        let log = self.path(&format!("log-{}", self.starts));
        let config = self.config();
        let mut command = command(&["serve", "--config", text(&config)]);
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        (command.spawn().unwrap(), log)
    }

    /// Starts a server that is expected to end by itself.
    pub(crate) fn serve_to_its_end(&mut self) -> Run {
        let (child, log) = self.spawn();
        let mut process = Process(child);
        let code = process.ended("the end of a server that cannot start", LIMIT);
        Run { code, stdout: String::new(), stderr: fs::read_to_string(log).unwrap() }
    }

    /// Processes that have to do with this folder: by their arguments or their working directory.
    pub(crate) fn processes(&self) -> Vec<String> {
        let ours = self.folder.path();
        let about = |entry: fs::DirEntry| {
            let arguments = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let works_here = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(ours));
            (works_here || arguments.contains(text(ours)))
                .then(|| format!("{} {}", entry.file_name().display(), arguments.replace('\0', " ")))
        };
        fs::read_dir("/proc").unwrap().flatten().filter_map(about).collect()
    }

    /// The first process of the private PostgreSQL.
    pub(crate) fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data().join("pg/data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok().filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }

    /// What `psql` says to `sql`, a line a row.
    pub(crate) fn try_query(&self, sql: &str) -> Result<Vec<String>, String> {
        let socket = self.data().join("pg/run");
        let output = Command::new("psql")
            .args(["-h", text(&socket), "-U", "kinora", "-d", "kinora", "-XqAt", "-v", "ON_ERROR_STOP=1"])
            .args(["-c", sql])
            .current_dir("/")
            .output()
            .expect("psql should be installed; `make setup` does that");
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// The rows of a session in order, each put together as the event that it is.
    pub(crate) fn rows(&self, session: &str) -> Vec<Value> {
        let sql = format!(
            "select jsonb_build_object('sessionId', session_id, 'timestamp', \
             to_char(\"timestamp\" at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
             'event', event, 'payload', payload) from analysis_results where session_id = '{session}' order by seq"
        );
        let rows = self.try_query(&sql).unwrap();
        rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
    }

    /// Waits until the row of this number is there and gives all rows.
    pub(crate) fn rows_to(&self, session: &str, last: u64) -> Vec<Value> {
        wait_for("the last row", LIMIT, || {
            let sql = format!("select max(seq) from analysis_results where session_id = '{session}'");
            let stored = self.try_query(&sql).ok()?.first()?.parse().unwrap_or(0u64);
            (stored >= last).then(|| self.rows(session))
        })
    }
}

impl Drop for Home {
    /// Ends a PostgreSQL that lost its server, and searches the logs. In the right order: the server is gone by now.
    fn drop(&mut self) {
        if let Some(pid) = self.postmaster() {
            let _ = Command::new("kill").args(["-INT", &pid.to_string()]).status();
            let deadline = Instant::now() + STOP_LIMIT;
            while self.postmaster().is_some() && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        self.secrets.look_for_in(self.folder.path());
    }
}

/// A process that is killed when its guard goes.
struct Process(Child);

impl Process {
    fn ended(&mut self, what: &str, limit: Duration) -> i32 {
        wait_for(what, limit, || self.0.try_wait().unwrap()).code().unwrap_or(-1)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that runs. Fields are dropped in order: the process before its home.
pub(crate) struct Server {
    process: Process,
    pub(crate) address: String,
    token: String,
    pub(crate) home: Home,
}

impl Server {
    /// Starts a server with these `[[streams]]` and logs in as its first administrator.
    pub(crate) fn start(streams: &str) -> Self {
        Self::start_in(Home::new(streams))
    }

    /// Starts a server in a home that may have been used before.
    pub(crate) fn start_in(mut home: Home) -> Self {
        let (child, log) = home.spawn();
        let mut process = Process(child);
        let address = wait_for("listening", LIMIT, || {
            let ended = process.0.try_wait().unwrap().is_some();
            assert!(!ended, "the server ended: {}", fs::read_to_string(&log).unwrap());
            let mut lines = home.log().into_iter();
            let listening = lines.find(|line| line["message"] == "listening");
            listening.map(|line| line["address"].as_str().unwrap().to_owned())
        });
        let mut server = Self { process, address, token: String::new(), home };
        server.token = server.log_in(&server.home.data().join("first-admin"));
        server
    }

    /// The token of the user whose name and password are in a file as `kinora watch` reads it.
    pub(crate) fn log_in(&self, login: &Path) -> String {
        let file = fs::read_to_string(login).unwrap();
        let value = |name: &str| file.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let (username, password) = (value("username: "), value("password: "));
        self.log_in_as(&username, &password)
    }

    /// The token of this user.
    pub(crate) fn log_in_as(&self, username: &str, password: &str) -> String {
        let form = format!("grant_type=password&username={username}&password={password}");
        let (status, answer) = self.request("POST", "/login", "", &form);
        assert_eq!((status, &answer["token_type"]), (200, &"bearer".into()), "{answer}");
        for secret in [Some(password), answer["access_token"].as_str(), answer["refresh_token"].as_str()] {
            self.home.secrets.remember(secret.unwrap());
        }
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// The token of the first administrator.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Makes a user whose password is [`USER_PASSWORD`].
    pub(crate) fn create_user(&self, username: &str, role: &str) {
        let config = self.home.config();
        let mut create = command(&["user", "create", username, "--role", role, "--config", text(&config)]);
        let mut child = create.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(USER_PASSWORD.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Asks without a token and gives status and JSON.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, form: &str) -> (u16, Value) {
        self.send(method, path, headers, "application/x-www-form-urlencoded", form)
    }

    fn send(&self, method: &str, path: &str, headers: &str, kind: &str, body: &str) -> (u16, Value) {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Reads something that a token is needed for.
    pub(crate) fn get(&self, path: &str) -> Value {
        let bearer = format!("Authorization: Bearer {}\r\n", self.token);
        let (status, answer) = self.request("GET", path, &bearer, "");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Sends JSON that a token is needed for; gives status and answer.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let head = format!("Authorization: Bearer {}\r\n", self.token);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send("POST", path, &head, "application/json", &body)
    }

    /// The same with `PUT`.
    pub(crate) fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        let head = format!("Authorization: Bearer {}\r\n", self.token);
        self.send("PUT", path, &head, "application/json", &body.to_string())
    }

    /// From now on no log may hold this.
    pub(crate) fn remember(&self, secret: &str) {
        self.home.secrets.remember(secret);
    }

    /// Asserts that no process of the server shows a text: in its arguments, or in its environment.
    pub(crate) fn assert_no_process_shows(&self, secret: &str) {
        let processes = self.home.processes();
        assert!(processes.len() > 1, "{processes:?}");
        for process in processes {
            assert!(!process.contains(secret), "{process}");
            let number = process.split(' ').next().unwrap();
            // One that ended meanwhile shows nothing.
            let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&environment).contains(secret), "the environment of {process}");
        }
    }

    /// An agent in Python with a token or key of its own.
    pub(crate) fn agent_with(&self, token: &str, query: &str) -> Agent {
        let file = self.home.path("own-token");
        fs::write(&file, token).unwrap();
        let url = format!("ws://{}/ws/analysis?{query}", self.address);
        let mut command = Command::new(PYTHON);
        command.arg(root().join("tests/tools/agent.py")).args([&url, text(&file)]);
        Agent::spawn(command, &self.home)
    }

    /// The stream as the API shows it.
    pub(crate) fn stream(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/streams/{name}"))
    }

    /// The session that the stream runs.
    pub(crate) fn session(&self, stream: &str) -> String {
        wait_for("a session", LIMIT, || self.stream(stream)["sessionId"].as_str().map(str::to_owned))
    }

    /// Waits until the stream has this state and gives it.
    pub(crate) fn until_state(&self, stream: &str, state: &str) -> Value {
        wait_for(&format!("{stream} becoming {state}"), LIMIT, || {
            Some(self.stream(stream)).filter(|stream| stream["state"] == state)
        })
    }

    /// An agent in Python.
    pub(crate) fn agent(&self, query: &str) -> Agent {
        let token = self.token_file();
        let url = format!("ws://{}/ws/analysis?{query}", self.address);
        let mut command = Command::new(PYTHON);
        command.arg(root().join("tests/tools/agent.py")).args([&url, text(&token)]);
        Agent::spawn(command, &self.home)
    }

    /// An agent in JavaScript.
    pub(crate) fn node_agent(&self, query: &str) -> Agent {
        let token = self.token_file();
        let url = format!("ws://{}/ws/analysis?{query}", self.address);
        let mut command = Command::new("node");
        // Where Debian's package `node-ws` is, for other editions of Node as well.
        command.env("NODE_PATH", "/usr/share/nodejs");
        command.arg(root().join("tests/tools/agent.cjs")).args([&url, text(&token)]);
        Agent::spawn(command, &self.home)
    }

    /// `kinora watch` as an agent.
    pub(crate) fn watch(&self, query: &str) -> Agent {
        let token = self.token_file();
        let url = format!("ws://{}/ws/analysis?{query}", self.address);
        Agent::spawn(command(&["watch", &url, "--token-file", text(&token)]), &self.home)
    }

    fn token_file(&self) -> PathBuf {
        let path = self.home.path("token");
        fs::write(&path, &self.token).unwrap();
        path
    }

    /// `kill -9` for the server alone; its PostgreSQL runs on.
    pub(crate) fn kill(self) -> Home {
        let Self { process, home, .. } = self;
        drop(process);
        home
    }

    /// Waits until the server ends by itself; gives its exit code.
    pub(crate) fn until_end(self) -> (Home, i32) {
        let Self { mut process, home, .. } = self;
        let code = process.ended("the server's own end", LIMIT);
        (home, code)
    }

    /// Asks the server to end; it does so in time and with success. Gives what it took.
    pub(crate) fn stop(self) -> (Home, Duration) {
        let Self { mut process, home, .. } = self;
        let begin = Instant::now();
        signal("TERM", process.0.id());
        let code = process.ended("the server's end", STOP_LIMIT);
        assert_eq!(code, 0, "{}", fs::read_to_string(home.path(&format!("log-{}", home.starts))).unwrap());
        (home, begin.elapsed())
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// A program that receives events, one a line.
pub(crate) struct Agent {
    process: Process,
    lines: PathBuf,
    errors: PathBuf,
}

impl Agent {
    /// Starts a program that prints something of each event.
    pub(crate) fn spawn(mut command: Command, home: &Home) -> Self {
        let number = fs::read_dir(home.folder.path()).unwrap().count();
        let (lines, errors) =
            (home.path(&format!("agent-{number}")), home.path(&format!("agent-{number}.err")));
        command.stdin(Stdio::null()).stdout(File::create(&lines).unwrap());
        command.stderr(File::create(&errors).unwrap());
        Self { process: Process(command.spawn().unwrap()), lines, errors }
    }

    /// The file of what it received.
    pub(crate) fn file(&self) -> &Path {
        &self.lines
    }

    /// How many events it received.
    pub(crate) fn count(&self) -> usize {
        fs::read(&self.lines).unwrap().iter().filter(|byte| **byte == b'\n').count()
    }

    /// The lines that it printed.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = fs::read_to_string(&self.lines).unwrap();
        // What is after the last line's end is still being written.
        let whole = all.rfind('\n').map_or("", |end| &all[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// What it received.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until it received so many more.
    pub(crate) fn until_more(&mut self, more: usize) {
        let wanted = self.count() + more;
        let what = format!("{wanted} events");
        wait_for(&what, LIMIT, || {
            let ended = self.process.0.try_wait().unwrap();
            assert!(ended.is_none(), "the agent ended: {}", fs::read_to_string(&self.errors).unwrap());
            (self.count() >= wanted).then_some(())
        });
    }

    /// Waits until it ends, as it does when its server ends, and gives all that it received.
    pub(crate) fn until_end(mut self) -> Vec<Value> {
        self.process.ended("the agent's end", LIMIT);
        self.events()
    }
}

/// The number of an event.
pub(crate) fn seq(event: &Value) -> u64 {
    event["payload"]["seq"].as_u64().unwrap_or_else(|| panic!("no number: {event}"))
}

/// Asserts that numbers and the numbers before them have no gap; gives the first and the last.
pub(crate) fn gapless(events: &[Value]) -> (u64, u64) {
    let numbers: Vec<u64> = events.iter().map(seq).collect();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { panic!("there are no events") };
    assert_eq!(numbers, (*first..=*last).collect::<Vec<_>>());
    for event in events.iter().skip(1) {
        assert_eq!(event["payload"]["prevSeq"].as_u64(), Some(seq(event) - 1), "{event}");
    }
    (*first, *last)
}

/// Asserts that each event is a row with the same value.
pub(crate) fn stored(events: &[Value], rows: &[Value]) {
    let by_number: BTreeMap<u64, &Value> = rows.iter().map(|row| (seq(row), row)).collect();
    for event in events {
        assert_eq!(by_number.get(&seq(event)), Some(&event));
    }
}

/// A `[[streams]]` table.
pub(crate) fn stream(name: &str, source: &str, more: &str) -> String {
    format!("[[streams]]\nname = \"{name}\"\nsource = \"{source}\"\n{more}\n")
}

/// The short clip as a looping file stream.
pub(crate) fn looping(name: &str) -> String {
    stream(name, text(clips::short()), "loop = true")
}
