//! 1:1, as a harness starts it.

use std::io;

use runtime_core::{Launch, LaunchConfig};
use runtime_threads::Threads;

#[test]
fn unsupported_knobs_and_policies_are_refused_by_name() {
    let mut with_knob = LaunchConfig::default();
    with_knob
        .knobs
        .insert("steal".to_owned(), "half".to_owned());
    let mut with_policy = LaunchConfig::default();
    with_policy.policy = Some("go-like".to_owned());
    for (config, name) in [
        (with_knob, "knob `steal`"),
        (with_policy, "policy `go-like`"),
    ] {
        let refused = Threads::run(&config, |_| async {}).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains(name), "{refused}");
    }
    let ran = Threads::run(&LaunchConfig::default(), |_| async { 7 });
    assert_eq!(ran.unwrap(), 7);
}
