//! Futures that take from one socket in turn: which future an event wakes, and which one is woken when that one is
//! done.

use std::pin::Pin;

use super::*;

type Taking<'a> = Pin<Box<dyn Future<Output = io::Result<u8>> + 'a>>;

/// A future that takes a byte, polled with its own waker.
struct Taker<'a> {
    future: Taking<'a>,
    woken: Arc<Count>,
}

impl<'a> Taker<'a> {
    fn new(registration: &'a Registration) -> Self {
        Self {
            future: Box::pin(registration.io(Direction::Read, read_one)),
            woken: Arc::default(),
        }
    }

    /// A future that waits.
    fn waiting(registration: &'a Registration) -> Self {
        let mut taker = Self::new(registration);
        assert!(taker.poll().is_pending());
        taker
    }

    fn poll(&mut self) -> Poll<u8> {
        let waker: Waker = self.woken.clone().into();
        let mut cx = Context::from_waker(&waker);
        let polled = self.future.as_mut().poll(&mut cx);
        polled.map(|byte| byte.expect("a byte"))
    }
}

/// The takers that were woken since the last call.
fn woken(takers: &[Taker<'_>]) -> Vec<usize> {
    let is_woken = |taker: &Taker<'_>| taker.woken.0.swap(0, Ordering::SeqCst) > 0;
    let indices = takers.iter().enumerate();
    let woken = indices.filter(|(_, taker)| is_woken(taker));
    woken.map(|(index, _)| index).collect()
}

fn is_any_woken(takers: &[Taker<'_>]) -> bool {
    takers.iter().any(|taker| taker.woken.get() > 0)
}

impl Executor {
    /// Waits for sockets until `condition` holds.
    fn wait_until(&self, condition: impl Fn() -> bool) {
        const SHORT: Duration = Duration::from_millis(5);
        while !condition() {
            match &self.waits {
                Waits::Reactor(reactor) => {
                    reactor.poll(Some(SHORT)).unwrap();
                }
                Waits::Own(parker, _) => parker.park(Some(Instant::now() + SHORT)),
                Waits::Foreign(_) => std::thread::sleep(Duration::from_micros(100)),
            }
        }
    }

    /// Waits for sockets once more, to check that nobody is woken.
    fn look_again(&self) {
        match &self.waits {
            Waits::Reactor(reactor) => {
                reactor.poll(Some(Duration::ZERO)).unwrap();
            }
            Waits::Own(parker, _) => parker.park(Some(Instant::now())),
            Waits::Foreign(_) => {}
        }
    }
}

#[test]
fn an_event_wakes_one_of_a_thousand_and_that_one_wakes_the_next() {
    on_each_reactor(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let mut takers: Vec<_> = (0..1000).map(|_| Taker::waiting(&registration)).collect();
        for byte in 0..10 {
            ours.write_all(&[byte]).unwrap();
            executor.wait_until(|| is_any_woken(&takers));
            executor.look_again();
            assert_eq!(woken(&takers), [0]);
            // The first one gets it, and the next finds nothing: it keeps its place.
            assert_eq!(takers.remove(0).poll(), Poll::Ready(byte));
            assert_eq!(woken(&takers), [0]);
            assert!(takers[0].poll().is_pending());
            executor.look_again();
            takers.push(Taker::waiting(&registration));
            assert_eq!(woken(&takers), []);
        }
    });
}

#[test]
fn connections_that_arrived_together_are_taken_in_turn() {
    on_each_reactor(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let mut takers: Vec<_> = (0..5).map(|_| Taker::waiting(&registration)).collect();
        ours.write_all(&[0, 1, 2]).unwrap();
        for byte in 0..3 {
            executor.wait_until(|| is_any_woken(&takers));
            assert_eq!(woken(&takers), [0]);
            assert_eq!(takers.remove(0).poll(), Poll::Ready(byte));
        }
        assert!(takers[0].poll().is_pending());
        assert!(takers[1].poll().is_pending());
    });
}

#[test]
fn a_waiter_that_is_dropped_after_it_was_woken_wakes_the_next() {
    on_each_reactor(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let mut takers: Vec<_> = (0..5).map(|_| Taker::waiting(&registration)).collect();
        // A future that is dropped before the event is not woken by it.
        takers.remove(0);
        let _ = woken(&takers);
        assert!(takers[0].poll().is_pending());
        ours.write_all(&[7]).unwrap();
        for _ in 0..3 {
            executor.wait_until(|| is_any_woken(&takers));
            assert_eq!(woken(&takers), [0]);
            takers.remove(0);
        }
        assert_eq!(woken(&takers), [0], "at once");
        assert_eq!(takers[0].poll(), Poll::Ready(7));
    });
}

#[test]
fn a_readiness_waiter_is_woken_beside_the_waiter_whose_turn_it_is() {
    on_each_reactor(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let mut takers: Vec<_> = (0..3).map(|_| Taker::waiting(&registration)).collect();
        let others: Vec<_> = (0..3).map(|_| Arc::new(Count::default())).collect();
        let mut ready: Vec<_> = others
            .iter()
            .map(|count| {
                (
                    registration.ready(Direction::Read),
                    Waker::from(count.clone()),
                )
            })
            .collect();
        for (ready, waker) in &mut ready {
            let polled = Pin::new(ready).poll(&mut Context::from_waker(waker));
            assert!(polled.is_pending());
        }
        ours.write_all(&[1]).unwrap();
        executor.wait_until(|| is_any_woken(&takers) && others.iter().all(|count| count.get() > 0));
        assert_eq!(woken(&takers), [0]);
        for (ready, waker) in &mut ready {
            let polled = Pin::new(ready).poll(&mut Context::from_waker(waker));
            assert!(polled.is_ready());
        }
        assert_eq!(takers[0].poll(), Poll::Ready(1));
    });
}

#[test]
fn the_end_of_the_stream_reaches_all() {
    on_each(|executor| {
        let (ours, registration) = registered_pair(&executor.driver());
        let mut takers: Vec<_> = (0..10).map(|_| Taker::waiting(&registration)).collect();
        drop(ours);
        while !takers.is_empty() {
            executor.wait_until(|| is_any_woken(&takers));
            let mut index = 0;
            let woken = woken(&takers);
            takers.retain_mut(|taker| {
                index += 1;
                // A read at the end leaves the byte as it is.
                !woken.contains(&(index - 1)) || taker.poll() != Poll::Ready(0)
            });
        }
    });
}

#[test]
fn a_new_waiter_lets_a_woken_one_go_first() {
    on_each_reactor(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let mut takers = vec![Taker::waiting(&registration)];
        ours.write_all(&[1]).unwrap();
        executor.wait_until(|| is_any_woken(&takers));
        takers.push(Taker::new(&registration));
        assert!(takers[1].poll().is_pending());
        assert_eq!(woken(&takers), [0, 1], "it asks to be polled again");
        assert_eq!(takers[0].poll(), Poll::Ready(1));
        assert!(takers[1].poll().is_pending());
        takers.remove(0);
        ours.write_all(&[2]).unwrap();
        executor.wait_until(|| is_any_woken(&takers));
        assert_eq!(takers[0].poll(), Poll::Ready(2));
    });
}

#[test]
fn a_waiter_that_is_kept_unpolled_withholds_no_connection_from_its_own_task() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let byte = executor.run(async {
            let mut kept = pin!(registration.io(Direction::Read, read_one));
            assert!(future::poll_once(kept.as_mut()).await.is_none());
            ours.write_all(&[3]).unwrap();
            // Wakes the task on behalf of the other one.
            registration.ready(Direction::Read).await.unwrap();
            registration.io(Direction::Read, read_one).await.unwrap()
        });
        assert_eq!(byte, 3);
    });
}

#[test]
fn a_waiter_that_is_kept_unpolled_only_delays_the_others() {
    on_each(|executor| {
        let (mut ours, registration) = registered_pair(&executor.driver());
        let mut takers: Vec<_> = (0..5).map(|_| Taker::waiting(&registration)).collect();
        for byte in 0..3 {
            ours.write_all(&[byte]).unwrap();
            // The first two, or all, are woken but not polled.
            executor.wait_until(|| takers[2].woken.get() > 0);
            assert_eq!(takers.remove(2).poll(), Poll::Ready(byte));
            let _ = woken(&takers);
            takers.push(Taker::new(&registration));
            for taker in &mut takers[2..] {
                // A newcomer may let others go first once.
                while taker.poll().is_pending() && taker.woken.0.swap(0, Ordering::SeqCst) > 0 {}
            }
        }
    });
}
