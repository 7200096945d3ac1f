//! This part's builder methods.

use crate::builder::Builder;
use crate::policy::IoSharing;

impl Builder {
    /// Sets whether a second worker shares the tasks that sockets have woken. Default: the policy's.
    #[must_use]
    pub fn io_sharing(mut self, rule: IoSharing) -> Self {
        self.parts.io_sharing.rule = Some(rule);
        self
    }

    /// The former name of [`io_sharing`](Builder::io_sharing).
    #[deprecated(note = "use `io_sharing`")]
    #[must_use]
    pub fn socket_help(self, rule: IoSharing) -> Self {
        self.io_sharing(rule)
    }
}
