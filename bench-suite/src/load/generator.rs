//! The load generator proper: one thread, one epoll instance, one request in flight on each connection.
//!
//! It is lean because it shares the machine with the server that it measures: a request costs one `write`, one `read`,
//! one look at the clock and its share of an `epoll_wait`. Registrations are edge-triggered: of a level-triggered one
//! the kernel asks each time whether it is still ready, which costs a twentieth of the request. One `read` per event
//! is enough all the same, as a short one has emptied the socket. It never spins: with nothing to do it sleeps until
//! the next request is due, to the nanosecond.
//!
//! In the **closed loop** the rate adapts to the server, and a pause of the server hides the requests that would have
//! been sent meanwhile (coordinated omission). In the **open loop** requests are due whatever the server does. The
//! module's README has the rules.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::exchange::Exchange;
use super::{LoadError, LoadOptions};
use crate::measure::Latency;
use crate::vocabulary::is_refusal;

/// The server may be silent for this long while requests are in flight.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of the thread that keeps the open loop's times, as a nice value.
const PRIORITY: i32 = -10;

/// For a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `epoll_wait` counts in milliseconds. From here on it waits for the whole seconds, and `poll` for the rest.
const LONG_SLEEP: Duration = Duration::from_secs(1);

/// What a connection is watched for as long as there is room to write.
const INTEREST: epoll::EventFlags = epoll::EventFlags::IN
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::ET);

/// With one of these in an event, there may be something behind a short read: the end of the stream, or an error.
const ENDING: epoll::EventFlags = epoll::EventFlags::RDHUP
    .union(epoll::EventFlags::HUP)
    .union(epoll::EventFlags::ERR);

/// The event of the file descriptor given to [`Generator::end_with`].
const END: u64 = u64::MAX;

/// The event of the file descriptor given to [`Generator::stop_with`].
const STOP: u64 = u64::MAX - 1;

/// How requests are timed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    Closed,
    /// So many requests a second, over all connections.
    Open(f64),
}

/// What one run of the generator saw.
pub(super) struct Observed {
    pub(super) requests: u64,
    /// Open loop: requests that were due and never got a connection.
    pub(super) unstarted: u64,
    /// Requests that were in flight when the run was stopped.
    pub(super) unanswered: u64,
    /// It was stopped before its time was over.
    pub(super) stopped: bool,
    /// From the start to the last response; in the open loop at least for as long as requests were due.
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) latency: Histogram<u64>,
    /// Open loop: from when a request was due and a connection free, to its first byte being written.
    pub(super) lateness: Option<Histogram<u64>>,
}

pub(super) struct Generator {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
    body: Option<Vec<u8>>,
}

struct Connection {
    stream: TcpStream,
    exchange: Exchange,
    /// Bytes of the request that were written.
    written: usize,
    /// Whether epoll reports room to write as well.
    awaits_room: bool,
    in_flight: bool,
    /// When latency starts.
    started: Instant,
    /// When the last response was there.
    freed: Instant,
}

impl Generator {
    /// Opens all connections.
    pub(super) fn connect(options: &LoadOptions) -> Result<Self, LoadError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll"))?;
        let mut connections = Vec::with_capacity(options.connections);
        for number in 0..options.connections {
            let stream = TcpStream::connect_timeout(&options.server, CONNECT_TIMEOUT)
                .and_then(|stream| {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    Ok(stream)
                })
                .map_err(|error| {
                    let (number, of) = (number + 1, options.connections);
                    let (server, text) = (options.server, error.to_string());
                    if is_refusal(&error) {
                        LoadError::Refused {
                            number,
                            of,
                            error: text,
                        }
                    } else {
                        LoadError::Connect {
                            server,
                            number,
                            of,
                            error: text,
                        }
                    }
                })?;
            let event = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, event, INTEREST).map_err(failed("epoll"))?;
            let now = Instant::now();
            connections.push(Connection {
                stream,
                exchange: Exchange::new(options, number),
                written: 0,
                awaits_room: false,
                in_flight: false,
                started: now,
                freed: now,
            });
        }
        Ok(Self {
            epoll,
            connections,
            events: Vec::with_capacity(256),
            // Larger than a response, as a rule: a read that fills it must be followed by another one.
            buffer: vec![0; options.bytes.clamp(16 << 10, 1 << 20) + 1],
            body: options.body.clone().map(String::into_bytes),
        })
    }

    /// Ends a run with [`LoadError::Abandoned`] as soon as `fd` has something to read or its other end is closed.
    pub(super) fn end_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        let event = epoll::EventData::new_u64(END);
        epoll::add(&self.epoll, fd, event, epoll::EventFlags::IN).map_err(failed("epoll"))
    }

    /// Ends a run with what it has seen as soon as `fd` has something to read.
    pub(super) fn stop_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        let event = epoll::EventData::new_u64(STOP);
        epoll::add(&self.epoll, fd, event, epoll::EventFlags::IN).map_err(failed("epoll"))
    }

    /// Puts load on for `duration` and waits for the last response.
    pub(super) fn run(&mut self, pace: Pace, duration: Duration) -> Result<Observed, LoadError> {
        if let Pace::Open(_) = pace {
            // Beside a server that has all cores busy it would else be late. Only some may do that; for the others
            // lateness tells. Of this thread alone.
            let _ = rustix::process::setpriority_process(None, PRIORITY);
        }
        // The kernel lets a thread sleep for 50 us longer than it asks, to wake several at once.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let cpu_before = thread_cpu_time();
        let begun = Instant::now();
        let mut run = Run {
            end: begun + duration,
            schedule: match pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(Schedule {
                    begun,
                    interval_ns: 1e9 / rate,
                    next: 0,
                    free: (0..self.connections.len()).collect(),
                    lateness: Latency::histogram(),
                }),
            },
            in_flight: 0,
            requests: 0,
            unstarted: 0,
            give_up: begun + 2 * duration,
            stopped: false,
            latency: Latency::histogram(),
            last_response: begun,
        };
        if run.schedule.is_none() {
            for number in 0..self.connections.len() {
                self.start(&mut run, number, begun)?;
            }
        }
        loop {
            let due = self.start_due(&mut run)?;
            if run.in_flight == 0 && due.is_none() {
                break;
            }
            let patience = run.last_response.max(begun) + PATIENCE;
            let until = if run.in_flight == 0 {
                due
            } else {
                Some(due.map_or(patience, |due| due.min(patience)))
            };
            self.wait(until)?;
            if self.events.is_empty() && run.in_flight > 0 && Instant::now() >= patience {
                return Err(LoadError::Failed(format!(
                    "the server sent nothing for {} s with {} requests in flight",
                    PATIENCE.as_secs(),
                    run.in_flight
                )));
            }
            let events = std::mem::take(&mut self.events);
            for &event in &events {
                self.handle(&mut run, event)?;
            }
            self.events = events;
            if run.stopped {
                break;
            }
        }
        let ended = match run.schedule {
            // The last response came, or would have come, some time before.
            Some(_) if run.stopped => Instant::now(),
            Some(_) => run.last_response.max(run.end),
            None => run.last_response,
        };
        Ok(Observed {
            requests: run.requests,
            unstarted: run.unstarted,
            unanswered: run.in_flight as u64,
            stopped: run.stopped,
            wall: ended - begun,
            cpu: thread_cpu_time().saturating_sub(cpu_before),
            latency: run.latency,
            lateness: run.schedule.map(|schedule| schedule.lateness),
        })
    }

    /// Open loop: starts what is due on the connections that are free. Returns when the next request is due, or when
    /// the run ends if none is due before; `None` if it is over, or if no free connection waits for anything.
    fn start_due(&mut self, run: &mut Run) -> Result<Option<Instant>, LoadError> {
        loop {
            let Some(schedule) = &mut run.schedule else {
                return Ok(None);
            };
            let due = schedule.due();
            let now = Instant::now();
            if due >= run.end {
                // The time in which nothing more is due is part of the run: a rate is of all of it.
                return Ok((now < run.end).then_some(run.end));
            }
            if schedule.free.is_empty() {
                return Ok(None);
            }
            if due > now {
                return Ok(Some(due));
            }
            if now >= run.give_up {
                run.unstarted = schedule.due_before(run.end) - schedule.next;
                return Ok(None);
            }
            let Some(number) = schedule.free.pop_front() else {
                return Ok(None);
            };
            schedule.next += 1;
            let possible = due.max(self.connections[number].freed);
            record(
                &mut schedule.lateness,
                now.saturating_duration_since(possible),
            );
            self.start(run, number, due)?;
        }
    }

    /// Starts a request whose latency counts from `from`.
    fn start(&mut self, run: &mut Run, number: usize, from: Instant) -> Result<(), LoadError> {
        let connection = &mut self.connections[number];
        connection.exchange.begin();
        connection.written = 0;
        connection.in_flight = true;
        connection.started = from;
        run.in_flight += 1;
        self.write(number)
    }

    /// Writes what there is room for.
    fn write(&mut self, number: usize) -> Result<(), LoadError> {
        let connection = &mut self.connections[number];
        let request = connection.exchange.request();
        while connection.written < request.len() {
            match (&connection.stream).write(&request[connection.written..]) {
                Ok(bytes) => connection.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(LoadError::Failed(format!("writing to the server: {error}")));
                }
            }
        }
        let awaits_room = connection.written < request.len();
        if awaits_room != connection.awaits_room {
            connection.awaits_room = awaits_room;
            let mut interest = INTEREST;
            interest.set(epoll::EventFlags::OUT, awaits_room);
            let event = epoll::EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, &connection.stream, event, interest)
                .map_err(failed("epoll"))?;
        }
        Ok(())
    }

    fn handle(&mut self, run: &mut Run, event: epoll::Event) -> Result<(), LoadError> {
        if event.data.u64() == END {
            return Err(LoadError::Abandoned);
        }
        if event.data.u64() == STOP {
            run.stopped = true;
            return Ok(());
        }
        let number = event.data.u64() as usize;
        let flags = event.flags;
        if flags.contains(epoll::EventFlags::OUT) {
            self.write(number)?;
        }
        // An error or a hang-up shows in what the read returns.
        if flags.intersects(epoll::EventFlags::IN | ENDING) {
            // Nothing is reported again: until there is no more.
            while self.read(run, number, flags)? {}
        }
        Ok(())
    }

    /// Reads once. True if there may be more.
    fn read(
        &mut self,
        run: &mut Run,
        number: usize,
        flags: epoll::EventFlags,
    ) -> Result<bool, LoadError> {
        let connection = &mut self.connections[number];
        let bytes = match (&connection.stream).read(&mut self.buffer) {
            Ok(0) => {
                return Err(LoadError::Failed(format!(
                    "the server closed a connection, after {} requests in all",
                    run.requests
                )));
            }
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => {
                return Err(LoadError::Failed(format!(
                    "reading from the server: {error}"
                )));
            }
        };
        if !connection.in_flight {
            return Err(LoadError::Wrong(
                "the server sent bytes that nobody asked for".to_owned(),
            ));
        }
        let may_be_more = bytes == self.buffer.len() || flags.intersects(ENDING);
        let is_whole = connection
            .exchange
            .receive(&self.buffer[..bytes], &mut self.body)?;
        let is_done = is_whole && self.ended(run, number)?;
        Ok(may_be_more && !is_done)
    }

    /// A response is there: the closed loop starts the next request at once. True if the connection has done its part
    /// of the run.
    fn ended(&mut self, run: &mut Run, number: usize) -> Result<bool, LoadError> {
        let connection = &mut self.connections[number];
        let now = Instant::now();
        record(&mut run.latency, now - connection.started);
        connection.in_flight = false;
        connection.freed = now;
        run.in_flight -= 1;
        run.requests += 1;
        run.last_response = now;
        match &mut run.schedule {
            Some(schedule) => schedule.free.push_back(number),
            None if now < run.end => self.start(run, number, now)?,
            None => return Ok(true),
        }
        Ok(false)
    }

    /// Waits for events, at most until `deadline`. They are in `self.events` afterwards.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<(), LoadError> {
        self.events.clear();
        self.events.reserve(256);
        match self.wait_until(deadline) {
            Ok(()) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(failed("epoll")(error)),
        }
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Result<(), Errno> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = match left {
            None => None,
            Some(left) if left >= LONG_SLEEP => Some(Duration::from_secs(left.as_secs())),
            Some(left) => {
                if !left.is_zero() {
                    let mut instance = [PollFd::new(&self.epoll, PollFlags::IN)];
                    rustix::event::poll(&mut instance, Some(&timespec(left)))?;
                }
                Some(Duration::ZERO)
            }
        };
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.map(timespec).as_ref(),
        )?;
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// One run's progress.
struct Run {
    /// No request starts after this.
    end: Instant,
    /// The open loop's; `None` in the closed loop.
    schedule: Option<Schedule>,
    in_flight: usize,
    requests: u64,
    unstarted: u64,
    /// Requests that still wait for a connection by then are not started any more: a server that is too slow for the
    /// rate would keep the run going for ever.
    give_up: Instant,
    /// Somebody asked to end now.
    stopped: bool,
    latency: Histogram<u64>,
    last_response: Instant,
}

/// When requests are due in the open loop.
struct Schedule {
    begun: Instant,
    interval_ns: f64,
    /// The next request to start. Those that are due and wait for a connection are this one and those after it.
    next: u64,
    /// Connections without a request, longest free first.
    free: VecDeque<usize>,
    lateness: Histogram<u64>,
}

impl Schedule {
    /// How many requests are due before `end`.
    fn due_before(&self, end: Instant) -> u64 {
        ((end - self.begun).as_nanos() as f64 / self.interval_ns).ceil() as u64
    }

    fn due(&self) -> Instant {
        // From the start and not from the last one, so that errors do not add up.
        self.begun + Duration::from_nanos((self.next as f64 * self.interval_ns) as u64)
    }
}

fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn failed(what: &'static str) -> impl Fn(rustix::io::Errno) -> LoadError {
    move |error| LoadError::Failed(format!("{what}: {error}"))
}
