//! The broker's settings, written anew at each start so that they hold whatever was there before.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::KafkaConfig;
use crate::supervision::LISTEN;

/// What messages call the server.
pub(crate) const NAME: &str = "Kafka";

/// The release that `embedded/kafka/pom.xml` names.
pub(crate) const VERSION: &str = "4.3.1";

/// The one node of the cluster.
const NODE_ID: u32 = 1;

/// Where the broker listens: for clients, and for itself as its own controller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) clients: u16,
    pub(crate) controller: u16,
}

/// The text of `server.properties`: ours, then the caller's, which win, then what nobody changes. The directory of
/// the log is relative to where the broker works, as the broker would take a comma in a path for a list.
pub(crate) fn properties(config: &KafkaConfig, ports: Ports, log_dir: &str) -> String {
    let mut settings: BTreeMap<&str, String> =
        BTreeMap::from(SINGLE_NODE.map(|(name, value)| (name, value.to_owned())));
    settings.extend(config.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let Ports { clients, controller } = ports;
    let advertised = config.advertised_port.unwrap_or(clients);
    settings.extend([
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", NODE_ID.to_string()),
        ("controller.quorum.voters", format!("{NODE_ID}@{LISTEN}:{controller}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "CLIENTS".to_owned()),
        ("listener.security.protocol.map", "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
        ("listeners", format!("CLIENTS://{LISTEN}:{clients},CONTROLLER://{LISTEN}:{controller}")),
        ("advertised.listeners", format!("CLIENTS://{LISTEN}:{advertised}")),
        ("log.dirs", log_dir.to_owned()),
    ]);
    let mut text = "# written by Tally at each start\n".to_owned();
    for (name, value) in settings {
        // writing to a string does not fail
        let _ = writeln!(text, "{}={}", escape(name), escape(&value));
    }
    text
}

/// What one node on one machine wants otherwise than a cluster.
const SINGLE_NODE: [(&str, &str); 24] = [
    // a topic is made by who knows how many partitions it has; a misspelt name is an error
    ("auto.create.topics.enable", "false"),
    ("unclean.leader.election.enable", "false"),
    ("default.replication.factor", "1"),
    ("min.insync.replicas", "1"),
    ("num.partitions", "1"),
    // the internal topics: one replica, and few partitions, since each costs files and start-up time
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "4"),
    // a group of one or two loaders need not wait for others to come
    ("group.initial.rebalance.delay.ms", "0"),
    // threads for a handful of clients
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    ("num.recovery.threads.per.data.dir", "2"),
    ("background.threads", "4"),
    // the cleaner's map would take half of the small heap; ours has room for 300,000 keys a pass
    ("log.cleaner.dedupe.buffer.size", "8388608"),
    ("log.cleaner.io.buffer.size", "262144"),
    // one request must not fill the heap, nor many that wait
    ("socket.request.max.bytes", "33554432"),
    ("queued.max.requests", "64"),
    // a segment is what is read again after a crash, and what retention removes at once
    ("log.segment.bytes", "134217728"),
    // index files are as large as this until their segment is full
    ("log.index.size.max.bytes", "2097152"),
];

/// A name or value as Java reads it from a properties file, whose bytes are Latin-1.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b'\\' | b'=' | b':' | b'#' | b'!' | b' ')) => escaped.extend(['\\', char::from(byte)]),
            Ok(byte @ b'!'..=b'~') => escaped.push(char::from(byte)),
            Ok(_) | Err(_) => {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { clients: 9092, controller: 9093 };

    #[test]
    fn the_caller_tunes_but_never_opens_the_broker_to_the_network() {
        let mut config = KafkaConfig::new("data");
        config.settings.insert("num.io.threads".to_owned(), "8".to_owned());
        config.settings.insert("listeners".to_owned(), "CLIENTS://0.0.0.0:9092".to_owned());
        let text = properties(&config, PORTS, "log");
        let line = |name: &str| text.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
        assert_eq!(line("num.io.threads"), "num.io.threads=8");
        assert_eq!(
            line("listeners"),
            "listeners=CLIENTS\\://127.0.0.1\\:9092,CONTROLLER\\://127.0.0.1\\:9093"
        );
        assert_eq!(line("auto.create.topics.enable"), "auto.create.topics.enable=false");
    }

    #[test]
    fn values_are_escaped_as_java_reads_them() {
        assert_eq!(escape("plain.value"), "plain.value");
        assert_eq!(escape("a b\\c\nü🎥"), "a\\ b\\\\c\\u000a\\u00fc\\ud83c\\udfa5");
    }

    #[test]
    fn the_jars_that_setup_fetches_are_those_that_are_looked_for() {
        let pom = include_str!("../../kafka/pom.xml");
        assert!(pom.contains(&format!("<kafka.version>{VERSION}</kafka.version>")));
    }
}
