//! On systems where only the standard library reports an overflow, by the thread's name.

/// The text of the report elsewhere.
#[derive(Clone, Copy)]
#[expect(dead_code, reason = "for systems that can say it")]
pub(crate) struct Stack<'a> {
    pub(crate) whose: &'static str,
    pub(crate) name: &'a str,
    pub(crate) bytes: usize,
    pub(crate) knob: &'static str,
}

impl Stack<'_> {
    pub(crate) fn watch<R>(self, body: impl FnOnce() -> R) -> R {
        body()
    }
}
