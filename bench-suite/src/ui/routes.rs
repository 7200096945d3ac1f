//! The page's routes and their responses.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use runtime_core::Runtime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Access;
use super::measuring::Measuring;
use super::{stored, stream};
use crate::registry::Registry;
use crate::report::html::script_json;
use crate::report::{charts, colours, page};
use crate::results::Results;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream";

/// Scripts and styles are inline. A page may only connect to its own server.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The limit of a request's body; no valid request comes close.
const MAX_BYTES: usize = 64 * 1024;

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Answer = Response<Body>;

/// The page and the data behind it.
pub(super) struct Site {
    access: Access,
    measuring: Arc<Measuring>,
    workloads: Vec<&'static str>,
    runtimes: Vec<&'static str>,
    page: Bytes,
}

/// A request for a measurement.
#[derive(Deserialize)]
struct RunRequest {
    workloads: Vec<String>,
    runtimes: Vec<String>,
    size: Option<u64>,
    rounds: Option<u32>,
    #[serde(default)]
    quick: bool,
}

impl Site {
    pub(super) fn new(registry: &Registry, access: Access, measuring: Arc<Measuring>) -> Self {
        Self {
            access,
            measuring,
            workloads: registry.workloads.iter().map(|one| one.name).collect(),
            runtimes: registry.runtimes.iter().map(|one| one.name).collect(),
            page: Bytes::from(own_page(registry)),
        }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Answers one request.
    pub(super) async fn answer<R: Runtime>(
        &self,
        rt: &R,
        request: Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        let path = request.uri().path().to_owned();
        if path == "/favicon.ico" {
            // Browsers request this icon on their own.
            return Ok(answer(StatusCode::NO_CONTENT, TEXT, ""));
        }
        let Some(path) = self.access.rest(&path) else {
            let said = "take the whole address that `lab ui` printed\n";
            return Ok(answer(StatusCode::FORBIDDEN, TEXT, said));
        };
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        Ok(match (path, is_read) {
            ("start" | "stop", true) => not_allowed("POST"),
            ("start", _) if request.method() == Method::POST => self.start(rt, request).await,
            ("stop", _) if request.method() == Method::POST => match self.measuring.stop() {
                true => answer(StatusCode::ACCEPTED, TEXT, "stopping\n"),
                false => answer(StatusCode::CONFLICT, TEXT, "nothing runs\n"),
            },
            (_, false) => not_allowed("GET, HEAD"),
            ("", _) => answer(StatusCode::OK, HTML, self.page.clone()),
            ("events", _) => {
                let body = stream::body(rt.clone(), Arc::clone(&self.measuring));
                with_headers(StatusCode::OK, EVENTS, body)
            }
            ("stored", _) => {
                let list = stored::list(self.measuring.folder());
                answer(StatusCode::OK, JSON, list.to_string())
            }
            (path, _) => self.one(rt, path).await,
        })
    }

    /// `stored/NAME` and `report/NAME`.
    async fn one<R: Runtime>(&self, rt: &R, path: &str) -> Answer {
        type Show = fn(&Results) -> String;
        let (kind, show, name): (_, Show, _) = match path.split_once('/') {
            Some(("stored", name)) => (JSON, |of| stored::sections(of).to_string(), name),
            Some(("report", name)) => (HTML, page::render, name),
            _ => return answer(StatusCode::NOT_FOUND, TEXT, "there is no such page\n"),
        };
        let (measuring, name) = (Arc::clone(&self.measuring), name.to_owned());
        // Not on the loop, which has other requests to answer.
        let made = rt.spawn_blocking(move || {
            stored::read(measuring.folder(), &name).map(|results| show(&results))
        });
        match made.await {
            Ok(Ok(text)) => answer(StatusCode::OK, kind, text),
            Ok(Err(said)) => answer(StatusCode::NOT_FOUND, TEXT, said + "\n"),
            Err(error) => answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                format!("{error}\n"),
            ),
        }
    }

    async fn start<R: Runtime>(&self, rt: &R, request: Request<Incoming>) -> Answer {
        let bad = |said: String| answer(StatusCode::BAD_REQUEST, TEXT, said + "\n");
        let Ok(body) = Limited::new(request.into_body(), MAX_BYTES).collect().await else {
            return bad("the request is too long or incomplete".to_owned());
        };
        let run_request: RunRequest = match serde_json::from_slice(&body.to_bytes()) {
            Ok(run_request) => run_request,
            Err(error) => return bad(format!("the request is invalid: {error}")),
        };
        let arguments = match self.arguments(&run_request) {
            Ok(arguments) => arguments,
            Err(said) => return bad(said),
        };
        match self.measuring.start(rt, arguments) {
            Ok(()) => answer(StatusCode::ACCEPTED, TEXT, "started\n"),
            Err(said) => answer(StatusCode::CONFLICT, TEXT, said + "\n"),
        }
    }

    /// The command-line arguments for a request. They contain only known names.
    fn arguments(&self, run_request: &RunRequest) -> Result<Vec<String>, String> {
        let known = |what: &str, names: &[String], all: &[&str]| {
            if names.is_empty() {
                return Err(format!("choose at least one {what}"));
            }
            match names.iter().find(|name| !all.contains(&name.as_str())) {
                Some(name) => Err(format!("there is no {what} {}", name.escape_debug())),
                None => Ok(()),
            }
        };
        known("workload", &run_request.workloads, &self.workloads)?;
        known("runtime", &run_request.runtimes, &self.runtimes)?;
        let mut arguments = run_request.workloads.clone();
        arguments.extend(["--runtime".to_owned(), run_request.runtimes.join(",")]);
        if let Some(size) = run_request.size {
            arguments.extend(["--size".to_owned(), size.to_string()]);
        }
        if let Some(rounds) = run_request.rounds {
            arguments.extend(["--rounds".to_owned(), rounds.to_string()]);
        }
        if run_request.quick {
            arguments.push("--quick".to_owned());
        }
        Ok(arguments)
    }
}

/// The page, complete with styles and scripts.
fn own_page(registry: &Registry) -> String {
    let workloads = registry
        .workloads
        .iter()
        .map(|one| json!({ "name": one.name, "about": one.about, "group": one.group.title() }));
    let runtimes = registry.runtimes.iter().map(|one| {
        json!({ "name": one.name, "about": one.about, "ours": one.ours, "hue": colours::hue(one.name) })
    });
    let choices = json!({
        "workloads": workloads.collect::<Value>(),
        "runtimes": runtimes.collect::<Value>(),
    });
    let mut html = include_str!("assets/ui.html").to_owned();
    let styles = [
        page::STYLE,
        include_str!("assets/ui.css"),
        &colours::style(),
    ]
    .concat();
    let scripts = charts::SCRIPTS.join("</script>\n<script>");
    let script = include_str!("assets/ui.js");
    for (place, with) in [
        ("/* STYLE */", styles.as_str()),
        ("CHOICES", &script_json(&choices)),
        ("/* CHARTS */", &scripts),
        ("/* SCRIPT */", script),
    ] {
        html = html.replacen(place, with, 1);
    }
    html
}

fn not_allowed(allowed: &'static str) -> Answer {
    let said = format!("only {allowed} is answered here\n");
    let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, said);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    with_headers(status, kind, Full::new(body.into()).boxed_unsync())
}

fn with_headers(status: StatusCode, kind: &'static str, body: Body) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        // The address contains the secret.
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use crate::registry::RuntimeInfo;

    /// With the standard registry, the compiler would copy all workloads a second time.
    fn registry() -> Registry {
        let runtime = |name| RuntimeInfo::ours(name, "one of this project's");
        Registry {
            workloads: catalogue::workloads(),
            runtimes: ["n1", "mn"].map(runtime).into(),
            ..Registry::default()
        }
    }

    fn site() -> Site {
        let measuring = Measuring::new("nowhere".into());
        Site::new(&registry(), Access::new().unwrap(), measuring)
    }

    fn run_request(text: &str) -> Result<Vec<String>, String> {
        site().arguments(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_request_becomes_arguments() {
        let made = run_request(
            r#"{"workloads":["yield","spawn"],"runtimes":["n1","mn"],"size":10,"rounds":3,"quick":true}"#,
        );
        let expected = "yield spawn --runtime n1,mn --size 10 --rounds 3 --quick";
        assert_eq!(made.unwrap().join(" "), expected);
    }

    #[test]
    fn unknown_names_are_not_arguments() {
        for bad in [
            r#"{"workloads":["--out=/etc"],"runtimes":["n1"]}"#,
            r#"{"workloads":["yield"],"runtimes":["n1,--out"]}"#,
            r#"{"workloads":["yield"],"runtimes":[]}"#,
            r#"{"workloads":[],"runtimes":["n1"]}"#,
        ] {
            assert!(run_request(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_page_is_whole() {
        let page = own_page(&registry());
        for place in ["/* STYLE */", "CHOICES", "/* CHARTS */", "/* SCRIPT */"] {
            assert!(!page.contains(place), "{place}");
        }
        assert!(page.contains("\"pingpong\""));
    }
}
