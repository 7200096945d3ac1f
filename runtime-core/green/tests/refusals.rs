//! A system that refuses requests: no light guards, a sandbox that forbids them, no memory.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)]

use std::hint::black_box;
use std::io;

use runtime_core::green::{self, Guards, wait};
use runtime_core::{JoinError, JoinHandle};

/// Recursion without an end.
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(true) {
        overflow(depth + 1) + black_box(frame)[7]
    } else {
        depth
    }
}

fn on_a_loop<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let event_loop = runtime_n1::Loop::new().unwrap();
    event_loop.block_on(async move {
        let task = green::Builder::new().stack_bytes(512 * 1024).spawn(body);
        task.await.unwrap()
    })
}

/// Starts tasks whose stacks were never used before, and all of them overflow.
fn overflows_are_caught(bytes: usize, guards: Guards) {
    on_a_loop(move || {
        let tasks: Vec<JoinHandle<u64>> = (0..20)
            .map(|_| {
                green::Builder::new()
                    .stack_bytes(bytes)
                    .spawn(|| overflow(0))
            })
            .collect();
        for task in tasks {
            assert!(matches!(wait(task), Err(JoinError::StackOverflow(_))));
        }
    });
    assert_eq!(green::stack_stats().guards, guards);
}

const MADV_GUARD_INSTALL: u32 = 102;

/// From now on the calling thread's `madvise` fails: with this advice, or with any.
fn forbid_madvise(advice: Option<u32>) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let jump = |k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let answer = libc::BPF_RET | libc::BPF_K;
    let refuse = statement(answer, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let allow = statement(answer, libc::SECCOMP_RET_ALLOW);
    // The call's number, and then the lower half of its third argument.
    let number = statement(load, 0);
    let argument = statement(load, 16 + 2 * 8);
    let madvise = libc::SYS_madvise as u32;
    let mut filter = match advice {
        None => vec![number, jump(madvise, 0, 1), refuse, allow],
        Some(advice) => {
            vec![
                number,
                jump(madvise, 0, 3),
                argument,
                jump(advice, 0, 1),
                refuse,
                allow,
            ]
        }
    };
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is only read during the call.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

fn spawn_yielding(n: usize) -> JoinHandle<usize> {
    green::Builder::new().stack_bytes(96 * 1024).spawn(move || {
        green::yield_now();
        n
    })
}

fn limit_addresses(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the pointer is to our own struct.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
    assert_eq!(set, 0);
}

/// One test, because each of these settings belongs to the process.
#[test]
fn a_refusal_of_the_system_affects_no_other_task() {
    // Each size is a separate class of stacks, so new stacks are created.
    green::set_guards(Guards::Mappings);
    overflows_are_caught(16 * 1024, Guards::Mappings);
    green::set_guards(Guards::Light);
    // On a kernel that has them.
    on_a_loop(|| wait(async {}));
    let light = green::stack_stats().guards;
    overflows_are_caught(32 * 1024, light);

    forbid_madvise(Some(MADV_GUARD_INSTALL));
    overflows_are_caught(128 * 1024, Guards::Mappings);

    // No advice at all: stacks are guarded and used again, but pages of idle stacks are not given back.
    forbid_madvise(None);
    green::set_guards(Guards::Light);
    overflows_are_caught(256 * 1024, Guards::Mappings);
    for _ in 0..2 {
        let sum = on_a_loop(|| {
            let tasks: Vec<JoinHandle<usize>> = (0..1200).map(spawn_yielding).collect();
            tasks
                .into_iter()
                .map(|task| wait(task).unwrap())
                .sum::<usize>()
        });
        assert_eq!(sum, 1199 * 600);
    }

    let before = green::stack_stats();
    limit_addresses(before.reserved_bytes as u64 + (2 << 30));
    on_a_loop(|| {
        let large = |_| {
            green::Builder::new()
                .stack_bytes(1 << 30)
                .spawn(green::yield_now)
        };
        let tasks: Vec<_> = (0..4).map(large).collect();
        let outcomes: Vec<_> = tasks.into_iter().map(wait).collect();
        let refused = outcomes
            .iter()
            .filter(|it| matches!(it, Err(JoinError::SpawnFailed(_))));
        assert!(refused.count() >= 2, "{outcomes:?}");
        // The others continue.
        assert_eq!(wait(green::spawn(|| 7)).unwrap(), 7);
    });
    limit_addresses(libc::RLIM_INFINITY);
    assert_eq!(green::stack_stats().in_use, before.in_use);
}
