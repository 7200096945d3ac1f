//! A read that was given up does not keep its thread awake. A process of its own, as it measures the process's CPU
//! time.

#[test]
fn a_cancelled_read_does_not_spin() {
    let runtime = runtime_threads::Runtime::new().expect("a runtime");
    runtime.block_on(runtime_core::testing::alone::a_cancelled_read_does_not_spin());
}
