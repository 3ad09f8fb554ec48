//! How each view is doing on this node.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use schemas::Position;

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
}

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

    pub(crate) fn all(&self) -> BTreeMap<&'static str, ViewStatus> {
        self.0.read().clone()
    }
}
