//! Asks a starting server whether it answers.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::LISTEN;

/// A server that is ready answers at once; one that is starting may accept the connection and keep silent.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The first bytes of the answer to a request; `None` where none came in time.
pub(crate) async fn first_bytes<const COUNT: usize>(port: u16, request: &[u8]) -> Option<[u8; COUNT]> {
    let exchange = async {
        let mut connection = TcpStream::connect((LISTEN, port)).await.ok()?;
        connection.write_all(request).await.ok()?;
        let mut answer = [0; COUNT];
        connection.read_exact(&mut answer).await.ok()?;
        Some(answer)
    };
    timeout(ANSWER_TIMEOUT, exchange).await.ok().flatten()
}
