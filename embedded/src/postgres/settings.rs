//! The server's settings, given on its command line so that they hold whatever the files say.

use std::collections::BTreeMap;

use super::PostgresConfig;
use crate::supervision::LISTEN;

/// What messages call the server.
pub(crate) const NAME: &str = "Postgres";

/// The account and the database of the product. It owns its database and may create others (tests
/// do); it is no superuser, as in a production cluster.
pub(crate) const TALLY: &str = "tally";

/// Who may connect: the product's account, by password, from this machine. There is no Unix socket,
/// so no limit on the length of the data directory's path either.
pub(crate) const HBA: &str = "# written by Tally when it created this cluster\n\
    host all tally 127.0.0.1/32 scram-sha-256\n";

/// All settings: ours, then the caller's, which win, then the address, which nobody changes.
pub(crate) fn all(config: &PostgresConfig, port: u16) -> BTreeMap<String, String> {
    let ours = [
        ("cluster_name", "tally".to_owned()),
        ("max_connections", config.max_connections.to_string()),
        ("shared_buffers", format!("{}MB", config.shared_buffers_mib)),
        // nothing is acknowledged before it is durable
        ("fsync", "on".to_owned()),
        ("full_page_writes", "on".to_owned()),
        ("synchronous_commit", "on".to_owned()),
        // bounds the disk that the write-ahead log takes between checkpoints
        ("max_wal_size", "512MB".to_owned()),
        // compiling a query costs more than our short queries take
        ("jit", "off".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
        // the log goes through our own; rows and statements, which may hold personal data, stay out
        ("log_destination", "stderr".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_line_prefix", String::new()),
        ("log_min_messages", "log".to_owned()),
        ("log_min_error_statement", "panic".to_owned()),
        ("log_error_verbosity", "terse".to_owned()),
        ("log_checkpoints", "off".to_owned()),
        ("lc_messages", "C".to_owned()),
    ];
    let address = [
        ("listen_addresses", LISTEN.to_string()),
        ("port", port.to_string()),
        ("unix_socket_directories", String::new()),
        ("password_encryption", "scram-sha-256".to_owned()),
    ];
    let mut settings: BTreeMap<String, String> =
        ours.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    settings.extend(config.settings.clone());
    settings.extend(address.into_iter().map(|(name, value)| (name.to_owned(), value)));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_tunes_but_never_opens_the_cluster_to_the_network() {
        let mut config = PostgresConfig::new("data");
        config.settings.insert("work_mem".to_owned(), "8MB".to_owned());
        config.settings.insert("listen_addresses".to_owned(), "*".to_owned());
        let settings = all(&config, 4711);
        assert_eq!(settings["work_mem"], "8MB");
        assert_eq!(settings["listen_addresses"], "127.0.0.1");
        assert_eq!(settings["port"], "4711");
        assert_eq!(settings["fsync"], "on");
    }
}
