//! One socket: a task that passes on what its room says, carries out what its client says, and ends it well.
//!
//! It waits for four things at once (its connection, its room's call, its running command, its next deadline) and
//! holds no buffer while it waits. What the room says is written by the room's own loop ([`outlet`]) as long as the
//! client takes it; this task is called for the rest. What it has to send lives in the room, once for all sockets;
//! only what is being written, answers to this client, and the replay of what it missed are its own, and bounded.

mod answer;
mod link;
mod outlet;
mod replay;
#[cfg(test)]
mod size_tests;
mod work;

pub(crate) use link::Io;
pub(crate) use outlet::Outlet;

use futures::future::BoxFuture;
use platform::http::auth::Caller;
use schemas::ShowId;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

use self::link::{Link, Moved};
use self::work::Work;
use super::core::Core;
use super::crowd::Membership;
use super::life_signs::LastHeard;
use super::ring::Pulled;
use super::rooms::Occupant;
use super::seats::Seat;
use super::wire::{self, CloseCode, Inbound};

/// Bytes that one pull takes from the room: as many as one flush should carry.
const PULL_BYTES_MAX: usize = 64 * 1024;

/// A client that does not take its answers is not read from.
const UNWRITTEN_BYTES_MAX: usize = 64 * 1024;

/// How long the other end may take to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Who is at the other end, and how they came.
pub(crate) struct Client {
    /// The bearer of the token; `None`: reading only.
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: Option<http::HeaderValue>,
}

/// What a socket holds as long as it lives.
pub(crate) struct Held {
    pub(crate) occupant: Occupant,
    pub(crate) _seat: Seat,
    /// The server's place among the connections allowed.
    pub(crate) _connection: Option<platform::http::server::Connection>,
}

/// How a socket ends.
enum End {
    /// We close, with a reason.
    Close(CloseCode),
    /// The client closed, with its code.
    Closed(Option<u16>),
    /// The connection is gone.
    Gone,
}

pub(crate) struct Socket {
    core: Arc<Core>,
    number: u64,
    show: ShowId,
    client: Client,
    held: Held,
    link: Link,
    _membership: Membership,
    /// What the client said and still waits, in order.
    waiting: VecDeque<Work>,
    running: Option<BoxFuture<'static, work::Done>>,
    heard: LastHeard,
    due: Due,
}

/// When what is due.
struct Due {
    ping: Instant,
    heard_at: Instant,
    /// End of the token.
    expiry: Option<Instant>,
    hello: Option<Instant>,
    resume: Option<Instant>,
    /// A node that stops closes this socket then.
    leave: Option<Instant>,
}

impl Socket {
    pub(crate) fn new(core: Arc<Core>, client: Client, held: Held, io: Io, already_read: &[u8]) -> Self {
        let now = Instant::now();
        let settings = &core.settings;
        let expiry = client.caller.as_ref().map(|caller| core.until(caller.expires_at));
        let due = Due {
            ping: now + settings.ping_interval,
            heard_at: now,
            expiry,
            hello: Some(now + settings.hello_wait),
            resume: None,
            leave: None,
        };
        let room = held.occupant.room();
        let link = Link::new(io, already_read, settings.message_bytes_max, room);
        Self {
            number: core.next_socket(),
            _membership: Membership::new(room, &link.outlet),
            link,
            core,
            show: room.show,
            client,
            held,
            waiting: VecDeque::new(),
            running: None,
            heard: LastHeard::default(),
            due,
        }
    }

    /// Runs until the socket ends.
    pub(crate) async fn run(mut self) {
        let end = self.serve().await;
        self.core.life_signs.end(self.number);
        match end {
            End::Close(code) => self.close(code.number(), code.reason()).await,
            End::Closed(code) => self.close(code.unwrap_or(CloseCode::Normal.number()), "").await,
            End::Gone => {}
        }
    }

    async fn serve(&mut self) -> End {
        let outlet = Arc::clone(&self.link.outlet);
        let mut alarm = Box::pin(sleep_until(self.next_due()));
        loop {
            if let Err(end) = self.advance().await {
                return end;
            }
            self.set_alarm(&mut alarm);
            let wants_read = self.wants_read();
            tokio::select! {
                biased;
                moved = self.link.moved(wants_read) => match moved {
                    Moved::Read => self.hear(),
                    Moved::Flushed => {}
                    Moved::Gone => return End::Gone,
                },
                () = outlet.called() => {}
                done = work::run_or_wait(&mut self.running) => {
                    self.running = None;
                    if let Err(end) = Box::pin(self.finish(done)).await {
                        return end;
                    }
                }
                () = &mut alarm => {
                    if let Err(end) = self.look_at_clock().await {
                        return end;
                    }
                }
            }
        }
    }

    /// Does what can be done without waiting for anything: reads on, carries out, passes on.
    async fn advance(&mut self) -> Result<(), End> {
        self.take_inbound()?;
        while self.running.is_none() && self.link.outlet.unwritten_bytes() < UNWRITTEN_BYTES_MAX {
            let Some(work) = self.waiting.pop_front() else { break };
            // on the heap while it runs: an idle socket's task stays small
            Box::pin(self.begin(work)).await?;
            self.take_inbound()?;
        }
        self.look_at_room().await?;
        if self.link.outlet.unwritten_bytes() == 0 {
            let pulled = self.link.outlet.take_from(self.held.occupant.room(), PULL_BYTES_MAX);
            self.mind_gap(pulled)?;
        }
        Ok(())
    }

    fn take_inbound(&mut self) -> Result<(), End> {
        while self.waiting.len() < self.core.settings.commands_waiting_max {
            let inbound = self.link.next_inbound().map_err(|error| End::Close(error.close_code()))?;
            match inbound {
                None => break,
                Some(Inbound::Text(text)) => self.waiting.push_back(self.understand(&text)),
                Some(Inbound::Ping(payload)) => self.link.outlet.send(wire::pong(&payload)),
                Some(Inbound::Pong) => {}
                Some(Inbound::Close(code)) => return Err(End::Closed(code)),
            }
        }
        Ok(())
    }

    fn wants_read(&self) -> bool {
        self.waiting.len() < self.core.settings.commands_waiting_max
            && self.link.outlet.unwritten_bytes() < UNWRITTEN_BYTES_MAX
    }

    fn hear(&mut self) {
        self.due.heard_at = Instant::now();
        self.core.life_signs.hear(&self.heard);
    }

    /// Tells a client that was too slow of its gap.
    fn mind_gap(&mut self, pulled: Pulled) -> Result<(), End> {
        if pulled != Pulled::Lost {
            return Ok(());
        }
        metrics::counter!("tally_realtime_gaps_total").increment(1);
        let gap = self.held.occupant.room().gap(self.link.outlet.delivered());
        self.link.outlet.send(gap.map_err(unwritable)?);
        self.due.resume = Some(Instant::now() + self.core.settings.gap_resume_max);
        Ok(())
    }

    /// Whether the room ends, or lets fewer people in than before.
    async fn look_at_room(&mut self) -> Result<(), End> {
        let room = self.held.occupant.room();
        match room.closing() {
            None => {}
            Some(CloseCode::GoingAway) if self.due.leave.is_none() => {
                // spread by the socket's number: the clients must not all come back at once
                let spread_ms = u64::try_from(self.core.settings.shutdown_spread.as_millis()).unwrap_or(0);
                let delay_ms = self.number.wrapping_mul(SPREAD_FACTOR) % spread_ms.max(1);
                self.due.leave = Some(Instant::now() + Duration::from_millis(delay_ms));
            }
            Some(CloseCode::GoingAway) => {}
            Some(code) => return Err(End::Close(code)),
        }
        let epoch = room.access_epoch();
        if epoch != self.link.outlet.access_epoch() {
            let may_stay = Box::pin(self.core.admission.may_enter(room, self.client.caller.as_deref())).await;
            if may_stay.is_err() {
                return Err(End::Close(CloseCode::AccessLost));
            }
            self.link.outlet.admit(epoch);
        }
        Ok(())
    }

    fn next_due(&self) -> Instant {
        let idle = self.due.heard_at + self.core.settings.idle_max;
        let stalled =
            self.link.outlet.stalled_since().map(|since| since + self.core.settings.write_stall_max);
        let optional = [self.due.expiry, self.due.hello, self.due.resume, self.due.leave, stalled];
        optional.into_iter().flatten().fold(self.due.ping.min(idle), Instant::min)
    }

    /// Sets the alarm earlier where something is due before it; later it rings anyway and is set again.
    fn set_alarm(&mut self, alarm: &mut Pin<Box<Sleep>>) {
        let next = self.next_due();
        if next < alarm.deadline() || alarm.is_elapsed() {
            alarm.as_mut().reset(next);
        }
    }

    async fn look_at_clock(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let settings = Arc::clone(&self.core.settings);
        if is_due(self.due.leave) {
            return Err(End::Close(CloseCode::GoingAway));
        }
        if is_due(self.due.expiry) {
            return Err(End::Close(CloseCode::TokenExpired));
        }
        if now >= self.due.heard_at + settings.idle_max {
            return Err(End::Close(CloseCode::Idle));
        }
        let stalled_since = self.link.outlet.stalled_since();
        let is_stalled = stalled_since.is_some_and(|since| now >= since + settings.write_stall_max);
        if is_stalled || is_due(self.due.resume) {
            metrics::counter!("tally_realtime_slow_closed_total").increment(1);
            return Err(End::Close(CloseCode::TooSlow));
        }
        if self.due.ping <= now {
            self.due.ping = now + settings.ping_interval;
            self.link.outlet.send(wire::ping());
        }
        if is_due(self.due.hello) {
            Box::pin(self.go_live()).await?;
        }
        Ok(())
    }

    /// Says why, and waits a little for the other end to agree.
    async fn close(&mut self, code: u16, reason: &str) {
        self.link.outlet.abandon();
        self.link.outlet.send(wire::close(code, reason));
        let deadline = Instant::now() + CLOSE_WAIT;
        let farewell = async {
            loop {
                match self.link.moved(true).await {
                    Moved::Gone => return,
                    Moved::Flushed => {}
                    Moved::Read => {
                        // whatever it still said, only its close is of interest
                        while let Ok(Some(inbound)) = self.link.next_inbound() {
                            if matches!(inbound, Inbound::Close(_)) && self.link.outlet.unwritten_bytes() == 0
                            {
                                return;
                            }
                        }
                    }
                }
            }
        };
        // an end that says nothing is cut off
        let _ = tokio::time::timeout_at(deadline, farewell).await;
    }
}

/// Plain data with text keys: none in practice.
fn unwritable(_: serde_json::Error) -> End {
    End::Close(CloseCode::Internal)
}

/// Spreads consecutive numbers over any interval (Knuth's multiplicative hash).
const SPREAD_FACTOR: u64 = 2_654_435_761;
