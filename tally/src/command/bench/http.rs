//! The load generator's side of HTTP: requests made ahead, one after the other on a connection that stays open.

use anyhow::{Context, bail, ensure};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Digits that make each request another: of its key and of its text.
const DIFFERENCE_LENGTH: usize = 16;

/// Longest answer: a problem with its words.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A chat message as a request, but for the digits in which the next one differs.
#[derive(Clone)]
pub(super) struct ChatRequest {
    bytes: Vec<u8>,
    key_at: usize,
    text_at: usize,
}

impl ChatRequest {
    pub(super) fn new(show: &str, token: &str, words: &str) -> Self {
        let blank = "0".repeat(DIFFERENCE_LENGTH);
        let body = format!("{{\"message\":\"{words} {blank}\"}}");
        let head = format!(
            "POST /api/v1/streams/{show}/chat HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nIdempotency-Key: ",
            body.len()
        );
        let key_at = head.len();
        let bytes = format!("{head}{blank}\r\n\r\n{body}").into_bytes();
        // before the closing quote and brace
        let text_at = bytes.len() - DIFFERENCE_LENGTH - 2;
        Self { bytes, key_at, text_at }
    }

    /// The request whose key and text no other has.
    pub(super) fn bytes(&mut self, number: u64) -> &[u8] {
        let digits = format!("{number:016x}");
        self.bytes[self.key_at..self.key_at + DIFFERENCE_LENGTH].copy_from_slice(digits.as_bytes());
        self.bytes[self.text_at..self.text_at + DIFFERENCE_LENGTH].copy_from_slice(digits.as_bytes());
        &self.bytes
    }
}

/// A connection that is kept open.
pub(super) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect to the server")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(2_048) })
    }

    /// Sends a request and waits for the whole of a good answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(end) = whole_answer(&self.answer)? {
                ensure!(end == self.answer.len(), "the server answered more than was asked");
                break;
            }
            ensure!(self.answer.len() < ANSWER_BYTES_MAX, "the server's answer has no end");
        }
        // "HTTP/1.1 2.."
        ensure!(self.answer.get(9) == Some(&b'2'), "refused: {}", String::from_utf8_lossy(&self.answer));
        Ok(())
    }
}

/// Where the answer ends, once all of it is here.
fn whole_answer(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let length = content_length(&bytes[..head]).context("the server's answer has no length")?;
    let end = head + 4 + length;
    Ok((bytes.len() >= end).then_some(end))
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
    std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_in_key_and_text_alone() {
        let mut request = ChatRequest::new("s", "t", "hello");
        let first = String::from_utf8(request.bytes(10).to_vec()).unwrap();
        assert!(
            first.ends_with(
                "Idempotency-Key: 000000000000000a\r\n\r\n{\"message\":\"hello 000000000000000a\"}"
            )
        );
        let body = first.split("\r\n\r\n").nth(1).unwrap();
        assert!(first.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert_ne!(first.as_bytes(), request.bytes(11));
    }

    #[test]
    fn answers_end_where_they_say() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Type: x\r\ncontent-length: 3\r\n\r\nabc";
        for cut in 0..answer.len() {
            assert_eq!(whole_answer(&answer[..cut]).unwrap(), None);
        }
        assert_eq!(whole_answer(answer).unwrap(), Some(answer.len()));
        assert!(whole_answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
