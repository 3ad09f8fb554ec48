//! RESUME: exactly what the client missed, from the room where that still has it, else from the log, a page at a
//! time as fast as the client takes it, joined to the live frames without gap or repeat.

use platform::http::problem::Chain;
use schemas::Revision;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

use super::link::Moved;
use super::outlet::Standing;
use super::{End, Socket, unwritable};
use crate::realtime::history::{HistoryError, retried};
use crate::realtime::inbound::refusal;
use crate::realtime::ring::Cursor;
use crate::realtime::wire::CloseCode;

/// How often a node that is behind the client looks again.
const BEHIND_PAUSE: Duration = Duration::from_millis(50);

impl Socket {
    pub(super) async fn resume(
        &mut self,
        sequence: Revision,
        request_id: Option<Arc<str>>,
    ) -> Result<(), End> {
        self.due.hello = None;
        if !Box::pin(self.is_known(sequence)).await? {
            let detail = "the show has no such sequence; go on from the snapshot that follows";
            let mut error = refusal("sequence_unknown", detail);
            error.request_id = request_id;
            self.refuse(&error)?;
            // the client starts anew: what it was told to be missing does not count any more
            let (entrance, delivered) = self.held.occupant.room().entrance().unwrap_or_default();
            self.link.outlet.stand(Standing::Fresh(entrance), delivered);
            self.due.resume = None;
            return self.go_live().await;
        }
        self.link.outlet.stand(Standing::Apart, sequence);
        self.due.resume = None;
        self.acknowledge_if_asked(request_id.as_deref())?;
        let room = Arc::clone(self.held.occupant.room());
        let joined = Box::pin(room.join_past(&self.core.history, sequence)).await;
        let cursor = match joined.map_err(|error| self.broken(&error))? {
            Some(cursor) => cursor,
            None => Box::pin(self.replay(sequence)).await?,
        };
        let pulled = self.link.outlet.go_on(&room, cursor).map_err(unwritable)?;
        self.mind_gap(pulled)
    }

    /// Whether the log has this sequence. A node that is behind the client waits a little.
    async fn is_known(&mut self, sequence: Revision) -> Result<bool, End> {
        let room = Arc::clone(self.held.occupant.room());
        let deadline = Instant::now() + self.core.settings.behind_wait_max;
        loop {
            if sequence <= room.revision() {
                return Ok(true);
            }
            let last =
                retried(|| self.core.history.last(self.show)).await.map_err(|error| self.broken(&error))?;
            if sequence <= last {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(BEHIND_PAUSE).await;
        }
    }

    /// Sends what the log has after `sequence`, until the room has the rest.
    async fn replay(&mut self, sequence: Revision) -> Result<Cursor, End> {
        let (history, show) = (Arc::clone(&self.core.history), self.show);
        metrics::counter!("tally_realtime_replays_total").increment(1);
        let previous = retried(|| history.frame_at_or_before(show, sequence)).await;
        let mut previous = previous.map_err(|error| self.broken(&error))?;
        let mut delivered = sequence;
        loop {
            let page = retried(|| history.missed(show, delivered, previous)).await;
            let page = page.map_err(|error| self.broken(&error))?;
            previous = page.previous;
            for (_, wire) in page.frames {
                self.link.outlet.send(wire);
            }
            delivered = page.read_to;
            self.link.outlet.stand(Standing::Apart, delivered);
            self.flush().await?;
            self.may_go_on()?;
            // after the last page the room has the rest, or will: it stands where the log ended, or before
            match self.held.occupant.room().join_after(delivered) {
                Some(cursor) => return Ok(cursor),
                None if page.is_last => sleep(BEHIND_PAUSE).await,
                None => {}
            }
        }
    }

    /// A long replay does not outlive the token or the node.
    fn may_go_on(&self) -> Result<(), End> {
        if self.due.expiry.is_some_and(|at| at <= Instant::now()) {
            return Err(End::Close(CloseCode::TokenExpired));
        }
        match self.held.occupant.room().closing() {
            Some(code) => Err(End::Close(code)),
            None => Ok(()),
        }
    }

    /// Waits until the client has taken everything. It may be slow, but must move.
    async fn flush(&mut self) -> Result<(), End> {
        let stall_max = self.core.settings.write_stall_max;
        while self.link.outlet.unwritten_bytes() > 0 {
            let before = self.link.outlet.written();
            match timeout(stall_max, self.link.moved(false)).await {
                Ok(Moved::Flushed | Moved::Read) => {}
                Ok(Moved::Gone) => return Err(End::Gone),
                Err(_) if self.link.outlet.written() == before => return Err(End::Close(CloseCode::TooSlow)),
                Err(_) => {}
            }
        }
        // it was busy reading: that is a sign of life
        self.hear();
        Ok(())
    }

    fn broken(&self, error: &HistoryError) -> End {
        tracing::error!(show.id = %self.show, error.chain = %Chain(error), "show cannot be replayed");
        End::Close(CloseCode::Internal)
    }
}
