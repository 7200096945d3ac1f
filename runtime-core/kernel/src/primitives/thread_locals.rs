//! Thread-locals for a model checker's threads, which are coroutines on one system thread.

use std::cell::Cell;

#[cfg(lab_loom)]
use loom::thread as model;
#[cfg(not(lab_loom))]
use shuttle::thread as model;

/// A thread-local of a model checker's threads, with those parts of [`std::thread::LocalKey`]'s interface that this
/// project uses.
#[derive(Debug)]
pub struct LocalKey<T: 'static>(model::LocalKey<T>);

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        Self(model::LocalKey {
            init,
            _p: std::marker::PhantomData,
        })
    }
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.0.with(f)
    }
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, model::AccessError> {
        self.0.try_with(f)
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    pub fn set(&'static self, value: T) {
        self.0.with(|cell| cell.set(value));
    }
    pub fn replace(&'static self, value: T) -> T {
        self.0.with(|cell| cell.replace(value))
    }
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.0.with(Cell::get)
    }
}

/// `std::thread_local!` for a model checker's threads.
#[doc(hidden)]
#[macro_export]
macro_rules! __model_thread_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const { $init:expr };)*) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::primitives::LocalKey<$type> =
            $crate::primitives::LocalKey::new(|| $init);
    )*};
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const { $init:expr });*) => {
        $crate::__model_thread_local! {
            $($(#[$attribute])* $visibility static $name: $type = const { $init };)*
        }
    };
}
