//! What a task is given when it is spawned, beside its future.

/// What a task is given when it is spawned, beside its future. A runtime ignores what it has no use for, so that a
/// program may give attributes under every runtime.
///
/// ```
/// use runtime_core::Attributes;
///
/// assert_eq!(Attributes::tagged(3).tag, 3);
/// assert_eq!(Attributes::default().tag, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Attributes {
    /// A number for the scheduler's policy, which decides what it means: a priority, or a deadline, say. Any number is
    /// allowed; a policy that has a use for fewer takes the nearest one. A task that is spawned without one has 0.
    pub tag: u32,
}

impl Attributes {
    /// With that tag.
    pub const fn tagged(tag: u32) -> Self {
        Self { tag }
    }
}
