//! The server's settings and users, written anew at each start so that they hold whatever was there before.

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{ClickHouseConfig, Credentials, KEPT_FREE_BYTES, Users};

/// What messages call the server.
pub(crate) const NAME: &str = "ClickHouse";

/// The version of the library that `embedded/clickhouse/libchdb.txt` names.
pub(crate) const VERSION: &str = "26.7.3-stable.1";

/// Longest that a reader's query may run, in seconds, and what it gets unless it asks for another time.
const READ_SECONDS_MAX: u32 = 60;

/// Rows that a reader's query may answer with: more than a person reads, less than fills a notebook's memory.
const READ_ROWS_MAX: u32 = 1_000_000;

/// The same in bytes.
const READ_BYTES_MAX: u64 = 512 << 20;

/// Queries that a reader may have under way: a dashboard asks with all its panels at once.
const READS_AT_ONCE_MAX: u32 = 16;

/// Queries that may be under way together, those of the product included.
const QUERIES_AT_ONCE_MAX: u32 = 64;

/// Queries of an analyst in an hour. Beyond it is a program that ran away.
const ANALYST_QUERIES_AN_HOUR: u32 = 20_000;

/// Seconds of an analyst's queries in an hour.
const ANALYST_SECONDS_AN_HOUR: u32 = 3_600;

/// Queries of the dashboards in an hour: ten open ones of fifteen panels that refresh every five seconds.
const GRAFANA_QUERIES_AN_HOUR: u32 = 120_000;

/// Seconds of the dashboards' queries in an hour.
const GRAFANA_SECONDS_AN_HOUR: u32 = 7_200;

/// Days that the server's own records of queries and parts are kept.
const RECORDS_DAYS: u32 = 7;

/// Marks of recently read parts that are kept in memory, in bytes.
const MARK_CACHE_BYTES: u64 = 64 << 20;

/// The text of the configuration file, which must know its own path: without `users_config` there would be one user
/// only, who may do everything and needs no password.
pub(crate) fn configuration(config: &ClickHouseConfig, path: &str, users: &Users) -> String {
    let memory = u64::from(config.memory_mib) << 20;
    format!(
        "<!-- written by Tally at each start -->\n<clickhouse>\n\
         <users_config>{path}</users_config>\n\
         <max_server_memory_usage>{memory}</max_server_memory_usage>\n\
         <max_concurrent_queries>{QUERIES_AT_ONCE_MAX}</max_concurrent_queries>\n\
         <mark_cache_size>{MARK_CACHE_BYTES}</mark_cache_size>\n\
         {MERGE_TREE}{disk}{access}{records}{profiles}{users}{quotas}</clickhouse>\n",
        disk = disk(),
        path = escape(path),
        access = ACCESS_CONTROL,
        records = ["query_log", "part_log"].map(record).concat(),
        profiles = profiles(memory),
        users = self::users(users),
        quotas = quotas(),
    )
}

/// Nothing is acknowledged before it is durable.
const MERGE_TREE: &str = "<merge_tree><fsync_after_insert>1</fsync_after_insert>\
    <fsync_part_directory>1</fsync_part_directory></merge_tree>\n";

/// See [`KEPT_FREE_BYTES`].
fn disk() -> String {
    format!(
        "<storage_configuration><disks><default><keep_free_space_bytes>{KEPT_FREE_BYTES}</keep_free_space_bytes>\
         </default></disks></storage_configuration>\n"
    )
}

/// What is not granted is denied, in the server's own tables too.
const ACCESS_CONTROL: &str = "<access_control_improvements>\
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>\
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>\
    </access_control_improvements>\n";

fn record(table: &str) -> String {
    format!(
        "<{table}><database>system</database><table>{table}</table>\
         <ttl>event_date + INTERVAL {RECORDS_DAYS} DAY DELETE</ttl></{table}>\n"
    )
}

/// A reader may lower its limits and choose formats, but neither lift a limit nor write: `readonly` 2 with constraints. The two readers, each with all that they
/// ask at once, leave a quarter of the memory to the product: loading goes on whatever they ask.
fn profiles(memory: u64) -> String {
    let (user, spill) = (memory / 8 * 3, memory / 16 * 3);
    let limits = [
        ("max_execution_time", u64::from(READ_SECONDS_MAX)),
        ("max_result_rows", u64::from(READ_ROWS_MAX)),
        ("max_result_bytes", READ_BYTES_MAX),
        ("max_memory_usage", user),
        ("max_memory_usage_for_user", user),
        ("max_bytes_before_external_group_by", spill),
        ("max_bytes_before_external_sort", spill),
        ("max_concurrent_queries_for_user", u64::from(READS_AT_ONCE_MAX)),
    ];
    // zero would mean no limit
    let constraint = |(name, most): (&str, u64)| format!("<{name}><min>1</min><max>{most}</max></{name}>");
    format!(
        "<profiles><default/>\n<engine><max_sessions_for_user>1</max_sessions_for_user></engine>\n<writer/>\n<reader><readonly>2</readonly>{values}\n\
         <constraints>{constraints}<timeout_overflow_mode><readonly/></timeout_overflow_mode></constraints>\
         </reader></profiles>\n",
        values = limits.map(|(name, value)| format!("<{name}>{value}</{name}>")).concat(),
        constraints = limits.map(constraint).concat(),
    )
}

fn users(users: &Users) -> String {
    let Users { writer, analyst, grafana } = users;
    let (writer, analyst, grafana) = (
        user(writer, "writer", "writer", &WRITER_GRANTS),
        user(analyst, "reader", "analyst", &READER_GRANTS),
        user(grafana, "reader", "grafana", &READER_GRANTS),
    );
    // the engine's own user can have no password, so nobody may come as that user: it has one session at a time, and
    // that is the one which keeps the engine up
    format!(
        "<users><default><password></password><networks><ip>127.0.0.1</ip></networks>\
         <profile>engine</profile><quota>writer</quota>{grants}</default>\n\
         {writer}{analyst}{grafana}</users>\n",
        grants = grants(&ENGINE_GRANTS),
    )
}

/// What the launcher asks of the engine: the database, to listen, and to read the pipe that keeps it up.
const ENGINE_GRANTS: [&str; 5] = [
    "CREATE DATABASE ON warehouse.*",
    "TABLE ENGINE ON Atomic",
    "SYSTEM LISTEN ON *.*",
    "CREATE TEMPORARY TABLE ON *.*",
    "FILE ON *.*",
];

/// Everything within the warehouse's databases, and a look at the server. No files, no other servers, no users.
const WRITER_GRANTS: [&str; 6] = [
    "ALL ON warehouse*.*",
    "TABLE ENGINE ON *",
    "SELECT ON system.*",
    "SELECT ON information_schema.*",
    "CREATE TEMPORARY TABLE ON *.*",
    "SYSTEM FLUSH LOGS ON *.*",
];

/// What analysts and dashboards may do.
const READER_GRANTS: [&str; 1] = ["SELECT ON warehouse.*"];

fn user(credentials: &Credentials, profile: &str, quota: &str, rights: &[&str]) -> String {
    let name = credentials.user;
    let digest = Sha256::digest(credentials.password.expose_secret().as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "<{name}><password_sha256_hex>{digest}</password_sha256_hex>\
         <networks><ip>127.0.0.1</ip></networks>\
         <profile>{profile}</profile><quota>{quota}</quota>{grants}</{name}>\n",
        grants = grants(rights),
    )
}

fn grants(rights: &[&str]) -> String {
    let queries: String = rights.iter().map(|right| format!("<query>GRANT {right}</query>")).collect();
    format!("<grants>{queries}</grants>")
}

fn quotas() -> String {
    let quota = |name: &str, queries: u32, seconds: u32| {
        format!(
            "<{name}><interval><duration>3600</duration><queries>{queries}</queries>\
             <execution_time>{seconds}</execution_time></interval></{name}>"
        )
    };
    format!(
        "<quotas><writer/>{}{}</quotas>\n",
        quota("analyst", ANALYST_QUERIES_AN_HOUR, ANALYST_SECONDS_AN_HOUR),
        quota("grafana", GRAFANA_QUERIES_AN_HOUR, GRAFANA_SECONDS_AN_HOUR),
    )
}

/// A text within an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::DATABASE;
    use super::*;

    #[test]
    fn the_library_that_setup_fetches_is_the_one_that_is_looked_for() {
        let pinned = include_str!("../../clickhouse/libchdb.txt");
        assert!(pinned.lines().any(|line| line == format!("version {VERSION}")));
    }

    #[test]
    fn grants_name_the_database_and_the_file_holds_no_password() {
        let credentials = |user| Credentials { user, password: format!("secret of {user}").into() };
        let users = Users {
            writer: credentials("writer"),
            analyst: credentials("analyst"),
            grafana: credentials("grafana"),
        };
        let text = configuration(&ClickHouseConfig::new("data", "tally"), "/a <b> & c", &users);
        assert!(text.contains("<users_config>/a &lt;b&gt; &amp; c</users_config>"), "{text}");
        assert!(text.contains(&format!("<query>GRANT SELECT ON {DATABASE}.*</query>")), "{text}");
        assert!(!text.contains("secret of"), "{text}");
        for tag in ["clickhouse", "profiles", "users", "quotas", "reader", "analyst"] {
            let count = |what: String| text.matches(&what).count();
            assert_eq!(count(format!("<{tag}>")), count(format!("</{tag}>")), "{tag}");
        }
    }
    /// Under compose a server of ClickHouse's own runs: its users may do as much, and no more.
    #[test]
    fn compose_has_the_same_users_and_limits() {
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        let server = bare(include_str!("../../../docker/clickhouse/server.xml"));
        let users = bare(include_str!("../../../docker/clickhouse/users.xml"));
        let between = |text: &str, from: &str, to: &str| {
            text.split(from).nth(1).unwrap().split(to).next().unwrap().to_owned()
        };
        let memory = between(&server, "<max_server_memory_usage>", "<").parse().unwrap();
        let reader = between(&bare(&profiles(memory)), "<reader>", "</reader>");
        assert_eq!(between(&users, "<reader>", "</reader>"), reader);
        assert_eq!(
            between(&users, "<quotas>", "</quotas>"),
            between(&bare(&quotas()), "<quotas>", "</quotas>")
        );
        let named: Vec<_> =
            between(&users, "<users>", "</users>").split("<grants>").skip(1).map(str::to_owned).collect();
        let granted =
            [&WRITER_GRANTS[..], &READER_GRANTS, &READER_GRANTS].map(|rights| bare(&grants(rights)));
        assert_eq!(named.len(), granted.len());
        for ((name, named), granted) in ["writer", "analyst", "grafana"].iter().zip(named).zip(granted) {
            assert!(format!("<grants>{named}").starts_with(&granted), "{name}: {named}");
            assert!(users.contains(&format!("<quota>{name}</quota>")), "{name}");
        }
        assert_eq!(users.matches("<profile>reader</profile>").count(), 2);
        for part in [MERGE_TREE, &disk(), ACCESS_CONTROL, &record("query_log"), &record("part_log")] {
            assert!(server.contains(&bare(part)), "{part}");
        }
        assert!(server.contains(&format!("<max_concurrent_queries>{QUERIES_AT_ONCE_MAX}<")));
    }
}
