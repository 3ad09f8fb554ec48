//! Whether appends wait for a delayed acknowledgement. What an append takes depends on the disk and on what else the machine does,
//! so it is compared with another one of the same moment.

use std::time::{Duration, Instant};

/// Half of what a server waits before it acknowledges, when it does nothing about that.
const DELAY: Duration = Duration::from_millis(20);

/// The kernel acknowledges the beginning of a connection at once.
const UNDELAYED: usize = 20;

/// Pairs that are compared.
const PAIRS: usize = 60;

/// Where the two differ by chance alone, each is the later one in half of the pairs at most, however slow the machine is: that
/// it is in so many has a probability of one in a hundred thousand. Who is held back is later in nearly all.
const LATER_MAX: usize = 45;

/// Whether these appends are held back, which others by as long a way are not.
pub async fn are_held_back(these: impl AsyncFn(), others: impl AsyncFn()) -> bool {
    for _ in 0..UNDELAYED {
        these().await;
    }
    let mut later = 0;
    for pair in 0..PAIRS {
        // in turn, so that none is always the second
        let (this, other) = if pair % 2 == 0 {
            let this = took(&these).await;
            (this, took(&others).await)
        } else {
            let other = took(&others).await;
            (took(&these).await, other)
        };
        later += usize::from(this > other + DELAY);
    }
    println!("{later} of {PAIRS} appends were later than their neighbours");
    later > LATER_MAX
}

async fn took(append: &impl AsyncFn()) -> Duration {
    let begun = Instant::now();
    append().await;
    begun.elapsed()
}
