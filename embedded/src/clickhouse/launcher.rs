//! The program around the library.
//!
//! The library's one entry point is the command line of `clickhouse-local`, which blocks until its queries have ended.
//! One of them makes the engine listen on HTTP; the next reads a pipe that nobody writes to, so it ends when we close
//! the pipe, and with it the engine, in order. Signals are blocked before the library starts its threads, so that
//! exactly one thread of ours takes them.

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::io::{self, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use libloading::Library;

use super::DATABASE;
use crate::supervision::LISTEN;

/// The first argument of a program that is asked to serve.
pub const COMMAND: &str = "clickhouse-server";

/// How a process sees its own open files.
const OPEN_FILES: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// What is to be served, and where: the arguments after [`COMMAND`], in this order.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The library.
    pub library: PathBuf,
    /// The server's file of settings and users.
    pub config: PathBuf,
    /// The directory of the server's data.
    pub store: PathBuf,
    /// TCP port of HTTP on the loopback address.
    pub port: u16,
}

/// Why the server did not start, or ended unasked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The arguments are not what they should be.
    #[error("usage: {COMMAND} <library> <file of settings> <directory> <port>")]
    Usage,
    /// The library cannot be loaded, or is another one.
    #[error("cannot load the ClickHouse library")]
    Library(#[from] libloading::Error),
    /// The operating system refused something.
    #[error("cannot prepare for signals")]
    Signals(#[source] io::Error),
    /// A path with a zero byte.
    #[error("an argument has a zero byte")]
    Argument(#[from] std::ffi::NulError),
    /// The engine returned without having been told to stop; what it wrote before says why.
    #[error("ClickHouse ended by itself: {0}")]
    Ended(String),
}

impl Launch {
    /// Reads the arguments after [`COMMAND`].
    ///
    /// # Errors
    /// [`LaunchError::Usage`].
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, LaunchError> {
        let arguments: Vec<_> = arguments.into_iter().collect();
        let [library, config, store, port] = arguments.try_into().map_err(|_| LaunchError::Usage)?;
        let port = port.to_str().and_then(|port| port.parse().ok()).ok_or(LaunchError::Usage)?;
        Ok(Self { library: library.into(), config: config.into(), store: store.into(), port })
    }

    /// The command line of the engine; `blocker` is the file that keeps it up.
    fn command_line(&self, blocker: &str) -> Result<Vec<CString>, LaunchError> {
        let with_path = |option: &str, path: &Path| {
            let mut argument = option.as_bytes().to_owned();
            argument.extend_from_slice(path.as_os_str().as_bytes());
            CString::new(argument)
        };
        let queries = format!(
            "CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic; SYSTEM START LISTEN HTTP; \
             SELECT * FROM file('{blocker}', 'LineAsString') SETTINGS max_execution_time = 0 FORMAT Null"
        );
        Ok(vec![
            CString::new("clickhouse")?,
            with_path("--config-file=", &self.config)?,
            with_path("--path=", &self.store)?,
            CString::new(format!("--http_port={}", self.port))?,
            CString::new(format!("--listen_host={LISTEN}"))?,
            // the one of the configuration file is ignored
            CString::new("--log-level=warning")?,
            CString::new(format!("--query={queries}"))?,
        ])
    }
}

/// Serves until a signal says to stop. To be called once in a process, before it has other threads.
///
/// # Errors
/// Where the server does not start, or ends by itself.
pub fn serve(launch: &Launch) -> Result<(), LaunchError> {
    let signals = block_signals().map_err(LaunchError::Signals)?;
    let (reader, writer) = io::pipe().map_err(LaunchError::Signals)?;
    let stopping = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopping);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || close_on_signal(&signals, writer, &told))
        .map_err(LaunchError::Signals)?;
    let arguments = launch.command_line(&format!("{OPEN_FILES}/{}", reader.as_raw_fd()))?;
    let complaint = run(&launch.library, &arguments)?;
    if stopping.load(Ordering::SeqCst) { Ok(()) } else { Err(LaunchError::Ended(complaint)) }
}

/// Runs the engine to its end, and returns what it complains of.
#[expect(unsafe_code, reason = "the library is C")]
fn run(library: &Path, arguments: &[CString]) -> Result<String, LaunchError> {
    type Run = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;
    type Complaint = unsafe extern "C" fn(*mut c_void) -> *const c_char;
    let mut pointers: Vec<*mut c_char> =
        arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
    pointers.push(std::ptr::null_mut());
    // SAFETY: loading runs the library's initialisers; it is the one that set-up fetched and compared with its digest
    let library = unsafe { Library::new(library)? };
    // SAFETY: the types are those of `programs/local/chdb.h` of this version. The arguments are `count` texts that end
    // with a zero, outlive the call, and are not written to. The result is asked for its complaint before the library
    // could be unloaded, which never happens: its threads may still be ending.
    unsafe {
        let run = library.get::<Run>(b"chdb_query_cmdline\0")?;
        let complaint = library.get::<Complaint>(b"chdb_result_error\0")?;
        let result = run(count, pointers.as_mut_ptr());
        let text = if result.is_null() { std::ptr::null() } else { complaint(result) };
        let text =
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() };
        std::mem::forget(library);
        Ok(text)
    }
}

/// Keeps the signals that stop a server from this thread and those that it starts.
#[expect(unsafe_code, reason = "sets of signals are C")]
fn block_signals() -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call makes the set valid, the others get pointers to it that are good for their duration
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        match libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) {
            0 => Ok(set.assume_init()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Waits for one of the signals, then ends the query that keeps the engine up.
#[expect(unsafe_code, reason = "waiting for signals is C")]
fn close_on_signal(signals: &libc::sigset_t, keeps_up: PipeWriter, stopping: &AtomicBool) {
    let mut signal: c_int = 0;
    // SAFETY: both pointers are good for the duration of the call. It only fails for a set that is not valid.
    unsafe { libc::sigwait(signals, &raw mut signal) };
    stopping.store(true, Ordering::SeqCst);
    drop(keeps_up);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_in_order_and_a_library_that_is_none_is_named() {
        let arguments = ["/lib", "/config", "/st öre", "8123"].map(Into::into);
        let launch = Launch::parse(arguments).unwrap();
        assert_eq!((launch.store.to_str(), launch.port), (Some("/st öre"), 8123));
        let line = launch.command_line("/dev/fd/9").unwrap();
        assert!(line.contains(&CString::new("--path=/st öre").unwrap()), "{line:?}");
        assert!(Launch::parse(["/lib".into()]).is_err());
        let error = run(Path::new("/nowhere/libchdb.so"), &line).unwrap_err();
        assert!(matches!(error, LaunchError::Library(_)), "{error}");
    }
}
