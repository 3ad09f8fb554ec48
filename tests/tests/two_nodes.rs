//! Two command processes on one log hammer one show, calmly and under kill -9: no rule is broken, revisions have no
//! gap, and every acknowledged command stands in the log exactly once.

#[path = "two_nodes/audit.rs"]
mod audit;
#[path = "two_nodes/hammer.rs"]
mod hammer;

use hammer::{Hammer, Plan};
use platform::http::auth::Role;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tally_tests::{Api, Cluster, Server};

/// Seats in the show; more people than that want in.
const CAP: u32 = 8;

/// The hammering, short enough for every run of the tests. `HAMMER_SECONDS` makes it longer.
fn duration() -> Duration {
    let seconds = std::env::var("HAMMER_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(15))
}

/// `HAMMER_SEED` repeats a run as far as processes allow.
fn seed() -> u64 {
    let seed = std::env::var("HAMMER_SEED").ok().and_then(|text| text.parse().ok());
    seed.unwrap_or_else(|| rand::rng().random())
}

struct Nodes {
    cluster: Cluster,
    apis: Vec<Server>,
    ports: [String; 2],
}

impl Nodes {
    async fn start() -> anyhow::Result<Self> {
        let cluster = Cluster::start().await?;
        let ports =
            [(); 2].map(|()| format!("127.0.0.1:{}", tally_tests::cluster::free_port().expect("a port")));
        let mut nodes = Self { cluster, apis: Vec::new(), ports };
        for index in 0..2 {
            let api = nodes.api(index).await?;
            nodes.apis.push(api);
        }
        Ok(nodes)
    }

    async fn api(&self, index: usize) -> anyhow::Result<Server> {
        self.cluster.service("command-api", &[("TALLY_HTTP__LISTEN", self.ports[index].as_str())]).await
    }

    fn urls(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("http://{port}")).collect()
    }

    async fn kill_one(&mut self, victim: usize) -> anyhow::Result<()> {
        match victim {
            0 | 1 => {
                self.apis[victim].kill().await?;
                self.apis[victim] = self.api(victim).await?;
            }
            _ => self.cluster.kill_node().await?,
        }
        Ok(())
    }
}

async fn live_show(url: &str) -> anyhow::Result<String> {
    let host = Api::new(url, Some(tally_tests::server::token("host", &[Role::Creator])));
    let body = json!({ "title": "Hammered", "settings": { "maxViewers": CAP } });
    let show = host.post("/streams", body).await?.expect(201).text_of("streamId");
    let _ = host.post(&format!("/streams/{show}/start"), Value::Null).await?.expect(200);
    Ok(show)
}

async fn run(kills: bool) -> anyhow::Result<()> {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut nodes = Nodes::start().await?;
    let show = live_show(&nodes.urls()[0]).await?;
    let plan = Plan { urls: nodes.urls(), show: show.clone(), persons: 16, seed };
    let hammer = Arc::new(Hammer::new(plan));
    let work = tokio::spawn(Arc::clone(&hammer).run());
    let end = tokio::time::Instant::now() + duration();
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(rng.random_range(300..1_500))).await;
        if kills {
            nodes.kill_one(rng.random_range(0..3)).await?;
        }
    }
    hammer.finish();
    let acknowledged = work.await??;
    // what was promised while a process died is settled by the one that lives
    audit::audit(&nodes.cluster, &show, CAP, &acknowledged).await?;
    for api in nodes.apis {
        api.stop().await?;
    }
    nodes.cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_break_no_rule() -> anyhow::Result<()> {
    run(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_under_kill_9() -> anyhow::Result<()> {
    run(true).await
}
