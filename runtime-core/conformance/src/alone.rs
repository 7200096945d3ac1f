//! Cases that change or measure state of the whole process. Run each in its own process, in which nothing else runs:
//! a test binary with one test, or a child process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::net::connected;
use runtime_kernel::{spawn, time};
use runtime_library::net::{TcpListener, TcpStream};

/// CPU time of the whole process.
fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// A server that just loops over `accept` while descriptors are exhausted uses no CPU, and continues when some are
/// free again.
///
/// Lowers the process's limit on descriptors and raises it again.
pub async fn accept_when_descriptors_are_exhausted() {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .expect("bind");
    let address = listener.local_addr().expect("address");
    // Everything that the runtime creates lazily is created now.
    let warm = connected().await;
    time::sleep(Duration::from_millis(1)).await;

    let before = getrlimit(Resource::Nofile);
    // The clients take the last descriptors: the kernel connects them, and they wait in its queue.
    let clients = exhaust(address, &before);
    let server = spawn(async move {
        let mut failures = 0_u32;
        loop {
            match listener.accept().await {
                Ok((mut stream, _)) => {
                    stream.write_all(b"!").await.expect("write");
                    return failures;
                }
                Err(error) => {
                    let code = error.raw_os_error();
                    assert_eq!(
                        code,
                        Some(rustix::io::Errno::MFILE.raw_os_error()),
                        "{error}"
                    );
                    failures += 1;
                }
            }
        }
    });
    let (start, cpu) = (Instant::now(), cpu_time());
    while start.elapsed() < Duration::from_secs(1) {
        time::sleep(Duration::from_millis(100)).await;
    }
    let burnt = cpu_time() - cpu;
    assert!(
        burnt < Duration::from_millis(500),
        "{burnt:?} of CPU in a second of waiting"
    );

    setrlimit(Resource::Nofile, before).expect("the limit as it was");
    let mut clients = clients.into_iter();
    let first = clients.next().expect("a client");
    let mut first = TcpStream::from_std(first).expect("register");
    let mut byte = [0];
    first
        .read_exact(&mut byte)
        .await
        .expect("it is served after all");
    let failures = server.await.expect("server");
    assert!(
        (1..100).contains(&failures),
        "{failures} failures in a second"
    );
    drop(warm);
}

/// Connects until no descriptor is left.
fn exhaust(address: SocketAddr, limit: &Rlimit) -> Vec<std::net::TcpStream> {
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(100),
            maximum: limit.maximum,
        },
    )
    .expect("a lower limit");
    let mut clients = Vec::new();
    loop {
        match std::net::TcpStream::connect(address) {
            Ok(client) => clients.push(client),
            Err(error) => {
                let code = error.raw_os_error();
                assert_eq!(
                    code,
                    Some(rustix::io::Errno::MFILE.raw_os_error()),
                    "{error}"
                );
                return clients;
            }
        }
    }
}

/// A read that was cancelled while its socket became ready costs no CPU afterwards.
pub async fn a_cancelled_read_does_not_spin() {
    let (mut client, mut server) = connected().await;
    let mut buffer = [0; 8];
    let elapsed = time::timeout(Duration::from_millis(1), server.read(&mut buffer)).await;
    assert!(elapsed.is_err());
    client.write_all(b"unread").await.expect("write");
    let (start, cpu) = (Instant::now(), cpu_time());
    while start.elapsed() < Duration::from_secs(1) {
        time::sleep(Duration::from_millis(100)).await;
    }
    let burnt = cpu_time() - cpu;
    assert!(
        burnt < Duration::from_millis(500),
        "{burnt:?} of CPU in a second of sleeping"
    );
    assert_eq!(server.read(&mut buffer).await.expect("read"), 6);
    let ended: io::Result<usize> = {
        drop(client);
        server.read(&mut buffer).await
    };
    assert_eq!(ended.expect("end"), 0);
}
