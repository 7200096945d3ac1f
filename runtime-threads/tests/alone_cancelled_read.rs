//! A cancelled read does not keep its thread awake. This is a separate process, because it measures the process's CPU
//! time.

#[test]
fn a_cancelled_read_does_not_spin() {
    let runtime = runtime_threads::Runtime::new().expect("a runtime");
    runtime.block_on(runtime_core::testing::alone::a_cancelled_read_does_not_spin());
}
