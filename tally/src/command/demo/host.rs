//! The host: announces, starts, talks, changes the settings, ends; and sees every frame.

use anyhow::{Context, bail};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::person::Person;
use super::record::Record;
use super::rest::{Answer, Ended, Rest};
use super::texts;

/// How often the host looks whether everybody has had their answers.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// For how long the host waits at the end for those who are not done.
const PATIENCE: Duration = Duration::from_secs(30);

/// Within this time the last frame is with the host.
const LAST_FRAME_WITHIN: Duration = Duration::from_secs(15);

/// The host at work.
pub(super) struct Host {
    pub(super) person: Person,
    pub(super) rest: Rest,
}

/// What the host does while the show runs.
enum Turn {
    Say(usize),
    ChangeSettings,
    LookWhetherDone,
}

/// Announces the show. The title names the seed, so that the audience's list tells shows apart.
pub(super) async fn announce(rest: &Rest, seed: u64) -> anyhow::Result<String> {
    let show = json!({
        "title": format!("Late-night strings and stories ({seed})"),
        "description": "An hour of music from the kitchen table, with questions from the chat.",
        "category": "music",
        "tags": ["acoustic", "live", "questions"],
        "language": "en",
        "currency": "USD",
        "settings": {"quality": "HD", "recordingEnabled": true, "chatEnabled": true, "tipsEnabled": true},
    });
    Ok(rest.create(&show).await.context("cannot announce the show")?.body.stream_id)
}

impl Host {
    pub(super) async fn open_door(&mut self) -> anyhow::Result<()> {
        self.person.connect().await?;
        self.person.digest().await
    }

    /// Waits, and reads meanwhile.
    pub(super) async fn wait(&mut self, until: Instant) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                filled = self.person.fill() => filled?,
                () = sleep_until(until) => return Ok(()),
            }
            self.person.digest().await?;
        }
    }

    /// Runs the show and ends it.
    pub(super) async fn run(
        &mut self,
        start: Instant,
        says_ms: &[u64],
        change_ms: u64,
        length_ms: u64,
    ) -> anyhow::Result<Answer<Ended>> {
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut turns: Vec<(Instant, Turn)> =
            says_ms.iter().enumerate().map(|(number, ms)| (at(*ms), Turn::Say(number))).collect();
        turns.push((at(change_ms), Turn::ChangeSettings));
        turns.push((at(length_ms), Turn::LookWhetherDone));
        turns.sort_by_key(|(at, _)| *at);
        let show = self.person.stage.show.clone();
        for (at, turn) in turns {
            self.wait(at).await?;
            match turn {
                Turn::Say(number) => {
                    self.wait(self.person.stage.pacer.turn()).await?;
                    self.person.message(&texts::host(number)).await?;
                }
                Turn::ChangeSettings => {
                    self.rest.change(&show, &json!({"settings": {"quality": "FHD"}})).await?;
                }
                Turn::LookWhetherDone => self.wait_for_everybody().await?,
            }
        }
        self.rest.end(&show).await.context("cannot end the show")
    }

    async fn wait_for_everybody(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let stage = std::sync::Arc::clone(&self.person.stage);
        let is_done = || {
            stage.live.acts_left.load(Ordering::Relaxed) == 0
                && stage.live.unanswered.load(Ordering::Relaxed) == 0
        };
        while !is_done() && Instant::now() < deadline {
            self.wait(Instant::now() + LOOK_EVERY).await?;
        }
        Ok(())
    }

    /// Reads to the last frame.
    pub(super) async fn see_the_end(mut self) -> anyhow::Result<(Record, Rest)> {
        let last = timeout(LAST_FRAME_WITHIN, async {
            while !self.person.is_over {
                self.person.fill().await?;
                self.person.digest().await?;
            }
            anyhow::Ok(())
        });
        match last.await {
            Ok(read) => read?,
            Err(_) => bail!("the frame of the end did not come"),
        }
        // frames behind the last one would be a fault: give them the time to come
        let _ = timeout(LOOK_EVERY, self.person.fill()).await;
        self.person.digest().await?;
        self.person.say_goodbye().await;
        sleep(LOOK_EVERY).await;
        Ok((self.person.record, self.rest))
    }
}
