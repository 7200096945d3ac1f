//! `Runtime::tasks` under each scheduler: what live tasks wait for, which task holds what, and which tasks wait for
//! each other.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use runtime_core::sync::{Barrier, Mutex, Queue, Semaphore};
use runtime_core::task::TaskId;
use runtime_core::task_list::{Awaited, TaskList, TaskState, watch};
use runtime_core::trace::Primitive;
use runtime_core::{Launch, LaunchConfig, Runtime, TaskHandle as _, TcpListener as _};
use runtime_mn::Mn;
use runtime_n1::N1;
use runtime_threads::Threads;

const FOREVER: Duration = Duration::from_secs(3600);
/// Far more than any test here takes.
const LOOKS: u32 = 20_000;

/// Reads the list until `found` returns something.
async fn look_until<R: Runtime, T>(rt: &R, mut found: impl FnMut(&TaskList) -> Option<T>) -> T {
    for _ in 0..LOOKS {
        let list = rt.tasks().expect("these schedulers list their tasks");
        if let Some(found) = found(&list) {
            return found;
        }
        rt.sleep(Duration::from_millis(1)).await;
    }
    panic!("not seen in any look: {:?}", rt.tasks());
}

fn run<L, F>(program: impl FnOnce(L::Runtime) -> F + Send + 'static)
where
    L: Launch,
    F: Future<Output = ()> + Send + 'static,
{
    let _watch = watch();
    let mut config = LaunchConfig::default();
    config.workers = 2;
    L::run(&config, program).unwrap();
}

/// Locks `one`, waits until both tasks hold their first lock, and locks `other`.
async fn lock_both(one: Arc<Mutex<()>>, other: Arc<Mutex<()>>, both: Arc<Barrier>) {
    let _one = one.lock().await;
    both.wait().await.unwrap();
    let _other = other.lock().await;
}

async fn crossed_locks<R: Runtime>(rt: R) {
    let [one, other] = [(), ()].map(|()| Arc::new(Mutex::new(())));
    let both = Arc::new(Barrier::new(2));
    let first = rt.spawn(lock_both(one.clone(), other.clone(), both.clone()));
    let second = rt.spawn(lock_both(other.clone(), one.clone(), both));
    let (circle, list) = look_until(&rt, |list| {
        let circles = list.deadlocks();
        assert!(circles.len() <= 1, "{circles:?}");
        Some((circles.into_iter().next()?, list.clone()))
    })
    .await;
    assert_eq!(circle.len(), 2);
    for id in circle {
        let task = list.get(id).unwrap();
        assert!(task.name.contains("lock_both"), "{}", task.name);
        let site = task.spawned_at.expect("spawned under the watch");
        assert!(site.file().ends_with("task_list.rs"), "{site}");
        assert!(task.parent.is_some());
        assert_eq!(task.state, TaskState::Waiting);
        let [wait] = task.waits.as_slice() else {
            panic!("{:?}", task.waits)
        };
        let Awaited::Lock(Primitive::Mutex, address) = wait.what else {
            panic!("{wait:?}")
        };
        let holders: Vec<TaskId> = list.holders(address).map(|it| it.id).collect();
        assert!(holders.len() == 1 && holders[0] != id, "{holders:?}");
        assert_eq!(task.holds.len(), 1);
    }
    first.abort();
    let _ = first.await;
    second.await.unwrap();
    let list = rt.tasks().unwrap();
    assert!(list.deadlocks().is_empty());
    assert!(list.tasks.iter().all(|task| task.holds.is_empty()));
}

#[test]
fn tasks_that_wait_for_each_other_are_found() {
    run::<N1, _>(crossed_locks);
    run::<Mn, _>(crossed_locks);
    run::<Threads, _>(crossed_locks);
}

/// One task holds the lock and awaits the other task, which wants the lock.
async fn lock_and_join<R: Runtime>(rt: R) {
    let lock = Arc::new(Mutex::new(()));
    let wanted = lock.clone();
    let spawner = rt.clone();
    let outer = rt.spawn(async move {
        let _guard = lock.lock().await;
        let inner = spawner.spawn(async move {
            let _guard = wanted.lock().await;
        });
        let _ = inner.await;
    });
    let circle = look_until(&rt, |list| list.deadlocks().into_iter().next()).await;
    assert_eq!(circle.len(), 2);
    outer.abort();
    let _ = outer.await;
}

#[test]
fn a_join_is_part_of_a_circle() {
    run::<N1, _>(lock_and_join);
    run::<Mn, _>(lock_and_join);
    run::<Threads, _>(lock_and_join);
}

/// Like `lock_both`, but one of the two gives up after a time limit.
async fn with_time_limit<R: Runtime>(rt: R) {
    let [one, other] = [(), ()].map(|()| Arc::new(Mutex::new(())));
    let both = Arc::new(Barrier::new(2));
    let first = rt.spawn(lock_both(one.clone(), other.clone(), both.clone()));
    let limited = rt.clone();
    let second = rt.spawn(async move {
        let _other = other.lock().await;
        both.wait().await.unwrap();
        let _ = limited.timeout(FOREVER, one.lock()).await.map(drop);
    });
    let both_wait = |list: &TaskList| {
        let locks = |kind: &Awaited| matches!(kind, Awaited::Lock(Primitive::Mutex, _));
        let waits = |task: &&_| {
            let task: &runtime_core::task_list::LiveTask = task;
            task.waits.iter().any(|wait| locks(&wait.what))
        };
        (list.tasks.iter().filter(waits).count() == 2).then(|| list.deadlocks())
    };
    let circles = look_until(&rt, both_wait).await;
    assert!(circles.is_empty(), "{circles:?}");
    second.abort();
    first.await.unwrap();
}

#[test]
fn a_wait_with_a_time_limit_is_not_a_deadlock() {
    run::<N1, _>(with_time_limit);
    run::<Mn, _>(with_time_limit);
    run::<Threads, _>(with_time_limit);
}

async fn all_kinds<R: Runtime>(rt: R) {
    let listener = rt.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
    let listener = listener.unwrap();
    let (semaphore, queue) = (Arc::new(Semaphore::new(0)), Arc::new(Queue::<u8>::new(1)));
    let sleeper = rt.spawn(rt.sleep(FOREVER));
    let handles = [
        rt.spawn(async move { drop(listener.accept().await) }),
        rt.spawn(async move {
            let _ = semaphore.acquire().await.map(drop);
        }),
        rt.spawn(async move {
            let _ = queue.get().await;
        }),
    ];
    let joiner = rt.spawn(async move {
        let _ = sleeper.await;
    });
    let wanted = |what: &Awaited| match what {
        Awaited::Timer => Some("timer"),
        Awaited::Socket(_) => Some("socket"),
        Awaited::Lock(Primitive::Semaphore, _) => Some("semaphore"),
        Awaited::Lock(Primitive::Queue, _) => Some("queue"),
        Awaited::Task(_) => Some("task"),
        Awaited::Lock(..) => None,
    };
    look_until(&rt, |list| {
        let waiting = list
            .tasks
            .iter()
            .filter(|it| it.state == TaskState::Waiting);
        let waits = waits_of(waiting);
        let kinds: std::collections::BTreeSet<_> = waits.iter().filter_map(wanted).collect();
        assert!(list.is_watched && list.deadlocks().is_empty());
        (kinds.len() == 5).then_some(())
    })
    .await;
    handles.iter().for_each(|handle| handle.abort());
    joiner.abort();
}

fn waits_of<'a>(
    tasks: impl Iterator<Item = &'a runtime_core::task_list::LiveTask>,
) -> Vec<Awaited> {
    tasks.flat_map(|it| &it.waits).map(|it| it.what).collect()
}

#[test]
fn the_object_that_a_task_waits_for_is_named() {
    run::<N1, _>(all_kinds);
    run::<Mn, _>(all_kinds);
    run::<Threads, _>(all_kinds);
}
