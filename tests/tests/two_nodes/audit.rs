//! What the log says, against what was acknowledged.

use analytics::fold::Fold;
use anyhow::{Context, ensure};
use domain::Show;
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::{EventLog, codec};
use schemas::events::{AudienceEvent, ChatEvent, LedgerEvent, ShowEvent};
use schemas::{Envelope, Event, streams};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tally_tests::Cluster;

use crate::hammer::{Acknowledged, What};

/// Events of a page.
const PAGE: usize = 1_000;

/// Promised tips are settled well within this.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

pub async fn audit(
    cluster: &Cluster,
    show: &str,
    cap: u32,
    acknowledged: &[Acknowledged],
) -> anyhow::Result<()> {
    let log = EventStoreLog::new(cluster.log_url(), "audit")?;
    let events = settled_events(&log, show).await?;
    println!("{} events, {} acknowledged commands", events.len(), acknowledged.len());
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
    check_order(&events)?;
    check_rules(&events, cap)?;
    check_acknowledged(&events, acknowledged)?;
    check_charges(cluster, &events).await
}

/// The show's events, once no tip is pending any more.
async fn settled_events(log: &dyn EventLog, show: &str) -> anyhow::Result<Vec<Envelope<ShowEvent>>> {
    let deadline = tokio::time::Instant::now() + SETTLE_TIMEOUT;
    loop {
        let events = read(log, show).await?;
        let mut state = Show::default();
        events.iter().for_each(|event| state.evolve(event));
        if state.ledger().pending_count() == 0 {
            return Ok(events);
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "{} tips stay pending",
            state.ledger().pending_count()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn read(log: &dyn EventLog, show: &str) -> anyhow::Result<Vec<Envelope<ShowEvent>>> {
    let stream = streams::show(show.parse()?);
    let mut events = Vec::new();
    loop {
        let page = log.read_stream(&stream, events.len() as u64, PAGE).await?;
        if page.is_empty() {
            return Ok(events);
        }
        for stored in &page {
            let Event::Show(event) = codec::decode(stored)?.event else { continue };
            events.push(codec::decode(stored)?.map(|_| event));
        }
    }
}

fn check_order(events: &[Envelope<ShowEvent>]) -> anyhow::Result<()> {
    let mut ids = HashSet::new();
    for (revision, event) in (0..).zip(events) {
        ensure!(event.revision == revision, "revision {} at place {revision}", event.revision);
        ensure!(ids.insert(event.event_id), "event {} twice", event.event_id);
    }
    for pair in events.windows(2) {
        ensure!(pair[0].meta.occurred_at <= pair[1].meta.occurred_at, "time runs backwards");
        ensure!(pair[0].position < pair[1].position, "positions run backwards");
    }
    Ok(())
}

/// The rules, checked by the plain fold and by counting; not by the code that decided.
fn check_rules(events: &[Envelope<ShowEvent>], cap: u32) -> anyhow::Result<()> {
    let mut fold = Fold::default();
    let mut posted: HashMap<_, Vec<i64>> = HashMap::new();
    for event in events {
        fold.apply(event);
        let figures = fold.figures(event.meta.occurred_at);
        ensure!(figures.viewer_count <= u64::from(cap), "{} viewers on {cap} seats", figures.viewer_count);
        if let ShowEvent::Audience(AudienceEvent::Joined(joined)) = &event.event {
            ensure!(
                u64::from(joined.audience.viewer_count) == figures.viewer_count,
                "viewer count differs at {}",
                event.revision
            );
        }
        if let ShowEvent::Chat(ChatEvent::Posted(message)) = &event.event {
            posted.entry(message.author).or_default().push(event.meta.occurred_at.millis());
        }
    }
    let broken = fold.summary(events.last().context("no events")?.meta.occurred_at).broken_identities();
    ensure!(broken.is_empty(), "{broken:?}");
    for times in posted.values() {
        for window in times.windows(21) {
            ensure!(window[20] - window[0] > 30_000, "21 messages in {} ms", window[20] - window[0]);
        }
    }
    Ok(())
}

fn check_acknowledged(events: &[Envelope<ShowEvent>], acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
    let mut found: HashMap<String, u32> = HashMap::new();
    for event in events {
        let id = match &event.event {
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => joined.session_id.to_string(),
            ShowEvent::Chat(ChatEvent::Posted(message)) => message.message_id.to_string(),
            ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => tip.tip_id.to_string(),
            ShowEvent::Audience(AudienceEvent::Left(_))
            | ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_))
            | ShowEvent::Lifecycle(_)
            | ShowEvent::Settings(_)
            | ShowEvent::Interaction(_) => continue,
        };
        *found.entry(id).or_default() += 1;
    }
    for command in acknowledged {
        let times = found.get(&command.id).copied().unwrap_or(0);
        ensure!(times == 1, "{command:?} stands {times} times in the log");
    }
    let messages = acknowledged.iter().filter(|command| command.what == What::Message);
    let distinct: HashSet<_> = messages.clone().map(|command| &command.id).collect();
    ensure!(distinct.len() == messages.count(), "two messages share an id");
    Ok(())
}

/// Every captured tip was charged exactly once, and nothing else was.
async fn check_charges(cluster: &Cluster, events: &[Envelope<ShowEvent>]) -> anyhow::Result<()> {
    use secrecy::ExposeSecret;
    let key = cluster.payments.secret_key().expose_secret();
    let url = format!("{}/sandbox/charges", cluster.payments.url());
    let charges: serde_json::Value =
        reqwest::Client::new().get(url).bearer_auth(key).send().await?.json().await?;
    let captured = events
        .iter()
        .filter(|event| matches!(event.event, ShowEvent::Ledger(LedgerEvent::TipCaptured(_))))
        .count();
    ensure!(charges["count"] == captured, "{captured} tips, but {charges}");
    Ok(())
}
