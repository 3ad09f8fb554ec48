//! Resume: the whole server is killed, and everybody comes back at once to where they were.

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::super::demo::socket::{self, Incoming, Received};
use super::Run;
use super::figure::Figure;
use super::load::on_one_thread;
use super::room::{Source, Stage};

const VIEWERS: usize = 5_000;

/// Messages a second before the kill: so many deliveries that the server has something to do.
const PER_SECOND: u32 = 5;

/// Every second viewer loses the connection this long before the kill, and has so much more to catch up with.
const AWAY: Duration = Duration::from_secs(2);

/// Handshakes under way at a time: as many as the server's queue of new connections holds without losing one.
const HANDSHAKES_AT_ONCE: usize = 128;

/// Whoever has not caught up by then never will.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(120);

/// Seconds until all have caught up, by our own goal.
const GOAL_SECONDS: f64 = 3.0;

/// What a viewer knows of the show.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Everything up to here, once anything was seen.
    sequence: Option<u64>,
    /// Frames of events.
    frames: u64,
    gaps: u64,
    repeats: u64,
}

/// The head of a frame.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    sequence: u64,
    previous: Option<u64>,
}

impl Seen {
    /// The first frame begins the chain, whatever it is: what was said since the socket opened comes before its snapshot.
    fn note(&mut self, frame: &Frame<'_>) {
        if let Some(previous) = frame.previous {
            self.frames += 1;
            self.gaps += u64::from(self.sequence.is_some_and(|seen| previous > seen));
            self.repeats += u64::from(self.sequence.is_some_and(|seen| frame.sequence <= seen));
        } else if frame.kind != "SNAPSHOT" {
            return;
        }
        self.sequence = self.sequence.max(Some(frame.sequence));
    }
}

/// Kills and resumes once a round.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let mut figure = Figure::new("resume", "s until all have caught up", "the goal");
    for round in 0..run.rounds {
        let name = format!("resume-{round}");
        let server = run.tally(&name).await?;
        let stage = run.stage(&server, VIEWERS).await?;
        let (before, length) = (stage.clone(), run.length);
        let seen = on_one_thread(move || before_the_kill(before, length)).await?;
        let killed = Instant::now();
        server.kill().await?;
        let server = run.tally(&name).await?;
        let ready = killed.elapsed();
        let stage = Stage { address: server.address, process: server.process, ..stage };
        let frames_before: u64 = seen.iter().map(|seen| seen.frames).sum();
        let (seconds, seen) = on_one_thread(move || after_the_kill(stage, seen)).await?;
        let sum = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>();
        let (gaps, repeats) = (sum(|seen| seen.gaps), sum(|seen| seen.repeats));
        ensure!(gaps == 0 && repeats == 0, "{gaps} gaps and {repeats} repeats");
        figure.round(seconds, GOAL_SECONDS);
        figure.note("frames that were caught up with", (sum(|seen| seen.frames) - frames_before) as f64);
        figure.note("s from the kill until the server is ready", ready.as_secs_f64());
        run.say(&format!(
            "{} round {}: {seconds:.2} s, ready after {:.2} s",
            figure.name,
            round + 1,
            ready.as_secs_f64()
        ));
        server.stop().await?;
    }
    Ok(vec![figure])
}

/// Everybody watches for a while, and half of them lose their connection towards the end.
async fn before_the_kill(stage: Stage, length: Duration) -> anyhow::Result<Vec<Seen>> {
    let doors = Rc::new(Semaphore::new(HANDSHAKES_AT_ONCE));
    let (opened, everybody) = (Rc::new(Cell::new(0)), stage.tokens.len());
    let until = Rc::new(Cell::new(None));
    let mut watching = JoinSet::new();
    for (number, token) in stage.tokens.iter().cloned().enumerate() {
        let (doors, opened, until, stage) =
            (Rc::clone(&doors), Rc::clone(&opened), Rc::clone(&until), (stage.address, stage.show.clone()));
        watching.spawn_local(async move {
            let mut viewer = Viewer::open(stage.0, &stage.1, &token, &doors, Seen::default()).await?;
            opened.set(opened.get() + 1);
            let early = if number % 2 == 0 { AWAY } else { Duration::ZERO };
            loop {
                let end: Option<Instant> = until.get();
                let wait = end.map_or(AWAY, |end| end.saturating_duration_since(Instant::now() + early));
                if wait.is_zero() {
                    return anyhow::Ok((number, viewer.seen));
                }
                drop(timeout(wait.min(AWAY), viewer.next()).await.ok().transpose()?);
            }
        });
    }
    while opened.get() < everybody {
        sleep(Duration::from_millis(50)).await;
        ensure!(!watching.is_empty(), "nobody is left");
    }
    let mut source = Source::real(&stage).await?;
    let end = Instant::now() + length.max(2 * AWAY);
    until.set(Some(end));
    while Instant::now() < end {
        source.send().await?;
        sleep(Duration::from_secs(1) / PER_SECOND).await;
    }
    in_order(watching, everybody).await
}

/// Everybody comes back at once, and says what they have.
async fn after_the_kill(stage: Stage, seen: Vec<Seen>) -> anyhow::Result<(f64, Vec<Seen>)> {
    let doors = Rc::new(Semaphore::new(HANDSHAKES_AT_ONCE));
    let (begun, last) = (Instant::now(), Rc::new(RefCell::new(Instant::now())));
    let is_over = Rc::new(Cell::new(false));
    let caught_up = Rc::new(Cell::new(0_usize));
    let mut watching = JoinSet::new();
    let everybody = stage.tokens.len();
    for ((number, token), seen) in stage.tokens.iter().cloned().enumerate().zip(seen) {
        let (doors, last, stage) = (Rc::clone(&doors), Rc::clone(&last), (stage.address, stage.show.clone()));
        let (is_over, caught_up) = (Rc::clone(&is_over), Rc::clone(&caught_up));
        watching.spawn_local(async move {
            let mut viewer = Viewer::open(stage.0, &stage.1, &token, &doors, seen).await?;
            let resume =
                format!(r#"{{"type":"RESUME","data":{{"sequence":{}}}}}"#, seen.sequence.unwrap_or(0));
            viewer.stream.write_all(&socket::text(resume.as_bytes(), rand::random())).await?;
            // the count comes behind all that was missed
            while viewer.next().await? != "VIEWER_COUNT_UPDATE" {}
            *last.borrow_mut() = Instant::now();
            caught_up.set(caught_up.get() + 1);
            let frames = viewer.seen.frames;
            // one more message for all of them shows that nothing is missing before it
            while !is_over.get() && viewer.seen.frames == frames {
                drop(timeout(AWAY, viewer.next()).await.ok().transpose()?);
            }
            anyhow::Ok((number, viewer.seen))
        });
    }
    let deadline = begun + CAUGHT_UP_WITHIN;
    while caught_up.get() < everybody {
        ensure!(Instant::now() < deadline, "{} of {everybody} have caught up", caught_up.get());
        sleep(Duration::from_millis(5)).await;
    }
    let seconds = last.borrow().duration_since(begun).as_secs_f64();
    Source::real(&stage).await?.send().await?;
    let seen = timeout(CAUGHT_UP_WITHIN, in_order(watching, everybody)).await;
    let seen = seen.context("the message after all does not reach everybody")??;
    let ends = seen.iter().map(|seen| seen.sequence);
    ensure!(ends.clone().min() == ends.max(), "not everybody is at the same place in the end");
    Ok((seconds, seen))
}

async fn in_order(
    mut watching: JoinSet<anyhow::Result<(usize, Seen)>>,
    everybody: usize,
) -> anyhow::Result<Vec<Seen>> {
    let mut all = vec![Seen::default(); everybody];
    while let Some(ended) = watching.join_next().await {
        let (number, seen) = ended.context("a viewer panicked")??;
        all[number] = seen;
    }
    Ok(all)
}

struct Viewer {
    stream: TcpStream,
    incoming: Incoming,
    seen: Seen,
}

impl Viewer {
    async fn open(
        address: SocketAddr,
        show: &str,
        token: &str,
        doors: &Semaphore,
        seen: Seen,
    ) -> anyhow::Result<Self> {
        let _door = doors.acquire().await?;
        let server = socket::Server { authority: address.to_string() };
        let (stream, rest) = server.open(show, Some(token)).await?;
        Ok(Self { stream, incoming: Incoming::new(rest), seen })
    }

    /// The type of the next frame. Nothing is lost where it is cancelled.
    async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            match self.incoming.next()? {
                Some(Received::Text(text)) => {
                    let frame: Frame<'_> =
                        serde_json::from_str(&text).context("a frame is not understood")?;
                    self.seen.note(&frame);
                    return Ok(frame.kind.to_owned());
                }
                Some(Received::Ping(payload)) => self.stream.write_all(&socket::pong(&payload)).await?,
                Some(Received::Other) => {}
                Some(Received::Close(why)) => anyhow::bail!("the server closed a socket: {why}"),
                None => ensure!(self.incoming.fill(&mut self.stream).await?, "the server cut a socket"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_repeats_are_seen() {
        let mut seen = Seen::default();
        let mut note = |kind, sequence, previous| {
            seen.note(&Frame { kind, sequence, previous });
            (seen.frames, seen.gaps, seen.repeats)
        };
        assert_eq!(note("NEW_MESSAGE", 5, Some(3)), (1, 0, 0));
        assert_eq!(note("SNAPSHOT", 7, None), (1, 0, 0));
        assert_eq!(note("NEW_MESSAGE", 9, Some(5)), (2, 0, 0));
        assert_eq!(note("VIEWER_COUNT_UPDATE", 12, None), (2, 0, 0));
        assert_eq!(note("NEW_MESSAGE", 13, Some(9)), (3, 0, 0));
        assert_eq!(note("NEW_MESSAGE", 13, Some(9)), (4, 0, 1));
        assert_eq!(note("NEW_MESSAGE", 20, Some(15)), (5, 1, 1));
    }
}
