//! The proxy does to connections what it is told, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tally_torture::fault_proxy::{Fault, FaultProxy, Faults};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// What comes at all comes within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// What has not come within this is not there; only ever waited out where nothing may come.
const SILENCE: Duration = Duration::from_millis(100);

/// A server that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    address
}

async fn through(faults: Faults) -> (FaultProxy, TcpStream) {
    let proxy = FaultProxy::start(echo().await, 1, move |_| faults.clone()).await.unwrap();
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, stream)
}

/// What comes back of so many bytes, up to the connection's end, and how it ended.
async fn echoed(stream: &mut TcpStream, bytes: usize) -> (usize, Option<ErrorKind>) {
    let _ = stream.write_all(&vec![1; bytes]).await;
    let (mut count, mut buffer) = (0, vec![0; 4_096]);
    loop {
        match timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap() {
            Ok(0) => return (count, None),
            Ok(read) => count += read,
            Err(error) => return (count, Some(error.kind())),
        }
        if count >= bytes {
            return (count, None);
        }
    }
}

#[tokio::test]
async fn a_well_connection_carries_everything_and_ends_properly() {
    let (proxy, mut stream) = through(Faults::default()).await;
    assert_eq!(echoed(&mut stream, 1_000_000).await, (1_000_000, None));
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(PATIENCE, stream.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn slow_connections_are_slow_and_whole() {
    let down = vec![Fault::Delay(Duration::from_millis(2)), Fault::Throttle(10_000_000)];
    let (_proxy, mut stream) = through(Faults { down, ..Faults::default() }).await;
    assert_eq!(echoed(&mut stream, 100_000).await, (100_000, None));
}

#[tokio::test]
async fn a_connection_is_reset_after_exactly_so_many_bytes() {
    let (_proxy, mut stream) =
        through(Faults { up: vec![Fault::ResetAfter(5_000)], ..Faults::default() }).await;
    let (count, ended) = echoed(&mut stream, 20_000).await;
    assert!(count <= 5_000, "{count}");
    assert_eq!(ended, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_connection_is_closed_after_exactly_so_many_bytes() {
    let (_proxy, mut stream) =
        through(Faults { down: vec![Fault::CloseAfter(5_000)], ..Faults::default() }).await;
    assert_eq!(echoed(&mut stream, 20_000).await, (5_000, None));
}

#[tokio::test]
async fn a_half_open_connection_says_nothing_and_does_not_end() {
    let down = vec![Fault::SwallowAfter(3)];
    let (proxy, mut stream) = through(Faults { down, ..Faults::default() }).await;
    stream.write_all(b"abcdef").await.unwrap();
    let mut three = [0; 3];
    timeout(PATIENCE, stream.read_exact(&mut three)).await.unwrap().unwrap();
    assert_eq!(&three, b"abc");
    assert!(timeout(SILENCE, stream.read(&mut three)).await.is_err(), "neither bytes nor an end");
    proxy.reset_all();
    assert!(timeout(PATIENCE, stream.read(&mut three)).await.unwrap().is_err());
}

#[tokio::test]
async fn answers_disappear_while_they_are_swallowed() {
    let (proxy, mut stream) = through(Faults::default()).await;
    proxy.swallow_answers(true);
    stream.write_all(b"gone").await.unwrap();
    assert!(timeout(SILENCE, stream.read(&mut [0; 8])).await.is_err());
    proxy.swallow_answers(false);
    stream.write_all(b"here").await.unwrap();
    let mut answer = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"here");
}

#[tokio::test]
async fn a_stalled_connection_takes_no_more_than_the_buffers_hold() {
    let (_proxy, mut stream) = through(Faults { up: vec![Fault::StallAfter(0)], ..Faults::default() }).await;
    let piece = vec![1; 1 << 20];
    let filled = async {
        for _ in 0..64 {
            stream.write_all(&piece).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(1), filled).await.is_err(), "64 MiB went somewhere");
}

#[tokio::test]
async fn nobody_upstream_is_a_reset() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(gone, 1, |_| Faults::default()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let ended = timeout(PATIENCE, stream.read(&mut [0; 8])).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
}
