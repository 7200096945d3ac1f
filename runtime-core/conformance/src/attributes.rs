//! A task with attributes behaves like any other task, whatever the runtime does with them.

use super::Subject;
use runtime_kernel::{Attributes, JoinError, TaskHandle};
use runtime_library::Runtime;

/// It returns, panics, is aborted and is detached like a task without attributes, whatever its tag is.
pub fn c01_a_task_with_attributes_lives_like_any_other<S: Subject>() {
    let subject = S::start();
    let runtime = subject.handle();
    subject.run(async move {
        for tag in [0, 1, 7, 8, 1_000_000, u32::MAX] {
            let attributes = Attributes::tagged(tag);
            let own = runtime.clone();
            let parent = runtime.spawn_with(attributes, async move {
                let child = own.spawn_with(attributes, async move { tag });
                own.yield_now().await;
                child.await.expect("it returns")
            });
            assert_eq!(parent.await.expect("it returns"), tag);
            let panics = runtime.spawn_with(attributes, async { panic!("part of the test") });
            let outcome: Result<(), _> = panics.await;
            assert!(outcome.expect_err("it panics").is_panic());
            let waits = runtime.spawn_with(attributes, std::future::pending::<()>());
            runtime.yield_now().await;
            waits.abort();
            assert!(matches!(waits.await, Err(JoinError::Cancelled)));
        }
        let tags = (0..100).map(|tag| {
            (
                tag,
                runtime.spawn_with(Attributes::tagged(tag), async move { tag }),
            )
        });
        for (tag, task) in tags.collect::<Vec<_>>() {
            assert_eq!(task.await.expect("it returns"), tag);
        }
    });
}
