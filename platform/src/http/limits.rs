//! How fast one person and one address may send requests, and telling them so in every answer.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::problem::Problem;

mod address;

pub use address::{ClientAddress, client_address};

/// What is left of the limits, as the draft standard writes it.
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What the limits are.
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The number of remembered keys is looked at once in so many requests: counting locks every shard.
const COUNT_EVERY: u32 = 1_024;

/// Both limits are for a second, and a second's worth may come at once.
const WINDOW_SECONDS: u64 = 1;

/// An IPv6 customer has a whole network of at least this prefix to choose addresses from.
const IPV6_PREFIX_BITS: u32 = 64;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// One limit for many keys, in bounded memory.
struct Keyed<K: Hash + Eq + Clone> {
    limiter: ArcSwap<Limiter<K>>,
    clock: DefaultClock,
    quota: Quota,
    keys_max: usize,
    requests: AtomicU32,
}

/// What one limit says of a request.
#[derive(Debug, Clone, Copy)]
struct Standing {
    is_allowed: bool,
    remaining: u32,
    wait: Duration,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(per_second: NonZeroU32, keys_max: usize) -> Self {
        let quota = Quota::per_second(per_second);
        Self {
            limiter: ArcSwap::from_pointee(build(quota)),
            clock: DefaultClock::default(),
            quota,
            keys_max,
            requests: AtomicU32::new(0),
        }
    }

    fn check(&self, key: &K) -> Standing {
        if self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(COUNT_EVERY) {
            self.evict();
        }
        match self.limiter.load().check_key(key) {
            Ok(state) => Standing {
                is_allowed: true,
                remaining: state.remaining_burst_capacity(),
                wait: Duration::ZERO,
            },
            Err(refusal) => {
                Standing { is_allowed: false, remaining: 0, wait: refusal.wait_time_from(self.clock.now()) }
            }
        }
    }

    /// Forgets keys whose limit is untouched; when that is not enough, everyone. Forgetting favours the callers, for
    /// one window, and keeps memory bounded whatever they send.
    fn evict(&self) {
        let limiter = self.limiter.load();
        if limiter.len() <= self.keys_max {
            return;
        }
        limiter.retain_recent();
        if limiter.len() > self.keys_max {
            metrics::counter!("rate_limit_resets_total").increment(1);
            self.limiter.store(Arc::new(build(self.quota)));
        } else {
            limiter.shrink_to_fit();
        }
    }
}

fn build<K: Hash + Eq + Clone>(quota: Quota) -> Limiter<K> {
    RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>()
}

/// The limits' sizes.
#[derive(Debug, Clone, Copy)]
pub struct LimitSettings {
    /// Requests of a person within a second.
    pub per_person: NonZeroU32,
    /// Requests from an address within a second.
    pub per_address: NonZeroU32,
    /// Persons and addresses remembered, each.
    pub keys_max: usize,
}

/// The limits of one node.
pub struct RequestLimits {
    persons: Keyed<Arc<str>>,
    addresses: Keyed<IpAddr>,
    settings: LimitSettings,
    policy_both: HeaderValue,
    policy_address: HeaderValue,
}

/// What the limits said of a request, for its answer's headers.
#[derive(Debug, Clone, Copy)]
pub struct Standings {
    address: Standing,
    person: Option<Standing>,
}

impl RequestLimits {
    /// Limits of these sizes, with nobody known.
    #[must_use]
    pub fn new(settings: LimitSettings) -> Self {
        let person = format!("\"person\";q={};w={WINDOW_SECONDS}", settings.per_person);
        let address = format!("\"address\";q={};w={WINDOW_SECONDS}", settings.per_address);
        let header = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        Self {
            persons: Keyed::new(settings.per_person, settings.keys_max),
            addresses: Keyed::new(settings.per_address, settings.keys_max),
            settings,
            policy_both: header(&format!("{person}, {address}")),
            policy_address: header(&address),
        }
    }

    /// Counts a request from `address`.
    #[must_use]
    pub fn arrive(&self, address: IpAddr) -> Standings {
        Standings { address: self.addresses.check(&subscriber(address)), person: None }
    }

    /// Counts it for the person too, once he is known.
    #[must_use]
    pub fn identify(&self, standings: Standings, subject: &Arc<str>) -> Standings {
        Standings { person: Some(self.persons.check(subject)), ..standings }
    }

    /// 429 where a limit is passed.
    ///
    /// # Errors
    /// The answer to give.
    pub fn judge(&self, standings: &Standings) -> Result<(), Problem> {
        let refused = |standing: &Standing, who: &'static str, limit: NonZeroU32| {
            Problem::limited(
                format!("send at most {limit} requests a second as one {who}"),
                whole_seconds(standing.wait),
            )
            .with_limit(u64::from(limit.get()))
            .with("violatedPolicies", vec![who])
        };
        if !standings.address.is_allowed {
            return Err(refused(&standings.address, "address", self.settings.per_address));
        }
        match &standings.person {
            Some(person) if !person.is_allowed => Err(refused(person, "person", self.settings.per_person)),
            _ => Ok(()),
        }
    }

    /// Tells the client where he stands.
    pub fn write(&self, standings: &Standings, headers: &mut HeaderMap) {
        use std::io::Write;
        let mut text = [0_u8; 96];
        let mut rest = &mut text[..];
        let address = &standings.address;
        // names and numbers of bounded length: the buffer cannot be too short
        let written = match &standings.person {
            Some(person) => write!(
                rest,
                "\"person\";r={};t={}, \"address\";r={};t={}",
                person.remaining,
                reset_seconds(person),
                address.remaining,
                reset_seconds(address)
            ),
            None => write!(rest, "\"address\";r={};t={}", address.remaining, reset_seconds(address)),
        };
        let unused = rest.len();
        if written.is_ok()
            && let Ok(value) = HeaderValue::from_bytes(&text[..text.len() - unused])
        {
            headers.insert(RATELIMIT, value);
        }
        let policy = if standings.person.is_some() { &self.policy_both } else { &self.policy_address };
        headers.insert(RATELIMIT_POLICY, policy.clone());
    }
}

/// Seconds after which the whole quota is there again: never more than the window, and the wait where refused.
fn reset_seconds(standing: &Standing) -> u64 {
    if standing.is_allowed { WINDOW_SECONDS } else { whole_seconds(standing.wait) }
}

/// Rounded up, and at least one: a client that comes back after it must not be early.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The address as the limit counts it.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> (Ipv6Addr::BITS - IPV6_PREFIX_BITS)
                << (Ipv6Addr::BITS - IPV6_PREFIX_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

/// Stands for a client whose connection has no address, as in tests without a socket.
pub(crate) const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn limits(per_person: u32, per_address: u32, keys_max: usize) -> RequestLimits {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        RequestLimits::new(LimitSettings {
            per_person: number(per_person),
            per_address: number(per_address),
            keys_max,
        })
    }

    #[test]
    fn a_person_and_an_address_have_limits_of_their_own() {
        let (alice, bob) = (Arc::from("alice"), Arc::from("bob"));
        let [first, second, third, fourth, fifth] = at_once([&alice, &alice, &alice, &bob, &bob]);
        assert!(first.is_ok() && second.is_ok());
        assert!(third.expect_err("third").contains("2 requests a second as one person"));
        assert!(fourth.is_ok());
        assert!(fifth.expect_err("fifth from here").contains("4 requests a second as one address"));
    }

    /// What becomes of requests from one address, two for each person and four in all, that come before there is room for
    /// another: again where a busy machine took longer.
    fn at_once<const N: usize>(requests: [&Arc<str>; N]) -> [Result<(), String>; N] {
        let home = "10.0.0.1".parse().expect("address");
        loop {
            let (limits, began) = (limits(2, 4, 100), Instant::now());
            let send = |who: &Arc<str>| limits.judge(&limits.identify(limits.arrive(home), who));
            let judged = requests.map(|who| send(who).map_err(|problem| problem.to_string()));
            if began.elapsed() < Duration::from_millis(250) {
                return judged;
            }
        }
    }

    #[test]
    fn answers_tell_policy_and_standing() {
        let limits = limits(50, 200, 100);
        let mut headers = HeaderMap::new();
        let arrived = limits.arrive(NO_ADDRESS);
        limits.write(&arrived, &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"address\";q=200;w=1");
        assert_eq!(headers["ratelimit"], "\"address\";r=199;t=1");
        limits.write(&limits.identify(arrived, &Arc::from("alice")), &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"person\";q=50;w=1, \"address\";q=200;w=1");
        assert_eq!(headers["ratelimit"], "\"person\";r=49;t=1, \"address\";r=199;t=1");
    }

    #[test]
    fn many_addresses_do_not_fill_memory() {
        let limits = limits(1, 1, 1_000);
        for n in 0..50_000 {
            let _ = limits.arrive(IpAddr::V4(Ipv4Addr::from_bits(n)));
        }
        assert!(limits.addresses.limiter.load().len() <= 1_000 + COUNT_EVERY as usize);
    }

    #[test]
    fn an_ipv6_network_is_one_subscriber() {
        let subscriber = |text: &str| super::subscriber(text.parse().expect("address"));
        assert_eq!(subscriber("2001:db8:1:2::1"), subscriber("2001:db8:1:2:ffff::9"));
        assert_ne!(subscriber("2001:db8:1:2::1"), subscriber("2001:db8:1:3::1"));
        assert_eq!(subscriber("::ffff:10.0.0.1"), subscriber("10.0.0.1"));
    }
}
