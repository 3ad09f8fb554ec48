//! Turns Nagle's algorithm off on the client's sockets.
//!
//! The client leaves it on: the kernel then holds back the end of each request until the server has
//! acknowledged its beginning, for which a server waits 40 ms. The client offers no way to its sockets, so
//! they are found among this process's own: those connected to the server's port. It can go as soon as a
//! release of the client sets the option itself.

use std::collections::HashSet;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventstore::ClientSettings;
use parking_lot::Mutex;
use rustix::net::sockopt::{set_tcp_nodelay, tcp_nodelay};
use rustix::net::{SocketAddrAny, getpeername};
use tokio::time::Instant;

/// The client reconnects by itself and tells nobody. An operation that took this long may have been on a new
/// socket: half of what a server waits before it acknowledges.
const SUSPICIOUS: Duration = Duration::from_millis(20);

/// A slow disk makes operations slow too: the sockets are looked through at most so often.
const INTERVAL: Duration = Duration::from_secs(5);

/// Sets the option on sockets to some ports.
#[derive(Clone)]
pub(super) struct Nodelay {
    /// Any socket to one of these: in a cluster the client goes to nodes that the URL does not name, on the
    /// same port. To set the option on another socket does no harm.
    ports: Arc<HashSet<u16>>,
    looked_at: Arc<Mutex<Option<Instant>>>,
}

impl Nodelay {
    pub(super) fn to(settings: &ClientSettings) -> Self {
        let ports = settings.hosts().iter().filter_map(|host| u16::try_from(host.port).ok()).collect();
        Self { ports: Arc::new(ports), looked_at: Arc::default() }
    }

    /// Sets it on all sockets there are.
    pub(super) async fn set(&self) {
        *self.looked_at.lock() = Some(Instant::now());
        let ports = Arc::clone(&self.ports);
        match tokio::task::spawn_blocking(move || set_on_own_sockets(&ports)).await {
            Ok(Ok(count)) => tracing::debug!(sockets = count, "turned nagle's algorithm off"),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot look through own sockets");
            }
            // only when the runtime ends
            Err(_) => {}
        }
    }

    /// An operation took so long: if that is suspicious, looks again in the background.
    pub(super) fn suspect(&self, took: Duration) {
        if took < SUSPICIOUS || self.looked_at.lock().is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move { this.set().await });
    }
}

/// Sets the option where it is not set; tells on how many sockets.
fn set_on_own_sockets(ports: &HashSet<u16>) -> std::io::Result<usize> {
    let directory = ["/proc/self/fd", "/dev/fd"].map(Path::new).into_iter().find(|path| path.exists());
    let Some(directory) = directory else { return Ok(0) };
    let mut count = 0;
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
        // it may be closed by now, or no socket
        let Ok(socket) = duplicate(fd) else { continue };
        if peer_port(&socket).is_some_and(|port| ports.contains(&port)) && tcp_nodelay(&socket) == Ok(false) {
            set_tcp_nodelay(&socket, true)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Another descriptor of the same file, so that it stays what it is while it is looked at.
#[expect(
    unsafe_code,
    reason = "there is no safe way from a number to a descriptor (`pidfd_getfd` is forbidden in containers). \
              The borrow lasts for one system call that only makes a duplicate: should another thread close \
              the file right then, the call fails or duplicates its successor, and both are handled"
)]
fn duplicate(fd: RawFd) -> rustix::io::Result<OwnedFd> {
    // SAFETY: the number is no −1, and the one use that is made of it does not depend on what it refers to
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 0)
}

fn peer_port(socket: &OwnedFd) -> Option<u16> {
    let peer: SocketAddrAny = getpeername(socket).ok()??;
    std::net::SocketAddr::try_from(peer).ok().map(|peer| peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn sets_the_option_on_sockets_to_these_ports_only() {
        let [ours, theirs] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let connect = |to: &TcpListener| TcpStream::connect(to.local_addr().unwrap()).unwrap();
        let (to_ours, to_theirs) = (connect(&ours), connect(&theirs));
        let ports = HashSet::from([ours.local_addr().unwrap().port()]);
        assert_eq!(set_on_own_sockets(&ports).unwrap(), 1);
        assert!(to_ours.nodelay().unwrap());
        assert!(!to_theirs.nodelay().unwrap());
        assert_eq!(set_on_own_sockets(&ports).unwrap(), 0);
    }
}
