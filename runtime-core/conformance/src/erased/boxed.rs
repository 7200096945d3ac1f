//! Futures and values with erased types.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

/// A future with an erased type.
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A value with an erased type.
pub(super) type AnyBox = Box<dyn Any + Send>;

/// The value, whose type the caller knows.
pub(super) fn known<T: 'static>(value: AnyBox) -> T {
    *value.downcast().expect("it went in with this type")
}
