//! Sockets, files and HTTP on this scheduler.

use runtime_mn::Mn;

runtime_core::io_conformance!(Mn);

#[test]
fn http_requests_over_one_connection() {
    runtime_core::testing::io_cases::check::<Mn, _, _>("http_requests_over_one_connection", || {
        runtime_core::testing::http::requests_over_one_connection
    });
}
