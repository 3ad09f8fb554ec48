//! A small cluster: one log node, one database, one payment provider, and any number of services of their own.

use anyhow::Context;
use embedded::payments::{Sandbox, SandboxConfig};
use embedded::postgres::{Postgres, PostgresConfig};
use std::net::TcpListener;
use std::process::Stdio;
use tempfile::TempDir;

use crate::server::{Server, Settings, binary, data_dir, settings};

/// What the services share.
pub struct Cluster {
    /// The log node, a process that may be killed.
    pub node: Server,
    /// The payment provider.
    pub payments: Sandbox,
    postgres: Postgres,
    node_settings: Settings,
    service_settings: Settings,
    _dirs: [TempDir; 3],
}

impl Cluster {
    /// Starts what the services share.
    ///
    /// # Errors
    /// Where something does not come up.
    pub async fn start() -> anyhow::Result<Self> {
        let dirs = [data_dir(), data_dir(), data_dir()];
        let postgres = Postgres::start(PostgresConfig::new(dirs[0].path())).await?;
        let payments = Sandbox::start(SandboxConfig::default()).await?;
        let mut node_settings = settings(dirs[1].path());
        // the node keeps its address when it is started again
        let listen = format!("127.0.0.1:{}", free_port()?);
        node_settings.insert("TALLY_EVENT_LOG__LISTEN".into(), listen);
        let node = Server::start("event-log", &node_settings).await?;
        let mut service_settings = settings(dirs[2].path());
        for (name, value) in [
            ("TALLY_EVENT_LOG__URL", node.url.clone()),
            ("TALLY_POSTGRES__URL", postgres.url()),
            ("TALLY_PAYMENTS__URL", payments.url()),
            ("TALLY_PAYMENTS__SECRET_KEY", secret_key(&payments)),
        ] {
            service_settings.insert(name.into(), value);
        }
        Ok(Self { node, payments, postgres, node_settings, service_settings, _dirs: dirs })
    }

    /// A service of its own process.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn service<V: AsRef<str>>(&self, name: &str, more: &[(&str, V)]) -> anyhow::Result<Server> {
        Server::start(name, &self.settings(more)).await.with_context(|| format!("starting {name}"))
    }

    /// A command of the binary, to its end.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn run<V: AsRef<str>>(
        &self,
        arguments: &[&str],
        more: &[(&str, V)],
    ) -> anyhow::Result<std::process::Output> {
        let mut command = tokio::process::Command::new(binary());
        command.args(arguments).envs(self.settings(more)).stdin(Stdio::null()).kill_on_drop(true);
        command.output().await.with_context(|| format!("running {arguments:?}"))
    }

    fn settings<V: AsRef<str>>(&self, more: &[(&str, V)]) -> Settings {
        let mut settings = self.service_settings.clone();
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.as_ref().to_owned())));
        settings
    }

    /// Kills the log node and starts it again.
    ///
    /// # Errors
    /// Where it does not come up again.
    pub async fn kill_node(&mut self) -> anyhow::Result<()> {
        self.node.kill().await?;
        self.node = Server::start("event-log", &self.node_settings).await?;
        Ok(())
    }

    /// The log's connection string.
    #[must_use]
    pub fn log_url(&self) -> &str {
        &self.node.url
    }

    /// The database's connection string.
    #[must_use]
    pub fn postgres_url(&self) -> String {
        self.postgres.url()
    }

    /// Stops everything.
    ///
    /// # Errors
    /// Where something does not stop well.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.node.stop().await?;
        self.payments.shutdown().await;
        self.postgres.stop().await?;
        Ok(())
    }
}

fn secret_key(payments: &Sandbox) -> String {
    use secrecy::ExposeSecret;
    payments.secret_key().expose_secret().to_owned()
}

/// A port of this machine that nobody listens on now.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
