//! Memory: what a viewer who sits there and says nothing costs the server, beside the same at a loop that knows nothing and
//! at Centrifuge.

use anyhow::{Context, ensure};
use std::fs;
use std::path::Path;

use super::Run;
use super::bare;
use super::centrifuge;
use super::figure::Figure;
use super::load::on_one_thread;
use super::machine::until_quiet;
use super::peers::{self, CENTRIFUGE};
use super::room::{self, Stage};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Viewers that are counted.
const VIEWERS: usize = 5_000;

/// Sockets that come and go before: what the first of all need does not belong to any of them.
const WARM_UP: usize = 500;

/// Centrifuge's server as it comes, and set up for many idle connections.
const CENTRIFUGE_SETUPS: [(&str, &[&str], &str); 2] = [
    ("idle-memory/centrifuge", &[], "Centrifuge's resident memory for a subscribed socket, as it comes"),
    ("idle-memory/centrifuge-lean", &["-lean"], "the same with small shared buffers and small stacks"),
];

/// Measures watching, and watching with a session.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let baseline_is = "a bare loop's resident memory for a socket";
    let mut watching = Figure::new("idle-memory/watching", "KiB a viewer", baseline_is);
    let mut joined = Figure::new("idle-memory/joined", "KiB a viewer", baseline_is);
    let mut beside_centrifuge = CENTRIFUGE_SETUPS.map(|(name, _, is)| Figure::new(name, "KiB a viewer", is));
    for round in 1..=run.rounds {
        // memory is not given back: each round has servers of its own
        let real = run.tally(&format!("idle-{round}")).await?;
        let stage = run.stage(&real, VIEWERS).await?;
        let (watches, joins) = on_one_thread(move || real_round(stage)).await?;
        real.stop().await?;
        let bare = bare_round(run, round).await?;
        watching.round(watches, bare);
        joined.round(joins, bare);
        run.say(&format!("idle-memory round {round}: {watches:.2} and {joins:.2} KiB, bare {bare:.2}"));
        let Some(program) = &run.peers.centrifuge else { continue };
        for (figure, (name, arguments, _)) in beside_centrifuge.iter_mut().zip(CENTRIFUGE_SETUPS) {
            let name = format!("{}-{round}", name.replace('/', "-"));
            let kib = centrifuge_round(run, program, &name, arguments).await?;
            figure.round(watches, kib);
            run.say(&format!("{} round {round}: {kib:.2} KiB", figure.name));
        }
    }
    if run.peers.centrifuge.is_none() {
        watching.not_beside(CENTRIFUGE);
        return Ok(vec![watching, joined]);
    }
    Ok([watching, joined].into_iter().chain(beside_centrifuge).collect())
}

async fn bare_round(run: &Run<'_>, round: u32) -> anyhow::Result<f64> {
    let loop_only = run.bare(&format!("bare-idle-{round}")).await?;
    let (address, process) = (loop_only.address, loop_only.process);
    let kib = on_one_thread(move || async move {
        let before = resident_kib(process)?;
        let mut sockets = Vec::with_capacity(VIEWERS);
        for _ in 0..VIEWERS {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_u8(bare::SOCKET).await?;
            sockets.push(stream);
        }
        until_quiet(process).await;
        Ok((resident_kib(process)? - before) / VIEWERS as f64)
    })
    .await?;
    loop_only.stop().await?;
    Ok(kib)
}

/// As ours: some come and go first. What counts is what the process holds, its garbage included, as nothing collects it earlier.
async fn centrifuge_round(
    run: &Run<'_>,
    program: &Path,
    name: &str,
    arguments: &[&str],
) -> anyhow::Result<f64> {
    let server = peers::centrifuge(run, program, name, arguments).await?;
    let (address, process) = (server.address, server.process);
    let kib = on_one_thread(move || async move {
        drop(centrifuge::audience(address, process, WARM_UP).await?);
        until_quiet(process).await;
        let before = resident_kib(process)?;
        let audience = centrifuge::audience(address, process, VIEWERS).await?;
        let held = resident_kib(process)?;
        ensure!(audience.counts.closed() == 0, "{} sockets were closed", audience.counts.closed());
        Ok((held - before) / VIEWERS as f64)
    })
    .await?;
    server.stop().await?;
    Ok(kib)
}

async fn real_round(stage: Stage) -> anyhow::Result<(f64, f64)> {
    let process = stage.process;
    drop(room::watch(&stage, &stage.tokens[..WARM_UP]).await?);
    until_quiet(process).await;
    let before = resident_kib(process)?;
    let mut viewers = room::watch(&stage, &stage.tokens).await?;
    until_quiet(process).await;
    let watching = resident_kib(process)?;
    room::join(&mut viewers).await?;
    let audience = super::audience::Audience::of(viewers);
    tokio::time::sleep(room::SETTLE).await;
    until_quiet(process).await;
    let joined = resident_kib(process)?;
    ensure!(audience.counts.closed() == 0, "{} sockets were closed", audience.counts.closed());
    Ok(((watching - before) / VIEWERS as f64, (joined - before) / VIEWERS as f64))
}

/// The resident memory of a process, without the kernel's own for its sockets.
fn resident_kib(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("the server is gone")?;
    kib_of(&status).context("the kernel does not tell the server's memory")
}

fn kib_of(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read() {
        assert_eq!(kib_of("Name:\tx\nVmRSS:\t   1234 kB\nThreads:\t1"), Some(1_234.0));
        assert!(resident_kib(std::process::id()).unwrap() > 0.0);
    }
}
