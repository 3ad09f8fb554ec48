//! How fresh figures are: from the beginning of a command to the answer of the API that counts it, through log, relay, Kafka, loader and warehouse.

use anyhow::{Context, ensure};
use embedded::kafka::{Kafka, KafkaConfig};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::super::demo::histogram::Histogram;
use super::Run;
use super::child::{Server, Start, create_dir};
use super::figure::Figure;
use super::http::{ChatRequest, Connection};
use super::people::HOST;
use super::warehouse::Warehouse;

/// By our own goal, in milliseconds.
const GOAL_MS: f64 = 5_000.0;

/// Messages a second: a calm chat.
const PER_SECOND: u32 = 20;

/// Between two looks at a figure: what the answer may be too large by.
const LOOK: Duration = Duration::from_millis(20);

/// What is later than this is not late but lost.
const REST: Duration = Duration::from_secs(30);

/// What was sent when, and how late it was in a figure.
#[derive(Clone, Default)]
struct Meter {
    sent: Arc<Mutex<Vec<Instant>>>,
    seen: Arc<Mutex<(usize, Histogram)>>,
}

/// Measures figures of one show, which are made of the facts, and of a creator, which are made of the roll-ups.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let dir = run.dir.join("freshness-stores");
    create_dir(&dir)?;
    let kafka = Kafka::start(KafkaConfig::new(dir.join("kafka"))).await?;
    let warehouse = Warehouse::start(&dir.join("clickhouse")).await?;
    let server = start(run, &kafka, &warehouse).await?;
    let show = run.people.show(server.address).await?;
    let base = format!("http://{}/api/v1", server.address);
    let paths = [format!("{base}/streams/{show}/analytics"), format!("{base}/creators/{HOST}/analytics")];
    let mut figures = ["one show", "a creator"]
        .map(|of| Figure::new(format!("freshness/{of}"), "ms, p99 from command to figure", "the goal"));
    let meters = [Meter::default(), Meter::default()];
    let token = run.people.host()?;
    let looking: Vec<_> = (paths.into_iter().zip(&meters))
        .map(|(path, meter)| AbortOnDropHandle::new(tokio::spawn(look(path, token.clone(), meter.clone()))))
        .collect();
    let mut request = ChatRequest::new(&show, &run.people.viewer(0)?, "a message that is to be counted");
    let mut connection = Connection::open(server.address).await?;
    let mut number = 0;
    for round in 0..run.rounds {
        let until = Instant::now() + run.length;
        while Instant::now() < until {
            let begun = Instant::now();
            connection.exchange(request.bytes(number)).await?;
            number += 1;
            meters.iter().for_each(|meter| meter.sent.lock().push(begun));
            sleep((Duration::from_secs(1) / PER_SECOND).saturating_sub(begun.elapsed())).await;
        }
        for (figure, meter) in figures.iter_mut().zip(&meters) {
            let late = meter.all_seen(&looking).await?;
            figure.round(late.quantile_ms(0.99), GOAL_MS);
            figure.note("p50 ms", late.quantile_ms(0.50));
            run.say(&format!("{} round {}: {:.0} ms", figure.name, round + 1, late.quantile_ms(0.99)));
        }
    }
    drop(looking);
    server.stop().await?;
    warehouse.stop().await?;
    kafka.shutdown().await?;
    Ok(figures.into())
}

/// The whole product over these stores.
async fn start(run: &Run<'_>, kafka: &Kafka, warehouse: &Warehouse) -> anyhow::Result<Server> {
    let writer = warehouse.writer();
    let mut environment = run.people.environment();
    environment.extend([
        ("TALLY_KAFKA__BROKERS", kafka.bootstrap()),
        ("TALLY_CLICKHOUSE__URL", warehouse.url()),
        ("TALLY_CLICKHOUSE__USER", writer.user.to_owned()),
        ("TALLY_CLICKHOUSE__PASSWORD", writer.password.expose_secret().to_owned()),
    ]);
    run.say("starting freshness");
    let arguments = &["up"];
    let ready_path = Some("/health/ready");
    Server::start(Start { name: "freshness", arguments, environment, dir: run.dir, ready_path }).await
}

/// Asks for a figure again and again.
async fn look(url: String, token: String, meter: Meter) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    loop {
        let answer = client.get(&url).bearer_auth(&token).send().await?;
        // before the first events there is nothing yet
        if answer.status().is_success() {
            let answer: Value = answer.json().await?;
            let counted = answer["messagesCount"].as_u64().context("a figure without messages")?;
            meter.see(usize::try_from(counted)?, Instant::now());
        }
        sleep(LOOK).await;
    }
}

impl Meter {
    fn see(&self, counted: usize, now: Instant) {
        let (sent, mut seen) = (self.sent.lock(), self.seen.lock());
        let (known, late) = &mut *seen;
        // one may be counted before we have noted it
        let counted = counted.min(sent.len());
        sent.iter().take(counted).skip(*known).for_each(|begun| late.record(now - *begun));
        *known = counted.max(*known);
    }

    /// What was found since the last time, once everything was seen.
    async fn all_seen(&self, looking: &[AbortOnDropHandle<anyhow::Result<()>>]) -> anyhow::Result<Histogram> {
        let rest = Instant::now() + REST;
        while self.seen.lock().0 < self.sent.lock().len() {
            ensure!(Instant::now() < rest, "messages are not in a figure {} s after", REST.as_secs());
            ensure!(looking.iter().all(|looking| !looking.is_finished()), "a figure cannot be asked for");
            sleep(LOOK).await;
        }
        Ok(std::mem::take(&mut self.seen.lock().1))
    }
}
