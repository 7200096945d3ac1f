//! What a panic threw, in a form that threads may share.
#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;

/// What a panic threw.
///
/// A payload need not be `Sync`, but the [`JoinError`](crate::JoinError) that holds it is: an `Arc<JoinError>` goes
/// to many threads. So whoever has a `&PanicPayload` gets no more than a `&T` of a `T` that is `Sync`. By value, and
/// through `&mut`, you reach every payload.
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
/// A `RefCell`, which is not `Sync`, is out of reach of a `&PanicPayload`:
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

// SAFETY: through `&PanicPayload` one reaches the payload's type, which is no data, and `&T` of a payload that is a
// `T: Sync`.
unsafe impl Sync for PanicPayload {}

impl PanicPayload {
    /// The payload as [`catch_unwind`](std::panic::catch_unwind) gives it.
    pub fn new(payload: Box<dyn Any + Send + 'static>) -> Self {
        Self(payload)
    }

    /// What the panic said, if it said it in words: the argument of `panic!`.
    pub fn message(&self) -> Option<&str> {
        self.downcast_ref::<&'static str>()
            .copied()
            .or_else(|| self.downcast_ref::<String>().map(String::as_str))
    }

    /// Whether the payload is a `T`.
    pub fn is<T: Any>(&self) -> bool {
        self.0.is::<T>()
    }

    /// The payload, if it is a `T`. Other threads may look at the same time, so `T` is `Sync`.
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
    /// Gives `self` back if it is not.
    pub fn downcast<T: Any>(self) -> Result<Box<T>, Self> {
        self.0.downcast().map_err(Self)
    }

    /// The payload as [`resume_unwind`] takes it.
    pub fn into_inner(self) -> Box<dyn Any + Send + 'static> {
        self.0
    }

    /// Panics with this payload, without a message of its own.
    ///
    /// # Panics
    /// That is what it does.
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
