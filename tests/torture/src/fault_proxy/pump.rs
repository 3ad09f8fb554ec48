//! One connection: two ways, each with its faults.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::{Fault, Faults, Weather};

/// Bytes taken at once: small enough that limits are met in the middle of messages.
const PIECE_BYTES: usize = 4_096;

/// The connection is to be reset.
struct Reset;

/// Pumps both ways until both have ended, or one of them says that the connection is to be reset.
pub(super) async fn connect(
    client: TcpStream,
    server: TcpStream,
    faults: Faults,
    weather: watch::Receiver<Weather>,
) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let ended = {
        let up = Pump { faults: faults.up, is_up: true, weather: weather.clone(), passed: 0 };
        let down = Pump { faults: faults.down, is_up: false, weather, passed: 0 };
        let (mut client_write, mut server_write) = (client_write, server_write);
        let ended = tokio::try_join!(
            up.run(client_read, &mut server_write),
            down.run(server_read, &mut client_write)
        );
        ended.map_err(|Reset| (client_write, server_write))
    };
    if let Err((client_write, server_write)) = ended {
        for way in [client_write, server_write] {
            let _ = way.as_ref().set_zero_linger();
            // dropped, it would send a proper end first
            way.forget();
        }
    }
}

struct Pump {
    faults: Vec<Fault>,
    is_up: bool,
    weather: watch::Receiver<Weather>,
    passed: u64,
}

impl Pump {
    async fn run(mut self, mut from: OwnedReadHalf, to: &mut OwnedWriteHalf) -> Result<(), Reset> {
        let era = self.weather.borrow().era;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            if self.reached(|fault| if let Fault::StallAfter(bytes) = fault { Some(bytes) } else { None }) {
                return self.until_reset(era).await;
            }
            let count = tokio::select! {
                biased;
                reset = self.until_reset(era) => return reset,
                count = from.read(&mut piece) => count.map_err(|_| Reset)?,
            };
            if count == 0 {
                return self.end(to, era).await;
            }
            self.pass(&piece[..count], to).await?;
        }
    }

    /// Whether one of the limits is used up.
    fn reached(&self, limit: impl Fn(Fault) -> Option<u64>) -> bool {
        self.faults.iter().copied().filter_map(limit).any(|bytes| self.passed >= bytes)
    }

    fn swallows(&self) -> bool {
        let weather = *self.weather.borrow();
        let by_weather = if self.is_up { weather.swallows_up } else { weather.swallows_down };
        let by_fault = |fault| match fault {
            Fault::SwallowAfter(bytes) | Fault::CloseAfter(bytes) => Some(bytes),
            Fault::Delay(_) | Fault::Throttle(_) | Fault::ResetAfter(_) | Fault::StallAfter(_) => None,
        };
        by_weather || self.reached(by_fault)
    }

    async fn pass(&mut self, piece: &[u8], to: &mut OwnedWriteHalf) -> Result<(), Reset> {
        // a limit may lie within the piece: what stands before it still passes
        let within = |fault: &Fault| match fault {
            Fault::CloseAfter(bytes) | Fault::ResetAfter(bytes) | Fault::SwallowAfter(bytes) => {
                let left = usize::try_from(bytes.checked_sub(self.passed)?).ok()?;
                (left < piece.len()).then_some((left, *fault))
            }
            Fault::Delay(_) | Fault::Throttle(_) | Fault::StallAfter(_) => None,
        };
        let nearest = self.faults.iter().filter_map(within).min_by_key(|(left, _)| *left);
        let Some((left, fault)) = nearest else { return self.send(piece, to).await };
        self.send(&piece[..left], to).await?;
        self.passed += (piece.len() - left) as u64;
        match fault {
            Fault::ResetAfter(_) => Err(Reset),
            Fault::CloseAfter(_) => to.shutdown().await.map_err(|_| Reset),
            Fault::SwallowAfter(_) | Fault::StallAfter(_) | Fault::Delay(_) | Fault::Throttle(_) => Ok(()),
        }
    }

    /// Sends what is not swallowed, as late and as slowly as it must be.
    async fn send(&mut self, piece: &[u8], to: &mut OwnedWriteHalf) -> Result<(), Reset> {
        let is_swallowed = self.swallows();
        self.passed += piece.len() as u64;
        for fault in &self.faults {
            match fault {
                Fault::Delay(pause) => tokio::time::sleep(*pause).await,
                Fault::Throttle(bytes) => {
                    let nanos = (piece.len() as u64).saturating_mul(1_000_000_000) / (*bytes).max(1);
                    tokio::time::sleep(Duration::from_nanos(nanos)).await;
                }
                Fault::CloseAfter(_)
                | Fault::ResetAfter(_)
                | Fault::SwallowAfter(_)
                | Fault::StallAfter(_) => {}
            }
        }
        if is_swallowed {
            return Ok(());
        }
        to.write_all(piece).await.map_err(|_| Reset)
    }

    /// The sender ended; the receiver learns of it, unless it gets nothing more.
    async fn end(&mut self, to: &mut OwnedWriteHalf, era: u64) -> Result<(), Reset> {
        if self.swallows() {
            return self.until_reset(era).await;
        }
        to.shutdown().await.map_err(|_| Reset)
    }

    /// Waits until every connection of this era is to be reset.
    async fn until_reset(&self, era: u64) -> Result<(), Reset> {
        let mut weather = self.weather.clone();
        // the proxy is gone: so are we, soon
        drop(weather.wait_for(|weather| weather.era != era).await);
        Err(Reset)
    }
}
