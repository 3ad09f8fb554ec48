//! Fault test 6: the projector dies before each of its statements, and after its commits.
//!
//! The fuse is the projections' own seam: where it blows, the transaction is dropped as a death of the process drops it,
//! and another projector takes over.

use async_trait::async_trait;
use projections::{Fuse, Projections, view_names};
use rand::Rng;
use rand::rngs::StdRng;

use super::read_models::{ReadModels, history, reached};
use crate::harness::{Counts, FaultTest, Round};

/// The build that commits its checkpoint before the rows, in a transaction of its own.
const APART: &str = "checkpoint-committed-apart";
const EVENTS: u32 = 600;
const CHUNKS: usize = 6;
/// Statements of a view for one batch, and more.
const STATEMENTS: u32 = 14;

/// Fault test 6.
pub(super) struct ProjectorKills;

#[async_trait(?Send)]
impl FaultTest for ProjectorKills {
    fn name(&self) -> &'static str {
        "projector-kills"
    }

    fn claim(&self) -> &'static str {
        "a projector killed at any statement leaves rows that equal those of a full replay"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[APART]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let models = ReadModels::start(&[("fsync", "off"), ("full_page_writes", "off")]).await?;
        let events = history(chance.random(), round.share(EVENTS));
        let mut kills = 0;
        for chunk in events.chunks(events.len().div_ceil(CHUNKS)) {
            models.append(chunk)?;
            for view in view_names() {
                kills += kill_until_done(&models, view, round.is_control(APART), &mut chance).await?;
            }
        }
        models.compare().await?;
        models.stop().await?;
        Ok(Counts::from([("kills", kills), ("events", events.len() as u64)]))
    }
}

/// Lets projectors die, each somewhere else, until one gets to the head of the log.
async fn kill_until_done(
    models: &ReadModels,
    view: &str,
    is_apart: bool,
    chance: &mut StdRng,
) -> anyhow::Result<u64> {
    let (mut kills, mut statements) = (0, chance.random_range(0..3));
    loop {
        let deps = models.deps(Fuse::after(statements));
        let projections = Projections::start_views(&deps, &[view]);
        let ended = reached(models, &projections, view, || deps.fuse.is_blown()).await;
        projections.shutdown().await;
        ended?;
        if !deps.fuse.is_blown() {
            return Ok(kills);
        }
        kills += 1;
        // the first statement of a batch is the checkpoint's: where it came through, that build had committed it
        if is_apart && statements >= STATEMENTS / 2 {
            models.set_position(view, models.head()).await?;
        }
        statements += chance.random_range(1..3);
    }
}
