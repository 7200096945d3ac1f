//! A server that runs out of descriptors neither spins nor ends. This is a separate process, because it lowers the
//! process's limit.

#[test]
fn accept_when_descriptors_are_exhausted() {
    let runtime = runtime_threads::Runtime::new().expect("a runtime");
    runtime.block_on(runtime_core::testing::alone::accept_when_descriptors_are_exhausted());
}
