//! What shuttle runs on: atomics that let another thread run before each operation.
//!
//! They wrap the standard atomics, not shuttle's, which are larger. Memory whose zeroes are a state word, or a state
//! word that is reused, therefore keeps its layout. As with shuttle's, every operation is sequentially consistent;
//! loom checks weaker orderings.

#![allow(unsafe_code)]

use std::time::Duration;

/// Another thread may run here.
#[inline]
pub fn scheduling_point() {
    // shuttle has no time: this is only the switch, without the hint to the scheduler that a yield gives.
    shuttle::thread::sleep(Duration::ZERO);
}

pub mod atomic {
    pub use std::sync::atomic::{Ordering, compiler_fence, fence};

    use super::scheduling_point;

    /// Operations that begin with a scheduling point.
    macro_rules! operations {
        ($([$($generic:ident)?])? $name:ident, $value:ty:
            $(fn $operation:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*
        ) => {
            impl $(<$($generic)?>)? $name $(<$($generic)?>)? {
                pub const fn new(value: $value) -> Self {
                    Self(std::sync::atomic::$name::new(value))
                }
                pub fn into_inner(self) -> $value {
                    self.0.into_inner()
                }
                pub fn get_mut(&mut self) -> &mut $value {
                    self.0.get_mut()
                }
                /// # Safety
                /// As for the standard atomic's.
                pub const unsafe fn from_ptr<'a>(value: *mut $value) -> &'a Self {
                    // SAFETY: by this function's contract; the representation is the standard atomic's.
                    unsafe { &*value.cast::<Self>() }
                }
                pub const fn as_ptr(&self) -> *mut $value {
                    self.0.as_ptr()
                }
                $(
                    #[inline]
                    pub fn $operation(&self, $($argument: $type),*) $(-> $result)? {
                        scheduling_point();
                        self.0.$operation($($argument),*)
                    }
                )*
            }
        };
    }

    macro_rules! exchanging {
        ($([$($generic:ident)?])? $name:ident, $value:ty: $($more:tt)*) => {
            operations! { $([$($generic)?])? $name, $value:
                fn load(order: Ordering) -> $value;
                fn store(value: $value, order: Ordering);
                fn swap(value: $value, order: Ordering) -> $value;
                fn compare_exchange(current: $value, new: $value, success: Ordering, failure: Ordering) -> Result<$value, $value>;
                fn compare_exchange_weak(current: $value, new: $value, success: Ordering, failure: Ordering) -> Result<$value, $value>;
                $($more)*
            }
        };
    }

    macro_rules! integers {
        ($($name:ident, $value:ty;)*) => {$(
            #[derive(Debug, Default)]
            #[repr(transparent)]
            pub struct $name(std::sync::atomic::$name);

            exchanging! { $name, $value:
                fn fetch_add(value: $value, order: Ordering) -> $value;
                fn fetch_sub(value: $value, order: Ordering) -> $value;
                fn fetch_and(value: $value, order: Ordering) -> $value;
                fn fetch_or(value: $value, order: Ordering) -> $value;
                fn fetch_xor(value: $value, order: Ordering) -> $value;
                fn fetch_max(value: $value, order: Ordering) -> $value;
                fn fetch_min(value: $value, order: Ordering) -> $value;
            }

            impl $name {
                pub fn fetch_update(
                    &self,
                    success: Ordering,
                    failure: Ordering,
                    mut change: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    let mut current = self.load(failure);
                    while let Some(changed) = change(current) {
                        match self.compare_exchange(current, changed, success, failure) {
                            Ok(before) => return Ok(before),
                            Err(now) => current = now,
                        }
                    }
                    Err(current)
                }
            }
        )*};
    }

    integers! {
        AtomicU8, u8;
        AtomicU16, u16;
        AtomicU32, u32;
        AtomicU64, u64;
        AtomicUsize, usize;
        AtomicI64, i64;
        AtomicIsize, isize;
    }

    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct AtomicBool(std::sync::atomic::AtomicBool);

    exchanging! { AtomicBool, bool:
        fn fetch_and(value: bool, order: Ordering) -> bool;
        fn fetch_or(value: bool, order: Ordering) -> bool;
        fn fetch_xor(value: bool, order: Ordering) -> bool;
    }

    #[derive(Debug)]
    #[repr(transparent)]
    pub struct AtomicPtr<T>(std::sync::atomic::AtomicPtr<T>);

    exchanging! { [T] AtomicPtr, *mut T: }

    impl<T> Default for AtomicPtr<T> {
        fn default() -> Self {
            Self::new(std::ptr::null_mut())
        }
    }
}
