//! A TCP proxy that makes connections fail on purpose, byte by byte and each way for itself.
//!
//! What befalls a connection is drawn when it is accepted, from a seed; beside that every connection can be reset, or
//! made to lose what is under way, at any moment.

mod pump;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What befalls one way of a connection, after so many bytes of that way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Each piece comes so much later.
    Delay(Duration),
    /// At most so many bytes a second.
    Throttle(u64),
    /// The receiver sees a proper end.
    CloseAfter(u64),
    /// Both ends see a reset.
    ResetAfter(u64),
    /// The sender goes on and notices nothing; the receiver gets no more, and no end.
    SwallowAfter(u64),
    /// Nothing is taken from the sender any more: its buffers fill up.
    StallAfter(u64),
}

/// What befalls a connection; an empty one is well.
#[derive(Clone, Default, Debug)]
pub struct Faults {
    /// From client to server.
    pub up: Vec<Fault>,
    /// From server to client.
    pub down: Vec<Fault>,
}

/// What holds for all connections at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Weather {
    /// Requests disappear.
    pub swallows_up: bool,
    /// Answers disappear.
    pub swallows_down: bool,
    /// Connections that began under another number are reset.
    era: u64,
}

/// A running proxy; dropping it cuts its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepted: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port and forwards to `upstream`. `draw` decides what befalls each connection.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub async fn start(
        upstream: SocketAddr,
        seed: u64,
        draw: impl FnMut(&mut StdRng) -> Faults + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Self::over(listener, upstream, seed, draw)
    }

    /// The same on a listener of the caller's.
    ///
    /// # Errors
    /// Where the listener has no address.
    pub fn over(
        listener: TcpListener,
        upstream: SocketAddr,
        seed: u64,
        draw: impl FnMut(&mut StdRng) -> Faults + Send + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (weather, accepted) = (watch::Sender::new(Weather::default()), Arc::default());
        let (following, counting) = (weather.subscribe(), Arc::clone(&accepted));
        let chance = StdRng::seed_from_u64(seed);
        let task = tokio::spawn(accept(listener, upstream, chance, draw, following, counting));
        Ok(Self { address, weather, accepted, task })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Lets answers disappear, or no longer. What has disappeared does not come back: reset such connections.
    pub fn swallow_answers(&self, is_swallowed: bool) {
        self.weather.send_modify(|weather| weather.swallows_down = is_swallowed);
    }

    /// Lets requests disappear, or no longer.
    pub fn swallow_requests(&self, is_swallowed: bool) {
        self.weather.send_modify(|weather| weather.swallows_up = is_swallowed);
    }

    /// Resets every connection there is. New ones are accepted.
    pub fn reset_all(&self) {
        self.weather.send_modify(|weather| weather.era += 1);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    mut chance: StdRng,
    mut draw: impl FnMut(&mut StdRng) -> Faults,
    weather: watch::Receiver<Weather>,
    accepted: Arc<AtomicU64>,
) {
    // ends its connections with itself
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::SeqCst);
        while connections.try_join_next().is_some() {}
        let faults = draw(&mut chance);
        let weather = weather.clone();
        connections.spawn(async move {
            match TcpStream::connect(upstream).await {
                Ok(server) => pump::connect(client, server, faults, weather).await,
                // nobody there: as the client would see it without us
                Err(_) => drop(client.set_zero_linger()),
            }
        });
    }
}
