//! Futures and values whose types are forgotten.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

/// A future whose type is forgotten.
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A value whose type is forgotten.
pub(super) type AnyBox = Box<dyn Any + Send>;

/// The value, whose type the caller knows.
pub(super) fn known<T: 'static>(value: AnyBox) -> T {
    *value.downcast().expect("it went in with this type")
}
