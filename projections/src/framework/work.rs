//! One transaction of a projection, and the seam where tests crash it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::{Connection, PgConnection, Postgres, Transaction};

use super::Failure;

/// A fault seam: burns down by one at every statement boundary, and lets the projector crash there when it is
/// burnt. Nothing in production sets one. Clones are the same fuse.
#[derive(Clone, Debug, Default)]
pub struct Fuse {
    left: Option<Arc<AtomicI64>>,
}

impl Fuse {
    /// Never blows.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Blows before the statement after so many, once.
    #[must_use]
    pub fn after(statements: u32) -> Self {
        Self { left: Some(Arc::new(AtomicI64::new(i64::from(statements)))) }
    }

    /// Whether it has blown.
    #[must_use]
    pub fn is_blown(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.load(Ordering::SeqCst) < 0)
    }

    /// Passes a statement boundary.
    pub(crate) fn pass(&self) -> Result<(), Failure> {
        match &self.left {
            Some(left) if left.fetch_sub(1, Ordering::SeqCst) == 0 => Err(Failure::Blown),
            Some(_) | None => Ok(()),
        }
    }
}

/// A transaction over one batch.
pub struct Work<'a> {
    transaction: Transaction<'a, Postgres>,
    fuse: &'a Fuse,
}

/// Makes a connection one of a projection: its statements find the tables of `schema` by their plain names, and its
/// commits do not wait for the disk. A crash of the database loses rows and checkpoint together, and the log has them
/// still; nothing but a projection may do this.
pub(crate) async fn prepare(connection: &mut PgConnection, schema: &str) -> Result<(), Failure> {
    sqlx::query(
        "SELECT set_config('search_path', $1, false), set_config('synchronous_commit', 'off', false)",
    )
    .bind(schema)
    .execute(connection)
    .await?;
    Ok(())
}

impl<'a> Work<'a> {
    /// Begins a transaction on a connection that is [`prepare`]d.
    pub(crate) async fn begin(connection: &'a mut PgConnection, fuse: &'a Fuse) -> Result<Self, Failure> {
        fuse.pass()?;
        Ok(Self { transaction: connection.begin().await?, fuse })
    }

    /// The connection, for one statement.
    ///
    /// # Errors
    /// [`Failure::Blown`] where a test wants a crash before this statement.
    pub fn statement(&mut self) -> Result<&mut PgConnection, Failure> {
        self.fuse.pass()?;
        Ok(&mut self.transaction)
    }

    /// Ends without a trace.
    pub(crate) async fn roll_back(self) {
        // on a connection that is gone the server does it by itself
        drop(self.transaction.rollback().await);
    }

    /// Commits.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        self.fuse.pass()?;
        self.transaction.commit().await?;
        // a crash after the commit and before anybody knows of it
        self.fuse.pass()
    }
}
