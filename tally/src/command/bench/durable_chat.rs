//! Durable chat: messages that are authorised, limited, deduplicated and flushed to disk before they are answered,
//! beside the same edge with a handler that keeps nothing. Once with the write side alone, and once with everything
//! live: projections, and a thousand viewers of another show where people talk.

use super::Run;
use super::child::{Server, Start};
use super::figure::Figure;
use super::http::ChatRequest;
use super::load::{self, Load};
use super::machine::until_quiet;
use super::room::{self, SOCKETS, Source};

/// Connections that are kept busy.
const CONNECTIONS: [usize; 2] = [64, 256];

/// Shows that the messages go to: each decides alone, all flush together.
const SHOWS: usize = 8;

/// Persons who write: enough that none of them writes much faster than a person might.
const PERSONS: usize = 16_384;

/// What people write, short as they write it: three to fifty characters, before what makes each text another.
const WORDS: [&str; 10] = [
    "lol",
    "hello from Berlin",
    "what song is this one?",
    "YES",
    "this is so good",
    "great stream, greetings from the other side of the world",
    "again please!",
    "who is that on the drums",
    "wow",
    "I have been waiting for this one all evening",
];

/// Messages a second in the show that is watched.
const WATCHED_PER_SECOND: u32 = 50;

/// The servers that are compared, and their shows.
struct Servers {
    stateless: Server,
    writing: Server,
    live: Server,
    /// Of the writing server and of the live one: the same number.
    shows: [Vec<String>; 2],
}

/// Measures with 64 and 256 connections.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let servers = start(run).await?;
    let baseline_is = "the same edge with a handler that keeps nothing";
    let figure = |name, connections| Figure::new(format!("{name}/{connections}"), "commands/s", baseline_is);
    let mut writing = CONNECTIONS.map(|connections| figure("durable-chat", connections));
    let mut live = CONNECTIONS.map(|connections| figure("durable-chat-live", connections));
    for round in 0..run.rounds {
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            let without = plain(run, &servers.stateless, &servers.shows[0], connections).await?;
            let with = plain(run, &servers.writing, &servers.shows[0], connections).await?;
            until_quiet(servers.writing.process).await;
            note(run, round, &mut writing[at], &without, &with);
            let with = watched(run, &servers.live, &servers.shows[1], connections).await?;
            let catch_up = until_quiet(servers.live.process).await;
            note(run, round, &mut live[at], &without, &with);
            live[at].note("read models quiet again after s", catch_up.as_secs_f64());
        }
    }
    for server in [servers.stateless, servers.writing, servers.live] {
        server.stop().await?;
    }
    Ok(writing.into_iter().chain(live).collect())
}

async fn start(run: &Run<'_>) -> anyhow::Result<Servers> {
    let stateless = Server::start(Start {
        name: "stateless",
        arguments: &["bench", "--serve-stateless"],
        environment: run.people.environment(),
        dir: run.dir,
        ready_path: None,
    })
    .await?;
    let writing = run.write_side("durable").await?;
    let live = run.tally("durable-live").await?;
    let mut shows = [Vec::new(), Vec::new()];
    for (server, shows) in [&writing, &live].into_iter().zip(&mut shows) {
        for _ in 0..SHOWS {
            shows.push(run.people.show(server.address).await?);
        }
        load::introduce(server.address, requests(run, shows, CONNECTIONS[0])?).await?;
    }
    load::introduce(stateless.address, requests(run, &shows[0], CONNECTIONS[0])?).await?;
    for server in [&writing, &live] {
        until_quiet(server.process).await;
    }
    Ok(Servers { stateless, writing, live, shows })
}

async fn plain(run: &Run<'_>, server: &Server, shows: &[String], connections: usize) -> anyhow::Result<Load> {
    load::run(server.address, server.process, requests(run, shows, connections)?, run.length).await
}

/// The same while a thousand viewers watch another show.
async fn watched(
    run: &Run<'_>,
    server: &Server,
    shows: &[String],
    connections: usize,
) -> anyhow::Result<Load> {
    let requests = requests(run, shows, connections)?;
    let stage = run.stage(server, SOCKETS).await?;
    let (address, process, length) = (server.address, server.process, run.length);
    load::on_one_thread(move || async move {
        let audience = room::real_audience(&stage).await?;
        let mut source = Source::real(&stage).await?;
        // as long as the load, which is measured after its warm-up
        let watched_for = load::WARM_UP + length;
        let watching =
            room::traffic(Some(&mut source), Some(&audience), process, WATCHED_PER_SECOND, watched_for);
        let (load, watched) = tokio::join!(load::generate(address, process, requests, length), watching);
        watched?;
        load
    })
    .await
}

/// Each connection has its own persons and one show.
fn requests(run: &Run<'_>, shows: &[String], connections: usize) -> anyhow::Result<Vec<Vec<ChatRequest>>> {
    let of_connection = |connection: usize| {
        (connection..PERSONS)
            .step_by(connections)
            .map(|person| {
                let token = run.people.viewer(person)?;
                Ok(ChatRequest::new(&shows[connection % shows.len()], &token, WORDS[person % WORDS.len()]))
            })
            .collect()
    };
    (0..connections).map(of_connection).collect()
}

fn note(run: &Run<'_>, round: u32, figure: &mut Figure, without: &Load, with: &Load) {
    figure.round(with.per_second, without.per_second);
    figure.note("p50 ms", with.latency.quantile_ms(0.50));
    figure.note("p99 ms", with.latency.quantile_ms(0.99));
    figure.note("baseline p50 ms", without.latency.quantile_ms(0.50));
    figure.note("baseline p99 ms", without.latency.quantile_ms(0.99));
    figure.note("server CPU us a command", with.server_micros);
    figure.note("baseline server CPU us a command", without.server_micros);
    let (round, per_second, beside) = (round + 1, with.per_second, without.per_second);
    run.say(&format!("{} round {round}: {per_second:.0}/s beside {beside:.0}/s", figure.name));
}
