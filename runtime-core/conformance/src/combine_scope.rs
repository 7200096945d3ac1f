//! Clause 11: scopes of tasks.

use std::convert::Infallible;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::thread;
use std::time::Duration;

use futures_lite::future::poll_once;

use super::AmbientSubject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::probe::Probe;
use runtime_kernel::{TaskHandle, spawn, yield_now};
use runtime_library::combine::{TaskError, join_all};
use runtime_library::sync::oneshot;
use runtime_library::task_scope::{ScopedHandle, TaskScope, scope};

const MS: Duration = Duration::from_millis(1);

/// Spawns the probe's future into the scope.
fn child(scope: &TaskScope<&'static str>, probe: &Probe) {
    let future = probe.future();
    drop(scope.spawn(async move {
        future.await;
        Ok(())
    }));
}

/// 11: a scope completes when the body and all children have ended and their futures were dropped; children spawn
/// siblings.
pub fn c11_no_child_outlives_its_scope<S: AmbientSubject>() {
    S::start().run(async {
        let done = Count::new();
        let counted = done.clone();
        let sum = scope(|children| async move {
            let handles: Vec<_> = (0..20_usize)
                .map(|number| {
                    let (siblings, done) = (children.clone(), counted.clone());
                    children.spawn(async move {
                        for _ in 0..3 {
                            let done = done.clone();
                            // Only the scope waits for these.
                            drop(siblings.spawn(async move {
                                yield_now().await;
                                done.add();
                                Ok(())
                            }));
                        }
                        Ok::<_, Infallible>(number)
                    })
                })
                .collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.expect("none fails");
            }
            Ok(sum)
        });
        assert_eq!(sum.await.expect("none fails"), 190);
        assert_eq!(done.get(), 60);
        let nothing = scope(|_| async { Ok::<_, Infallible>(1) });
        assert_eq!(nothing.await.expect("no child"), 1);
    });
}

/// 11: the first failure cancels the body and all children; the scope waits until they have ended, and collects all
/// errors.
pub fn c11_the_first_failure_of_a_scope_cancels_the_rest<S: AmbientSubject>() {
    S::start().run(async {
        for panics in [false, true] {
            let probes = [(); 3].map(|()| Probe::new());
            let (body, held) = (Probe::new(), Event::new());
            let all = {
                let (probes, body, held) = (probes.clone(), body.clone(), held.clone());
                scope(|children| async move {
                    probes.iter().for_each(|probe| child(&children, probe));
                    drop(children.spawn::<_, ()>(async move {
                        held.wait().await;
                        if panics {
                            std::panic::resume_unwind(Box::new("as planned"));
                        }
                        Err("failed")
                    }));
                    body.future().await;
                    Ok(())
                })
            };
            let all = spawn(all);
            body.polls().reach(1).await;
            for probe in &probes {
                probe.polls().reach(1).await;
            }
            held.set();
            let Ok(Err(error)) = all.await else {
                panic!("the scope did not fail")
            };
            assert_eq!(error.errors().len(), 1);
            assert_eq!(error.first().is_panic(), panics);
            assert_eq!(error.first().failed().is_some(), !panics);
            for probe in probes.iter().chain([&body]) {
                assert_eq!(probe.futures_dropped().get(), 1, "it was awaited");
            }
        }
    });
}

/// 11: errors that occur while the scope aborts are collected too, including the body's; a cancelled child is not an
/// error.
pub fn c11_a_scope_collects_all_errors<S: AmbientSubject>() {
    S::start().run(async {
        let all = scope(|children| async move {
            let cancelled = children.spawn(pending::<Result<(), _>>());
            cancelled.abort();
            assert_eq!(Outcome::of(cancelled.await), Outcome::Cancelled);
            let probe = Probe::with(super::probe::Destructors::FuturePanics, false);
            child(&children, &probe);
            probe.polls().reach(1).await;
            Err::<(), _>("the body")
        });
        let errors = all.await.expect_err("the body fails").into_errors();
        assert!(
            matches!(
                &errors[..],
                [TaskError::Failed("the body"), TaskError::Ended(error)] if error.is_panic()
            ),
            "{errors:?}"
        );
    });
}

/// 3, 11: the body's panic is propagated when all children have ended.
pub fn c11_a_panic_of_a_scopes_body_waits_for_the_children<S: AmbientSubject>() {
    S::start().run(async {
        let probe = Probe::new();
        let inner = probe.clone();
        let all = spawn(scope(|children| async move {
            child(&children, &inner);
            inner.polls().reach(1).await;
            std::panic::resume_unwind(Box::new("as planned"));
            #[allow(unreachable_code)]
            Ok(())
        }));
        assert_eq!(
            Outcome::of(all.await),
            Outcome::Panicked("as planned".to_owned())
        );
        assert_eq!(probe.futures_dropped().get(), 1);
    });
}

/// 11: a dropped scope cancels its children, and none is detached.
pub fn c11_a_dropped_scope_cancels_its_children<S: AmbientSubject>() {
    S::start().run(async {
        let probes = [(); 3].map(|()| Probe::new());
        let inner = probes.clone();
        let mut kept = None;
        {
            let mut all = pin!(scope(|children| {
                kept = Some(children.clone());
                async move {
                    inner.iter().for_each(|probe| child(&children, probe));
                    Ok(())
                }
            }));
            assert!(runtime_kernel::timeout(5 * MS, all.as_mut()).await.is_err());
        }
        for probe in &probes {
            probe.futures_dropped().reach(1).await;
        }
        // A clone of the scope that outlives it starts nothing.
        let kept = kept.expect("the body was called");
        let late = Probe::new();
        let future = late.future();
        let handle = kept.spawn(async move {
            drop(future.await);
            Ok(())
        });
        late.assert_nothing_left(&"a late child");
        assert!(handle.is_finished() && kept.is_aborting());
        assert_eq!(Outcome::of(handle.await), Outcome::Cancelled);
    });
}

/// 11: spawning into a scope while it aborts, from children and from other threads, leaves no task behind.
pub fn c11_spawning_into_a_scope_that_aborts_is_safe<S: AmbientSubject>() {
    S::start().run(async {
        for round in 0..20 {
            let (begun, ended) = (Count::new(), Count::new());
            let all = {
                let (begun, ended) = (begun.clone(), ended.clone());
                scope(|children| async move {
                    let from_a_thread = children.clone();
                    let outside = thread::spawn({
                        let (begun, ended) = (begun.clone(), ended.clone());
                        move || spawn_some(&from_a_thread, 10, &begun, &ended)
                    });
                    let inside = children.clone();
                    drop(children.spawn(async move {
                        for _ in 0..4 {
                            spawn_some(&inside, 3, &begun, &ended);
                            yield_now().await;
                        }
                        Ok(())
                    }));
                    for _ in 0..round {
                        yield_now().await;
                    }
                    drop(children.spawn::<_, ()>(async { Err("no more") }));
                    pending::<()>().await;
                    Ok(outside)
                })
            };
            assert_eq!(
                all.await.expect_err("it fails").first().failed(),
                Some(&"no more")
            );
            assert_eq!(begun.get(), ended.get(), "a child outlived its scope");
        }
    });
}

/// 11: a child that awaits itself panics, and the message names the fix, instead of blocking the scope for ever.
pub fn c11_a_child_that_awaits_itself_panics<S: AmbientSubject>() {
    S::start().run(async {
        let ended = scope(|children| async move {
            let (give, take) = oneshot::channel::<ScopedHandle<()>>();
            let child = children.spawn(async move {
                let own = take.await.expect("the handle");
                own.await.expect("it panics before");
                Ok::<_, Infallible>(())
            });
            assert!(give.send(child).is_ok());
            Ok(())
        });
        let error = ended.await.expect_err("a child panicked");
        match error.first() {
            TaskError::Ended(error) => {
                let text = error.panic_message().unwrap_or_default();
                assert!(text.contains("its own ScopedHandle"), "{text}");
            }
            TaskError::Failed(never) => match *never {},
        }
    });
}

/// Spawns children that wait for ever and count their start and their end.
fn spawn_some(scope: &TaskScope<&'static str>, children: usize, begun: &Count, ended: &Count) {
    struct Ends(Count);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.add();
        }
    }
    for _ in 0..children {
        let (begun, ended) = (begun.clone(), ended.clone());
        drop(scope.spawn::<_, ()>(async move {
            begun.add();
            let _ends = Ends(ended);
            pending().await
        }));
    }
}

/// 13: a panic in the middle of a spawn, here of the conversion of a name, leaves no child that the scope waits for.
pub fn c13_a_name_that_panics_is_no_child<S: AmbientSubject>() {
    struct Name;
    impl From<Name> for Box<str> {
        fn from(_: Name) -> Self {
            std::panic::resume_unwind(Box::new("a conversion's panic, as planned"))
        }
    }
    S::start().run(async {
        let ended = scope(|children| async move {
            drop(children.spawn(async { Ok::<_, Infallible>(()) }));
            for _ in 0..3 {
                let spawns = || drop(children.spawn_named(Name, async { Ok(()) }));
                assert!(catch_unwind(AssertUnwindSafe(spawns)).is_err());
            }
            Ok(())
        });
        assert!(ended.await.is_ok());
    });
}

/// 13: an unwanted value whose destructor panics does not affect its scope; and a future whose destructor panics does
/// not keep others from being dropped.
pub fn c13_destructors_that_panic_hold_nothing_up<S: AmbientSubject>() {
    struct Bomb(Count);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.add();
            std::panic::resume_unwind(Box::new("a destructor's panic, as planned"));
        }
    }
    S::start().run(async {
        let dropped = Count::new();
        let counted = dropped.clone();
        let ended = scope(|children| async move {
            for _ in 0..3 {
                let bomb = counted.clone();
                drop(children.spawn(async move {
                    yield_now().await;
                    Ok::<_, Infallible>(Bomb(bomb))
                }));
            }
            Ok(())
        });
        assert!(ended.await.is_ok());
        assert_eq!(dropped.get(), 3);

        let waits = |bomb: Bomb| async move {
            let _bomb = bomb;
            pending::<()>().await;
        };
        let mut joined = Box::pin(join_all((0..3).map(|_| waits(Bomb(dropped.clone())))));
        assert!(poll_once(&mut joined).await.is_none());
        let gone = catch_unwind(AssertUnwindSafe(|| drop(joined)));
        assert!(gone.is_err(), "the first panic is the task's");
        assert_eq!(dropped.get(), 6);
    });
}
