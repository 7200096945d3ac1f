//! The three models, by the runtimes that stand for them.

use crate::summary::Row;

/// How tasks are mapped to threads of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// All tasks on one thread.
    OneThread,
    /// Tasks on a few threads.
    FewThreads,
    /// A thread for each task.
    ThreadEach,
}

impl Model {
    pub(crate) const ALL: [Self; 3] = [Self::OneThread, Self::FewThreads, Self::ThreadEach];

    /// The short name of the field.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneThread => "N:1",
            Self::FewThreads => "M:N",
            Self::ThreadEach => "1:1",
        }
    }

    /// The runtime of this project that has it.
    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Self::OneThread => "n1",
            Self::FewThreads => "mn",
            Self::ThreadEach => "threads",
        }
    }
}

/// The model that a row stands for: that of one of this project's runtimes as it is by default.
pub(crate) fn model_of(row: &Row) -> Option<Model> {
    let model = Model::ALL
        .into_iter()
        .find(|model| model.runtime() == row.runtime)?;
    // A row with a choice of its own is called by it.
    (row.label == row.runtime).then_some(model)
}
