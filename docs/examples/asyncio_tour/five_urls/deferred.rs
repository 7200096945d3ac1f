//! A result that does not exist yet, and what to do with it: Twisted's `Deferred`.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The argument and the result of a callback. A value goes to the next callback, an error to the next errback.
pub type Outcome<T> = io::Result<T>;

type Callback<T> = Box<dyn FnOnce(Outcome<T>) + Send>;

// ANCHOR: deferred
/// The side to which callbacks are added. Each addition creates a link of a chain, which has its own outcome.
pub struct Deferred<T>(Arc<Mutex<Meeting<T>>>);

/// The other side, which sets the outcome, once.
pub struct Trigger<T>(Arc<Mutex<Meeting<T>>>);

/// Outcome and callback arrive in either order, and from any thread; whichever is second makes the call.
struct Meeting<T> {
    outcome: Option<Outcome<T>>,
    callback: Option<Callback<T>>,
}

/// Both sides.
pub fn deferred<T>() -> (Trigger<T>, Deferred<T>) {
    let meeting = Arc::new(Mutex::new(Meeting {
        outcome: None,
        callback: None,
    }));
    (Trigger(Arc::clone(&meeting)), Deferred(meeting))
}

fn come<T>(meeting: &Mutex<Meeting<T>>, bring: impl FnOnce(&mut Meeting<T>)) {
    let mut met = meeting.lock().unwrap_or_else(PoisonError::into_inner);
    bring(&mut met);
    if met.outcome.is_none() || met.callback.is_none() {
        return;
    }
    let both = met.outcome.take().zip(met.callback.take());
    drop(met); // a callback may take its time
    if let Some((outcome, callback)) = both {
        callback(outcome);
    }
}

impl<T> Trigger<T> {
    /// Twisted's `callback` and `errback`.
    pub fn fire(self, outcome: Outcome<T>) {
        come(&self.0, |meeting| meeting.outcome = Some(outcome));
    }
}

impl<T: 'static> Deferred<T> {
    /// Calls `function` with the outcome.
    fn when_fired(self, function: impl FnOnce(Outcome<T>) + Send + 'static) {
        come(&self.0, |meeting| {
            meeting.callback = Some(Box::new(function))
        });
    }

    /// Calls `function` with the outcome; its result is the next link's outcome.
    fn add_both<U: Send + 'static>(
        self,
        function: impl FnOnce(Outcome<T>) -> Outcome<U> + Send + 'static,
    ) -> Deferred<U> {
        let (trigger, next) = deferred();
        self.when_fired(|outcome| trigger.fire(function(outcome)));
        next
    }

    /// Calls `function` with the value; an error skips it, and goes to the next errback.
    pub fn add_callback<U: Send + 'static>(
        self,
        function: impl FnOnce(T) -> Outcome<U> + Send + 'static,
    ) -> Deferred<U> {
        self.add_both(|outcome| outcome.and_then(function))
    }
}

impl<T: Send + 'static> Deferred<T> {
    /// Calls `function` with the error, which it may turn into a value; a value skips it.
    pub fn add_errback(
        self,
        function: impl FnOnce(io::Error) -> Outcome<T> + Send + 'static,
    ) -> Self {
        self.add_both(|outcome| outcome.or_else(function))
    }
}
// ANCHOR_END: deferred

/// All values, in the order of `deferreds`, or the first error: Twisted's `gatherResults`.
pub fn gather_results<T: Send + 'static>(deferreds: Vec<Deferred<T>>) -> Deferred<Vec<T>> {
    let (trigger, gathered) = deferred();
    let mut values = Vec::new();
    values.resize_with(deferreds.len(), || None);
    // `None` once it has fired.
    let gathering = Arc::new(Mutex::new((values, Some(trigger))));
    for (index, deferred) in deferreds.into_iter().enumerate() {
        let gathering = Arc::clone(&gathering);
        deferred.when_fired(move |outcome| {
            let mut gathering = gathering.lock().unwrap_or_else(PoisonError::into_inner);
            let (values, trigger) = &mut *gathering;
            let all = outcome.map(|value| {
                values[index] = Some(value);
                let complete = values.iter().all(Option::is_some);
                complete.then(|| values.drain(..).flatten().collect())
            });
            if let Some(all) = all.transpose()
                && let Some(trigger) = trigger.take()
            {
                drop(gathering);
                trigger.fire(all);
            }
        });
    }
    gathered
}

/// Run with the tests of the examples.
#[cfg(test)]
pub const TESTS: &[(&str, fn())] = &[
    (
        "whoever_comes_first_callbacks_are_called_in_order",
        tests::both_orders,
    ),
    (
        "an_error_goes_past_callbacks_to_the_next_errback",
        tests::errors,
    ),
    (
        "gathered_results_keep_their_order_and_the_first_error_ends_it",
        tests::gathering,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(what: &str) -> io::Error {
        io::Error::other(what)
    }

    /// The outcome of `deferred`, if it has fired.
    fn outcome<T: Send + 'static>(deferred: Deferred<T>) -> Option<Result<T, String>> {
        let (sender, receiver) = std::sync::mpsc::channel();
        deferred.when_fired(move |outcome| drop(sender.send(outcome)));
        let outcome = receiver.try_recv().ok()?;
        Some(outcome.map_err(|error| error.to_string()))
    }

    pub(super) fn both_orders() {
        let chain = |start: Deferred<u32>| {
            let sum = start.add_callback(|number| Ok(number + 1));
            sum.add_callback(|number| Ok(number * 10))
        };
        let (trigger, start) = deferred();
        let early = chain(start);
        trigger.fire(Ok(1));
        assert_eq!(outcome(early), Some(Ok(20)));

        let (trigger, start) = deferred();
        trigger.fire(Ok(1));
        assert_eq!(outcome(chain(start)), Some(Ok(20)));

        let (_trigger, start) = deferred();
        assert_eq!(outcome(chain(start)), None);
    }

    pub(super) fn errors() {
        let (trigger, start) = deferred::<u32>();
        let end = start
            .add_callback(|_| -> Outcome<usize> { panic!("called with an error") })
            .add_errback(|error| Ok(error.to_string().len()))
            .add_errback(|_| panic!("called with a value"))
            .add_callback(|length| Ok(length + 1));
        trigger.fire(Err(failure("four")));
        assert_eq!(outcome(end), Some(Ok(5)));
    }

    pub(super) fn gathering() {
        let (triggers, deferreds): (Vec<_>, Vec<_>) = (0..3).map(|_| deferred()).unzip();
        let gathered = gather_results(deferreds);
        for (number, trigger) in triggers.into_iter().enumerate().rev() {
            trigger.fire(Ok(number));
        }
        assert_eq!(outcome(gathered), Some(Ok(vec![0, 1, 2])));

        let (triggers, deferreds): (Vec<_>, Vec<_>) = (0..3).map(|_| deferred::<u32>()).unzip();
        let gathered = gather_results(deferreds);
        for (number, trigger) in triggers.into_iter().enumerate() {
            trigger.fire(Err(failure(&format!("failure {number}"))));
        }
        assert_eq!(outcome(gathered), Some(Err("failure 0".to_owned())));
    }
}
