//! Every interleaving of cancelling, waiting and creating children, in small models.
//!
//! `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`

use loom::thread;

use super::CancellationToken;
use runtime_kernel::park::block_on_current_thread as block_on;

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn a_waiter_is_woken() {
    model(|| {
        let token = CancellationToken::new();
        let child = token.child_token();
        let waiter = thread::spawn(move || block_on(child.cancelled()));
        token.cancel();
        // Deadlocks, which loom reports, if the cancel is lost.
        waiter.join().unwrap();
    });
}

#[test]
fn a_child_created_during_the_cancel_is_cancelled_too() {
    model(|| {
        let token = CancellationToken::new();
        let parent = token.clone();
        let maker = thread::spawn(move || {
            let child = parent.child_token();
            let grandchild = child.child_token();
            drop(child);
            block_on(grandchild.cancelled());
        });
        token.cancel();
        maker.join().unwrap();
    });
}

#[test]
fn two_cancel_and_a_child_is_dropped() {
    model(|| {
        let token = CancellationToken::new();
        let (first, second) = (token.child_token(), token.child_token());
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        let dropper = thread::spawn(move || drop(first));
        token.cancel();
        canceller.join().unwrap();
        dropper.join().unwrap();
        assert!(second.is_cancelled());
    });
}
