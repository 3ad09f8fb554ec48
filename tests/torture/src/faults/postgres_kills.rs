//! Fault test 7: the database is killed while a projector commits without waiting for its disk.
//!
//! The projector is a process of its own. It is frozen while the database comes back, so that what survived can be read; then
//! it goes on, or is killed as well and another starts.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use embedded::postgres::PostgresState;
use projections::view_names;
use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::read_models::{ReadModels, history};
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
        let mut projector = models.projector(&round.program)?;
        let (mut rolled_back, mut killed_too, kills) = (0, 0, round.share(KILLS));
        for part in events.chunks(events.len().div_ceil(kills as usize)) {
            for piece in part.chunks(PIECE) {
                models.append(piece).await?;
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..15))).await;
            }
            let is_calm = chance.random();
            if is_calm {
                models.all_reached().await?;
            }
            let before = positions(&models).await?;
            let killed = kill(&models)?;
            projector.freeze()?;
            restarted(&models, killed).await?;
            let after = once_back(&models).await?;
            rolled_back += before.iter().zip(&after).filter(|(before, after)| after < before).count() as u64;
            if round.is_control(ELSEWHERE) {
                for (view, position) in view_names().into_iter().zip(before) {
                    models.set_position(view, position).await?;
                }
            }
            if chance.random() {
                killed_too += 1;
                projector.kill()?;
                projector = models.projector(&round.program)?;
            } else {
                projector.thaw()?;
            }
        }
        models.all_reached().await?;
        projector.stop()?;
        models.compare().await?;
        models.stop().await?;
        Ok(Counts::from([
            ("kills", u64::from(kills)),
            ("of them with the projector", killed_too),
            ("roll-backs of a view", rolled_back),
        ]))
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

/// Kills the server that we started, without warning, and tells which process that was.
fn kill(models: &ReadModels) -> anyhow::Result<Pid> {
    let pid = postmaster(models).context("no server")?;
    kill_process(pid, Signal::KILL)?;
    Ok(pid)
}

/// Waits for its supervisor to bring it back: for another process, since a state that passes is not always seen.
async fn restarted(models: &ReadModels, killed: Pid) -> anyhow::Result<()> {
    let is_another = || postmaster(models).is_some_and(|pid| pid != killed);
    let is_back = async || *models.postgres.state().borrow() == PostgresState::Running && is_another();
    Ok(models.until("the supervisor brings the database back", is_back).await?)
}

/// The server's process, once its own file says so.
fn postmaster(models: &ReadModels) -> Option<Pid> {
    let text = std::fs::read_to_string(models.directory.path().join("cluster/postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
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
