//! An echo server with a thread per connection:
//! `cargo run --release -p runtime-threads --example echo -- 127.0.0.1:7777`.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use runtime_core::net::TcpListener;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:0".to_owned());
    runtime_threads::Runtime::new()?.block_on(async move {
        let listener = TcpListener::bind(address).await?;
        println!("listening {}", listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            drop(runtime_core::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..bytes]).await?;
                }
                std::io::Result::Ok(())
            }));
        }
    })
}
