//! The generated messages and service traits. The nesting mirrors the packages, as generated paths expect.

/// `google.*`
pub(crate) mod google {
    /// `google.rpc`
    #[allow(clippy::all, missing_docs, unreachable_pub, reason = "generated code")]
    pub(crate) mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// `umadb.*`
pub(crate) mod umadb {
    /// `umadb.v1`
    #[allow(
        clippy::all,
        clippy::wildcard_enum_match_arm,
        clippy::too_many_lines,
        clippy::semicolon_if_nothing_returned,
        missing_docs,
        unreachable_pub,
        dead_code,
        reason = "generated code"
    )]
    pub(crate) mod v1 {
        tonic::include_proto!("umadb.v1");
    }
}

/// `event_store.*`
pub(crate) mod event_store {
    /// `event_store.client`
    #[allow(
        clippy::all,
        clippy::wildcard_enum_match_arm,
        clippy::too_many_lines,
        clippy::semicolon_if_nothing_returned,
        missing_docs,
        unreachable_pub,
        dead_code,
        reason = "generated code"
    )]
    pub(crate) mod client {
        tonic::include_proto!("event_store.client");
        pub(crate) mod streams {
            tonic::include_proto!("event_store.client.streams");
        }
        pub(crate) mod server_features {
            tonic::include_proto!("event_store.client.server_features");
        }
        pub(crate) mod echo {
            tonic::include_proto!("event_store.client.echo");
        }
        pub(crate) mod gossip {
            tonic::include_proto!("event_store.client.gossip");
        }
        pub(crate) mod persistent_subscriptions {
            tonic::include_proto!("event_store.client.persistent_subscriptions");
        }
    }
}

pub(crate) use event_store::client as shared;
pub(crate) use event_store::client::{echo, gossip, persistent_subscriptions, server_features, streams};

use uuid::Uuid;

use shared::uuid::{Structured, Value};

impl shared::Uuid {
    /// The id in either of its forms; `None` if it is missing or not an id.
    pub(crate) fn parse(&self) -> Option<Uuid> {
        match self.value.as_ref()? {
            Value::Structured(halves) => {
                let most = halves.most_significant_bits.cast_unsigned();
                let least = halves.least_significant_bits.cast_unsigned();
                Some(Uuid::from_u64_pair(most, least))
            }
            Value::String(text) => Uuid::parse_str(text).ok(),
        }
    }

    /// The id in the structured form.
    pub(crate) fn structured(id: Uuid) -> Self {
        let (most, least) = id.as_u64_pair();
        let halves = Structured {
            most_significant_bits: most.cast_signed(),
            least_significant_bits: least.cast_signed(),
        };
        Self { value: Some(Value::Structured(halves)) }
    }
}

impl shared::AllStreamPosition {
    /// Commit and prepare are the same in this log.
    pub(crate) fn at(position: u64) -> Self {
        Self { commit_position: position, prepare_position: position }
    }
}
