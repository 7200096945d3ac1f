//! Whole streams, as their users see them.

use super::*;

#[test]
fn an_echo_goes_round() {
    on_each(|executor| {
        executor.run(async {
            let (mut client, mut server) = connected(executor.driver()).await;
            for round in 0..100_u8 {
                client.write_all(&[round; 64]).await.unwrap();
                let mut buffer = [0; 100];
                let read = server.read(&mut buffer).await.unwrap();
                server.write_all(&buffer[..read]).await.unwrap();
                let mut answer = [0; 64];
                client.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, [round; 64]);
            }
        });
    });
}

#[test]
fn end_of_stream_is_seen_after_a_short_read_of_data_that_came_with_it() {
    on_each(|executor| {
        executor.run(async {
            for _ in 0..50 {
                let (mut client, mut server) = connected(executor.driver()).await;
                client.write_all(b"last words").await.unwrap();
                drop(client);
                let mut all = Vec::new();
                server.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, b"last words");
            }
        });
    });
}

#[test]
fn a_write_larger_than_the_buffers_waits_for_the_reader() {
    const SIZE: usize = 20 << 20;
    on_each(|executor| {
        executor.run(async {
            let (mut client, mut server) = connected(executor.driver()).await;
            let data: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
            let write = async {
                client.write_all(&data).await.unwrap();
                client.close().await.unwrap();
            };
            let mut all = Vec::new();
            future::zip(write, server.read_to_end(&mut all))
                .await
                .1
                .unwrap();
            assert!(all == data, "what arrived differs from what was sent");
        });
    });
}

#[test]
fn a_refused_connect_is_an_error() {
    on_each(|executor| {
        let address = std::net::TcpListener::bind(localhost())
            .unwrap()
            .local_addr()
            .unwrap();
        let error = executor
            .run(TcpStream::connect_on(executor.driver(), address))
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn many_connections_are_each_served() {
    const CONNECTIONS: usize = 300;
    on_each(|executor| {
        executor.run(async {
            let listener =
                TcpListener::bind_on(executor.driver(), localhost(), BindOptions::default())
                    .unwrap();
            let address = listener.local_addr().unwrap();
            // All are in the queue before the first is accepted: one edge stands for all of them.
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|_| std::net::TcpStream::connect(address).unwrap())
                .collect();
            let mut servers = Vec::new();
            for _ in 0..CONNECTIONS {
                servers.push(listener.accept().await.unwrap());
            }
            for (index, mut client) in clients.iter().enumerate() {
                client.write_all(&(index as u32).to_ne_bytes()).unwrap();
            }
            for (server, peer) in &mut servers {
                let index = clients
                    .iter()
                    .position(|client| client.local_addr().unwrap() == *peer)
                    .unwrap();
                let mut number = [0; 4];
                server.read_exact(&mut number).await.unwrap();
                assert_eq!(u32::from_ne_bytes(number), index as u32);
            }
        });
    });
}

#[test]
fn one_socket_is_read_and_written_by_two_threads() {
    on_each(|executor| {
        const ROUNDS: usize = 2000;
        let (client, mut server) = executor.run(connected(executor.driver()));
        let (done_here, done) = executor.run(connected(executor.driver()));
        let (mut read, mut write) = client.into_split();
        std::thread::scope(|scope| {
            // Woken here, polled there: the reader's waker belongs to a thread that doesn't wait for sockets.
            scope.spawn(move || {
                future::block_on(async {
                    let mut buffer = [0; 64];
                    for _ in 0..ROUNDS {
                        read.read_exact(&mut buffer).await.unwrap();
                    }
                    (&done_here).write_all(&[1]).await.unwrap();
                });
            });
            executor.run(async {
                for _ in 0..ROUNDS {
                    write.write_all(&[7; 64]).await.unwrap();
                    let mut buffer = [0; 64];
                    server.read_exact(&mut buffer).await.unwrap();
                    server.write_all(&buffer).await.unwrap();
                }
                // Until the reader has its last byte, this thread must continue to collect events: it waits for a byte
                // that the reader's side of the test sends.
                let mut done = done;
                done.read_exact(&mut [0]).await.unwrap();
            });
        });
    });
}
