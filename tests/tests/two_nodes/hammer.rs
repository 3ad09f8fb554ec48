//! People who do not give up: each command goes to either node, again under the same key until there is an answer,
//! and now and then to both at once.

use platform::http::auth::Role;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tally_tests::server::token;
use tally_tests::{Answer, Api};
use tokio_util::sync::CancellationToken;

/// A node that is being started again is asked again after this.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// More tries than any restart takes.
const TRIES_MAX: usize = 600;

pub struct Plan {
    pub urls: Vec<String>,
    pub show: String,
    pub persons: usize,
    pub seed: u64,
}

/// A command that was answered with success.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub what: What,
    /// The id that the answer names.
    pub id: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Join,
    Message,
    Tip,
}

pub struct Hammer {
    plan: Plan,
    stop: CancellationToken,
}

impl Hammer {
    pub fn new(plan: Plan) -> Self {
        Self { plan, stop: CancellationToken::new() }
    }

    pub fn finish(&self) {
        self.stop.cancel();
    }

    /// Everybody at once, until told to finish.
    pub async fn run(self: Arc<Self>) -> anyhow::Result<Vec<Acknowledged>> {
        let people: Vec<_> =
            (0..self.plan.persons).map(|n| tokio::spawn(Arc::clone(&self).person(n))).collect();
        let mut acknowledged = Vec::new();
        for person in people {
            acknowledged.extend(person.await??);
        }
        Ok(acknowledged)
    }

    async fn person(self: Arc<Self>, n: usize) -> anyhow::Result<Vec<Acknowledged>> {
        let mut rng = StdRng::seed_from_u64(self.plan.seed ^ (n as u64 + 1));
        let token = token(&format!("person-{n}"), &[Role::Viewer]);
        let apis: Vec<Api> = self.plan.urls.iter().map(|url| Api::new(url, Some(token.clone()))).collect();
        let mut acknowledged = Vec::new();
        for step in 0.. {
            if self.stop.is_cancelled() {
                break;
            }
            let (what, path, body) = self.step(&mut rng, n, step);
            let key = format!("{n}-{step}");
            let first = rng.random_range(0..apis.len());
            let answers = if rng.random_ratio(1, 5) {
                let (one, two) = tokio::join!(
                    insist(&apis[first], &apis[1 - first], &path, &key, &body),
                    insist(&apis[1 - first], &apis[first], &path, &key, &body)
                );
                vec![one?, two?]
            } else {
                vec![insist(&apis[first], &apis[1 - first], &path, &key, &body).await?]
            };
            acknowledged.extend(judge(what, &answers));
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..60))).await;
        }
        Ok(acknowledged)
    }

    fn step(&self, rng: &mut StdRng, n: usize, step: usize) -> (Option<What>, String, Value) {
        let path = |verb: &str| format!("/streams/{}/{verb}", self.plan.show);
        match rng.random_range(0..10) {
            0..3 => (Some(What::Join), path("join"), json!({ "deviceId": format!("d{}", step % 2) })),
            3 => (None, path("leave"), json!({})),
            4..9 => {
                (Some(What::Message), path("chat"), json!({ "message": format!("message {step} of {n}") }))
            }
            _ => {
                (Some(What::Tip), path("tip"), json!({ "amount": "1.25", "message": format!("tip {step}") }))
            }
        }
    }
}

/// Asks until there is an answer that is final: success, or a refusal that says what is wrong.
async fn insist(first: &Api, second: &Api, path: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
    for attempt in 0..TRIES_MAX {
        let api = if attempt % 2 == 0 { first } else { second };
        match api.post_with_key(path, key, body.clone()).await {
            Ok(answer) if answer.status < 500 => return Ok(answer),
            Ok(_) | Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
    anyhow::bail!("no node answers {path}")
}

/// Two answers to one command agree; a success is remembered.
fn judge(what: Option<What>, answers: &[Answer]) -> Option<Acknowledged> {
    for answer in answers {
        assert!(
            matches!(answer.status, 200..300 | 403 | 409 | 429),
            "unexpected answer {}: {}",
            answer.status,
            answer.text
        );
    }
    let what = what?;
    let field = match what {
        What::Join => "sessionId",
        What::Message => "messageId",
        What::Tip => "tipId",
    };
    let mut ids: Vec<String> =
        answers.iter().filter(|answer| answer.status < 300).map(|answer| answer.text_of(field)).collect();
    ids.dedup();
    assert!(ids.len() < 2 || what == What::Join, "one key, two results: {ids:?}");
    ids.pop().map(|id| Acknowledged { what, id })
}
