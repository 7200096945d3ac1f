//! Ticks, and what a short transfer uses up.

use std::task::Waker;

use super::*;

const LAST_TICK: u32 = TICK_MASK as u32;

fn poll(source: &Source, direction: Direction) -> Poll<ReadyEvent> {
    let mut cx = Context::from_waker(Waker::noop());
    source.poll_ready(&mut cx, direction, WaitAs::Caller, |_| {})
}

fn source_at(tick: u32) -> Source {
    let source = Source::new();
    source.word.store(word(0, tick, 0), Ordering::Relaxed);
    source
}

#[test]
fn a_short_transfer_uses_up_its_direction_alone() {
    let source = Source::new();
    assert!(
        source
            .set_ready(0, ready::READABLE | ready::WRITABLE)
            .is_some()
    );
    let Poll::Ready(event) = poll(&source, Direction::Read) else {
        panic!("it is readable");
    };
    source.use_up(event);
    assert!(poll(&source, Direction::Read).is_pending());
    assert!(poll(&source, Direction::Write).is_ready());
    assert!(source.set_ready(0, ready::WRITABLE).is_some());
    assert!(
        poll(&source, Direction::Read).is_pending(),
        "an event of the other direction says nothing of this one"
    );
    assert!(source.set_ready(0, ready::READ_CLOSED).is_some());
    assert!(poll(&source, Direction::Read).is_ready());
}

/// Two readers; the one that saw the older event writes its note last. That costs one failed attempt, no more.
#[test]
fn a_late_note_hides_no_event() {
    let source = Source::new();
    let events = [1, 2].map(|_| {
        assert!(source.set_ready(0, ready::READABLE).is_some());
        match poll(&source, Direction::Read) {
            Poll::Ready(event) => event,
            Poll::Pending => panic!("it is readable"),
        }
    });
    let [older, newer] = events;
    source.use_up(newer);
    source.use_up(older);
    assert!(poll(&source, Direction::Read).is_ready());
    assert!(source.set_ready(0, ready::WRITABLE).is_some());
    let Poll::Ready(again) = poll(&source, Direction::Read) else {
        panic!("nobody has cleared it");
    };
    source.clear(again, |_| {});
    assert!(poll(&source, Direction::Read).is_pending());
    assert!(poll(&source, Direction::Write).is_ready());
}

#[test]
fn the_end_of_the_stream_outlives_a_short_transfer() {
    let source = Source::new();
    assert!(
        source
            .set_ready(0, ready::READABLE | ready::READ_CLOSED)
            .is_some()
    );
    let Poll::Ready(event) = poll(&source, Direction::Read) else {
        panic!("it is readable");
    };
    source.use_up(event);
    assert!(poll(&source, Direction::Read).is_ready());
    source.clear(event, |_| {});
    assert!(poll(&source, Direction::Read).is_pending());
}

/// Ticks wrap around, and a note about an old one may still be there.
#[test]
fn an_event_is_never_taken_for_an_old_one_that_was_used_up() {
    for (tick, used_up) in [
        (6, [7, NEVER]),
        (6, [7, 8]),
        (6, [8, 7]),
        (LAST_TICK, [0, 1]),
        (LAST_TICK - 1, [LAST_TICK, 0]),
    ] {
        let source = source_at(tick);
        for (cell, tick) in source.used_up.iter().zip(used_up) {
            cell.store(tick, Ordering::Relaxed);
        }
        assert!(
            source
                .set_ready(0, ready::READABLE | ready::WRITABLE)
                .is_some()
        );
        for direction in [Direction::Read, Direction::Write] {
            assert!(
                poll(&source, direction).is_ready(),
                "at {tick}, {used_up:?}, {direction:?}"
            );
        }
    }
}

#[test]
fn the_next_owner_inherits_no_event() {
    let source = Source::new();
    source.start(0, ready::READABLE);
    let Poll::Ready(event) = poll(&source, Direction::Read) else {
        panic!("it is readable");
    };
    source.use_up(event);
    source.start(1, ready::READABLE);
    assert!(source.set_ready(0, ready::WRITABLE).is_none());
    assert!(poll(&source, Direction::Read).is_ready());
    assert!(poll(&source, Direction::Write).is_pending());
}
