//! Accepting when descriptors are exhausted. It is the only test of its process, because it lowers the process's
//! limit.

#[test]
fn accept_when_descriptors_are_exhausted() {
    runtime_core::testing::io_cases::check::<runtime_mn::Mn, _, _>(
        "accept_when_descriptors_are_exhausted",
        || |_| runtime_core::testing::alone::accept_when_descriptors_are_exhausted(),
    );
}
