//! What every read model shares: how it is declared, filled, fenced, halted, rebuilt, swapped and compared.

mod apply;
pub(crate) mod checkpoint;
pub(crate) mod digest;
mod error;
mod feed;
pub(crate) mod generations;
pub(crate) mod health;
pub(crate) mod readings;
pub(crate) mod rebuild;
pub(crate) mod recorded;
pub(crate) mod rows;
pub(crate) mod runner;
pub(crate) mod standing;
mod supervisor;
mod swap;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use platform::event_log::Prefixes;

pub use error::Failure;
pub use recorded::{Read, Recorded};
pub(crate) use recorded::{of_payments, of_shows, signed};
pub(crate) use supervisor::Supervisor;
pub use work::{Fuse, Work};

/// A read model: tables of its own, and how events change them.
///
/// Its rows hold nothing but what follows from the events: no clock, no chance, no other table. So two of them
/// that have seen the same events are equal, however the events came in batches.
pub trait View: Send + Sync + 'static {
    /// Its name: of the advisory lock, the book-keeping row and the schema.
    fn name(&self) -> &'static str;

    /// Grows with every change to its tables or to what it makes of an event. A new version is filled beside the
    /// one that is served, and then swapped in.
    fn version(&self) -> i32;

    /// The streams whose events it wants.
    fn wanted(&self) -> Prefixes;

    /// Its tables. Readers find each as `read.<name>`.
    fn tables(&self) -> &'static [ViewTable];

    /// The statements that create its tables, by their plain names.
    fn ddl(&self) -> &'static str;

    /// Works out what events change, given in log order, as far as that follows from them alone: it is done while the
    /// database is still busy with the batch before. Must match every event by name, those that it ignores too.
    ///
    /// # Errors
    /// [`Failure`]; nothing of the batch is kept then.
    fn prepare(&self, batch: Vec<Arc<Read>>) -> Result<Box<dyn Change>, Failure>;
}

/// What a batch changes in a view.
#[async_trait]
pub trait Change: Send {
    /// Brings it to the tables, in the transaction of the batch.
    ///
    /// # Errors
    /// [`Failure`]; nothing of the batch is kept then.
    async fn apply(self: Box<Self>, work: &mut Work<'_>) -> Result<(), Failure>;
}

/// A table of a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewTable {
    /// Its plain name.
    pub name: &'static str,
    /// The columns of its primary key: the order in which its rows are compared.
    pub key: &'static str,
}
