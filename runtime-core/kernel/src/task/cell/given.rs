//! What a task gets in addition to its future: a name, a tag, a place for its home.
#![allow(unsafe_code)]

use std::mem;
use std::panic::Location;
use std::ptr::NonNull;

use super::header::Header;
use crate::task::home::Home;

/// What a task gets in addition to its future. Most tasks get nothing, which takes no room: their name is their
/// future's type, and their tag is 0.
pub(in crate::task) trait Name: Send + Sync + 'static {
    /// The offset of a [`Tagged`] in it.
    const TAG: Option<usize> = None;
    /// The offset of a [`Home`] in it.
    const HOME: Option<usize> = None;

    fn get(&self) -> Option<&Named>;
}

/// A separate name, and the call that gave it.
pub(in crate::task) struct Named {
    pub(in crate::task) name: Box<str>,
    pub(in crate::task) spawned_at: &'static Location<'static>,
}

/// A tag: a number for the scheduler's policy. It takes 8 bytes, because the next field is aligned like a pointer.
#[repr(transparent)]
pub(in crate::task) struct Tagged(pub(in crate::task) u32);

impl Name for Tagged {
    const TAG: Option<usize> = Some(0);

    fn get(&self) -> Option<&Named> {
        None
    }
}

/// For a task that will be pinned to the worker that begins it.
#[repr(C)]
pub(in crate::task) struct Pinnable {
    pub(in crate::task) home: Home,
    pub(in crate::task) tag: Tagged,
    pub(in crate::task) named: Option<Named>,
}

impl Name for Pinnable {
    const TAG: Option<usize> = Some(mem::offset_of!(Self, tag));
    const HOME: Option<usize> = Some(mem::offset_of!(Self, home));

    fn get(&self) -> Option<&Named> {
        self.named.as_ref()
    }
}
impl Name for () {
    fn get(&self) -> Option<&Named> {
        None
    }
}
impl Name for Named {
    fn get(&self) -> Option<&Named> {
        Some(self)
    }
}

/// # Safety
/// The caller has a reference or the entry.
pub(in crate::task) unsafe fn name_of<'a>(header: NonNull<Header>) -> &'a str {
    // SAFETY: by the contract of this function; the name lives as long as the block.
    unsafe { &*(header.as_ref().vtable.label)(header).name }
}

/// The tag that the task was spawned with; 0 if there is none.
///
/// # Safety
/// The caller has a reference or the entry.
#[inline]
pub(in crate::task) unsafe fn tag_of(header: NonNull<Header>) -> u32 {
    // SAFETY: alive by the contract of this function. In a cell with this table, a `Tagged` is at that offset. It was
    // written before the header was handed out and never changes.
    unsafe {
        match header.as_ref().vtable.tag_at {
            0 => 0,
            at => header.byte_add(at).cast::<Tagged>().as_ref().0,
        }
    }
}

/// The task's home; `None` if it is never pinned.
///
/// # Safety
/// The caller has a reference or the entry.
#[inline]
pub(in crate::task) unsafe fn home_of<'a>(header: NonNull<Header>) -> Option<&'a Home> {
    // SAFETY: alive by the contract of this function. In a cell with this table, a `Home` is at that offset. It was
    // written before the header was handed out and lives as long as the block.
    unsafe {
        match header.as_ref().vtable.home_at {
            0 => None,
            at => Some(header.byte_add(at).cast::<Home>().as_ref()),
        }
    }
}

/// # Safety
/// The caller has a reference or the entry.
pub(in crate::task) unsafe fn spawned_at(
    header: NonNull<Header>,
) -> Option<&'static Location<'static>> {
    // SAFETY: by the contract of this function.
    unsafe { (header.as_ref().vtable.label)(header).spawned_at }
}
