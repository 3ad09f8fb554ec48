//! A viewer's evening: comes, does what the script says, loses the connection and resumes, leaves or stays to the end.

use anyhow::bail;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::person::Person;
use super::record::Record;
use super::script::{Act, ViewerPlan};
use super::stage::{Live, Stage};

/// A viewer whose answers are not here yet loses the connection a little later.
const POSTPONE: Duration = Duration::from_millis(100);

/// After a connection that broke without being meant to.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Connections that may break without being meant to, before the viewer gives up.
const BREAKS_MAX: u32 = 5;

/// What comes next.
enum Step {
    Act(Act),
    /// Its turn among the requests of this address has come.
    Paced(Act),
    /// Back after a break, with what had no answer then.
    Return {
        unanswered: Vec<String>,
    },
}

struct Evening {
    person: Person,
    plan: ViewerPlan,
    steps: VecDeque<(Instant, Step)>,
    breaks: u32,
    is_leaving: bool,
}

/// Plays one viewer, until the show ends for this one; at the latest at `deadline` after the start.
pub(super) async fn play(
    stage: Arc<Stage>,
    number: usize,
    plan: ViewerPlan,
    token: String,
    deadline: Duration,
) -> Record {
    let name = plan.name.clone();
    let live = Arc::clone(&stage);
    let person = Person::new(stage, number, token);
    let mut evening = Evening { person, plan, steps: VecDeque::new(), breaks: 0, is_leaving: false };
    if let Err(error) = evening.go(deadline).await {
        evening.person.record.fault(format!("{name}: {error:#}"));
    }
    // what is not done any more must not keep the host waiting
    let left_over = evening.steps.iter().filter(|(_, step)| !matches!(step, Step::Return { .. })).count();
    live.live.acts_left.fetch_sub(left_over as u64, Ordering::Relaxed);
    evening.person.record
}

impl Evening {
    async fn go(&mut self, deadline: Duration) -> anyhow::Result<()> {
        let mut started = self.person.stage.start.subscribe();
        if self.plan.arrives_ms.is_none() {
            self.person.connect().await?;
            self.person.digest().await?;
        }
        let start = loop {
            if let Some(start) = *started.borrow_and_update() {
                break start;
            }
            tokio::select! {
                filled = self.person.fill() => filled?,
                changed = started.changed() => changed?,
            }
            self.person.digest().await?;
        };
        let acts = std::mem::take(&mut self.plan.acts);
        self.steps =
            acts.into_iter().map(|(at, act)| (start + Duration::from_millis(at), Step::Act(act))).collect();
        if let Some(arrives_ms) = self.plan.arrives_ms {
            sleep_until(start + Duration::from_millis(arrives_ms)).await;
            self.person.connect().await?;
            self.person.digest().await?;
        }
        self.person.stage.pacer.wait().await;
        self.person.join(self.plan.device_type).await?;
        match timeout_at(start + deadline, self.watch()).await {
            Ok(watched) => watched?,
            Err(_) => bail!("the end never came"),
        }
        self.person.say_goodbye().await;
        Ok(())
    }

    async fn watch(&mut self) -> anyhow::Result<()> {
        while !self.is_done() {
            let due = self.next_due();
            let moved = tokio::select! {
                filled = self.person.fill() => filled,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.step().await,
            };
            let digested = match moved {
                Ok(()) => self.person.digest().await,
                Err(error) => Err(error),
            };
            if let Err(error) = digested {
                self.survive(error)?;
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.person.has_answers() && (self.is_leaving || (self.person.is_over && self.steps.is_empty()))
    }

    fn next_due(&self) -> Option<Instant> {
        let repeat = self.person.repeats.iter().map(|(at, _)| *at).min();
        let step = self.steps.front().map(|(at, _)| *at);
        [repeat, step].into_iter().flatten().min()
    }

    /// A connection that the server ended is a fault, and the viewer comes back.
    fn survive(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        self.breaks += 1;
        if self.breaks > BREAKS_MAX {
            return Err(error);
        }
        self.person.record.fault(format!("{}: {error:#}", self.plan.name));
        let unanswered = self.person.break_off();
        self.steps.push_front((Instant::now() + RECONNECT_PAUSE, Step::Return { unanswered }));
        Ok(())
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        if let Some(at) = self.person.repeats.iter().position(|(at, _)| *at <= now) {
            let (_, id) = self.person.repeats.swap_remove(at);
            return self.person.repeat(&id).await;
        }
        match self.steps.pop_front() {
            None => Ok(()),
            Some((at, step)) if at > now => {
                self.steps.push_front((at, step));
                Ok(())
            }
            Some((_, Step::Act(act))) => {
                self.steps.push_front((self.person.stage.pacer.turn(), Step::Paced(act)));
                Ok(())
            }
            Some((_, Step::Paced(act))) => self.act(act).await,
            Some((_, Step::Return { unanswered })) => self.come_back(&unanswered).await,
        }
    }

    async fn act(&mut self, act: Act) -> anyhow::Result<()> {
        if matches!(act, Act::Drop { .. } | Act::Leave) && !self.person.has_answers() {
            self.steps.push_front((Instant::now() + POSTPONE, Step::Paced(act)));
            return Ok(());
        }
        self.person.stage.live.acts_left.fetch_sub(1, Ordering::Relaxed);
        match act {
            Act::Say(text) => self.person.message(&text).await,
            Act::React { kind, count } => self.person.react(kind, count).await,
            Act::Tip { cents, words } => self.person.tip(cents, words.as_deref()).await,
            Act::Leave => {
                self.is_leaving = true;
                self.person.leave().await
            }
            Act::Drop { away_ms } => {
                let unanswered = self.person.break_off();
                self.steps.push_front((
                    Instant::now() + Duration::from_millis(away_ms),
                    Step::Return { unanswered },
                ));
                Ok(())
            }
        }
    }

    async fn come_back(&mut self, unanswered: &[String]) -> anyhow::Result<()> {
        self.person.connect().await?;
        self.person.record.reconnects += 1;
        Live::count(&self.person.stage.live.reconnects, 1);
        self.person.resume().await?;
        self.person.repeat_all(unanswered).await?;
        if self.person.is_over {
            return Ok(());
        }
        self.person.stage.pacer.wait().await;
        self.person.join(self.plan.device_type).await
    }
}
