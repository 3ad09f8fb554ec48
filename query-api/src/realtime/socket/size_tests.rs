//! What an idle socket costs: its task, and what that points to.

use super::Socket;

/// Of the 4 KiB that an idle viewer may cost, the task with its state may have half; timer, waker, seat and the
/// connection of the runtime share the rest.
const TASK_BYTES_MAX: usize = 2 * 1024;

fn output_size<F: Future>(_: impl FnOnce(Socket) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn the_task_of_an_idle_socket_is_small() {
    let bytes = output_size(Socket::run);
    assert!(bytes <= TASK_BYTES_MAX, "{bytes} bytes");
}
