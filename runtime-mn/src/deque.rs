//! The deques and the injector, and how to take from them.
//!
//! Under shuttle each operation is one step, and another thread may run before it. Checking the inside of an operation
//! is left to crossbeam.

use runtime_core::primitives::spin_loop;

#[cfg(not(lab_shuttle))]
pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker};

#[cfg(lab_shuttle)]
pub(crate) use stepwise::{Injector, Steal, Stealer, Worker};

/// The most items that are taken at once.
pub(crate) const BATCH_LIMIT: usize = 32;

/// Repeats a steal until it succeeds or finds nothing.
pub(crate) fn retry<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => spin_loop(),
        }
    }
}

#[cfg(lab_shuttle)]
mod stepwise {
    use runtime_core::primitives::scheduling_point;

    pub(crate) use crossbeam_deque::Steal;

    macro_rules! stepwise {
        ($name:ident: $(fn $operation:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
            impl<T> $name<T> {
                $(
                    pub(crate) fn $operation(&self, $($argument: $type),*) $(-> $result)? {
                        scheduling_point();
                        self.0.$operation($($argument),*)
                    }
                )*
            }
        };
    }

    pub(crate) struct Worker<T>(crossbeam_deque::Worker<T>);

    stepwise! { Worker:
        fn push(item: T);
        fn pop() -> Option<T>;
        fn is_empty() -> bool;
        fn len() -> usize;
    }

    impl<T> Worker<T> {
        pub(crate) fn new_lifo() -> Self {
            Self(crossbeam_deque::Worker::new_lifo())
        }

        pub(crate) fn new_fifo() -> Self {
            Self(crossbeam_deque::Worker::new_fifo())
        }

        pub(crate) fn stealer(&self) -> Stealer<T> {
            Stealer(self.0.stealer())
        }
    }

    pub(crate) struct Stealer<T>(crossbeam_deque::Stealer<T>);

    stepwise! { Stealer:
        fn is_empty() -> bool;
        fn len() -> usize;
        fn steal() -> Steal<T>;
    }

    impl<T> Stealer<T> {
        pub(crate) fn steal_batch(&self, to: &Worker<T>) -> Steal<()> {
            scheduling_point();
            self.0.steal_batch(&to.0)
        }

        pub(crate) fn steal_batch_with_limit_and_pop(
            &self,
            to: &Worker<T>,
            limit: usize,
        ) -> Steal<T> {
            scheduling_point();
            self.0.steal_batch_with_limit_and_pop(&to.0, limit)
        }
    }

    pub(crate) struct Injector<T>(crossbeam_deque::Injector<T>);

    stepwise! { Injector:
        fn push(item: T);
        fn is_empty() -> bool;
        fn len() -> usize;
        fn steal() -> Steal<T>;
    }

    impl<T> Injector<T> {
        pub(crate) fn steal_batch_with_limit_and_pop(
            &self,
            to: &Worker<T>,
            limit: usize,
        ) -> Steal<T> {
            scheduling_point();
            self.0.steal_batch_with_limit_and_pop(&to.0, limit)
        }
    }

    impl<T> Default for Injector<T> {
        fn default() -> Self {
            Self(crossbeam_deque::Injector::default())
        }
    }
}
