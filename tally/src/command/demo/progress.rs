//! How far the show is: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval};

use super::stage::Stage;

/// Between two looks on a terminal, and between two lines elsewhere.
const REDRAW_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(5);

const STYLE: &str = "{elapsed:>4} {bar:30} {percent:>3} %  {msg}";

/// Shows the progress for as long as it is polled.
pub(super) async fn show(stage: Arc<Stage>, length: Duration) {
    let mut started = stage.start.subscribe();
    let Ok(start) = started.wait_for(Option::is_some).await.map(|start| *start) else { return };
    let start = start.unwrap_or_else(Instant::now);
    let is_terminal = std::io::stdout().is_terminal();
    let bar = ProgressBar::with_draw_target(Some(length.as_secs()), ProgressDrawTarget::stdout());
    if let Ok(style) = ProgressStyle::with_template(STYLE) {
        bar.set_style(style);
    }
    let mut ticks = interval(if is_terminal { REDRAW_EVERY } else { LINE_EVERY });
    ticks.tick().await;
    let finish = Finish(bar);
    loop {
        ticks.tick().await;
        let seconds = start.elapsed().as_secs();
        if is_terminal {
            finish.0.set_position(seconds.min(length.as_secs()));
            finish.0.set_message(stage.live.line());
        } else {
            println!("{seconds:>4} s  {}", stage.live.line());
        }
    }
}

/// The bar goes when nobody looks any more: the summary takes its place.
struct Finish(ProgressBar);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
