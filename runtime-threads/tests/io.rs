//! Sockets, files and HTTP on this scheduler.

use runtime_threads::Threads;

runtime_core::io_conformance!(Threads);

#[test]
fn http_requests_over_one_connection() {
    runtime_core::testing::io_cases::check::<Threads, _, _>("http_requests_over_one_connection", || {
        runtime_core::testing::http::requests_over_one_connection
    });
}
