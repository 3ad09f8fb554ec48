//! The baseline of appends: callers that wait for one thread, which writes what they gave and flushes it.

use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Writes `bytes` for each of `callers`, again as soon as it is flushed. Returns the writes in a second.
pub(super) async fn run(dir: &Path, callers: usize, bytes: usize, length: Duration) -> anyhow::Result<f64> {
    let path = dir.join("bare-commit");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let (queue, requests) = mpsc::channel::<oneshot::Sender<()>>(callers);
    let writer = std::thread::spawn(move || write(file, requests, bytes));
    let end = Instant::now() + length;
    let mut lanes = JoinSet::new();
    for _ in 0..callers {
        let queue = queue.clone();
        lanes.spawn(async move {
            let mut count: u64 = 0;
            while Instant::now() < end {
                let (reply, flushed) = oneshot::channel();
                if queue.send(reply).await.is_err() || flushed.await.is_err() {
                    break;
                }
                count += 1;
            }
            count
        });
    }
    drop(queue);
    let mut count = 0;
    while let Some(lane) = lanes.join_next().await {
        count += lane?;
    }
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    std::fs::remove_file(&path)?;
    Ok(count as f64 / length.as_secs_f64())
}

fn write(
    mut file: File,
    mut requests: mpsc::Receiver<oneshot::Sender<()>>,
    bytes: usize,
) -> anyhow::Result<()> {
    let mut waiting = Vec::new();
    while let Some(first) = requests.blocking_recv() {
        waiting.push(first);
        while let Ok(next) = requests.try_recv() {
            waiting.push(next);
        }
        file.write_all(&vec![b'x'; bytes * waiting.len()])?;
        file.sync_data()?;
        for reply in waiting.drain(..) {
            // a caller that went away needs no answer
            let _ = reply.send(());
        }
    }
    Ok(())
}
