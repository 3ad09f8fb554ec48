//! (placeholder while the workspace is laid out)

pub mod actors;
/// The ports' implementations over the providers' wire formats.
pub mod adapters;
/// What this service needs from outside, as traits.
pub mod ports;
/// Who still gives signs of life.
pub mod presence;

#[cfg(test)]
mod test_kit;
