//! Attributes of a task, given when it is spawned.

/// Attributes of a task, given when it is spawned. A runtime ignores attributes that it does not use, so a program
/// may give attributes under every runtime.
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
    /// A number for the scheduler's policy, which determines its meaning: for example a priority, or a deadline. Any
    /// number is allowed; a policy that supports a smaller range uses the nearest value. The tag of a task that is
    /// spawned without one is 0.
    pub tag: u32,
}

impl Attributes {
    /// Attributes with that tag.
    pub const fn tagged(tag: u32) -> Self {
        Self { tag }
    }
}
