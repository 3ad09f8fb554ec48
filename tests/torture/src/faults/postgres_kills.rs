//! Fault test 7: the database is killed while projectors commit without waiting for its disk.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use embedded::postgres::PostgresState;
use projections::{Fuse, Projections, view_names};
use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::read_models::{ReadModels, history, reached};
use crate::harness::{Counts, FaultTest, Round};

/// The build that keeps its checkpoints elsewhere, durably, so that they do not roll back with the rows.
const ELSEWHERE: &str = "checkpoint-kept-elsewhere";
const EVENTS: u32 = 1_200;
const KILLS: u32 = 5;
/// Events that come at once.
const PIECE: usize = 20;

/// Fault test 7.
pub(super) struct PostgresKills;

#[async_trait(?Send)]
impl FaultTest for PostgresKills {
    fn name(&self) -> &'static str {
        "postgres-kills"
    }

    fn claim(&self) -> &'static str {
        "a killed Postgres loses rows and checkpoint together, and the views converge on a full replay"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[ELSEWHERE]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        // so that commits which do not wait for the disk are really lost
        let models = ReadModels::start(&[("wal_writer_delay", "10s")]).await?;
        let events = history(chance.random(), round.share(EVENTS));
        let projections = Projections::start(&models.deps(Fuse::none()));
        let (mut rolled_back, kills) = (0, round.share(KILLS));
        for part in events.chunks(events.len().div_ceil(kills as usize)) {
            for piece in part.chunks(PIECE) {
                models.append(piece)?;
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..15))).await;
            }
            let is_calm = chance.random();
            if is_calm {
                all_reached(&models, &projections).await?;
            }
            let before = positions(&models).await?;
            models.log.faults().stall(true);
            kill(&models).await?;
            let after = once_back(&models).await?;
            rolled_back += before.iter().zip(&after).filter(|(before, after)| after < before).count() as u64;
            if round.is_control(ELSEWHERE) {
                for (view, position) in view_names().into_iter().zip(before) {
                    models.set_position(view, position).await?;
                }
            }
            models.log.faults().stall(false);
        }
        all_reached(&models, &projections).await?;
        projections.shutdown().await;
        models.compare().await?;
        models.stop().await?;
        Ok(Counts::from([("kills", u64::from(kills)), ("roll-backs of a view", rolled_back)]))
    }
}

type Positions = Vec<Option<schemas::Position>>;

async fn positions(models: &ReadModels) -> Result<Positions, sqlx::Error> {
    let mut positions = Vec::new();
    for view in view_names() {
        positions.push(models.position(view).await?);
    }
    Ok(positions)
}

async fn all_reached(models: &ReadModels, projections: &Projections) -> anyhow::Result<()> {
    for view in view_names() {
        reached(models, projections, view, || false).await?;
    }
    Ok(())
}

/// Kills the server that we started, without warning, and waits for its supervisor to bring it back.
async fn kill(models: &ReadModels) -> anyhow::Result<()> {
    let mut state = models.postgres.state();
    let text = std::fs::read_to_string(models.directory.path().join("cluster/postmaster.pid"))?;
    let pid: i32 = text.lines().next().context("an empty pid file")?.parse()?;
    kill_process(Pid::from_raw(pid).context("no process")?, Signal::KILL)?;
    state.wait_for(|state| matches!(state, PostgresState::Restarting { .. })).await?;
    state.wait_for(|state| *state == PostgresState::Running).await?;
    Ok(())
}

/// The positions that survived. The pool may still hold connections to the dead server.
async fn once_back(models: &ReadModels) -> anyhow::Result<Positions> {
    let mut found = None;
    models
        .until("the database is back", async || {
            found = positions(models).await.ok();
            found.is_some()
        })
        .await?;
    found.context("no positions")
}
