//! What the loaders said, for whoever has to find out why a test failed.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::EnvFilter;

/// What is remembered, in bytes.
const SAID_MAX: usize = 256 * 1_024;

static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ONCE: Once = Once::new();

/// Listens from now on; where the test fails before this is dropped, tells what was said.
pub struct Listening;

impl Listening {
    pub fn begin() -> Self {
        ONCE.call_once(|| {
            let filter = EnvFilter::new("warn,analytics=info");
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Said).init();
        });
        SAID.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Self
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("the last that was said:\n{}", String::from_utf8_lossy(&said));
        }
    }
}

struct Said;

impl io::Write for Said {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(line);
        let surplus = said.len().saturating_sub(SAID_MAX);
        said.drain(..surplus);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
