//! The runtime's own bounded channel: order, bounds, closing, and clause 7 for the waiters at both ends.

use std::sync::{Arc, Mutex, PoisonError};

use futures_lite::future::poll_once;

use super::Subject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::probe::Probe;
use super::probe::Then;
use runtime_kernel::TaskHandle;
use runtime_library::{ChannelReceiver, ChannelSender, Runtime};

/// Another task receives what one task sends, in the same order, whatever the capacity.
pub fn c08_channel_keeps_the_order<S: Subject>() {
    const ITEMS: usize = 2_000;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for capacity in [1, 2, 7, 64] {
            let (sender, mut receiver) = rt.channel::<usize>(capacity);
            let sending = rt.spawn(async move {
                for item in 0..ITEMS {
                    sender.send(item).await.expect("the receiver lives");
                }
            });
            for item in 0..ITEMS {
                assert_eq!(receiver.recv().await, Some(item), "capacity {capacity}");
            }
            assert_eq!(receiver.recv().await, None, "every sender is gone");
            sending.await.expect("the sender");
        }
    });
}

/// Several senders: nothing is lost or duplicated, and each sender's items stay in order.
pub fn c08_channel_merges_many_senders<S: Subject>() {
    const SENDERS: usize = 8;
    const ITEMS: usize = 300;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let (sender, mut receiver) = rt.channel::<(usize, usize)>(3);
        for own in 0..SENDERS {
            let sender = sender.clone();
            drop(rt.spawn(async move {
                for item in 0..ITEMS {
                    sender.send((own, item)).await.expect("the receiver lives");
                }
            }));
        }
        drop(sender);
        let mut next = [0; SENDERS];
        while let Some((from, item)) = receiver.recv().await {
            assert_eq!(item, next[from], "in the order of sender {from}");
            next[from] += 1;
        }
        assert_eq!(next, [ITEMS; SENDERS]);
    });
}

/// A full channel makes its senders wait, and holds no more than its capacity.
pub fn c08_channel_is_bounded<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for capacity in [1, 3, 10] {
            let (sender, mut receiver) = rt.channel::<usize>(capacity);
            for item in 0..capacity {
                let sent = poll_once(sender.send(item)).await;
                assert_eq!(sent, Some(Ok(())), "there is room for {capacity}");
            }
            let mut waits = Box::pin(sender.send(capacity));
            assert!(
                poll_once(&mut waits).await.is_none(),
                "more than {capacity} fit"
            );
            assert_eq!(receiver.recv().await, Some(0));
            assert_eq!(waits.await, Ok(()), "room again");
            for item in 1..=capacity {
                assert_eq!(receiver.recv().await, Some(item));
            }
        }
    });
}

/// An item, or the drop of the last sender, wakes a waiting receiver; what was sent before is received first.
pub fn c08_channel_ends_with_its_senders<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let (sender, mut receiver) = rt.channel::<u8>(4);
        let waits = Event::new();
        let notify = waits.clone();
        let receiving = rt.spawn(async move {
            let mut received = Vec::new();
            {
                let mut first = Box::pin(receiver.recv());
                assert!(poll_once(&mut first).await.is_none());
                notify.set();
                received.extend(first.await);
            }
            while let Some(item) = receiver.recv().await {
                received.push(item);
            }
            assert_eq!(receiver.recv().await, None, "it stays at its end");
            received
        });
        waits.wait().await;
        let other = sender.clone();
        sender.send(1).await.expect("the receiver lives");
        drop(sender);
        other.send(2).await.expect("the receiver lives");
        other.send(3).await.expect("the receiver lives");
        drop(other);
        assert_eq!(receiving.await.expect("the receiver"), [1, 2, 3]);
    });
}

/// Without a receiver, `send` returns the value, even to tasks that already wait for room.
pub fn c08_channel_gives_values_back<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let (sender, receiver) = rt.channel::<String>(1);
        sender.send("in".to_owned()).await.expect("room");
        let waits = Event::new();
        let (notify, own) = (waits.clone(), sender.clone());
        let waiting = rt.spawn(async move {
            let mut send = Box::pin(own.send("waits".to_owned()));
            assert!(poll_once(&mut send).await.is_none());
            notify.set();
            send.await
        });
        waits.wait().await;
        drop(receiver);
        assert_eq!(waiting.await.expect("the sender"), Err("waits".to_owned()));
        assert_eq!(sender.send("late".to_owned()).await, Err("late".to_owned()));
    });
}

/// 7: a `recv` that was polled and dropped takes no item with it.
pub fn c07_a_dropped_recv_loses_no_item<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let (sender, mut receiver) = rt.channel::<usize>(2);
        for item in 0..200 {
            let mut waits = Box::pin(receiver.recv());
            assert!(poll_once(&mut waits).await.is_none());
            // The item arrives while a receiver waits for it, and that `recv` is then dropped.
            sender.send(item).await.expect("the receiver lives");
            if item % 2 == 0 {
                // It may take the item now; if it does not, it has no claim to it.
                if let Some(received) = poll_once(&mut waits).await {
                    assert_eq!(received, Some(item));
                    continue;
                }
            }
            drop(waits);
            assert_eq!(receiver.recv().await, Some(item));
        }
    });
}

/// 7: a `send` that was polled and dropped passes the room that it got on to the next sender.
pub fn c07_a_dropped_send_passes_its_room_on<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for _ in 0..200 {
            let (sender, mut receiver) = rt.channel::<u8>(1);
            sender.send(0).await.expect("room");
            let mut first = Box::pin(sender.send(1));
            assert!(poll_once(&mut first).await.is_none());
            let (second_sender, waits) = (sender.clone(), Event::new());
            let notify = waits.clone();
            let second = rt.spawn(async move {
                let mut send = Box::pin(second_sender.send(2));
                let early = poll_once(&mut send).await;
                assert!(early.is_none());
                notify.set();
                send.await
            });
            waits.wait().await;
            assert_eq!(receiver.recv().await, Some(0));
            drop(first);
            // The first sender left either its item or its place, never a gap.
            let next = receiver.recv().await;
            if next == Some(1) {
                assert_eq!(receiver.recv().await, Some(2));
            } else {
                assert_eq!(next, Some(2));
            }
            assert_eq!(second.await.expect("the second sender"), Ok(()));
        }
    });
}

/// 7: a receiver that is aborted or times out loses no item.
pub fn c07_an_aborted_receiver_loses_no_item<S: Subject>() {
    const ITEMS: usize = 500;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let (sender, receiver) = rt.channel::<usize>(4);
        let received: Arc<Mutex<Vec<usize>>> = Arc::default();
        let sending = rt.spawn(async move {
            for item in 0..ITEMS {
                sender.send(item).await.expect("the receiver lives");
            }
        });
        // One short-lived task after the other gets the receiver.
        let place = Arc::new(Mutex::new(Some(receiver)));
        loop {
            let (own, list, started) = (Arc::clone(&place), Arc::clone(&received), Event::new());
            let notify = started.clone();
            let task = rt.spawn(async move {
                let mut guard = Borrowed::take(&own);
                notify.set();
                while let Some(item) = guard.receiver().recv().await {
                    list.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(item);
                }
            });
            started.wait().await;
            task.abort();
            match Outcome::of(task.await) {
                Outcome::Returned => break,
                outcome => assert_eq!(outcome, Outcome::Cancelled),
            }
        }
        sending.await.expect("the sender");
        let received =
            std::mem::take(&mut *received.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(received, (0..ITEMS).collect::<Vec<_>>());
    });
}

/// A receiver that returns to its place when the task that has it ends.
struct Borrowed<R> {
    place: Arc<Mutex<Option<R>>>,
    receiver: Option<R>,
}

impl<R> Borrowed<R> {
    fn take(place: &Arc<Mutex<Option<R>>>) -> Self {
        let receiver = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        Self {
            place: Arc::clone(place),
            receiver,
        }
    }

    fn receiver(&mut self) -> &mut R {
        self.receiver
            .as_mut()
            .expect("the task before has given it back")
    }
}

impl<R> Drop for Borrowed<R> {
    fn drop(&mut self) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = self.receiver.take();
    }
}

/// The items in a channel are dropped with it, once.
pub fn c01_channels_drop_what_is_in_them<S: Subject>() {
    struct Item(Count);
    impl Drop for Item {
        fn drop(&mut self) {
            self.0.add();
        }
    }
    let subject = S::start();
    let rt = subject.handle();
    let dropped = Count::new();
    let item = dropped.clone();
    subject.run(async move {
        let (sender, receiver) = rt.channel::<Item>(5);
        for _ in 0..5 {
            assert!(sender.send(Item(item.clone())).await.is_ok());
        }
        drop(receiver);
        drop(sender);
    });
    drop(subject);
    assert_eq!(dropped.get(), 5);
}

/// 4: if a shutdown drops the task at one end of a channel, the channel ends for the other side.
pub fn c04_channels_survive_their_runtime<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    let (sender, mut receiver) = rt.channel::<u8>(1);
    let probe = Probe::new();
    let inside = probe.future();
    drop(rt.spawn(async move {
        let sender = sender;
        assert!(sender.send(1).await.is_ok());
        drop(inside.await);
    }));
    let parked = probe.clone();
    subject.run(async move { parked.polls().reach(1).await });
    drop(subject);
    let rest =
        futures_lite::future::block_on(async { [receiver.recv().await, receiver.recv().await] });
    assert_eq!(rest, [Some(1), None]);
    probe.tell(Then::Wait);
    probe.assert_nothing_left(&"the sending task");
}
