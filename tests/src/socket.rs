//! A socket as an app has it, by a client that is not ours.

use anyhow::Context;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A frame that is due comes well within this.
const FRAME_TIMEOUT: Duration = Duration::from_secs(20);

/// A socket on a show.
pub struct Socket {
    inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens the socket of a show.
    ///
    /// # Errors
    /// Where it is refused; the status is in the error.
    pub async fn open(base: &str, show: &str, token: Option<&str>) -> anyhow::Result<Self> {
        Self::open_path(base, &format!("/stream/{show}/chat"), token).await
    }

    /// Opens a socket at a path.
    ///
    /// # Errors
    /// Where it is refused; the status is in the error.
    pub async fn open_path(base: &str, path: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let url = format!("{}{path}", base.replace("http://", "ws://"));
        let mut request = url.into_client_request()?;
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        }
        match connect_async(request).await {
            Ok((inner, _)) => Ok(Self { inner }),
            Err(Error::Http(response)) => anyhow::bail!("refused with {}", response.status().as_u16()),
            Err(other) => Err(other.into()),
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// Where the socket is gone.
    pub async fn send(&mut self, kind: &str, request_id: &str, data: Value) -> anyhow::Result<()> {
        let frame = json!({ "type": kind, "requestId": request_id, "data": data });
        self.send_text(&frame.to_string()).await
    }

    /// Sends any text.
    ///
    /// # Errors
    /// Where the socket is gone.
    pub async fn send_text(&mut self, text: &str) -> anyhow::Result<()> {
        self.inner.send(Message::text(text)).await.context("cannot send")
    }

    /// The next frame.
    ///
    /// # Errors
    /// Where none comes in time.
    pub async fn next(&mut self) -> anyhow::Result<Value> {
        loop {
            let message = tokio::time::timeout(FRAME_TIMEOUT, self.inner.next()).await.context("no frame")?;
            match message.context("the socket was closed")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => anyhow::bail!("closed: {frame:?}"),
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next frame of a type, others passed over.
    ///
    /// # Errors
    /// Where none comes in time.
    pub async fn next_of(&mut self, kind: &str) -> anyhow::Result<Value> {
        loop {
            let frame = self.next().await.with_context(|| format!("waiting for {kind}"))?;
            if frame["type"] == kind {
                return Ok(frame);
            }
        }
    }

    /// Closes from this side.
    ///
    /// # Errors
    /// Where it was gone already.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.inner.close(None).await.context("cannot close")
    }
}
