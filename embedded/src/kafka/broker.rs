//! The broker on disk and as a process.
//!
//! ```text
//! <data dir>/lock               held by the process that runs the broker
//! <data dir>/server.pid         the broker's process and port
//! <data dir>/server.properties  its settings, written at each start
//! <data dir>/log/               its topics and its cluster metadata
//! <data dir>/unpacked/          the native libraries that Java unpacks, emptied at each start
//! ```

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::process::Signal;
use uuid::Uuid;

use super::KafkaConfig;
use super::error::KafkaError;
use super::settings::{self, NAME, Ports, VERSION};
use crate::supervision::error::ServerError;
use crate::supervision::orphan::Suspect;
use crate::supervision::pid_file::PidFile;
use crate::supervision::tool::{self, LastWord};
use crate::supervision::{EarlyEnd, KILL_TIMEOUT, Server, cache, directory, free_port, probe};

/// What the broker begins with: its metadata, the first segments' indexes, and some air.
const NEW_BROKER_MIB: u64 = 200;

/// Nobody else has business in the directory.
const DATA_DIR_MODE: u32 = 0o700;

/// The broker's settings within the data directory, where it works.
const PROPERTIES: &str = "server.properties";

/// The broker's data within the data directory.
const LOG_DIR: &str = "log";

/// Where the data are made; they get their name when they are whole.
const LOG_DIR_UNFINISHED: &str = "log.unfinished";

/// The broker's program, also a word of its command line.
const MAIN_CLASS: &str = "kafka.Kafka";

/// The program that gives a new directory its cluster id and first metadata.
const FORMAT_CLASS: &str = "kafka.tools.StorageTool";

/// `Metadata` of version 1 about no topic: length, key, version, correlation id, client id, number of topics.
const METADATA_REQUEST: [u8; 23] =
    [0, 0, 0, 19, 0, 3, 0, 1, 0, 0, 0, 7, 0, 5, b't', b'a', b'l', b'l', b'y', 0, 0, 0, 0];

/// The correlation id in [`METADATA_REQUEST`], which the answer repeats.
const CORRELATION_ID: [u8; 4] = [0, 0, 0, 7];

/// A broker whose directory is locked, formatted and not in use.
pub(crate) struct Broker {
    config: KafkaConfig,
    pub(crate) dir: PathBuf,
    java: PathBuf,
    jars: PathBuf,
}

/// Makes the broker ready to be started: takes its directory's lock, finds Java and the jars, stops what an earlier
/// run left running, and formats a new directory. Blocks.
pub(crate) fn prepare(config: KafkaConfig) -> Result<(Broker, File), KafkaError> {
    let java = find_java(config.java.as_deref())?;
    let jars = config.jars_dir.clone().unwrap_or_else(|| cache::fetched(&format!("kafka-{VERSION}")));
    if !jars.join(format!("kafka_2.13-{VERSION}.jar")).is_file() {
        return Err(KafkaError::JarsMissing { dir: jars });
    }
    let jars = jars.canonicalize().map_err(ServerError::io(format!("resolve {}", jars.display())))?;
    let dir = directory::open(&config.data_dir, DATA_DIR_MODE)?;
    let lock = directory::lock(NAME, &dir)?;
    let broker = Broker { config, dir, java, jars };
    if let Some(noted) = PidFile::read(&broker.dir) {
        suspect(noted, &broker.dir).stop(NAME, &broker.stop_escalation())?;
    }
    let temporary = broker.dir.join("unpacked");
    directory::remove(&temporary)?;
    directory::open(&temporary, DATA_DIR_MODE)?;
    let log = broker.dir.join(LOG_DIR);
    if !log.exists() {
        broker.format()?;
    } else if !log.join("meta.properties").is_file() {
        return Err(KafkaError::NotKafkaData { dir: log });
    }
    Ok((broker, lock))
}

/// Where the broker of this directory listens; `None`: none does.
pub(crate) fn running_port(dir: &Path) -> Option<u16> {
    let noted = PidFile::read(dir)?;
    suspect(noted, dir).serves().then_some(noted.port)
}

fn suspect(noted: PidFile, dir: &Path) -> Suspect<'_> {
    Suspect { pid: noted.pid, works_in: dir, word: MAIN_CLASS }
}

/// The program that was named, that of `JAVA_HOME`, or that of `PATH`.
fn find_java(wanted: Option<&Path>) -> Result<PathBuf, KafkaError> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let in_path = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|dir| dir.join("java")).find(|java| java.is_file())
    };
    let found = wanted.map(Path::to_owned).or_else(|| home.filter(|java| java.is_file())).or_else(in_path);
    found.filter(|java| java.is_file()).ok_or(KafkaError::JavaMissing)
}

impl Broker {
    /// Makes the broker's data beside their place and then moves them there, so that they are whole or absent.
    fn format(&self) -> Result<(), KafkaError> {
        directory::check_space(NAME, &self.dir, NEW_BROKER_MIB)?;
        tracing::info!(server = NAME, server.dir = %self.dir.display(), "formatting a new directory for {NAME}");
        let (unfinished, log) = (self.dir.join(LOG_DIR_UNFINISHED), self.dir.join(LOG_DIR));
        directory::remove(&unfinished)?;
        // nothing listens while formatting, but the ports must be numbers
        self.write_properties(Ports { clients: 1, controller: 2 }, LOG_DIR_UNFINISHED)?;
        let mut format = self.java(LastWord::Terminate);
        format.arg(FORMAT_CLASS).arg("format");
        format.args(["--cluster-id", &new_cluster_id(), "--config", PROPERTIES]);
        tool::run("formatting Kafka's directory", format, "").map_err(KafkaError::explain)?;
        fs::rename(&unfinished, &log)
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(ServerError::io(format!("move Kafka's new data to {}", log.display())))?;
        Ok(())
    }

    fn write_properties(&self, ports: Ports, log_dir: &str) -> Result<(), ServerError> {
        let text = settings::properties(&self.config, ports, log_dir);
        directory::write_private(&self.dir.join(PROPERTIES), &text)
    }

    /// Java with the broker's jars, working in the data directory; the class to run is still to come.
    fn java(&self, last_word: LastWord) -> Command {
        let property = |name: &str, path: &Path| {
            let mut argument = OsString::from(format!("-D{name}="));
            argument.push(path);
            argument
        };
        let mut command = tool::tied_to_us(&self.java, last_word);
        command
            // the collector for small heaps; a broker without memory ends, and is started again
            .args(["-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Xms64m"])
            .arg(format!("-Xmx{}m", self.config.heap_mib))
            // no files in the system's temporary directory: no counters, no unpacked libraries
            .arg("-XX:-UsePerfData")
            .arg(property("java.io.tmpdir", &self.dir.join("unpacked")))
            .args(["-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"])
            .arg("-Dorg.slf4j.simpleLogger.showThreadName=false")
            .arg("-cp")
            .arg(self.jars.join("*"))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            // Java takes the bytes of paths for text in the locale's encoding
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

impl Server for Broker {
    const NAME: &'static str = NAME;

    fn start_timeout(&self) -> Duration {
        self.config.start_timeout
    }

    fn stop_escalation(&self) -> Vec<(Signal, Duration)> {
        vec![(Signal::TERM, self.config.stop_timeout), (Signal::KILL, KILL_TIMEOUT)]
    }

    fn command(&self, port: u16) -> Result<Command, ServerError> {
        let mut controller = free_port()?;
        while controller == port {
            controller = free_port()?;
        }
        self.write_properties(Ports { clients: port, controller }, LOG_DIR)?;
        let mut command = self.java(LastWord::Terminate);
        command.args([MAIN_CLASS, PROPERTIES]);
        Ok(command)
    }

    fn spawned(&self, pid: i32, port: u16) -> Result<(), ServerError> {
        PidFile { pid, port }.write(&self.dir)
    }

    /// Asks for the brokers that take part in the cluster: ours does when it has caught up with its controller.
    async fn is_ready(&self, _pid: i32, port: u16) -> bool {
        probe::first_bytes::<12>(port, &METADATA_REQUEST).await.is_some_and(|answer| {
            let [_, _, _, _, correlation @ .., b1, b2, b3, b4] = answer;
            correlation == CORRELATION_ID && i32::from_be_bytes([b1, b2, b3, b4]) > 0
        })
    }

    fn early_end(log: &str) -> EarlyEnd {
        if log.contains("Address already in use") {
            EarlyEnd::PortTaken
        } else if log.contains("Failed to acquire lock") {
            // a broker that is on its way out
            EarlyEnd::NotYet
        } else {
            EarlyEnd::Broken
        }
    }

    fn is_alarm(line: &str) -> bool {
        line.starts_with("ERROR")
    }
}

/// Sixteen random bytes as Kafka writes them. The first bit is not set, so that the text never begins like an option.
fn new_cluster_id() -> String {
    let mut bytes = Uuid::new_v4().into_bytes();
    bytes[0] &= 0x7f;
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_no_option() {
        for _ in 0..1_000 {
            let id = new_cluster_id();
            assert!(id.len() == 22 && !id.starts_with('-'), "{id}");
        }
    }

    #[test]
    fn missing_parts_are_named_with_the_script_that_brings_them() {
        let empty = tempfile::tempdir().unwrap();
        let config = KafkaConfig {
            jars_dir: Some(empty.path().to_owned()),
            java: Some(std::env::current_exe().unwrap()),
            ..KafkaConfig::new(empty.path().join("data"))
        };
        let error = prepare(config.clone()).err().unwrap();
        assert!(matches!(error, KafkaError::JarsMissing { .. }), "{error}");
        assert!(error.to_string().contains("scripts/setup"), "{error}");
        let error = prepare(KafkaConfig { java: Some(empty.path().join("java")), ..config }).err().unwrap();
        assert!(matches!(error, KafkaError::JavaMissing), "{error}");
        assert!(error.to_string().contains("scripts/setup"), "{error}");
    }
}
