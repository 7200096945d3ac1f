//! A panic's payload, in a form that threads may share.
#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;

/// A panic's payload.
///
/// A payload need not be `Sync`, but the [`JoinError`](crate::JoinError) that holds it is: many threads may share an
/// `Arc<JoinError>`. A `&PanicPayload` therefore gives you only a `&T` of a `T` that is `Sync`. By value, and through
/// `&mut`, you can reach every payload.
///
/// ```
/// use runtime_core::task::PanicPayload;
///
/// let payload = PanicPayload::new(Box::new("no such row"));
/// assert_eq!(payload.message(), Some("no such row"));
/// assert_eq!(payload.downcast_ref::<&str>(), Some(&"no such row"));
/// assert_eq!(*payload.downcast::<&str>().unwrap(), "no such row");
/// ```
///
/// A `&PanicPayload` does not let you reach a `RefCell`, which is not `Sync`:
///
/// ```compile_fail,E0277
/// use std::cell::RefCell;
/// use runtime_core::task::PanicPayload;
///
/// fn look(payload: &PanicPayload) {
///     payload.downcast_ref::<RefCell<u8>>();
/// }
/// ```
pub struct PanicPayload(Box<dyn Any + Send + 'static>);

// SAFETY: through `&PanicPayload` you reach only the payload's type, which is no data, and a `&T` of a payload that is
// a `T: Sync`.
unsafe impl Sync for PanicPayload {}

impl PanicPayload {
    /// The payload as [`catch_unwind`](std::panic::catch_unwind) gives it.
    pub fn new(payload: Box<dyn Any + Send + 'static>) -> Self {
        Self(payload)
    }

    /// The panic's message, if the payload is text: the argument of `panic!`.
    pub fn message(&self) -> Option<&str> {
        self.downcast_ref::<&'static str>()
            .copied()
            .or_else(|| self.downcast_ref::<String>().map(String::as_str))
    }

    /// Whether the payload is a `T`.
    pub fn is<T: Any>(&self) -> bool {
        self.0.is::<T>()
    }

    /// The payload, if it is a `T`. Other threads may read it at the same time, so `T` is `Sync`.
    pub fn downcast_ref<T: Any + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }

    /// The payload, if it is a `T`.
    pub fn downcast_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.0.downcast_mut()
    }

    /// The payload, if it is a `T`.
    ///
    /// # Errors
    /// Returns `self` if it is not.
    pub fn downcast<T: Any>(self) -> Result<Box<T>, Self> {
        self.0.downcast().map_err(Self)
    }

    /// The payload as [`resume_unwind`] takes it.
    pub fn into_inner(self) -> Box<dyn Any + Send + 'static> {
        self.0
    }

    /// Panics with this payload, without its own message.
    ///
    /// # Panics
    /// Always.
    pub fn resume(self) -> ! {
        resume_unwind(self.0)
    }
}

impl From<Box<dyn Any + Send + 'static>> for PanicPayload {
    fn from(payload: Box<dyn Any + Send + 'static>) -> Self {
        Self(payload)
    }
}

impl From<PanicPayload> for Box<dyn Any + Send + 'static> {
    fn from(payload: PanicPayload) -> Self {
        payload.0
    }
}

impl fmt::Debug for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => fmt::Debug::fmt(message, f),
            None => f.write_str(".."),
        }
    }
}
