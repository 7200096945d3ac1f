//! Signals under a scheduler: each case is a root task for a fresh runtime that enters the ambient context.
//!
//! Handlers belong to the whole process, in which other cases may run: each case has its own signal, and sends none
//! before it listens.

use std::io;

use futures_lite::{StreamExt, future};
use signal_hook::low_level::raise;

use runtime_kernel::{spawn, yield_now};
use runtime_library::signal::{SignalKind, ctrl_c, signal};

/// The signal is handled by this thread before this returns.
fn send(kind: SignalKind) {
    raise(kind.as_raw()).expect("raise");
}

/// Every stream receives a signal, whether it waits at that time or not, and dropping a stream does not affect the
/// others.
pub async fn every_stream_hears_every_signal() {
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(signal(SignalKind::USER1).expect("listen"));
    }
    for _ in 0..20 {
        send(SignalKind::USER1);
        for stream in &mut streams {
            stream.recv().await.expect("it came before this was asked");
        }
    }
    let mut waiting = streams.pop().expect("three");
    let waiting = spawn(async move { waiting.next().await });
    yield_now().await;
    drop(streams);
    send(SignalKind::USER1);
    assert_eq!(waiting.await.expect("a task"), Some(()));
}

/// Signals that arrive while nobody receives coalesce; dropping a `recv` loses none.
pub async fn signals_coalesce_and_none_is_lost() {
    let mut stream = signal(SignalKind::USER2).expect("listen");
    for _ in 0..20 {
        assert!(future::poll_once(stream.recv()).await.is_none());
        for _ in 0..200 {
            send(SignalKind::USER2);
        }
        stream.recv().await.expect("signals came");
    }
    assert!(future::poll_once(stream.recv()).await.is_none());
}

/// `ctrl_c` receives an interrupt, again and again.
pub async fn ctrl_c_hears_interrupts() {
    // Replaces the default action before a signal is sent.
    let early = signal(SignalKind::INTERRUPT).expect("listen");
    for _ in 0..5 {
        let waiting = spawn(ctrl_c());
        while !waiting.is_finished() {
            send(SignalKind::INTERRUPT);
            yield_now().await;
        }
        waiting.await.expect("a task").expect("heard");
    }
    drop(early);
}

/// Signals that can't be received are refused.
pub async fn signals_that_no_program_hears() {
    for number in [9, 11, 1_000_000, -1] {
        let error = signal(SignalKind::from_raw(number)).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{number}");
    }
}
