//! The list of parts, and which of them each hook calls.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use runtime_core::primitives::MutexGuard;
use runtime_core::task::{Ran, Task};
use runtime_core::{Choice, Knob, Metrics};

#[allow(unused_imports)]
use super::part::{Absent, Has, Install};
use crate::knobs::{NO_CHOICE, concat, count};
use crate::policy::{Knobs, Place, Policy};
use crate::prepaid::Prepaid;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Duty, Ended, Event, Origin, Pick, Queued, SharedEvent, State};
use crate::seam::plan::{Plan, Unstarted};

#[cfg(feature = "counters")]
use super::counters::Counters;
#[cfg(not(feature = "counters"))]
type Counters = Absent<0>;
#[cfg(feature = "histograms")]
use super::histograms::Histograms;
#[cfg(not(feature = "histograms"))]
type Histograms = Absent<1>;
#[cfg(feature = "monitor")]
use super::monitor::Monitor;
#[cfg(not(feature = "monitor"))]
type Monitor = Absent<2>;
#[cfg(feature = "wake-throttling")]
use super::wake_throttling::WakeThrottling;
#[cfg(not(feature = "wake-throttling"))]
type WakeThrottling = Absent<3>;
#[cfg(feature = "io-sharing")]
use super::io_sharing::IoSharing;
#[cfg(not(feature = "io-sharing"))]
type IoSharing = Absent<4>;
#[cfg(feature = "cpu-pool")]
use super::cpu_pool::CpuPool;
#[cfg(not(feature = "cpu-pool"))]
type CpuPool = Absent<5>;
#[cfg(feature = "simulated-time")]
use super::simulated_time::SimulatedTime;
#[cfg(not(feature = "simulated-time"))]
type SimulatedTime = Absent<6>;
#[cfg(feature = "fork-join")]
use super::fork_join::ForkJoin;
#[cfg(not(feature = "fork-join"))]
type ForkJoin = Absent<7>;
#[cfg(feature = "policy-queues")]
use super::policy_queues::PolicyQueues;
#[cfg(not(feature = "policy-queues"))]
type PolicyQueues = Absent<8>;
#[cfg(feature = "trace")]
use super::trace::Trace;
#[cfg(not(feature = "trace"))]
type Trace = Absent<9>;
#[cfg(feature = "pinned-tasks")]
use super::pinned_tasks::PinnedTasks;
#[cfg(not(feature = "pinned-tasks"))]
type PinnedTasks = Absent<10>;

/// All parts of one runtime.
pub(crate) struct Installed {
    counters: Counters,
    histograms: Histograms,
    monitor: Monitor,
    wake_throttling: WakeThrottling,
    io_sharing: IoSharing,
    cpu_pool: CpuPool,
    simulated_time: SimulatedTime,
    fork_join: ForkJoin,
    policy_queues: PolicyQueues,
    trace: Trace,
    pinned_tasks: PinnedTasks,
}

/// The state of all parts for one worker, and its prepaid references for handles.
pub(crate) struct OfLocal {
    counters: <Counters as State>::Local,
    histograms: <Histograms as State>::Local,
    monitor: <Monitor as State>::Local,
    wake_throttling: <WakeThrottling as State>::Local,
    io_sharing: <IoSharing as State>::Local,
    cpu_pool: <CpuPool as State>::Local,
    simulated_time: <SimulatedTime as State>::Local,
    fork_join: <ForkJoin as State>::Local,
    policy_queues: <PolicyQueues as State>::Local,
    trace: <Trace as State>::Local,
    pinned_tasks: <PinnedTasks as State>::Local,
    pub(crate) prepaid: Prepaid,
}

/// What all threads see of the parts, for one worker.
#[derive(Default)]
pub(crate) struct OfRemote {
    counters: <Counters as State>::Remote,
    histograms: <Histograms as State>::Remote,
    monitor: <Monitor as State>::Remote,
    wake_throttling: <WakeThrottling as State>::Remote,
    io_sharing: <IoSharing as State>::Remote,
    cpu_pool: <CpuPool as State>::Remote,
    simulated_time: <SimulatedTime as State>::Remote,
    fork_join: <ForkJoin as State>::Remote,
    policy_queues: <PolicyQueues as State>::Remote,
    trace: <Trace as State>::Remote,
    pinned_tasks: <PinnedTasks as State>::Remote,
}

/// The builder's settings for the parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) counters: <Counters as Install>::Settings,
    pub(crate) histograms: <Histograms as Install>::Settings,
    pub(crate) monitor: <Monitor as Install>::Settings,
    pub(crate) wake_throttling: <WakeThrottling as Install>::Settings,
    pub(crate) io_sharing: <IoSharing as Install>::Settings,
    pub(crate) cpu_pool: <CpuPool as Install>::Settings,
    pub(crate) simulated_time: <SimulatedTime as Install>::Settings,
    pub(crate) fork_join: <ForkJoin as Install>::Settings,
    pub(crate) policy_queues: <PolicyQueues as Install>::Settings,
    pub(crate) trace: <Trace as Install>::Settings,
    pub(crate) pinned_tasks: <PinnedTasks as Install>::Settings,
}

#[allow(unused_macros)]
macro_rules! has {
    ($part:ty, $field:ident) => {
        impl Has<$part> for Installed {
            #[inline]
            fn part(&self) -> &$part {
                &self.$field
            }
            #[inline]
            fn own(local: &OfLocal) -> &<$part as State>::Local {
                &local.$field
            }
            #[inline]
            fn seen(remote: &OfRemote) -> &<$part as State>::Remote {
                &remote.$field
            }
        }
    };
}

#[cfg(feature = "counters")]
has!(Counters, counters);
#[cfg(feature = "histograms")]
has!(Histograms, histograms);
#[cfg(feature = "monitor")]
has!(Monitor, monitor);
#[cfg(feature = "wake-throttling")]
has!(WakeThrottling, wake_throttling);
#[cfg(feature = "io-sharing")]
has!(IoSharing, io_sharing);
#[cfg(feature = "cpu-pool")]
has!(CpuPool, cpu_pool);
#[cfg(feature = "simulated-time")]
has!(SimulatedTime, simulated_time);
#[cfg(feature = "fork-join")]
has!(ForkJoin, fork_join);
#[cfg(feature = "policy-queues")]
has!(PolicyQueues, policy_queues);
#[cfg(feature = "trace")]
has!(Trace, trace);
#[cfg(feature = "pinned-tasks")]
has!(PinnedTasks, pinned_tasks);

impl State for Installed {
    type Local = OfLocal;
    type Remote = OfRemote;
}

type OnWorker = Local<Installed>;
type All = Shared<Installed>;

impl Hooks for Installed {
    fn local(shared: &All, worker: usize) -> OfLocal {
        OfLocal {
            counters: Counters::local(shared, worker),
            histograms: Histograms::local(shared, worker),
            monitor: Monitor::local(shared, worker),
            wake_throttling: WakeThrottling::local(shared, worker),
            io_sharing: IoSharing::local(shared, worker),
            cpu_pool: CpuPool::local(shared, worker),
            simulated_time: SimulatedTime::local(shared, worker),
            fork_join: ForkJoin::local(shared, worker),
            policy_queues: PolicyQueues::local(shared, worker),
            trace: Trace::local(shared, worker),
            pinned_tasks: PinnedTasks::local(shared, worker),
            prepaid: Prepaid::new(),
        }
    }

    #[inline]
    fn divert(shared: &Arc<All>, task: Task) -> Option<Task> {
        CpuPool::divert(shared, PinnedTasks::divert(shared, task)?)
    }
    #[inline]
    fn wakes_for_own(local: &OnWorker) -> bool {
        WakeThrottling::wakes_for_own(local)
    }
    #[inline]
    fn wakes_for_driven(local: &OnWorker) -> bool {
        IoSharing::wakes_for_driven(local) && WakeThrottling::wakes_for_driven(local)
    }
    #[inline]
    fn shares_fifo(shared: &All, worker: usize) -> bool {
        IoSharing::shares_fifo(shared, worker)
    }
    fn duty(shared: &All, worker: usize) -> Duty {
        Monitor::duty(shared, worker)
    }
    #[inline]
    fn must_leave(local: &OnWorker) -> bool {
        Monitor::must_leave(local)
    }
    #[inline]
    fn poll(local: &OnWorker, task: Task) -> Ran {
        Histograms::poll(local, task)
    }
    fn poll_in_passing(local: &OnWorker) {
        IoSharing::poll_in_passing(local);
    }
    fn poller_token(local: &OnWorker) -> Option<MutexGuard<'_, ()>> {
        IoSharing::poller_token(local)
    }
    fn has_own_time(shared: &All) -> bool {
        SimulatedTime::has_own_time(shared)
    }
    fn prepare_park(local: &OnWorker) -> Option<Instant> {
        SimulatedTime::prepare_park(local)
    }
    fn wait(local: &OnWorker, deadline: Option<Instant>) -> Option<Instant> {
        SimulatedTime::wait(local, deadline)
    }
    fn live(local: &OnWorker, work: &dyn Fn()) -> Ended {
        let ended = Cell::new(Ended::WithTheRuntime);
        Trace::live(local, &|| ended.set(Monitor::live(local, work)));
        ended.get()
    }
    fn take_back(shared: &All, worker: Unstarted) {
        Monitor::take_back(shared, worker);
    }
    #[inline]
    fn put(local: &OnWorker, place: Place, task: Task) -> Queued {
        PolicyQueues::put(local, place, task)
    }
    #[inline]
    fn take(shared: &All, worker: usize, pick: Pick) -> Option<Task> {
        PolicyQueues::take(shared, worker, pick)
    }
    #[inline]
    fn queued(shared: &All, worker: usize, pick: Pick) -> usize {
        PolicyQueues::queued(shared, worker, pick) + PinnedTasks::queued(shared, worker, pick)
    }
    fn first_rank(shared: &All, worker: usize) -> Option<u64> {
        PolicyQueues::first_rank(shared, worker)
    }
    #[inline]
    fn place_injected<P: Policy>(local: &OnWorker, policy: &P) {
        PolicyQueues::place_injected(local, policy);
    }
    #[inline]
    fn take_kept(local: &OnWorker) -> Option<Task> {
        PinnedTasks::take_kept(local)
    }
    #[inline]
    fn has_kept(local: &OnWorker) -> bool {
        PinnedTasks::has_kept(local)
    }
    fn cancel_kept(local: &OnWorker) {
        PinnedTasks::cancel_kept(local);
    }
    fn cancel(shared: &All, task: Task) {
        PinnedTasks::cancel(shared, task);
    }
    #[inline]
    fn do_other_work(local: &OnWorker, origin: Origin) -> bool {
        IoSharing::do_other_work(local, origin) || ForkJoin::do_other_work(local, origin)
    }
    #[inline]
    fn has_other_work(shared: &All, origin: Origin) -> bool {
        ForkJoin::has_other_work(shared, origin)
    }
    #[inline(always)]
    fn observe(local: &OnWorker, event: Event) {
        Counters::observe(local, event);
        Histograms::observe(local, event);
        Monitor::observe(local, event);
        IoSharing::observe(local, event);
        WakeThrottling::observe(local, event);
        ForkJoin::observe(local, event);
        PolicyQueues::observe(local, event);
        Trace::observe(local, event);
    }
    fn observe_shared(shared: &All, event: SharedEvent<'_>) {
        Counters::observe_shared(shared, event);
        Monitor::observe_shared(shared, event);
        IoSharing::observe_shared(shared, event);
        CpuPool::observe_shared(shared, event);
        Trace::observe_shared(shared, event);
    }
    fn report(shared: &All, metrics: &mut Metrics) {
        Counters::report(shared, metrics);
        Histograms::report(shared, metrics);
        Monitor::report(shared, metrics);
    }
    fn started(shared: &Arc<All>) -> io::Result<()> {
        Monitor::started(shared)
    }
}

impl Installed {
    pub(crate) fn new(settings: &Settings, plan: &Plan) -> Self {
        Self {
            counters: Counters::new(&settings.counters, plan),
            histograms: Histograms::new(&settings.histograms, plan),
            monitor: Monitor::new(&settings.monitor, plan),
            wake_throttling: WakeThrottling::new(&settings.wake_throttling, plan),
            io_sharing: IoSharing::new(&settings.io_sharing, plan),
            cpu_pool: CpuPool::new(&settings.cpu_pool, plan),
            simulated_time: SimulatedTime::new(&settings.simulated_time, plan),
            fork_join: ForkJoin::new(&settings.fork_join, plan),
            policy_queues: PolicyQueues::new(&settings.policy_queues, plan),
            trace: Trace::new(&settings.trace, plan),
            pinned_tasks: PinnedTasks::new(&settings.pinned_tasks, plan),
        }
    }
}

impl Settings {
    /// Applies the builder's settings to the knobs of the policy. The monitor comes last, because it overrides others.
    pub(crate) fn adjust(&self, knobs: &mut Knobs) {
        WakeThrottling::adjust(&self.wake_throttling, knobs);
        IoSharing::adjust(&self.io_sharing, knobs);
        Monitor::adjust(&self.monitor, knobs);
    }

    pub(crate) fn extra_workers(&self) -> usize {
        Monitor::extra_workers(&self.monitor)
    }

    pub(crate) fn for_a_harness(&mut self) {
        Monitor::for_a_harness(&mut self.monitor);
    }

    /// Leaves out the part of that name. Returns false if there is none.
    pub(crate) fn leave_out(&mut self, part: &str) -> bool {
        let is = |choices: &[Choice]| choices.iter().any(|choice| choice.name == part);
        let mut found = false;
        if is(Counters::CHOICE) {
            Counters::leave_out(&mut self.counters);
            found = true;
        }
        if is(Histograms::CHOICE) {
            Histograms::leave_out(&mut self.histograms);
            found = true;
        }
        if is(Monitor::CHOICE) {
            Monitor::leave_out(&mut self.monitor);
            found = true;
        }
        if is(WakeThrottling::CHOICE) {
            WakeThrottling::leave_out(&mut self.wake_throttling);
            found = true;
        }
        if is(IoSharing::CHOICE) {
            IoSharing::leave_out(&mut self.io_sharing);
            found = true;
        }
        if is(CpuPool::CHOICE) {
            CpuPool::leave_out(&mut self.cpu_pool);
            found = true;
        }
        if is(SimulatedTime::CHOICE) {
            SimulatedTime::leave_out(&mut self.simulated_time);
            found = true;
        }
        if is(ForkJoin::CHOICE) {
            ForkJoin::leave_out(&mut self.fork_join);
            found = true;
        }
        if is(PolicyQueues::CHOICE) {
            PolicyQueues::leave_out(&mut self.policy_queues);
            found = true;
        }
        if is(Trace::CHOICE) {
            Trace::leave_out(&mut self.trace);
            found = true;
        }
        if is(PinnedTasks::CHOICE) {
            PinnedTasks::leave_out(&mut self.pinned_tasks);
            found = true;
        }
        found
    }

    /// Sets a knob of a part. Returns `None` if no part has a knob of that name, and `Some(None)` if the value is
    /// invalid.
    pub(crate) fn turn(&mut self, knob: &str, value: &str) -> Option<Option<()>> {
        let is = |knobs: &[Knob]| knobs.iter().any(|it| it.name == knob);
        if is(Counters::KNOBS) {
            return Some(Counters::turn(&mut self.counters, knob, value));
        }
        if is(Histograms::KNOBS) {
            return Some(Histograms::turn(&mut self.histograms, knob, value));
        }
        if is(Monitor::KNOBS) {
            return Some(Monitor::turn(&mut self.monitor, knob, value));
        }
        if is(WakeThrottling::KNOBS) {
            return Some(WakeThrottling::turn(&mut self.wake_throttling, knob, value));
        }
        if is(IoSharing::KNOBS) {
            return Some(IoSharing::turn(&mut self.io_sharing, knob, value));
        }
        if is(CpuPool::KNOBS) {
            return Some(CpuPool::turn(&mut self.cpu_pool, knob, value));
        }
        if is(SimulatedTime::KNOBS) {
            return Some(SimulatedTime::turn(&mut self.simulated_time, knob, value));
        }
        if is(ForkJoin::KNOBS) {
            return Some(ForkJoin::turn(&mut self.fork_join, knob, value));
        }
        if is(PolicyQueues::KNOBS) {
            return Some(PolicyQueues::turn(&mut self.policy_queues, knob, value));
        }
        if is(Trace::KNOBS) {
            return Some(Trace::turn(&mut self.trace, knob, value));
        }
        if is(PinnedTasks::KNOBS) {
            return Some(PinnedTasks::turn(&mut self.pinned_tasks, knob, value));
        }
        None
    }
}

/// The parts that can be left out, in the order in which they are shown.
pub(crate) const PARTS: &[Choice] =
    &concat::<Choice, { count(&PARTS_BY_PART) }>(&PARTS_BY_PART, NO_CHOICE);
const PARTS_BY_PART: [&[Choice]; 11] = [
    Counters::CHOICE,
    Histograms::CHOICE,
    Monitor::CHOICE,
    WakeThrottling::CHOICE,
    IoSharing::CHOICE,
    CpuPool::CHOICE,
    SimulatedTime::CHOICE,
    ForkJoin::CHOICE,
    PolicyQueues::CHOICE,
    Trace::CHOICE,
    PinnedTasks::CHOICE,
];

/// The parts' knobs.
pub(crate) const KNOBS_BY_PART: [&[Knob]; 11] = [
    Counters::KNOBS,
    Histograms::KNOBS,
    Monitor::KNOBS,
    WakeThrottling::KNOBS,
    IoSharing::KNOBS,
    CpuPool::KNOBS,
    SimulatedTime::KNOBS,
    ForkJoin::KNOBS,
    PolicyQueues::KNOBS,
    Trace::KNOBS,
    PinnedTasks::KNOBS,
];
