//! How each view is doing on this node.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::RwLock;
use schemas::Position;
use tokio::time::Instant;

/// How a view is doing on this node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ViewState {
    /// Not yet known.
    #[default]
    Starting,
    /// Another instance fills it; this one waits.
    Standby,
    /// This instance fills it and has not yet reached the head of the log.
    CatchingUp,
    /// This instance fills it, event by event.
    Live,
    /// A store is away; it is tried again.
    Retrying {
        /// What is wrong.
        detail: String,
    },
    /// It stands still until somebody looks: it met what it must not skip.
    Halted {
        /// What it met.
        detail: String,
    },
    /// A newer version of the code serves it.
    Superseded,
}

impl ViewState {
    /// Whether the view is well, here or elsewhere.
    #[must_use]
    pub fn is_well(&self) -> bool {
        match self {
            Self::Standby | Self::CatchingUp | Self::Live | Self::Superseded => true,
            Self::Starting | Self::Retrying { .. } | Self::Halted { .. } => false,
        }
    }
}

/// A view on this node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ViewStatus {
    /// How it is doing.
    pub state: ViewState,
    /// Up to where this instance has committed it; `None` where it has not, for example on standby.
    pub position: Option<Position>,
    /// How old the last event was when its row was committed.
    pub lag_ms: i64,
    /// How many positions the log's head was ahead at the last look; a position of the embedded log is a byte.
    pub behind: u64,
    /// For how long this instance has not reached what the log held then, to a second or so; zero where it follows.
    pub behind_for: Duration,
}

impl ViewStatus {
    /// A few words where the view has something to catch up with.
    fn tell_lag(&self) -> Option<String> {
        let is_behind = self.position.is_some() && !self.behind_for.is_zero();
        is_behind.then(|| format!("{} positions and {} s behind", self.behind, self.behind_for.as_secs()))
    }
}

/// Where the log's head was lately, to tell how late a view is.
#[derive(Default)]
pub(crate) struct Heads(VecDeque<(Instant, Position)>);

impl Heads {
    /// Notes where the head is now.
    pub(crate) fn note(&mut self, now: Instant, head: Position) {
        if self.0.len() == HEADS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, head));
    }

    /// For how long a view at this position has been behind: since the first head that it has not reached. The latest
    /// one does not count, as the view may be on its way to it.
    fn behind_for(&self, now: Instant, position: Position) -> Duration {
        let earlier = self.0.len().saturating_sub(1);
        let missed = self.0.iter().take(earlier).find(|(_, head)| *head > position);
        missed.map_or(Duration::ZERO, |(at, _)| now - *at)
    }
}

/// So many heads are remembered: ten minutes of them. A view that is further behind is told to be so much.
const HEADS_MAX: usize = 600;

/// All views of this node.
#[derive(Default)]
pub(crate) struct Board(RwLock<BTreeMap<&'static str, ViewStatus>>);

impl Board {
    pub(crate) fn update(&self, view: &'static str, change: impl FnOnce(&mut ViewStatus)) {
        let mut board = self.0.write();
        let status = board.entry(view).or_default();
        change(status);
        let halted = if matches!(status.state, ViewState::Halted { .. }) { 1.0 } else { 0.0 };
        metrics::gauge!("projection_halted", "view" => view).set(halted);
    }

    pub(crate) fn set(&self, view: &'static str, state: ViewState) {
        self.update(view, |status| status.state = state);
    }

    /// Measures how far the views are behind the log, and tells the metrics.
    pub(crate) fn measure(&self, heads: &Heads, now: Instant) {
        let Some((_, head)) = heads.0.back() else { return };
        for (view, status) in self.0.write().iter_mut() {
            let Some(position) = status.position else {
                (status.behind, status.behind_for) = (0, Duration::ZERO);
                continue;
            };
            status.behind = head.0.saturating_sub(position.0);
            status.behind_for = heads.behind_for(now, position);
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            metrics::gauge!("projection_lag_positions", "view" => *view).set(status.behind as f64);
            // one that follows tells its own, to the millisecond, with each commit
            if !status.behind_for.is_zero() {
                metrics::gauge!("projection_lag_seconds", "view" => *view)
                    .set(status.behind_for.as_secs_f64());
            }
        }
    }

    /// A few words about the views that are behind; empty where none is.
    pub(crate) fn tell_lags(&self) -> String {
        let board = self.0.read();
        let lags =
            board.iter().filter_map(|(view, status)| Some(format!("{view} is {}", status.tell_lag()?)));
        lags.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn all(&self) -> BTreeMap<&'static str, ViewStatus> {
        self.0.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_behind_since_the_first_head_that_it_has_not_reached() {
        let (mut heads, begin) = (Heads::default(), Instant::now());
        let at = |second| begin + Duration::from_secs(second);
        for (second, head) in [(0, 10), (1, 20), (2, 30), (3, 40)] {
            heads.note(at(second), Position(head));
        }
        let behind = |position| heads.behind_for(at(3), Position(position)).as_secs();
        assert_eq!([behind(5), behind(10), behind(25), behind(30), behind(40)], [3, 2, 1, 0, 0]);
    }

    #[test]
    fn lag_is_told_of_the_views_that_this_instance_fills() {
        let (board, mut heads, now) = (Board::default(), Heads::default(), Instant::now());
        board.update("slow", |status| status.position = Some(Position(100)));
        board.update("fast", |status| status.position = Some(Position(700)));
        board.set("elsewhere", ViewState::Standby);
        for (seconds, head) in [(0, 500), (7, 700)] {
            heads.note(now + Duration::from_secs(seconds), Position(head));
        }
        board.measure(&heads, now + Duration::from_secs(7));
        assert_eq!(board.tell_lags(), "slow is 600 positions and 7 s behind");
    }
}
