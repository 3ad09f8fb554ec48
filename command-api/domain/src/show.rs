//! The show: one consistency boundary, composed of parts.

/// A show's state.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Show {}
