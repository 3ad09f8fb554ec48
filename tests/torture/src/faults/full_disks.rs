//! The disks of broker and warehouse fill up while a show goes on, each for itself and both at once.
//!
//! One process is everything but the warehouse; it keeps its broker running as on one machine. Nothing but figures waits for the two stores; and
//! when there is room again, figures are of all that happened.

use std::ops::Range;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use clickhouse::Client;
use embedded::clickhouse::{ClickHouse, KEPT_FREE_BYTES};
use platform::http::auth::Role;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tally_tests::server::{Settings, binary, data_dir, settings};
use tally_tests::{Answer, Api, Server};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;

use super::pipeline::{promise_verified, settings_of, tell_ahead, warehouse, writer};
use crate::crash_disk::CrashDisk;
use crate::harness::{Counts, FaultTest, Round, promise};

/// The loader that tells its progress although the facts found no room.
const AHEAD: &str = "progress-before-facts";
/// Times that disks fill up in a full round.
const FILLS: u32 = 4;
/// Viewers who come while something happens, and write.
const VIEWERS: u32 = 12;
/// Stores are full for so long at least: figures would follow in that time if there were room.
const FULL: Duration = Duration::from_secs(4);
const ROOM_BYTES: u64 = 1 << 40;
/// Where the disks are full. The broker gets by with none. The warehouse takes less than it keeps free for full: what it was writing just then finds room.
const ROOM_LEFT_BYTES: [u64; 2] = [0, KEPT_FREE_BYTES / 2];
/// Which disks fill up: that of the broker, that of the warehouse, both.
const WHICH: [Range<usize>; 3] = [0..1, 1..2, 0..2];

/// Disks without room.
pub(super) struct FullDisks;

#[async_trait(?Send)]
impl FaultTest for FullDisks {
    fn name(&self) -> &'static str {
        "full-disks"
    }

    fn claim(&self) -> &'static str {
        "while broker and warehouse have no room every command is taken, and figures follow when they have"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[AHEAD]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let mut stage = Stage::start(round, &mut chance).await?;
        let played = stage.play(round, &mut chance).await;
        stage.stop().await?;
        played
    }
}

/// A Tally whose show runs.
struct Stage {
    server: Server,
    settings: Settings,
    creator: Api,
    show: String,
    viewers: u64,
    last: Answer,
    warehouse: ClickHouse,
    client: Client,
    /// Of the broker and of the warehouse.
    disks: [CrashDisk; 2],
    _data: TempDir,
}

impl Stage {
    async fn start(round: &Round, chance: &mut StdRng) -> anyhow::Result<Self> {
        let data = data_dir();
        let mut disk = |name: &str| {
            let path = data.path().join(name);
            std::fs::create_dir(&path)?;
            let disk = CrashDisk::start(&round.program, &path, chance.random())?;
            disk.set_capacity(ROOM_BYTES)?;
            anyhow::Ok(disk)
        };
        let disks = [disk("kafka")?, disk("clickhouse")?];
        let warehouse = warehouse(data.path()).await?;
        let mut settings = settings(data.path());
        settings.extend(settings_of(&warehouse).map(|(name, value)| (name.to_owned(), value)));
        settings.insert("TALLY_DATA__WAREHOUSE".to_owned(), "true".to_owned());
        // that stores have no room is no news here
        settings.insert("TALLY_TELEMETRY__LOG".to_owned(), "off".to_owned());
        let client = writer(&warehouse);
        let server = Server::start("up", &settings).await?;
        server.ready().await?;
        let creator = server.client("creator", &[Role::Creator]);
        let created = creator.post("/streams", json!({ "title": "full" })).await?.expect(201);
        let show = format!("/streams/{}", created.text_of("streamId"));
        let last = creator.post(&format!("{show}/start"), Value::Null).await?.expect(200);
        Ok(Self { server, settings, creator, show, viewers: 0, last, warehouse, client, disks, _data: data })
    }

    async fn play(&mut self, round: &Round, chance: &mut StdRng) -> anyhow::Result<Counts> {
        self.come(VIEWERS).await?;
        self.count().await?;
        let fills = if round.is_control(AHEAD) { 1 } else { round.share(FILLS) };
        for _ in 0..fills {
            let which = if round.is_control(AHEAD) { 1 } else { chance.random_range(0..WHICH.len()) };
            for number in WHICH[which].clone() {
                self.disks[number].leave_room(ROOM_LEFT_BYTES[number])?;
            }
            self.come(VIEWERS).await?;
            sleep(FULL).await;
            let figures = self.creator.get_after(&self.figures(), &self.last).await?;
            anyhow::ensure!(figures.status == 503, "the disks are not full: {}", figures.text);
            self.come(VIEWERS).await?;
            if round.is_control(AHEAD) {
                self.tell_ahead().await?;
            }
            self.disks.iter().try_for_each(|disk| disk.set_capacity(ROOM_BYTES))?;
            self.come(chance.random_range(0..VIEWERS)).await?;
            if chance.random() {
                self.count().await?;
            }
        }
        self.count().await?;
        self.verify().await?;
        Ok(Counts::from([("full disks", u64::from(fills)), ("viewers", self.viewers)]))
    }

    /// So many more viewers join and write; each is answered.
    async fn come(&mut self, viewers: u32) -> anyhow::Result<()> {
        for _ in 0..viewers {
            self.viewers += 1;
            let viewer = self.server.client(&format!("viewer {}", self.viewers), &[Role::Viewer]);
            let joined = viewer.post(&format!("{}/join", self.show), Value::Null).await?;
            taken(&joined, 200)?;
            let body = json!({ "message": format!("I am number {}", self.viewers) });
            self.last = viewer.post(&format!("{}/chat", self.show), body).await?;
            taken(&self.last, 201)?;
        }
        Ok(())
    }

    fn figures(&self) -> String {
        format!("{}/analytics", self.show)
    }

    /// Waits until figures are of now, and looks whether they are right.
    async fn count(&self) -> anyhow::Result<()> {
        let answer = self.creator.get_figures(&self.figures(), &self.last).await?;
        promise(answer.status == 200, || format!("figures never follow: {}", answer.text))?;
        for figure in ["uniqueViewers", "totalViews", "messagesCount"] {
            let told = answer.body[figure].as_u64();
            promise(told == Some(self.viewers), || {
                format!("{figure} is {told:?} after {} viewers came and wrote", self.viewers)
            })?;
        }
        Ok(())
    }

    /// What came while there was no room is told to be there, and whoever had it in hand is gone.
    async fn tell_ahead(&mut self) -> anyhow::Result<()> {
        self.server.kill().await?;
        self.disks[1].set_capacity(ROOM_BYTES)?;
        tell_ahead(&self.client, self.last.position().parse()?).await?;
        self.server = Server::start("up", &self.settings).await?;
        self.creator = self.server.client("creator", &[Role::Creator]);
        self.server.ready().await
    }

    async fn verify(&self) -> anyhow::Result<()> {
        let ended = Command::new(binary())
            .arg("verify")
            .envs(&self.settings)
            .stdin(Stdio::null())
            .output()
            .await
            .context("cannot start tally verify")?;
        Ok(promise_verified(&ended)?)
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.server.stop().await?;
        Ok(self.warehouse.shutdown().await?)
    }
}

fn taken(answer: &Answer, status: u16) -> anyhow::Result<()> {
    Ok(promise(answer.status == status, || {
        format!("a command is answered {}: {}", answer.status, answer.text)
    })?)
}
