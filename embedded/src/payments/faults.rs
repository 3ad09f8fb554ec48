//! What goes wrong, by a seed: the same seed gives the same faults in the same order of requests.

use parking_lot::Mutex;
use std::time::Duration;

/// Rates are in so many out of a thousand requests.
const PER_MILLE: u64 = 1_000;

/// Which faults to inject into the provider's interface, and how often.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    /// Where the sequence of faults starts.
    pub seed: u64,
    /// Each request waits up to so long.
    pub latency_max: Duration,
    /// The connection is cut before anything happens.
    pub drop_before_per_mille: u64,
    /// What was asked for happens, then the connection is cut.
    pub drop_after_per_mille: u64,
    /// Status 500 before anything happens.
    pub server_error_per_mille: u64,
    /// Status 429 for a burst of requests.
    pub rate_limit_per_mille: u64,
    /// How many requests a burst hits; 0 counts as 1.
    pub rate_limit_burst: u32,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    None,
    DropBefore,
    DropAfter,
    ServerError,
    RateLimit,
}

/// Hands out the plan's faults.
pub(super) struct Faults {
    plan: FaultPlan,
    state: Mutex<State>,
}

struct State {
    random: u64,
    burst_left: u32,
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Self {
        let state = State { random: plan.seed, burst_left: 0 };
        Self { plan, state: Mutex::new(state) }
    }

    /// The next request's delay and fault.
    pub(super) fn next(&self) -> (Duration, Fault) {
        let mut state = self.state.lock();
        let share = u32::try_from(state.next() % (PER_MILLE + 1)).unwrap_or(0);
        let latency = self.plan.latency_max * share / 1_000;
        if state.burst_left > 0 {
            state.burst_left -= 1;
            return (latency, Fault::RateLimit);
        }
        let mut roll = state.next() % PER_MILLE;
        for (per_mille, fault) in [
            (self.plan.drop_before_per_mille, Fault::DropBefore),
            (self.plan.drop_after_per_mille, Fault::DropAfter),
            (self.plan.server_error_per_mille, Fault::ServerError),
            (self.plan.rate_limit_per_mille, Fault::RateLimit),
        ] {
            if roll < per_mille {
                if fault == Fault::RateLimit {
                    state.burst_left = self.plan.rate_limit_burst.saturating_sub(1);
                }
                return (latency, fault);
            }
            roll -= per_mille;
        }
        (latency, Fault::None)
    }
}

impl State {
    /// SplitMix64: small, and the same on every platform.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
