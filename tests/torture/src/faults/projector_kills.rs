//! Fault test 6: the projector dies before each of its statements, after its commits, and at random instants.
//!
//! Statements are met by a fuse, the projections' own seam: where it blows, the transaction is dropped as a death of the
//! process drops it, and another projector takes over. Random instants are met by `kill -9` of one of two processes that share the
//! views, while the log grows.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use projections::{Fuse, Projections, view_names};
use rand::Rng;
use rand::rngs::StdRng;

use super::read_models::{Events, ReadModels, history, reached};
use crate::harness::{Counts, FaultTest, Round};
use crate::projector_process::ProjectorProcess;

/// The build that commits its checkpoint before the rows, in a transaction of its own, and dies at a statement.
const APART: &str = "checkpoint-committed-apart";
/// The same build, killed at a random instant.
const AHEAD: &str = "checkpoint-ahead-when-killed";
const EVENTS: u32 = 600;
const CHUNKS: usize = 6;
/// Statements of a view for one batch, and more.
const STATEMENTS: u32 = 14;
/// Processes that are killed in a full round.
const PROCESS_KILLS: u32 = 24;
/// Events that are appended in the life of a process.
const EVENTS_PER_LIFE: u32 = 25;
/// A process lives for so long at most: some die before they lead, most while they work.
const LIFE_MS_MAX: u64 = 300;

/// Fault test 6.
pub(super) struct ProjectorKills;

#[async_trait(?Send)]
impl FaultTest for ProjectorKills {
    fn name(&self) -> &'static str {
        "projector-kills"
    }

    fn claim(&self) -> &'static str {
        "a projector killed at any statement or instant leaves rows that equal those of a full replay"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[APART, AHEAD]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let models = ReadModels::start(&[("fsync", "off"), ("full_page_writes", "off")]).await?;
        let (by_fuse, lives) = (round.share(EVENTS), round.share(PROCESS_KILLS));
        let mut events = history(chance.random(), by_fuse + lives * EVENTS_PER_LIFE);
        let rest = events.split_off(by_fuse as usize);
        let mut counts = Counts::from([("events", (events.len() + rest.len()) as u64)]);
        // each of the two broken builds must fail in its own part
        if round.is_control(AHEAD) {
            models.append(&events).await?;
        } else {
            let kills = kill_at_statements(&models, &events, round.is_control(APART), &mut chance).await?;
            counts.insert("kills at a statement", kills);
        }
        if !round.is_control(APART) {
            let is_ahead = round.is_control(AHEAD);
            let kills = kill_processes(&models, &round.program, &rest, is_ahead, &mut chance).await?;
            counts.insert("kills -9", kills);
        }
        models.compare().await?;
        models.stop().await?;
        Ok(counts)
    }
}

/// Lets projectors die at each statement of each view, and says how many did.
async fn kill_at_statements(
    models: &ReadModels,
    events: &Events,
    is_apart: bool,
    chance: &mut StdRng,
) -> anyhow::Result<u64> {
    let mut kills = 0;
    for chunk in events.chunks(events.len().div_ceil(CHUNKS)) {
        models.append(chunk).await?;
        for view in view_names() {
            kills += kill_until_done(models, view, is_apart, chance).await?;
        }
    }
    Ok(kills)
}

/// Kills one of two projectors after the other while the log grows, and says how many died.
async fn kill_processes(
    models: &ReadModels,
    program: &Path,
    events: &Events,
    is_ahead: bool,
    chance: &mut StdRng,
) -> anyhow::Result<u64> {
    let mut running = [models.projector(program)?, models.projector(program)?];
    let mut kills = 0;
    for piece in events.chunks(EVENTS_PER_LIFE as usize) {
        let life = Duration::from_millis(chance.random_range(0..LIFE_MS_MAX));
        let (appended, ()) = tokio::join!(models.append(piece), tokio::time::sleep(life));
        appended?;
        let killed = &mut running[chance.random_range(0..2)];
        killed.kill()?;
        if is_ahead {
            for view in view_names() {
                models.set_position(view, models.head()).await?;
            }
        }
        *killed = models.projector(program)?;
        kills += 1;
    }
    models.all_reached().await?;
    running.into_iter().try_for_each(ProjectorProcess::stop)?;
    Ok(kills)
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
