//! What is under way at the warehouse.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::task::AbortOnDropHandle;

use super::delivery::Delivered;
use crate::warehouse::Progress;

/// What is under way at the warehouse.
pub(super) enum Done {
    Delivered(Delivered),
    /// What it says of all partitions; the ones that are to begin there.
    Looked(BTreeSet<i32>, BTreeMap<i32, Progress>),
}

/// A task of its own, as it encodes rows for as long as the next batch is decoded. It ends where it is dropped.
pub(super) type Work = AbortOnDropHandle<Done>;

/// Begins it.
pub(super) fn task(work: impl Future<Output = Done> + Send + 'static) -> Work {
    AbortOnDropHandle::new(tokio::spawn(work))
}

/// Ready when the work is done; never where there is none.
pub(super) async fn under_way(work: &mut Option<Work>) -> Done {
    match work {
        Some(work) => match work.await {
            Ok(done) => done,
            Err(broken) => match broken.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // the runtime ends, and whoever waits with it
                Err(_) => std::future::pending().await,
            },
        },
        None => std::future::pending().await,
    }
}
