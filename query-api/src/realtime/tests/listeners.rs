//! Server-sent events: the same frames, for those who only listen.

use futures::{Stream, StreamExt};
use platform::http::auth::Role;
use serde_json::{Value, json};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

use crate::testkit::{Happening, Node, Show, token};

/// What is due is said well within this.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token that ends within the test: a busy machine needs some of it to come in.
const SHORT_LIFE_SECONDS: u32 = 8;

/// An event as a browser sees it.
#[derive(Debug)]
struct Said {
    id: u64,
    event: String,
    data: Value,
}

type Bytes = Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

struct Listener {
    bytes: Bytes,
    unread: String,
}

impl Listener {
    async fn open(node: &Node, show: &Show, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let url = format!("http://{}/api/v1/streams/{}/events", node.address, show.id);
        let mut request = reqwest::Client::new().get(url).header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        if answer.status() != 200 {
            return Err(answer.status().as_u16());
        }
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Ok(Self { bytes: Box::pin(answer.bytes_stream()), unread: String::new() })
    }

    async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.unread = rest;
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
                };
                let Some(data) = field("data") else { continue };
                let data = serde_json::from_str(&data).unwrap();
                return Some(Said {
                    id: field("id").unwrap().parse().unwrap(),
                    event: field("event").unwrap(),
                    data,
                });
            }
            let more = timeout(PATIENCE, self.bytes.next()).await.expect("nothing was said")?;
            self.unread.push_str(std::str::from_utf8(&more.ok()?).unwrap());
        }
    }
}

#[tokio::test]
async fn a_listener_begins_with_the_snapshot_and_resumes_by_its_last_id() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut listener = Listener::open(&node, &show, &[]).await.unwrap();
    let snapshot = listener.next().await.unwrap();
    assert_eq!((snapshot.event.as_str(), snapshot.id), ("SNAPSHOT", 1));
    show.message("anna", "with\na line break").await;
    let message = listener.next().await.unwrap();
    assert_eq!((message.event.as_str(), message.id), ("NEW_MESSAGE", 2));
    assert_eq!(message.data["data"]["message"], "with\na line break");
    assert_eq!(message.data["previous"], 1);
    drop(listener);

    for index in 0..600 {
        show.let_happen(if index % 2 == 0 { Happening::Joined("ben") } else { Happening::Reactions(1) })
            .await;
    }
    for last in [2, 0, 300] {
        let mut listener =
            Listener::open(&node, &show, &[("last-event-id", &last.to_string())]).await.unwrap();
        let (mut sequence, mut before) = (last, None);
        let count = loop {
            let said = listener.next().await.unwrap();
            let Some(previous) = said.data["previous"].as_u64() else { break said };
            assert!(before.is_none_or(|before| before == previous), "a frame is missing or repeated");
            assert!(previous <= sequence && said.id > sequence);
            (sequence, before) = (said.id, Some(said.id));
        };
        assert_eq!(sequence, 602);
        assert_eq!(
            (count.event.as_str(), &count.data["data"]["viewerCount"]),
            ("VIEWER_COUNT_UPDATE", &json!(300))
        );
    }
}

#[tokio::test]
async fn a_listener_is_refused_as_a_socket_is_and_ends_with_its_token() {
    let node = Node::start().await;
    let show = Show::created(&node.log, &node.vault).await;
    assert_eq!(Listener::open(&node, &show, &[("last-event-id", "x")]).await.err(), Some(422));
    show.let_happen(Happening::Revised { is_protected: true }).await;
    assert_eq!(Listener::open(&node, &show, &[]).await.err(), Some(401));
    let stranger = format!("Bearer {}", token("ben", &[Role::Viewer], 60));
    assert_eq!(Listener::open(&node, &show, &[("authorization", &stranger)]).await.err(), Some(403));
    let host = format!("Bearer {}", token("host", &[Role::Creator], SHORT_LIFE_SECONDS));
    let mut listener = Listener::open(&node, &show, &[("authorization", &host)]).await.unwrap();
    assert_eq!(listener.next().await.unwrap().event, "SNAPSHOT");
    assert!(listener.next().await.is_none(), "the stream ends with the token");
}

#[tokio::test]
async fn an_unknown_last_id_begins_anew() {
    let node = Node::start().await;
    let show = node.live_show().await;
    let mut listener = Listener::open(&node, &show, &[("last-event-id", "99")]).await.unwrap();
    assert_eq!(listener.next().await.unwrap().event, "SNAPSHOT");
    show.message("anna", "on").await;
    assert_eq!(listener.next().await.unwrap().id, 2);
}
