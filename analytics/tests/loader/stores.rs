//! One engine and one broker for all tests of the program, which take turns.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use embedded::kafka::{Kafka, KafkaConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::engine::{Engine, kill_noted};
use crate::log::Listening;

/// Both servers. They are supervised by the tasks of their own runtime, so they outlive the test that started them.
pub struct Stores {
    pub engine: Engine,
    pub kafka: Kafka,
    kafka_dir: TempDir,
    runtime: Runtime,
}

static SHARED: Mutex<Weak<Stores>> = Mutex::new(Weak::new());
static TURN: Mutex<()> = Mutex::new(());

/// Runs a test with the stores to itself.
pub fn with_stores(test: impl AsyncFnOnce(&Stores)) {
    // held while a test waits for its turn, so that the servers are not stopped between two of them
    let stores = shared();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _listening = Listening::begin();
    stores.runtime.block_on(test(&stores));
}

fn shared() -> Arc<Stores> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stores) = shared.upgrade() {
        return stores;
    }
    let runtime = Runtime::new().unwrap();
    let (engine, kafka, kafka_dir) = runtime.block_on(async {
        let kafka_dir = tempfile::tempdir().unwrap();
        let kafka = Kafka::start(KafkaConfig::new(kafka_dir.path().join("kafka"))).await.unwrap();
        (Engine::start().await, kafka, kafka_dir)
    });
    let stores = Arc::new(Stores { engine, kafka, kafka_dir, runtime });
    *shared = Arc::downgrade(&stores);
    stores
}

impl Stores {
    /// Kills the broker without warning; it is started again.
    pub fn kill_kafka(&self) {
        kill_noted(&self.kafka_dir.path().join("kafka"));
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            self.engine.stop().await;
            self.kafka.shutdown().await.unwrap();
        });
    }
}
