//! A limited reach: nothing that a server says, and no name, leads FFmpeg to a host that is left out.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use kinora_media::{Address, DecodeOptions, ErrorKind, FrameReader, Input, MediaError, OpenOptions, Reach};

use super::support::*;

/// Loopback has many numbers: the first one may be connected to, the second one may not.
const ALLOWED: Ipv4Addr = Ipv4Addr::LOCALHOST;
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Answers each request with this; tells the requests. It goes on until the test ends.
fn server(number: Ipv4Addr, answer: Vec<u8>) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind((number, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever connects is told of, whether a request follows or not.
            let _ = sender.send(request(&stream));
            // The client may leave before it has all.
            let _ = (&stream).write_all(&answer);
        }
    });
    (port, requests)
}

fn request(mut stream: &TcpStream) -> String {
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    String::from_utf8(request).unwrap()
}

fn clip() -> Vec<u8> {
    let folder = Folder::new();
    let bytes = std::fs::read(folder.clip("a.ts", 30)).unwrap();
    [&b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..], &bytes].concat()
}

fn redirect(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .into()
}

fn limited() -> OpenOptions {
    let is_allowed = |number| number != IpAddr::V4(FORBIDDEN);
    OpenOptions { reach: Reach::only(is_allowed), ..options() }
}

fn opened(text: &str, options: &OpenOptions) -> Result<u64, MediaError> {
    let address = Address::parse(text).unwrap();
    let mut reader = FrameReader::open(&address, options, &DecodeOptions::default())?;
    Ok(read_all(&mut reader).account.frames)
}

#[test]
fn ffmpeg_follows_no_redirect_within_a_limited_reach() {
    let (target, asked) = server(FORBIDDEN, clip());
    let (port, _) = server(ALLOWED, redirect(&format!("http://{FORBIDDEN}:{target}/a.ts")));
    let source = format!("http://127.0.0.1:{port}/a.ts");
    let error = opened(&source, &limited()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
    assert!(asked.try_recv().is_err(), "nobody should have asked {FORBIDDEN}");
    // The same servers lead there when everything is within reach.
    assert_eq!(opened(&source, &options()), Ok(30));
    assert!(asked.try_recv().is_ok());
}

#[test]
fn a_host_is_judged_by_its_number_before_anybody_connects() {
    let (port, asked) = server(FORBIDDEN, clip());
    // The second form is the same number, which only a look-up tells.
    for text in [
        format!("http://{FORBIDDEN}:{port}/a.ts"),
        format!("http://127.2:{port}/a.ts"),
        format!("https://{FORBIDDEN}:{port}/a.ts"),
        format!("tcp://{FORBIDDEN}:{port}"),
        format!("srt://{FORBIDDEN}:{port}"),
    ] {
        let error = Input::open(&Address::parse(&text).unwrap(), &limited()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::OutOfReach, "{text}: {error}");
    }
    assert!(asked.try_recv().is_err(), "nobody should have asked {FORBIDDEN}");
}

#[test]
fn the_number_that_was_judged_is_connected_to_and_the_server_hears_its_name() {
    let (port, asked) = server(ALLOWED, clip());
    assert_eq!(opened(&format!("http://localhost:{port}/a.ts"), &limited()), Ok(30));
    let heard = asked.recv().unwrap();
    assert!(heard.contains(&format!("\r\nHost: localhost:{port}\r\n")), "{heard}");
    assert_eq!(heard.matches("Host:").count(), 1, "{heard}");
}

/// A web server over TLS with a certificate that nobody vouches for, which serves a folder; ends with the guard.
fn encrypted(folder: &Folder) -> (u16, Ended) {
    let arguments =
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem";
    let made =
        Command::new("openssl").args(arguments.split(' ')).current_dir(folder.file("")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind((ALLOWED, 0)).unwrap().local_addr().unwrap().port();
    let mut command = Command::new("openssl");
    command.args("s_server -quiet -WWW -cert cert.pem -key key.pem -accept".split(' '));
    command.arg(format!("127.0.0.1:{port}")).current_dir(folder.file(""));
    let server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut ended = Ended(server);
    let begun = Instant::now();
    while TcpStream::connect((ALLOWED, port)).is_err() {
        // A server that ended, because somebody took its port for example, would be waited for without end.
        assert!(ended.0.try_wait().unwrap().is_none(), "openssl's server ended");
        assert!(begun.elapsed() < Duration::from_secs(20), "openssl's server does not listen");
        thread::park_timeout(Duration::from_millis(10));
    }
    (port, ended)
}

/// Ends a process.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_name_over_https_has_to_show_its_certificate_within_a_limited_reach() {
    let folder = Folder::new();
    folder.clip("a.ts", 30);
    let (port, _server) = encrypted(&folder);
    let by_name = format!("https://localhost:{port}/a.ts");
    // FFmpeg looks the name up again: only a certificate says that it means the same host.
    assert!(opened(&by_name, &limited()).is_err());
    assert_eq!(opened(&by_name, &options()), Ok(30));
    assert_eq!(opened(&format!("https://127.0.0.1:{port}/a.ts"), &limited()), Ok(30), "a number needs none");
}
