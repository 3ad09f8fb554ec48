//! The baseline of fan-out: a loop that writes the same bytes to every socket, and knows nothing else.

use platform::config::Config;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::load::on_one_thread;

/// What a connection is, by its first byte.
pub(super) const SOCKET: u8 = b'S';
pub(super) const CONTROL: u8 = b'C';

/// On a control connection: one message to everybody.
pub(super) const MESSAGE: u8 = b'm';

/// As the real rooms: the first message after a pause goes out at once, then one write gathers this long.
const WINDOW: Duration = Duration::from_millis(20);

/// What the payload begins with, so that it counts as a message.
const PAYLOAD_START: &str = "{\"type\":\"NEW_MESSAGE\"";

struct Member {
    stream: TcpStream,
    /// What the connection did not take yet.
    unwritten: Vec<u8>,
}

type Members = Rc<RefCell<Vec<Member>>>;

/// Serves until it is killed.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let address = config.http.listen;
    on_one_thread(move || async move {
        let listener = TcpListener::bind(address).await?;
        let members = Members::default();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            drop(tokio::task::spawn_local(welcome(stream, Rc::clone(&members))));
        }
    })
    .await
}

async fn welcome(mut stream: TcpStream, members: Members) {
    match stream.read_u8().await {
        Ok(SOCKET) => members.borrow_mut().push(Member { stream, unwritten: Vec::new() }),
        Ok(CONTROL) => {
            control(stream, &members).await;
            members.borrow_mut().clear();
        }
        // somebody who only looked whether the port is open
        Ok(_) | Err(_) => {}
    }
}

/// First the length of frames, then a byte for each message.
async fn control(mut stream: TcpStream, members: &Members) {
    let Ok(length) = stream.read_u16().await else { return };
    let frame = frame(usize::from(length));
    let mut orders = [0; 4_096];
    let mut last_write = Instant::now() - WINDOW;
    while let Ok(count @ 1..) = stream.read(&mut orders).await {
        let mut waiting = count;
        if last_write.elapsed() < WINDOW {
            sleep_until(last_write + WINDOW).await;
            waiting += stream.try_read(&mut orders).unwrap_or(0);
        }
        last_write = Instant::now();
        write_all(&frame.repeat(waiting), &mut members.borrow_mut());
    }
}

fn write_all(bytes: &[u8], members: &mut [Member]) {
    for member in members {
        if member.unwritten.is_empty() {
            let written = member.stream.try_write(bytes).unwrap_or(0);
            member.unwritten.extend_from_slice(&bytes[written..]);
        } else {
            member.unwritten.extend_from_slice(bytes);
            let written = member.stream.try_write(&member.unwritten).unwrap_or(0);
            member.unwritten.drain(..written);
        }
    }
}

/// A text frame of this length, head included; between the lengths that a byte and two bytes can tell.
fn frame(length: usize) -> Vec<u8> {
    let payload = length.saturating_sub(4).max(126);
    let mut frame = vec![0x81, 126];
    frame.extend(u16::try_from(payload).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend(PAYLOAD_START.bytes());
    frame.resize(payload + 4, b' ');
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_long_as_wanted() {
        assert_eq!(frame(420).len(), 420);
        assert_eq!(frame(420)[2..4], [1, 160]);
        assert_eq!(frame(1).len(), 130);
    }
}
