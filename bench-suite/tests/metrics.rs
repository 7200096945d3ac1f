//! `lab serve --metrics` as Prometheus uses it: over HTTP, parsed strictly, and while the workers are stuck.

mod prometheus;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use prometheus::{Exposition, parse};
use runtime_core::hyper_rt::HyperIo;
use runtime_core::{Launch as _, LaunchConfig, Runtime as _};
use runtime_n1::N1;

/// Generous: only a server that hangs takes this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

struct Server {
    process: Child,
    address: SocketAddr,
    metrics: SocketAddr,
}

impl Server {
    fn start(line: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(line.split_whitespace())
            .args(["--addr", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = |word: &str| -> SocketAddr {
            let said = lines.next().unwrap().unwrap();
            let address = said
                .strip_prefix(word)
                .unwrap_or_else(|| panic!("{line}: {said}"));
            address.trim().parse().unwrap()
        };
        Self {
            address: address("listening "),
            metrics: address("metrics "),
            process,
        }
    }

    fn page(&self) -> Exposition {
        let (status, content_type, body) = get(self.metrics, Method::GET, "/metrics");
        assert_eq!(status, StatusCode::OK);
        assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
        parse(&body).unwrap_or_else(|error| panic!("{error}\n{body}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One request by a real client. Returns status, content type and body.
fn get(address: SocketAddr, method: Method, path: &'static str) -> (StatusCode, String, String) {
    N1::run(&LaunchConfig::default(), move |rt| async move {
        let stream = rt.connect(address).await.unwrap();
        let (mut sender, connection) = http1::handshake(HyperIo::new(stream)).await.unwrap();
        drop(rt.spawn(async move { drop(connection.await) }));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address.to_string())
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answered = rt.timeout(TIME_LIMIT, async move {
            let response = sender.send_request(request).await.unwrap();
            let status = response.status();
            let content_type = response.headers()["content-type"].to_str().unwrap();
            let content_type = content_type.to_owned();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (
                status,
                content_type,
                String::from_utf8(body.to_vec()).unwrap(),
            )
        });
        answered.await.expect("an answer in time")
    })
    .unwrap()
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIME_LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_server_gives_a_page_that_a_strict_reader_takes() {
    for runtime in ["n1", "mn", "threads", "tokio-mt", "smol", "std-blocking"] {
        let server = Server::start(&format!("serve echo --runtime {runtime} --workers 2"));
        let page = server.page();
        assert!(page.value("process_open_fds", &[]) > Some(3.0), "{runtime}");
        assert!(page.value("process_cpu_seconds_total", &[]) > Some(0.0));
    }
}

#[test]
fn counters_follow_the_servers_work() {
    let server = Server::start("serve echo --runtime mn --workers 2");
    let live = || server.page().value("lab_live_tasks", &[]).unwrap();
    let idle = live();
    let mut streams: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    eventually("a task for each connection", || live() == idle + 10.0);
    drop(streams);
    eventually("the tasks end with their connections", || live() == idle);
}

#[test]
fn it_answers_while_every_worker_is_stuck() {
    // One loop with tasks that compute nearly all the time. Anything on that loop waits for 0.8 s at a time.
    for runtime in ["n1", "mn", "tokio-ct"] {
        let server = Server::start(&format!(
            "serve echo --runtime {runtime} --workers 1 --hogs 8"
        ));
        let begun = Instant::now();
        let pages = 20;
        for _ in 0..pages {
            server.page();
        }
        // On that loop, each request would have waited for the tasks.
        let took = begun.elapsed();
        assert!(
            took < Duration::from_millis(800) * pages,
            "{runtime}: {took:?}"
        );
    }
}

#[test]
fn other_paths_and_methods_get_an_error_with_the_right_path() {
    let server = Server::start("serve http --runtime n1");
    let (status, _, body) = get(server.metrics, Method::GET, "/");
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("/metrics"), "{body}");
    let (status, _, _) = get(server.metrics, Method::POST, "/metrics");
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, _, body) = get(server.metrics, Method::HEAD, "/metrics");
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
}

#[test]
fn wrong_choices_and_ports_in_use_are_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = taken.local_addr().unwrap().to_string();
    let fails = |arguments: &[&str], code: i32, parts: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(["serve", "echo", "--addr", "127.0.0.1:0", "--runtime"])
            .args(arguments)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    };
    fails(
        &["mn", "--metrics", &metrics],
        1,
        &["--metrics", &metrics, "in use"],
    );
    fails(&["mn", "--metrics", "nowhere"], 2, &["nowhere"]);
    fails(
        &["n1", "--policy", "go-like"],
        2,
        &["unknown policy `go-like`"],
    );
    fails(
        &["std-blocking", "--knob", "steal=one"],
        2,
        &["unknown knob `steal`"],
    );
}
