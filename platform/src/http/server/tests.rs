use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::http::edge::{EdgeConfig, edge};

struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    server: JoinHandle<Ended>,
}

/// What a server must do it does well within this.
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: ServerConfig = ServerConfig {
    header_read_timeout: Duration::from_millis(300),
    connections_max: 4,
    drain: Duration::from_secs(5),
};

async fn start(router: Router, config: ServerConfig) -> Running {
    let app = edge(
        router,
        EdgeConfig {
            body_limit: 1_024,
            request_timeout: Duration::from_secs(5),
            compression: false,
            cors_allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            verifier: None,
            limits: None,
            keeps_fallback: false,
        },
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address");
    let shutdown = Shutdown::new();
    let ending = shutdown.clone();
    let server = tokio::spawn(async move { serve(listener, app, config, &ending).await });
    Running { address, shutdown, server }
}

async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("writes");
    stream
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut text)).await;
    // a reset is an end too
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}

const CLOSING_GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let running = start(hello(), CONFIG).await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = send(running.address, beginning).await;
        let answer = read_all(&mut stream).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    let mut stream = send(running.address, CLOSING_GET).await;
    assert!(read_all(&mut stream).await.ends_with("hello"));
}

#[tokio::test]
async fn a_running_request_ends_before_the_server_does() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, told_to_go) = (Arc::clone(&arrived), Arc::clone(&go));
    let handler = move || {
        let (told, go) = (Arc::clone(&told), Arc::clone(&told_to_go));
        async move {
            told.notify_one();
            go.notified().await;
            "done"
        }
    };
    let running = start(Router::new().route("/", get(handler)), CONFIG).await;
    let mut stream = send(running.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut idle = send(running.address, "").await;
    arrived.notified().await;
    running.shutdown.begin();
    assert_eq!(read_all(&mut idle).await, "");
    assert!(!running.server.is_finished());
    go.notify_one();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
    assert_eq!(running.server.await.expect("ends"), Ended::Drained);
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_hangs_is_left_at_the_deadline() {
    let config = ServerConfig { drain: Duration::from_millis(100), ..CONFIG };
    let arrived = Arc::new(Notify::new());
    let told = Arc::clone(&arrived);
    let handler = move || {
        told.notify_one();
        std::future::pending::<()>()
    };
    let running = start(Router::new().route("/", get(handler)), config).await;
    let _stream = send(running.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    arrived.notified().await;
    running.shutdown.begin();
    assert_eq!(running.server.await.expect("ends"), Ended::TimedOut);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    // so long that no place is given back because of it
    let config = ServerConfig { connections_max: 2, header_read_timeout: 3 * PATIENCE, ..CONFIG };
    let running = start(hello(), config).await;
    let first = send(running.address, "").await;
    let _second = send(running.address, "").await;
    let mut third = send(running.address, CLOSING_GET).await;
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), third.peek(&mut byte)).await.is_err());
    drop(first);
    assert!(read_all(&mut third).await.ends_with("hello"));
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_know_it() {
    let running = start(hello(), CONFIG).await;
    let stream = TcpStream::connect(running.address).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("handshake");
    tokio::spawn(connection);
    let request = Request::builder().uri("http://x/").body(String::new()).expect("request");
    let response = sender.send_request(request).await.expect("answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.version(), axum::http::Version::HTTP_2);
}

#[tokio::test]
async fn an_upgraded_connection_keeps_its_place() {
    let upgrades = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&upgrades);
    let handler = move |connection: axum::Extension<Connection>, request: axum::extract::Request| {
        let counted = Arc::clone(&counted);
        async move {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(request).await.expect("upgrades");
                counted.fetch_add(1, Ordering::SeqCst);
                let mut io = TokioIo::new(upgraded);
                io.write_all(b"raw").await.expect("writes");
                let mut rest = Vec::new();
                io.read_to_end(&mut rest).await.expect("reads");
                drop(connection);
            });
            (axum::http::StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "raw")])
        }
    };
    let config = ServerConfig { connections_max: 1, ..CONFIG };
    let running = start(hello().route("/raw", get(handler)), config).await;
    let head = "GET /raw HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n";
    let mut socket = send(running.address, head).await;
    let mut seen = String::new();
    while !seen.ends_with("raw") || !seen.contains("\r\n\r\n") {
        let mut part = [0; 256];
        let length = socket.read(&mut part).await.expect("reads");
        assert_ne!(length, 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    assert_eq!(upgrades.load(Ordering::SeqCst), 1);
    let mut other = send(running.address, CLOSING_GET).await;
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), other.peek(&mut byte)).await.is_err());
    drop(socket);
    assert!(read_all(&mut other).await.ends_with("hello"));
}
