//! `tally rebuild warehouse`: the warehouse from the first event on, beside the one that serves, then the exchange.

use std::time::{Duration, Instant};

use analytics::backfill::{Backfill, Beside, Filled};
use analytics::figures::AsOf;
use anyhow::{Context, anyhow, bail};
use clickhouse::Client;
use futures::StreamExt;
use platform::config::Config;
use platform::event_log::{EventLog, LogItem, StoredEvent, codec};
use platform::postgres::Leadership;
use platform::shutdown::Shutdown;
use schemas::published::{PARTITIONS, Published, TOPIC};
use schemas::{Position, Timestamp, streams};
use sqlx::PgPool;
use tokio::time::timeout;

use super::LINE_EVERY;
use crate::services::layout;

/// One at a time, among all nodes.
const LEAD: &str = "rebuild-warehouse";

/// What is said where it was told to stop.
const STOPPED: &str = "stopped: the warehouse serves as before";

/// How long another rebuild that is just ending may take.
const LEAD_WAIT: Duration = Duration::from_secs(3);

/// Events of a round after which the rest is left to the loader: it loads them again within a second or two.
const SHORT_ROUND: u64 = 20_000;

/// Rebuilds the warehouse. Whatever fails on the way, what serves stays as it is.
pub(super) async fn rebuild(
    config: &Config,
    log: &dyn EventLog,
    pool: &PgPool,
    client: &Client,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let stop = shutdown.part();
    let lead = match timeout(LEAD_WAIT, Leadership::acquire(pool, LEAD, &stop)).await {
        Ok(lead) => lead.context(STOPPED)?,
        Err(_) => bail!("the warehouse is being rebuilt by another process"),
    };
    println!("warehouse: begins");
    let beside = Beside::make(client, &layout(config)).await?;
    let fresh = beside.client();
    let filled = tokio::select! {
        filled = fill(log, &fresh) => filled,
        () = stop.cancelled() => Err(anyhow!(STOPPED)),
        () = lead.lost().cancelled() => Err(anyhow!("Postgres is away: another process may begin the same")),
    };
    if let Err(error) = filled {
        beside.give_up().await?;
        return Err(error);
    }
    beside.put_in_place().await.context("the exchange stopped half-way: rebuild the warehouse again")?;
    lead.release().await;
    println!("warehouse: rebuilt and swapped in");
    Ok(())
}

/// Round after round, until the rest is short.
async fn fill(log: &dyn EventLog, client: &Client) -> anyhow::Result<()> {
    let mut meter = Meter { begun: Instant::now(), told: Instant::now(), head: log.head().await? };
    let mut backfill = Backfill::new(client, TOPIC, PARTITIONS, |filled| meter.show(filled));
    let (mut after, mut time) = (None, Timestamp::from_millis(0));
    loop {
        let mut events = 0_u64;
        let mut items = log.subscribe(after, &[streams::SHOW, streams::PAYMENT]).await?;
        loop {
            let stored = match items.next().await.context("the log ended")?? {
                LogItem::Event(stored) => stored,
                LogItem::Checkpoint(_) => continue,
                LogItem::CaughtUp => break,
            };
            let published = publish(&stored)?;
            (after, time) = (Some(stored.position), published.occurred_at.max(time));
            events += 1;
            backfill.add(&published).await?;
        }
        let up_to = AsOf { position: after.unwrap_or(Position(0)), time };
        backfill.finish(up_to).await?;
        if events < SHORT_ROUND {
            return Ok(());
        }
    }
}

/// What the relay would have published.
fn publish(stored: &StoredEvent) -> anyhow::Result<Published> {
    let envelope = codec::decode(stored)
        .with_context(|| format!("the event at position {} cannot be read", stored.position))?;
    Ok(Published::of(&stored.stream, stored.position, &envelope))
}

/// Tells now and then how far it is.
struct Meter {
    begun: Instant,
    told: Instant,
    head: Option<Position>,
}

impl Meter {
    fn show(&mut self, filled: Filled) {
        if self.told.elapsed() < LINE_EVERY {
            return;
        }
        self.told = Instant::now();
        let rate = filled.events as f64 / self.begun.elapsed().as_secs_f64();
        let part = match (filled.position, self.head) {
            (Some(reached), Some(head)) => reached.0.saturating_mul(100) / head.0.max(reached.0).max(1),
            (Some(_) | None, _) => 0,
        };
        let rollups = match filled.to_roll_up {
            0 => String::new(),
            left => format!(", roll-ups of {} shows made, {left} to go", filled.rolled_up),
        };
        println!("warehouse: {part} % of the log, {} events, {rate:.0}/s{rollups}", filled.events);
    }
}
