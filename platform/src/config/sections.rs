//! All settings. One line here is all that a new one needs; rules that span several are in `rules`.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::read::{Declared, Reader, SettingDescription};
use super::value::{ConnectionUrl, List, LogFormat, Mode, OtlpExport, PaymentProvider, Secret};

/// `key: type = "default" in least..=most`: a section's struct, and how to read it.
macro_rules! section {
    ($(#[doc = $about:literal])+ $section:literal $name:ident {
        $($(#[doc = $meaning:literal])+ $key:ident: $type:ty = $default:literal $(in $range:expr)?,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct $name { $($(#[doc = $meaning])+ pub $key: $type,)+ }

        impl $name {
            fn read(reader: &mut Reader) -> Self {
                Self { $($key: reader.setting(&Declared {
                    section: $section,
                    key: stringify!($key),
                    default: $default,
                    range: section!(@range $($range)?),
                    meaning: &[$($meaning),+],
                }),)+ }
            }
        }
    };
    (@range) => { None };
    (@range $range:expr) => { Some($range) };
}

/// All sections: the configuration.
macro_rules! config {
    ($($(#[doc = $about:literal])+ $field:ident: $type:ident,)+) => {
        /// The whole configuration.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct Config {
            /// How strict the start is.
            pub mode: Mode,
            $($(#[doc = $about])+ pub $field: $type,)+
            pub(super) settings: Vec<SettingDescription>,
        }

        impl Config {
            pub(super) fn read(reader: &mut Reader) -> Self {
                let mode = Declared {
                    section: "",
                    key: "mode",
                    default: "development",
                    range: None,
                    meaning: &["development makes what is missing; production refuses to start without it"],
                };
                Self { mode: reader.setting(&mode), $($field: $type::read(reader),)+ settings: Vec::new() }
            }
        }
    };
}

config! {
    /// The HTTP edge.
    http: Http,
    /// Who may call.
    auth: Auth,
    /// Where data lies on one machine.
    data: Data,
    /// The event log.
    event_log: EventLog,
    /// Postgres.
    postgres: Postgres,
    /// Kafka.
    kafka: Kafka,
    /// ClickHouse.
    clickhouse: ClickHouse,
    /// Keys of our own.
    secrets: Secrets,
    /// Video.
    agora: Agora,
    /// Payments.
    payments: Payments,
    /// Limits on callers.
    limits: Limits,
    /// Logs and metrics.
    telemetry: Telemetry,
    /// Running shows.
    shows: Shows,
    /// Addresses that clients are told.
    public: Public,
    /// Where the other services are, when each runs alone.
    services: Services,
}

section! {
    /// The HTTP edge.
    "http" Http {
        /// Address and port to listen on. Only this machine by default, so that a first start opens nothing to
        /// a network; containers and servers set 0.0.0.0:8085.
        listen: SocketAddr = "127.0.0.1:8085",
        /// Largest request body, in bytes.
        body_limit_bytes: usize = "65536" in 1_024..=16_777_216,
        /// A request that is not answered after this long gets 503.
        request_timeout_seconds: u64 = "30" in 6..=600,
        /// A connection that does not send a whole request head within this time is closed, an idle one too: proxies
        /// in front must close theirs earlier.
        header_read_timeout_seconds: u64 = "30" in 1..=120,
        /// Open connections, sockets included; further ones wait.
        connections_max: usize = "20000" in 16..=1_000_000,
        /// Origins of web pages that may call from a browser, such as https://console.example.com; `*` is any.
        cors_allowed_origins: List<String> = "",
        /// Addresses or networks of reverse proxies whose X-Forwarded-For is believed.
        trusted_proxies: List<IpNet> = "",
        /// Compress JSON answers for clients that accept gzip.
        compression: bool = "true",
        /// How long running requests may take to end at shutdown.
        shutdown_drain_seconds: u64 = "20" in 0..=600,
    }
}

section! {
    /// Who may call.
    "auth" Auth {
        /// Secret for HS256 tokens, 32 bytes or more. In development one is made and kept in the data directory.
        hs256_secret: Secret = "",
        /// Accept HS256 in production too.
        allow_hs256_in_production: bool = "false",
        /// URL of the issuer's key set (JWKS), for RS256, ES256 and EdDSA.
        jwks_url: String = "",
        /// The tokens' `iss`, exactly.
        issuer: String = "tally",
        /// What the tokens' `aud` must name.
        audience: String = "tally",
        /// How far the issuer's clock may differ from ours.
        leeway_seconds: u32 = "60" in 0..=300,
        /// Public shows may be watched over sockets without a token, reading only.
        anonymous_reading: bool = "true",
    }
}

section! {
    /// Where data lies on one machine.
    "data" Data {
        /// Directory of everything that is kept on this machine: embedded stores, development secrets.
        dir: PathBuf = "data",
        /// `tally up` fills a warehouse, in a private Kafka and ClickHouse where the settings name none: some 800 MiB of
        /// memory, and up to 1.5 GiB more for large questions. Without it no figure is answered.
        warehouse: bool = "true",
    }
}

section! {
    /// The event log.
    "event_log" EventLog {
        /// esdb:// or kurrentdb:// URL of the cluster; empty is the embedded node.
        url: ConnectionUrl = "",
        /// Where the embedded node listens; port 0 is a free one.
        listen: SocketAddr = "127.0.0.1:2113",
    }
}

section! {
    /// Postgres.
    "postgres" Postgres {
        /// postgres:// URL; empty is a private cluster in the data directory.
        url: ConnectionUrl = "",
        /// Connections that a process opens at most.
        connections_max: u32 = "20" in 2..=1_000,
        /// Port of the private cluster on this machine's loopback address; 0 is a free one at each start.
        port: u16 = "0" in 0..=65_535,
    }
}

section! {
    /// Kafka.
    "kafka" Kafka {
        /// `host:port` of brokers, with commas between; empty is a private broker for `tally up`, and elsewhere none:
        /// events are not published, and no warehouse is filled.
        brokers: String = "",
        /// Port of the private broker on this machine's loopback address; 0 is a free one at each start.
        port: u16 = "0" in 0..=65_535,
        /// Copies of each record, when the topic is made.
        replication: u16 = "1" in 1..=9,
        /// Days that records are kept: the longest that a loader may be away without a refill from the log. A change reaches the
        /// topic at the next start.
        retention_days: u32 = "7" in 1..=3_650,
    }
}

section! {
    /// ClickHouse.
    "clickhouse" ClickHouse {
        /// http:// URL; empty is a private server for `tally up`, and elsewhere none: no figure is answered.
        url: String = "",
        /// Port of the private server on this machine's loopback address; 0 is a free one at each start.
        port: u16 = "8123" in 0..=65_535,
        /// The database of the warehouse; it exists, and its tables are made by `tally analytics`.
        database: String = "warehouse",
        /// Who writes the warehouse and asks it for figures.
        user: String = "writer",
        /// Their password.
        password: Secret = "",
        /// Name of the cluster, whose tables are replicated: what is written waits for most of its replicas; empty is one server.
        cluster: String = "",
        /// Days that facts are kept after their event; 0 is for ever. More than ever passes from a show's announcement to its end, or its
        /// figures stop. Roll-ups stay: a show that is over keeps its sums, and loses its timeline, retention curves and audience.
        retention_days: u32 = "0" in 0..=36_500,
    }
}

section! {
    /// Keys of our own.
    "secrets" Secrets {
        /// Wraps the personal keys in the vault: base64 of 32 random bytes. Losing it loses all personal data.
        master_key: Secret = "",
        /// Makes the pseudonyms that stand for persons in the log: base64 of 32 random bytes. Never change it.
        pseudonym_key: Secret = "",
    }
}

section! {
    /// Video by Agora.
    "agora" Agora {
        /// The project's App ID, 32 hexadecimal digits.
        app_id: String = "",
        /// The project's primary certificate, 32 hexadecimal digits.
        app_certificate: Secret = "",
        /// How long a token for a channel is good.
        token_seconds: u32 = "3600" in 60..=86_400,
    }
}

section! {
    /// Payments.
    "payments" Payments {
        /// Who takes the money.
        provider: PaymentProvider = "sandbox",
        /// URL of the provider's API; empty is a sandbox in this process, which one machine shares.
        url: String = "",
        /// Secret key of the provider's API.
        secret_key: Secret = "",
        /// Run the sandbox in production: tips and tickets then cost nothing.
        allow_sandbox_payments: bool = "false",
        /// Secret that signs the provider's callbacks.
        webhook_secret: Secret = "",
    }
}

section! {
    /// Limits on callers. Chat and tips are exact per show; requests are counted by each node.
    "limits" Limits {
        /// Chat messages of a person in a show within the window.
        chat_messages: u32 = "20" in 1..=10_000,
        /// Chat messages of a moderator in a show within the window.
        chat_messages_moderator: u32 = "100" in 1..=10_000,
        /// The window of both, and how long an identical message is refused.
        chat_window_seconds: u32 = "30" in 1..=60,
        /// Tips of a person in a show within a minute.
        tips_per_minute: u32 = "10" in 1..=10_000,
        /// Requests of a person within a second.
        requests_per_person_second: u32 = "50" in 1..=1_000_000,
        /// Requests from an address within a second.
        requests_per_address_second: u32 = "200" in 1..=1_000_000,
        /// Persons and addresses that are remembered for the two limits above, each.
        keys_max: usize = "200000" in 1_000..=10_000_000,
        /// Largest frame that a socket may send, in bytes.
        socket_frame_bytes: usize = "16384" in 1_024..=1_048_576,
        /// Sockets of one person in one show.
        sockets_per_person_show: u32 = "5" in 1..=1_000,
    }
}

section! {
    /// Logs and metrics.
    "telemetry" Telemetry {
        /// What is logged: a level, or levels by module, such as info,platform=debug.
        log: String = "info,fjall=warn,lsm_tree=warn,librdkafka=error,sqlx::postgres::notice=warn",
        /// What a line looks like.
        format: LogFormat = "json",
        /// Export of spans.
        otlp: OtlpExport = "none",
    }
}

section! {
    /// Running shows.
    "shows" Shows {
        /// MaxMind city or country database (.mmdb) that tells where viewers are; empty: nowhere is known.
        geo_database: String = "",
        /// Events between two snapshots of a show.
        snapshot_every: u64 = "5000" in 10..=1_000_000,
        /// A show that nobody talks to leaves memory after this time.
        actor_idle_seconds: u64 = "300" in 5..=86_400,
        /// Commands that wait for one show; further ones get 503.
        queue_length: usize = "1024" in 16..=1_000_000,
        /// Commands that are decided and appended together, at most.
        batch_max: usize = "256" in 1..=10_000,
    }
}

section! {
    /// Addresses that clients are told.
    "public" Public {
        /// Where hosts send their stream; the show's id is added.
        rtmp_ingest_base: String = "rtmp://127.0.0.1:1935/live",
        /// Where recordings are played; the show's id is added.
        recordings_base: String = "http://127.0.0.1:8085/api/v1/recordings",
    }
}

section! {
    /// Where the other services are, when each runs alone.
    "services" Services {
        /// URL of command-api, for the sockets of a query-api that runs alone.
        command_api_url: String = "",
    }
}
