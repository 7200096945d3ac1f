//! Servers on many loops: each loop listens on the same port, and the kernel distributes the connections by their
//! addresses.
//!
//! The distribution is random: with 64 connections on 2 loops, one loop gets 36 or more in two cases out of five. A
//! loop can't help another one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runtime_core::LaunchConfig;
use runtime_core::net::{self, BindOptions};
use runtime_n1::Handle;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

use super::{Loops, Share, Split, start};
use crate::load::Protocol;
use crate::measure::Meter;
use crate::vocabulary::{Failure, Params};
use crate::workloads::server::{ServeError, Service, Session};
use crate::workloads::{client, echo, http, mixed};

/// Listens, and serves as `echo` does, for as long as the loop lives.
pub struct ListenEcho;

impl Split for ListenEcho {
    type Plan = SocketAddr;
    type Part = ();

    async fn part(rt: Handle, _: Share, address: SocketAddr) -> Result<(), Failure> {
        let listener = listen(address).await?;
        drop(rt.spawn(echo::serve(rt.clone(), listener)));
        Ok(())
    }
}

/// Listens, and serves as `http` does, for as long as the loop lives.
pub struct ListenHttp;

impl Split for ListenHttp {
    type Plan = SocketAddr;
    type Part = ();

    async fn part(rt: Handle, _: Share, address: SocketAddr) -> Result<(), Failure> {
        let listener = listen(address).await?;
        drop(rt.spawn(http::serve(rt.clone(), listener)));
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> Result<net::TcpListener, Failure> {
    let options = BindOptions::default().reuse_port(true);
    let listener = net::TcpListener::bind_with(address, options).await;
    listener.map_err(echo::crashed)
}

thread_local! {
    /// The CPU time of this loop's CPU-bound tasks, in nanoseconds.
    static COMPUTED_NS: Arc<AtomicU64> = Arc::default();
}

/// Starts this loop's share of the CPU-bound tasks.
pub struct CpuBoundTasks;

impl Split for CpuBoundTasks {
    type Plan = u64;
    type Part = ();

    async fn part(rt: Handle, share: Share, tasks: u64) -> Result<(), Failure> {
        for _ in share.of(tasks) {
            let computed_ns = COMPUTED_NS.with(Arc::clone);
            drop(rt.spawn(mixed::cpu_bound_task(rt.clone(), computed_ns)));
        }
        Ok(())
    }
}

/// The CPU time of this loop's CPU-bound tasks, in nanoseconds.
pub struct ComputedNs;

impl Split for ComputedNs {
    type Plan = ();
    type Part = u64;

    async fn part(_: Handle, _: Share, (): ()) -> Result<u64, Failure> {
        Ok(COMPUTED_NS.with(|computed| computed.load(Ordering::Relaxed)))
    }
}

/// Makes every loop listen on `address`, or on one free port if its port is 0. Returns the address.
///
/// # Errors
/// Those of binding: [`AddrInUse`](io::ErrorKind::AddrInUse), also if others already share the port. Otherwise
/// [`Other`](io::ErrorKind::Other).
pub fn listen_on<L: Loops>(
    loops: &L,
    protocol: Protocol,
    address: SocketAddr,
) -> io::Result<SocketAddr> {
    let (_reservation, address) = reserve(address)?;
    let params = Params::default();
    let listening = match protocol {
        Protocol::Echo => loops.each::<ListenEcho>(&params, &address),
        Protocol::Http => loops.each::<ListenHttp>(&params, &address),
    };
    listening.map_err(io::Error::other)?;
    Ok(address)
}

/// Reserves a port that others can share from now on: binds it, without listening.
fn reserve(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    if address.port() != 0 {
        // Without sharing, this fails if anything listens there, even with sharing.
        drop(TcpListener::bind(address)?);
    }
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    let address = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, address))
}

/// Serves outside clients until the session ends: a loop on each thread or in each process, all on one port. There are
/// no counters, because there is no single scheduler.
pub(crate) fn serve<L: Loops>(
    config: &LaunchConfig,
    service: Service,
    session: Session,
) -> Result<(), ServeError> {
    let start = |failure: Failure| ServeError::Start(io::Error::other(failure));
    let loops = L::start(config).map_err(start)?;
    let address = listen_on(&loops, service.protocol, service.address).map_err(ServeError::Bind)?;
    let cpu_bound_tasks = service.cpu_bound_tasks as u64;
    loops
        .each::<CpuBoundTasks>(&Params::default(), &cpu_bound_tasks)
        .map_err(start)?;
    (session.ready)(address)?;
    (session.until)();
    Ok(())
}

/// `echo` and `http`: a server on every loop, and a client process.
fn measure<L: Loops>(
    protocol: Protocol,
    params: &Params,
    meter: &mut Meter,
) -> Result<(), Failure> {
    let loops = start::<L>(params, meter)?;
    let server = listen_on(&loops, protocol, client::loopback()).map_err(echo::crashed)?;
    let duration = Duration::from_nanos(params.budget_ns);
    let mut options = client::options(protocol, server, params, duration);
    if protocol == Protocol::Http {
        options.body = Some(http::BODY.to_owned());
    }
    client::measure_blocking(options, meter)
}

/// `echo` with a server on every loop.
///
/// # Errors
/// Those of [`Program::run`](crate::workloads::Program::run). This applies to all functions here.
pub fn echo<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    measure::<L>(Protocol::Echo, params, meter)
}

/// `http` with a server on every loop.
///
/// # Errors
/// See [`echo()`].
pub fn http<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    measure::<L>(Protocol::Http, params, meter)
}

/// `mixed` with a server on every loop, and the CPU-bound tasks spread over the loops.
///
/// # Errors
/// See [`echo()`].
pub fn mixed<L: Loops>(params: &Params, meter: &mut Meter) -> Result<(), Failure> {
    let loops = start::<L>(params, meter)?;
    let server = listen_on(&loops, Protocol::Echo, client::loopback()).map_err(echo::crashed)?;
    loops.each::<CpuBoundTasks>(params, &params.value("hogs"))?;
    let begun = Instant::now();
    let duration = Duration::from_millis(params.value("duration_ms"));
    let options = client::options(Protocol::Echo, server, params, duration);
    let measured = client::measure_blocking(options, meter);
    let elapsed = begun.elapsed();
    let computed_ns: u64 = loops.each::<ComputedNs>(params, &())?.into_iter().sum();
    meter
        .extra
        .insert("hog_cores", computed_ns as f64 / elapsed.as_nanos() as f64);
    measured
}
