//! A relay between client and server that shows what a server shows that does nothing about the client's
//! sockets: the kernel acknowledges when it likes. It can be cut.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt::set_tcp_quickack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What of a request is carried on at once.
const CHUNK_BYTES: usize = 16 * 1024;

pub struct Relay {
    pub address: SocketAddr,
    cuts: watch::Sender<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Self {
        Self::start(server, false).await
    }

    /// One that has the kernel acknowledge at once.
    pub async fn prompt(server: SocketAddr) -> Self {
        Self::start(server, true).await
    }

    async fn start(server: SocketAddr, is_prompt: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = watch::Sender::new(0);
        let cut = cuts.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, is_prompt, cut.clone()));
            }
        });
        Self { address, cuts, task }
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, is_prompt: bool, mut cut: watch::Receiver<u64>) {
    cut.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    tokio::select! {
        _ = async { tokio::join!(pump(from_client, to_server, is_prompt), pump(from_server, to_client, false)) } => {}
        _ = cut.changed() => {}
    }
}

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, is_prompt: bool) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        if is_prompt {
            // the kernel forgets it with each read
            set_tcp_quickack(from.as_ref(), true)?;
        }
        to.write_all(&chunk[..count]).await?;
    }
}
