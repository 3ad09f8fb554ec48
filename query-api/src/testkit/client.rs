//! A client that speaks WebSocket, by another implementation than ours.

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, handshake};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use schemas::ShowId;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::node::NARROW_BYTES;

/// A frame that does not come within this time does not come.
const FRAME_WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    socket: FragmentCollector<TokioIo<Upgraded>>,
}

/// What a socket says, or how it ends.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Frame(Value),
    Ping,
    Closed(u16, String),
}

impl Client {
    /// Connects; the status of a refusal is the error.
    pub(crate) async fn connect(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Self, hyper::HeaderMap), u16> {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, path, headers, true).await
    }

    async fn over(
        stream: TcpStream,
        path: &str,
        headers: &[(&str, &str)],
        answers_pings: bool,
    ) -> Result<(Self, hyper::HeaderMap), u16> {
        let address = stream.peer_addr().unwrap();
        let mut request = hyper::Request::get(format!("http://{address}{path}"))
            .header("Host", address.to_string())
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Key", handshake::generate_key())
            .header("Sec-WebSocket-Version", "13");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        match handshake::client(&TokioExecutor::new(), request, stream).await {
            Ok((mut socket, response)) => {
                socket.set_auto_close(false);
                socket.set_auto_pong(answers_pings);
                socket.set_max_message_size(1 << 20);
                Ok((Self { socket: FragmentCollector::new(socket) }, response.headers().clone()))
            }
            Err(fastwebsockets::WebSocketError::InvalidStatusCode(status)) => Err(status),
            Err(error) => panic!("handshake failed: {error}"),
        }
    }

    /// As a person in a show.
    pub(crate) async fn join(address: SocketAddr, show: ShowId, token: &str) -> Self {
        let path = format!("/stream/{show}/chat");
        let authorization = format!("Bearer {token}");
        Self::connect(address, &path, &[("authorization", &authorization)]).await.unwrap().0
    }

    pub(crate) async fn watch(address: SocketAddr, show: ShowId) -> Self {
        Self::connect(address, &format!("/stream/{show}/chat"), &[]).await.unwrap().0
    }

    /// One that reads, and never answers a ping.
    pub(crate) async fn watch_silently(address: SocketAddr, show: ShowId) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, &format!("/stream/{show}/chat"), &[], false).await.unwrap().0
    }

    /// One whose kernel holds little that is not read.
    pub(crate) async fn watch_narrowly(address: SocketAddr, show: ShowId) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(NARROW_BYTES).unwrap();
        let stream = socket.connect(address).await.unwrap();
        Self::over(stream, &format!("/stream/{show}/chat"), &[], true).await.unwrap().0
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(frame.to_string().as_bytes()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &[u8]) {
        self.socket.write_frame(Frame::text(Payload::Borrowed(text))).await.unwrap();
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame<'_>) {
        self.socket.write_frame(frame).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        let frame = timeout(FRAME_WAIT, self.socket.read_frame()).await.expect("nothing was said").unwrap();
        match frame.opcode {
            OpCode::Text => Heard::Frame(serde_json::from_slice(&frame.payload).unwrap()),
            OpCode::Ping => Heard::Ping,
            OpCode::Close => {
                let code = u16::from_be_bytes([frame.payload[0], frame.payload[1]]);
                Heard::Closed(code, String::from_utf8(frame.payload[2..].to_vec()).unwrap())
            }
            other @ (OpCode::Continuation | OpCode::Binary | OpCode::Pong) => {
                panic!("unexpected opcode {other:?}")
            }
        }
    }

    /// The next frame, whatever it is.
    pub(crate) async fn frame(&mut self) -> Value {
        loop {
            match self.hear().await {
                Heard::Frame(frame) => return frame,
                Heard::Ping => {}
                closed @ Heard::Closed(..) => panic!("closed: {closed:?}"),
            }
        }
    }

    /// The next frame of a type; others are passed over.
    pub(crate) async fn frame_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The close that must come; frames before it are passed over.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Heard::Closed(code, reason) = self.hear().await {
                return (code, reason);
            }
        }
    }

    /// Whether nothing is said for a while, pings aside.
    pub(crate) async fn is_quiet(&mut self, during: Duration) -> bool {
        let said = async { while self.hear().await == Heard::Ping {} };
        timeout(during, said).await.is_err()
    }
}
