//! Sockets, files and HTTP on this scheduler.

use runtime_n1::N1;

runtime_core::io_conformance!(N1);

#[test]
fn http_requests_over_one_connection() {
    runtime_core::testing::io_cases::check::<N1, _, _>("http_requests_over_one_connection", || {
        runtime_core::testing::http::requests_over_one_connection
    });
}
