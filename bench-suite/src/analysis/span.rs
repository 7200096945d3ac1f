//! Work and span of an async program: how much there is to compute, and how much of it is sequential.
//!
//! - **Work** is the total time of all strands.
//! - **Span** is the longest path through the graph: the time that the program would take on an unlimited number of
//!   cores, if scheduling cost nothing. Waiting for timers and sockets is part of it.
//! - **Parallelism** is work over span: more cores than that can't help.
//! - **Burdened span** is the longest path if each spawn, wake and join on it also has the cost of moving a task to
//!   another thread (Cilkview: He, Leiserson and Leiserson 2010). That cost is measured in the same trace.

use super::dag::{Dag, EdgeKind};

/// What is counted along a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Its work in nanoseconds.
    Time,
    /// 1 for each start and 1 for each end of a task: the shape of the program, independent of the machine.
    TaskEnds,
}

impl Unit {
    /// What a strand counts at its start, inside it, and at its end.
    fn of(self, dag: &Dag, strand: usize) -> [u64; 3] {
        let it = &dag.strands[strand];
        match self {
            Self::Time => [0, it.work_ns, 0],
            Self::TaskEnds => [it.begins_task.into(), 0, it.ends_task.into()],
        }
    }
}

/// What scheduling costs, by where a task runs: the median time for which a task was due while the thread that took it
/// ran nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burden {
    /// The cost if the same thread made the task due.
    pub same_thread_ns: u64,
    /// The cost if another thread made the task due, and the thread that ran it was awake: a steal.
    pub other_thread_ns: u64,
    /// The cost if another thread made the task due, and the thread that ran it slept.
    pub sleeping_thread_ns: u64,
}

impl Burden {
    /// Measures the costs in a run.
    pub fn of(dag: &Dag) -> Self {
        let (mut same, mut other, mut sleeping) = (Vec::new(), Vec::new(), Vec::new());
        let has_steals = dag.strands.iter().any(|it| it.after_steal);
        for strand in dag.strands.iter().filter(|it| it.begins_poll) {
            let (Some(queued), Some(by)) = (strand.queued_ns, strand.queued_by) else {
                continue;
            };
            let free = queued.max(strand.thread_free_ns);
            let waited = strand.begin_ns.saturating_sub(free);
            if by == strand.thread {
                same.push(waited);
            } else if strand.after_sleep {
                sleeping.push(waited);
            } else if strand.after_steal || !has_steals {
                // Of several tasks that are stolen at a time, only the first one pays.
                other.push(waited);
            }
        }
        let same_thread_ns = median(&mut same).unwrap_or(0);
        let (other, sleeping) = (median(&mut other), median(&mut sleeping));
        let other_thread_ns = other.or(sleeping).unwrap_or(same_thread_ns);
        Self {
            same_thread_ns,
            other_thread_ns,
            sleeping_thread_ns: sleeping.unwrap_or(other_thread_ns),
        }
    }

    fn on(self, kind: EdgeKind) -> u64 {
        match kind {
            EdgeKind::Continue => 0,
            _ => self.other_thread_ns,
        }
    }
}

pub(super) fn median(values: &mut [u64]) -> Option<u64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable(middle).1)
}

/// How deep each strand is: the longest path to its start and to its end.
#[derive(Clone, Debug, Default)]
pub struct Depths {
    /// At the start of each strand.
    pub begin: Vec<u64>,
    /// At the end of each strand.
    pub end: Vec<u64>,
    /// The edge by which the longest path enters, as an index into [`Dag::edges_into`].
    pub by: Vec<Option<usize>>,
}

impl Depths {
    /// The depths of all strands. `burden` is added for each edge, except for those inside a task.
    pub fn of(dag: &Dag, unit: Unit, burden: Burden) -> Self {
        let count = dag.strands.len();
        let mut depths = Self {
            begin: Vec::with_capacity(count),
            end: Vec::with_capacity(count),
            by: Vec::with_capacity(count),
        };
        for strand in 0..count {
            let mut begin = 0;
            let mut by = None;
            for (index, edge) in dag.edges_into(strand).iter().enumerate() {
                let way = depths.at(dag, unit, edge.from, edge.offset_ns)
                    + burden.on(edge.kind)
                    + if unit == Unit::Time {
                        edge.latency_ns
                    } else {
                        0
                    };
                if by.is_none() || way > begin {
                    (begin, by) = (way, Some(index));
                }
            }
            depths.begin.push(begin);
            depths
                .end
                .push(begin + unit.of(dag, strand).iter().sum::<u64>());
            depths.by.push(by);
        }
        depths
    }

    /// The longest path to a point in a strand.
    fn at(&self, dag: &Dag, unit: Unit, strand: usize, offset_ns: u64) -> u64 {
        if offset_ns == u64::MAX {
            return self.end[strand];
        }
        let [head, body, _] = unit.of(dag, strand);
        self.begin[strand] + head + body.min(offset_ns)
    }

    /// The last strand of the longest path.
    pub fn deepest(&self) -> Option<usize> {
        (0..self.end.len()).max_by_key(|&strand| self.end[strand])
    }
}

/// The figures of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Span {
    /// Tasks that were polled.
    pub tasks: usize,
    /// Polls.
    pub polls: usize,
    /// The total time computed.
    pub work_ns: u64,
    /// The longest path, including waits.
    pub span_ns: u64,
    /// What scheduling costs in this run.
    pub burden: Burden,
    /// The longest path with that cost added to each edge.
    pub burdened_span_ns: u64,
}

impl Span {
    /// The figures of a run's graph.
    pub fn of(dag: &Dag) -> Self {
        let burden = Burden::of(dag);
        let longest = |burden| {
            let depths = Depths::of(dag, Unit::Time, burden);
            depths.deepest().map_or(0, |strand| depths.end[strand])
        };
        Self {
            tasks: dag.strands.iter().filter(|it| it.begins_task).count(),
            polls: dag.strands.iter().filter(|it| it.begins_poll).count(),
            work_ns: dag.strands.iter().map(|it| it.work_ns).sum(),
            span_ns: longest(Burden::default()),
            burden,
            burdened_span_ns: longest(burden),
        }
    }

    /// Work over span.
    pub fn parallelism(&self) -> f64 {
        ratio(self.work_ns, self.span_ns)
    }

    /// Work over burdened span.
    pub fn burdened_parallelism(&self) -> f64 {
        ratio(self.work_ns, self.burdened_span_ns)
    }
}

/// The span in starts and ends of tasks. It is the same on every machine and under every schedule.
pub fn span_in_task_ends(dag: &Dag) -> u64 {
    let depths = Depths::of(dag, Unit::TaskEnds, Burden::default());
    depths.deepest().map_or(0, |strand| depths.end[strand])
}

fn ratio(over: u64, under: u64) -> f64 {
    if under == 0 {
        1.0
    } else {
        over as f64 / under as f64
    }
}
