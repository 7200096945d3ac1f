//! The load generator itself: one thread, one epoll instance, one request in flight per connection.
//!
//! It must be lean because it shares the machine with the server that it measures. A request costs one `write`, one
//! `read`, one clock reading and its share of an `epoll_wait`. Registrations are edge-triggered: for a level-triggered
//! one, the kernel checks again each time whether the socket is still ready, which costs a twentieth of the request.
//! One `read` per event is still enough, because a short read has emptied the socket. The generator never spins. When
//! it has nothing to do, it sleeps until the next request is due, to the nanosecond.
//!
//! In the **closed loop** the rate adapts to the server. If the server pauses, the requests that would have been sent
//! meanwhile are never measured (coordinated omission). In the **open loop** requests are due whatever the server does.
//! The module's README has the rules.

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

use super::error::LoadError;
use super::exchange::Exchange;
use super::options::LoadOptions;
use crate::measure::Latency;
use crate::vocabulary::is_refusal;

/// How long the server may be silent while requests are in flight.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The nice value of the open loop's thread.
const PRIORITY: i32 = -10;

/// The time limit for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `epoll_wait` counts in milliseconds. For long waits it waits for the whole seconds, and `poll` for the rest.
const LONG_SLEEP: Duration = Duration::from_secs(1);

/// The events of a connection that is not waiting for room to write.
const INTEREST: epoll::EventFlags = epoll::EventFlags::IN
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::ET);

/// With one of these events, the end of the stream or an error may follow a short read.
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
    /// This many requests per second over all connections.
    Open(f64),
}

/// The result of one run of the generator.
pub(super) struct Observed {
    pub(super) requests: u64,
    /// Open loop: requests that were due and never got a connection.
    pub(super) unstarted: u64,
    /// Requests in flight when the run was stopped.
    pub(super) unanswered: u64,
    /// Whether it was stopped early.
    pub(super) stopped: bool,
    /// From the start to the last response. In the open loop, at least as long as requests are due.
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) latency: Histogram<u64>,
    /// Open loop: from when a request was due and a connection free, to the write of its first byte.
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
    /// The bytes of the request written so far.
    written: usize,
    /// Whether epoll also reports room to write.
    awaits_room: bool,
    in_flight: bool,
    /// The start of the latency.
    started: Instant,
    /// When the last response was complete.
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
            // Usually larger than a response, because a read that fills it must be followed by another one.
            buffer: vec![0; options.bytes.clamp(16 << 10, 1 << 20) + 1],
            body: options.body.clone().map(String::into_bytes),
        })
    }

    /// Ends a run with [`LoadError::Abandoned`] when `fd` becomes readable or its other end closes.
    pub(super) fn end_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        let event = epoll::EventData::new_u64(END);
        epoll::add(&self.epoll, fd, event, epoll::EventFlags::IN).map_err(failed("epoll"))
    }

    /// Ends a run with the results so far when `fd` becomes readable.
    pub(super) fn stop_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        let event = epoll::EventData::new_u64(STOP);
        epoll::add(&self.epoll, fd, event, epoll::EventFlags::IN).map_err(failed("epoll"))
    }

    /// Generates load for `duration` and waits for the last response.
    pub(super) fn run(&mut self, pace: Pace, duration: Duration) -> Result<Observed, LoadError> {
        if let Pace::Open(_) = pace {
            // Beside a server that keeps all cores busy, this thread would be late otherwise. Only some users may raise
            // the priority; for the others, the lateness shows it. The call affects only this thread.
            let _ = rustix::process::setpriority_process(None, PRIORITY);
        }
        // By default, the kernel lets a thread oversleep by 50 µs, to wake several threads at once.
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
            let give_up_at = run.last_response.max(begun) + RESPONSE_TIMEOUT;
            let until = if run.in_flight == 0 {
                due
            } else {
                Some(due.map_or(give_up_at, |due| due.min(give_up_at)))
            };
            self.wait(until)?;
            if self.events.is_empty() && run.in_flight > 0 && Instant::now() >= give_up_at {
                return Err(LoadError::Failed(format!(
                    "the server sent nothing for {} s with {} requests in flight",
                    RESPONSE_TIMEOUT.as_secs(),
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
            // The load lasted until the stop. The last response may be older.
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

    /// Open loop: starts due requests on free connections. Returns when the next request is due, or the end of the run
    /// if none is due before it; `None` if the run is over, or if no connection is free.
    fn start_due(&mut self, run: &mut Run) -> Result<Option<Instant>, LoadError> {
        loop {
            let Some(schedule) = &mut run.schedule else {
                return Ok(None);
            };
            let due = schedule.due();
            let now = Instant::now();
            if due >= run.end {
                // The rest of the time counts too, because the rate refers to the whole run.
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

    /// Writes as much as fits into the socket.
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
        // The read reports an error or a hang-up.
        if flags.intersects(epoll::EventFlags::IN | ENDING) {
            // Edge-triggered events are not repeated, so read until the socket is empty.
            while self.read(run, number, flags)? {}
        }
        Ok(())
    }

    /// Reads once; true if there may be more.
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
                "the server sent unexpected bytes".to_owned(),
            ));
        }
        let may_be_more = bytes == self.buffer.len() || flags.intersects(ENDING);
        let is_whole = connection
            .exchange
            .receive(&self.buffer[..bytes], &mut self.body)?;
        let is_done = is_whole && self.ended(run, number)?;
        Ok(may_be_more && !is_done)
    }

    /// Handles a complete response. In the closed loop, the next request starts at once. Returns true if the connection
    /// has no more to do in this run.
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

    /// Waits for events until `deadline` at most. They are in `self.events` afterwards.
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

/// The state of one run.
struct Run {
    /// No request starts after this.
    end: Instant,
    /// `None` in the closed loop.
    schedule: Option<Schedule>,
    in_flight: usize,
    requests: u64,
    unstarted: u64,
    /// Requests that still have no connection at this time are not started any more. With a server that is too slow for
    /// the rate, the run would never end.
    give_up: Instant,
    /// Whether a signal asked to stop.
    stopped: bool,
    latency: Histogram<u64>,
    last_response: Instant,
}

/// When requests are due in the open loop.
struct Schedule {
    begun: Instant,
    interval_ns: f64,
    /// The next request to start. Due requests that wait for a connection are consecutive from this one on.
    next: u64,
    /// Idle connections, longest idle first.
    free: VecDeque<usize>,
    lateness: Histogram<u64>,
}

impl Schedule {
    /// The number of requests due before `end`.
    fn due_before(&self, end: Instant) -> u64 {
        ((end - self.begun).as_nanos() as f64 / self.interval_ns).ceil() as u64
    }

    fn due(&self) -> Instant {
        // Count from the start and not from the last request, so that errors don't add up.
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
