//! Server-side filters of `$all`.
#![expect(clippy::result_large_err, reason = "a status is the form of every error on this boundary")]

use fancy_regex::{Regex, RegexBuilder};
use tonic::Status;

use super::frame::Record;
use super::proto::streams::read_req::filter_options::{Filter as On, Window};
use super::proto::streams::read_req::{Expression, FilterOptions};

/// Steps of backtracking that one match may take. Look-ahead needs backtracking, and a pattern comes from the
/// client: without a bound it could occupy a core for ever.
const BACKTRACK_STEPS_MAX: usize = 100_000;
/// The longest pattern.
const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// Events between two checkpoints where the client does not say: the protocol's default.
const WINDOW_DEFAULT: u32 = 32;

#[derive(Debug)]
enum Expect {
    Prefixes(Vec<String>),
    Pattern(Box<Regex>),
}

/// A filter, and how often a subscription with it tells how far it is.
#[derive(Debug)]
pub(crate) struct Filter {
    by_stream: bool,
    expect: Expect,
    /// Considered events between two checkpoints.
    pub(crate) checkpoint_interval: u64,
}

impl Filter {
    pub(crate) fn parse(options: FilterOptions) -> Result<Self, Status> {
        let window = match options.window {
            Some(Window::Max(window)) => window.max(1),
            Some(Window::Count(_)) | None => WINDOW_DEFAULT,
        };
        let multiplier = options.checkpoint_interval_multiplier.max(1);
        let (by_stream, expression) = match options.filter {
            Some(On::StreamIdentifier(expression)) => (true, expression),
            Some(On::EventType(expression)) => (false, expression),
            None => return Err(Status::invalid_argument("the filter says neither stream nor event type")),
        };
        let checkpoint_interval = u64::from(window) * u64::from(multiplier);
        Ok(Self { by_stream, expect: Expect::parse(expression)?, checkpoint_interval })
    }

    /// Whether the event passes. A pattern that takes too many steps is the reader's error, never a skip.
    pub(crate) fn accepts(&self, record: &Record) -> Result<bool, Status> {
        let subject = if self.by_stream { record.stream() } else { record.event_type() };
        match &self.expect {
            Expect::Prefixes(prefixes) => {
                Ok(prefixes.iter().any(|prefix| subject.starts_with(prefix.as_bytes())))
            }
            Expect::Pattern(pattern) => {
                let subject = std::str::from_utf8(subject)
                    .map_err(|_| Status::data_loss("a stored name is not text"))?;
                pattern.is_match(subject).map_err(|_| {
                    Status::invalid_argument(format!(
                        "the filter's pattern took more than {BACKTRACK_STEPS_MAX} steps on one name"
                    ))
                })
            }
        }
    }
}

impl Expect {
    fn parse(expression: Expression) -> Result<Self, Status> {
        if !expression.prefix.is_empty() {
            return Ok(Self::Prefixes(expression.prefix));
        }
        if expression.regex.len() > PATTERN_BYTES_MAX {
            return Err(Status::invalid_argument("the filter's pattern is too long"));
        }
        RegexBuilder::new(&expression.regex)
            .backtrack_limit(BACKTRACK_STEPS_MAX)
            .build()
            .map(|pattern| Self::Pattern(Box::new(pattern)))
            .map_err(|error| Status::invalid_argument(format!("the filter's pattern is not valid: {error}")))
    }
}
