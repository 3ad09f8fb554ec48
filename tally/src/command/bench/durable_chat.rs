//! Durable chat: messages that are authorised, limited, deduplicated and flushed to disk before they are answered,
//! beside the same edge with a handler that keeps nothing.

use std::time::Duration;

use super::Run;
use super::child::{Server, Start};
use super::figure::Figure;
use super::http::ChatRequest;
use super::load::{self, Load};
use super::machine::until_quiet;

/// Connections that are kept busy.
const CONNECTIONS: [usize; 2] = [64, 256];

/// Shows that the messages go to: each decides alone, all flush together.
const SHOWS: usize = 8;

/// Persons who write: enough that none of them writes faster than a person might in all shows together.
const PERSONS: usize = 2_048;

const WORDS: &str = "great stream, greetings from the other side of the world";

/// Measures with 64 and 256 connections.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let stateless = Server::start(Start {
        name: "stateless",
        arguments: &["bench", "--serve-stateless"],
        environment: run.people.environment(),
        dir: run.dir,
        ready_path: None,
    })
    .await?;
    let durable = run.tally("durable").await?;
    let mut shows = Vec::with_capacity(SHOWS);
    for _ in 0..SHOWS {
        shows.push(run.people.show(durable.address).await?);
    }
    let mut figures: Vec<Figure> = CONNECTIONS
        .map(|connections| {
            let name = format!("durable-chat/{connections}");
            Figure::new(name, "commands/s", "the same edge with a handler that keeps nothing")
        })
        .into();
    for server in [&stateless, &durable] {
        load::introduce(server.address, requests(run, &shows, CONNECTIONS[0])?).await?;
    }
    until_quiet(durable.process).await;
    for round in 0..run.rounds {
        for (figure, connections) in figures.iter_mut().zip(CONNECTIONS) {
            let (without, with) = both(run, &stateless, &durable, &shows, connections).await?;
            let catch_up = until_quiet(durable.process).await;
            note(figure, &without, &with, catch_up);
            run.say(&format!(
                "{} round {}: {:.0}/s beside {:.0}/s",
                figure.name,
                round + 1,
                with.per_second,
                without.per_second
            ));
        }
    }
    durable.stop().await?;
    stateless.stop().await?;
    Ok(figures)
}

async fn both(
    run: &Run<'_>,
    stateless: &Server,
    durable: &Server,
    shows: &[String],
    connections: usize,
) -> anyhow::Result<(Load, Load)> {
    let requests = requests(run, shows, connections)?;
    let without = load::run(stateless.address, stateless.process, requests.clone(), run.length).await?;
    let with = load::run(durable.address, durable.process, requests, run.length).await?;
    Ok((without, with))
}

/// Each connection has its own persons and one show.
fn requests(run: &Run<'_>, shows: &[String], connections: usize) -> anyhow::Result<Vec<Vec<ChatRequest>>> {
    let of_connection = |connection: usize| {
        (connection..PERSONS)
            .step_by(connections)
            .map(|person| {
                let token = run.people.viewer(person)?;
                Ok(ChatRequest::new(&shows[connection % shows.len()], &token, WORDS))
            })
            .collect()
    };
    (0..connections).map(of_connection).collect()
}

fn note(figure: &mut Figure, without: &Load, with: &Load, catch_up: Duration) {
    figure.round(with.per_second, without.per_second);
    figure.note("p50 ms", with.latency.quantile_ms(0.50));
    figure.note("p99 ms", with.latency.quantile_ms(0.99));
    figure.note("baseline p50 ms", without.latency.quantile_ms(0.50));
    figure.note("baseline p99 ms", without.latency.quantile_ms(0.99));
    figure.note("server CPU us a command", with.server_micros);
    figure.note("baseline server CPU us a command", without.server_micros);
    figure.note("read models quiet again after s", catch_up.as_secs_f64());
}
