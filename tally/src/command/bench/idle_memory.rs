//! Memory: what a viewer who sits there and says nothing costs the server, beside the same at a loop that knows nothing.

use anyhow::{Context, ensure};
use std::fs;

use super::Run;
use super::bare;
use super::figure::Figure;
use super::load::on_one_thread;
use super::machine::until_quiet;
use super::room::{self, Stage};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Viewers that are counted.
const VIEWERS: usize = 5_000;

/// Sockets that come and go before: what the first of all need does not belong to any of them.
const WARM_UP: usize = 500;

/// Measures watching, and watching with a session.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let baseline_is = "a bare loop's resident memory for a socket";
    let mut watching = Figure::new("idle-memory/watching", "KiB a viewer", baseline_is);
    let mut joined = Figure::new("idle-memory/joined", "KiB a viewer", baseline_is);
    for round in 0..run.rounds {
        // memory is not given back: each round has servers of its own
        let real = run.tally(&format!("idle-{round}")).await?;
        let stage = run.stage(&real, VIEWERS).await?;
        let (watches, joins) = on_one_thread(move || real_round(stage)).await?;
        real.stop().await?;
        let loop_only = run.bare(&format!("bare-idle-{round}")).await?;
        let (address, process) = (loop_only.address, loop_only.process);
        let bare = on_one_thread(move || async move {
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
        watching.round(watches, bare);
        joined.round(joins, bare);
        run.say(&format!("idle-memory round {}: {watches:.2} and {joins:.2} KiB, bare {bare:.2}", round + 1));
    }
    Ok(vec![watching, joined])
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
