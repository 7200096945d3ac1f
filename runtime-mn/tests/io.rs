//! Sockets, files and HTTP on this scheduler.

use std::future::Future;
use std::io;

use runtime_core::{Launch, LaunchConfig};
use runtime_mn::{Handle, Mn};

runtime_core::io_conformance!(Mn);

/// With one worker that serves all sockets.
mod without_io_sharing {
    use super::*;

    struct WithoutIoSharing;

    impl Launch for WithoutIoSharing {
        type Runtime = Handle;

        fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
        where
            F: FnOnce(Handle) -> R + Send + 'static,
            R: Future + Send + 'static,
            R::Output: Send + 'static,
        {
            let mut config = config.clone();
            let knob = ("io-sharing".to_owned(), "never".to_owned());
            config.knobs.extend([knob]);
            Mn::run(&config, root)
        }
    }

    runtime_core::io_conformance!(WithoutIoSharing);
}

#[test]
fn http_requests_over_one_connection() {
    runtime_core::testing::io_cases::check::<Mn, _, _>("http_requests_over_one_connection", || {
        runtime_core::testing::http::requests_over_one_connection
    });
}
