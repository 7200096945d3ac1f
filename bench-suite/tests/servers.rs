//! `lab serve` and `lab load` as users run them: real processes, real sockets, exit codes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Every runtime that can serve.
const SERVERS: [&str; 9] = [
    "n1",
    "mn",
    "threads",
    "n1xP",
    "n1xProc",
    "std-blocking",
    "tokio-mt",
    "tokio-ct",
    "smol",
];

/// Generous: only a server that hangs takes this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(arguments);
    command
}

/// A running `lab serve`.
struct Server {
    process: Child,
    address: SocketAddr,
    runtime: &'static str,
}

impl Server {
    fn start(protocol: &str, runtime: &'static str, more: &[&str]) -> Self {
        let mut process = lab(&[
            "serve",
            protocol,
            "--runtime",
            runtime,
            "--addr",
            "127.0.0.1:0",
        ])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening ")
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("{runtime} said {line:?}"));
        Self {
            process,
            address,
            runtime,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Ends it with `signal` and asserts that it ends well.
    fn end(mut self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).unwrap();
        let status = self.process.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{} after {signal:?}", self.runtime);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn assert_echoes(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(message).unwrap();
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, message);
}

#[test]
fn echo_holds_a_thousand_connections_and_ends_cleanly() {
    for runtime in SERVERS {
        let server = Server::start("echo", runtime, &["--workers", "2"]);
        let mut streams: Vec<_> = (0..1000).map(|_| server.connect()).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            assert_echoes(stream, format!("connection {number}").as_bytes());
        }
        // None was lost while the others were opened.
        for stream in &mut streams {
            assert_echoes(stream, b"again");
        }
        server.end(Signal::TERM);
    }
}

#[test]
fn echo_answers_all_bytes_after_a_half_close_and_survives_resets() {
    for runtime in SERVERS {
        let server = Server::start("echo", runtime, &[]);
        // A reset: the client closes with an unread answer.
        let mut rude = server.connect();
        rude.write_all(&[1; 4000]).unwrap();
        rude.peek(&mut [0]).unwrap();
        drop(rude);

        let mut polite = server.connect();
        let message: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
        let mut writing = polite.try_clone().unwrap();
        let sent = message.clone();
        let writer = std::thread::spawn(move || {
            writing.write_all(&sent).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut answer = Vec::new();
        polite.read_to_end(&mut answer).unwrap();
        writer.join().unwrap();
        assert!(
            answer == message,
            "{runtime}: {} bytes came back",
            answer.len()
        );
        server.end(Signal::INT);
    }
}

/// A response's head and body, according to its Content-Length; no body if `bodiless`.
fn read_response(stream: &mut impl std::io::BufRead, bodiless: bool) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            stream.read_line(&mut head).unwrap() > 0,
            "ended in {head:?}"
        );
    }
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim().parse().unwrap())
        .expect("a Content-Length");
    assert!(length > 0);
    let mut body = vec![0; if bodiless { 0 } else { length }];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn http_answers_every_method_and_path_on_one_connection() {
    for runtime in SERVERS {
        let server = Server::start("http", runtime, &[]);
        let mut writer = server.connect();
        let mut reader = BufReader::new(writer.try_clone().unwrap());
        for (request, bodiless) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", false),
            ("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", true),
            (
                "POST /b?c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
                false,
            ),
            (
                "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                false,
            ),
        ] {
            writer.write_all(request.as_bytes()).unwrap();
            let (head, body) = read_response(&mut reader, bodiless);
            assert!(head.starts_with("HTTP/1.1 200"), "{runtime}: {head}");
            let expected = if bodiless { "" } else { "Hello, world!\n" };
            assert_eq!(body, expected, "{runtime}: {request}");
        }
        assert_eq!(
            reader.read(&mut [0]).unwrap(),
            0,
            "{runtime} closes when asked to"
        );

        let mut nonsense = server.connect();
        nonsense.write_all(b"\0\0\0\0\r\n\r\n").unwrap();
        nonsense.read_to_end(&mut Vec::new()).unwrap();
        // It still serves.
        let load = load(&[
            "http",
            "--addr",
            &server.address.to_string(),
            "--duration",
            "0.1",
            "--connections",
            "3",
        ]);
        assert!(load.status.success(), "{runtime}: {load:?}");
        server.end(Signal::TERM);
    }
}

/// Everything that a server sends in response to `request`, until it closes the connection.
fn answer_to(server: &Server, request: &[u8]) -> String {
    let mut stream = server.connect();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn http_wants_one_valid_host_from_1_1_on() {
    for runtime in SERVERS {
        let server = Server::start("http", runtime, &[]);
        for (request, status) in [
            ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                200,
            ),
            ("GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", 200),
            ("GET / HTTP/1.0\r\n\r\n", 200),
        ] {
            let answer = answer_to(&server, request.as_bytes());
            let line = answer.lines().next().unwrap_or_default();
            assert_eq!(
                line.split(' ').nth(1),
                Some(status.to_string().as_str()),
                "{runtime}: {request:?}: {answer}"
            );
        }
        server.end(Signal::TERM);
    }
}

#[test]
fn half_a_request_times_out_and_an_idle_connection_does_not() {
    // All at once, because each of them takes the servers' full time limit.
    let waiting: Vec<_> = SERVERS
        .into_iter()
        .map(|runtime| {
            std::thread::spawn(move || {
                let server = Server::start("http", runtime, &["--metrics", "127.0.0.1:0"]);
                let mut idle = server.connect();
                let mut used = server.connect();
                used.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    .unwrap();
                let mut used = BufReader::new(used);
                read_response(&mut used, false);
                let mut halves: Vec<TcpStream> = [
                    &b"G"[..],
                    b"GET / HTTP/1.1\r\nHost: x\r\n",
                    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe",
                    b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /",
                ]
                .into_iter()
                .map(|half| {
                    let mut stream = server.connect();
                    stream.write_all(half).unwrap();
                    stream
                })
                .collect();
                for (number, stream) in halves.iter_mut().enumerate() {
                    let mut answer = Vec::new();
                    let read = stream.read_to_end(&mut answer);
                    assert!(
                        read.is_ok(),
                        "{runtime}: half {number} is still waited for: {read:?}"
                    );
                }
                // Connections that have sent nothing, or a complete request, are still served.
                for stream in [&mut idle, used.get_mut()] {
                    stream
                        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                        .unwrap();
                    read_response(&mut BufReader::new(stream), false);
                }
                server.end(Signal::TERM);
            })
        })
        .collect();
    for server in waiting {
        server.join().unwrap();
    }
}

fn load(arguments: &[&str]) -> Output {
    lab(&["load"]).args(arguments).output().unwrap()
}

#[test]
fn load_reports_as_json_and_for_people() {
    let server = Server::start("echo", "tokio-ct", &[]);
    let address = server.address.to_string();
    let output = load(&[
        "echo",
        "--addr",
        &address,
        "--closed",
        "--duration",
        "200ms",
        "--connections",
        "8",
        "--bytes",
        "100",
        "--json",
        "-",
    ]);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "lab.load/1");
    assert!(report["requests"].as_u64().unwrap() > 0);
    assert!(report["client_late_ns"].is_null());
    assert!(report["latency_ns"]["p50"].as_u64() <= report["latency_ns"]["max"].as_u64());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.json");
    let output = load(&[
        "echo",
        "--addr",
        &address,
        "--rate",
        "500",
        "--duration",
        "0.2",
        "--json",
        file.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("open loop at 500") && text.contains("lateness"),
        "{text}"
    );
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(report["requests"], 100);
    assert!(report["client_late_ns"]["p99"].is_u64());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    server.end(Signal::TERM);
}

#[test]
fn a_server_with_hogs_still_answers() {
    let server = Server::start("echo", "threads", &["--hogs", "2"]);
    assert_echoes(&mut server.connect(), b"in spite of all");
    server.end(Signal::TERM);
}

fn assert_one_line(output: &Output, code: i32, about: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(about), "{error}");
}

#[test]
fn a_server_that_cannot_start_prints_one_line_and_exits_with_a_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for runtime in SERVERS {
        let output = lab(&["serve", "echo", "--runtime", runtime, "--addr", &address])
            .output()
            .unwrap();
        assert_one_line(&output, 1, "in use");
    }
    for (arguments, about) in [
        (
            ["serve", "echo", "--runtime", "nt", "--addr", "127.0.0.1:0"],
            "no such server",
        ),
        (
            ["serve", "echo", "--runtime", "n1", "--addr", "127.0.0.1"],
            "HOST:PORT",
        ),
        (
            [
                "serve",
                "echo",
                "--runtime",
                "n1",
                "--addr",
                "127.0.0.1:65536",
            ],
            "no such host or port",
        ),
    ] {
        assert_one_line(&lab(&arguments).output().unwrap(), 2, about);
    }
}

#[test]
fn a_load_that_cannot_run_prints_one_line_and_exits_with_a_code() {
    // Bound and dropped, so nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    assert_one_line(
        &load(&["echo", "--addr", &free]),
        1,
        "is a server listening there?",
    );
    assert_one_line(
        &load(&["echo", "--addr", &free, "--connections", "0"]),
        2,
        "--connections 0",
    );
    assert_one_line(
        &load(&["echo", "--addr", &free, "--bytes", "0"]),
        2,
        "--bytes 0",
    );
    assert_one_line(
        &load(&["echo", "--addr", &free, "--rate", "0"]),
        2,
        "--rate 0",
    );

    // An echo server does not speak HTTP.
    let server = Server::start("echo", "tokio-ct", &[]);
    let address = server.address.to_string();
    assert_one_line(&load(&["http", "--addr", &address]), 1, "not HTTP/1");
    server.end(Signal::TERM);
}
