//! What this service needs from the outside world, in its own words. Adapters implement these traits; nothing
//! here names a provider.

/// Taking money from a payer.
pub mod payments;
/// Live video: who may enter a channel, where a show is sent to and where its recording is found.
pub mod video;
