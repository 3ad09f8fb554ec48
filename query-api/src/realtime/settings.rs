//! Bounds of the realtime side, each with its reason. Deployments set few of them; tests set the times.

use std::time::Duration;

/// How sockets and rooms are run.
#[derive(Clone, Debug)]
pub struct RealtimeSettings {
    /// Public shows may be watched without a token, reading only.
    pub is_anonymous_reading: bool,
    /// Largest message of a client: larger than any command, small enough to be held by every socket.
    pub message_bytes_max: usize,
    /// Sockets of one person in one show: a few tabs and devices.
    pub sockets_per_person_show: u32,
    /// Sockets of this node: each costs some KiB.
    pub sockets_max: usize,
    /// What a room keeps for slow sockets, in bytes of frames: some seconds of the busiest chat.
    pub backlog_bytes_max: usize,
    /// How long it keeps it: who is further behind should resume; and erased words leave memory.
    pub backlog_age_max: Duration,
    /// How often the number of viewers is told at most: more often nobody can read.
    pub count_interval: Duration,
    /// How often sockets are woken at most in a busy room; what is said in between goes out in one write. The
    /// first frame after a pause goes out at once.
    pub wake_interval: Duration,
    /// An empty room stays for whoever reconnects.
    pub room_linger: Duration,
    /// How long a fresh socket may take to say RESUME or JOIN_STREAM before it is sent what was said since it
    /// came, and the snapshot: one round trip of nearly every client.
    pub hello_wait: Duration,
    /// How often a ping is sent.
    pub ping_interval: Duration,
    /// A socket that shows no sign of life for this long is dead.
    pub idle_max: Duration,
    /// A write that makes no progress for this long ends the socket.
    pub write_stall_max: Duration,
    /// How long a socket that got a GAP may take to resume.
    pub gap_resume_max: Duration,
    /// How long a node that is behind the client waits for the log before it calls a sequence unknown.
    pub behind_wait_max: Duration,
    /// A command that has no answer by then is given up; its outcome is unknown.
    pub command_timeout: Duration,
    /// Commands of one socket that may wait; with more it is not read from.
    pub commands_waiting_max: usize,
    /// How often signs of life go out for one socket. Well below the 60 s after which a session ends.
    pub heartbeat_interval: Duration,
    /// How often the node looks for due signs of life and sends them together.
    pub heartbeat_tick: Duration,
    /// Over how long the sockets of a node that stops are closed: their clients must not all come at once
    /// to the next node.
    pub shutdown_spread: Duration,
}

impl Default for RealtimeSettings {
    fn default() -> Self {
        Self {
            is_anonymous_reading: true,
            message_bytes_max: 16 * 1024,
            sockets_per_person_show: 5,
            sockets_max: 100_000,
            backlog_bytes_max: 256 * 1024,
            backlog_age_max: Duration::from_secs(30),
            count_interval: Duration::from_millis(250),
            wake_interval: Duration::from_millis(20),
            room_linger: Duration::from_secs(30),
            hello_wait: Duration::from_millis(500),
            ping_interval: Duration::from_secs(25),
            idle_max: Duration::from_secs(60),
            write_stall_max: Duration::from_secs(30),
            gap_resume_max: Duration::from_secs(60),
            behind_wait_max: Duration::from_secs(3),
            command_timeout: Duration::from_secs(15),
            commands_waiting_max: 16,
            heartbeat_interval: Duration::from_secs(20),
            heartbeat_tick: Duration::from_secs(5),
            shutdown_spread: Duration::from_secs(5),
        }
    }
}
