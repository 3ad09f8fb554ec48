//! Fault test 4: the disk fails under a running node: flushes fail, or nothing fits any more.
//!
//! From the first failure on nothing may be acknowledged, also when the disk is well again, because what a failed
//! flush left is unknown. Reads go on, health says so, and after a start all that was acknowledged is there.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use embedded::event_log::{AppendError, Node, NodeConfig, Store, StoreConfig, WriteResult};
use futures::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;

use super::log_contents::{Sent, compare, read_all};
use crate::broken_disks::{FailingDisk, Failure};
use crate::harness::{Counts, FaultTest, Round, promise, violation};

/// The build that tries a failed flush again, and takes that for a success.
const RETRIES: &str = "takes-a-retried-flush-for-success";
const STREAMS: u32 = 5;
/// Appends side by side.
const SIDE_BY_SIDE: usize = 6;
/// Groups of appends before the failure, at most, and after it.
const GROUPS: usize = 12;
/// Failures of a full round, each with a start after it.
const FAILURES: u32 = 8;
/// Answers, also refusals, come well within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Fault test 4.
pub(super) struct DiskErrors;

#[async_trait(?Send)]
impl FaultTest for DiskErrors {
    fn name(&self) -> &'static str {
        "disk-errors"
    }

    fn claim(&self) -> &'static str {
        "after a failed flush or a full disk nothing is acknowledged, reads go on, nothing acknowledged is lost"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[RETRIES]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let directory = tempfile::tempdir()?;
        let mut sent: Vec<Sent> = Vec::new();
        let mut counts = Counts::new();
        for _ in 0..round.share(FAILURES) {
            let disk = FailingDisk::new(chance.random(), round.is_control(RETRIES));
            let mut config =
                NodeConfig::new(directory.path()).listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            config.segment_bytes = chance.random_range(3_000..30_000);
            let node = Node::start_on(config, Arc::new(disk.clone()))
                .await
                .map_err(violation("the node does not start on a disk that is well"))?;
            let life = Life { store: Arc::clone(node.store()), node, disk };
            for _ in 0..chance.random_range(1..GROUPS) {
                let group = draw(&mut chance);
                life.append(&group).await?;
                sent.extend(group);
            }
            let failure = if chance.random() { Failure::Flush } else { Failure::Full };
            life.disk.set(failure);
            let unknown = draw(&mut chance);
            life.refuse(&unknown).await?;
            life.check_read_only(&sent).await?;
            // well again, but what the failure left is unknown: still no acknowledgements
            life.disk.set(Failure::None);
            for _ in 0..GROUPS {
                life.refuse(&draw(&mut chance)).await?;
            }
            life.check_read_only(&sent).await?;
            let Life { node, store, .. } = life;
            drop(store);
            node.shutdown().await?;
            let found = reopen(directory.path(), &sent, &unknown).await?;
            sent.extend(unknown.into_iter().take(found - sent.len()));
            *counts
                .entry(if failure == Failure::Flush { "failed flushes" } else { "full disks" })
                .or_default() += 1;
        }
        counts.insert("appends acknowledged", sent.len() as u64);
        Ok(counts)
    }
}

fn draw(chance: &mut StdRng) -> Vec<Sent> {
    (0..SIDE_BY_SIDE).map(|_| Sent::draw(chance, STREAMS)).collect()
}

/// One run of the node.
struct Life {
    node: Node,
    store: Arc<Store>,
    disk: FailingDisk,
}

impl Life {
    async fn submit(&self, group: &[Sent]) -> anyhow::Result<Vec<WriteResult>> {
        let answers = join_all(group.iter().map(|sent| self.store.write(sent.command())));
        let answers = tokio::time::timeout(ANSWER_TIMEOUT, answers).await;
        Ok(answers.map_err(violation("an append is never answered"))?)
    }

    async fn append(&self, group: &[Sent]) -> anyhow::Result<()> {
        for answer in self.submit(group).await? {
            answer.map_err(violation("a disk that is well fails"))?;
        }
        Ok(())
    }

    async fn refuse(&self, group: &[Sent]) -> anyhow::Result<()> {
        for answer in self.submit(group).await? {
            promise(matches!(answer, Err(AppendError::Unavailable { .. })), || {
                format!(
                    "after the disk failed {} times an append was answered {answer:?}",
                    self.disk.failed()
                )
            })?;
        }
        Ok(())
    }

    /// Reads show what was acknowledged and nothing else, and health says that writes do not go on.
    async fn check_read_only(&self, sent: &[Sent]) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.store.failure().is_none() {
            promise(start.elapsed() < ANSWER_TIMEOUT, || "the failure is not remembered".to_owned())?;
            tokio::task::yield_now().await;
        }
        let records = read_all(&self.store).map_err(violation("reads do not go on"))?;
        let found = compare(&records, sent)?;
        promise(found == sent.len(), || format!("{found} of {} appends are readable", sent.len()))?;
        let health = reqwest::get(format!("http://{}/health/live", self.node.addr())).await?;
        promise(health.status() == 503, || format!("health says {}", health.status()))?;
        Ok(())
    }
}

/// Starts on a disk that is well; says how many appends are there.
async fn reopen(directory: &std::path::Path, sent: &[Sent], unknown: &[Sent]) -> anyhow::Result<usize> {
    let config = StoreConfig::new(directory);
    let all: Vec<Sent> = sent.iter().chain(unknown).cloned().collect();
    let acknowledged = sent.len();
    tokio::task::spawn_blocking(move || {
        let store = Store::open(config).map_err(violation("the log does not open after the failure"))?;
        let records = read_all(&store).map_err(violation("the log cannot be read"))?;
        let found = compare(&records, &all)?;
        promise(found >= acknowledged, || {
            format!("{found} of {acknowledged} acknowledged appends are there")
        })?;
        store.close()?;
        Ok(found)
    })
    .await
    .context("the reader died")?
}
