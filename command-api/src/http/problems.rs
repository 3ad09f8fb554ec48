//! The one table from why a command was not done to what the client is told.

use axum::http::StatusCode;
use domain::{AccessReason, Rejection};
use platform::http::problem::Problem;

use crate::actors::{CommandError, RETRY_AFTER_SECONDS};
use crate::tips::TipError;

/// What the client is told of a command that was not done.
pub(super) fn of_command(error: CommandError) -> Problem {
    match error {
        CommandError::Rejected(rejection) => of_rejection(&rejection),
        CommandError::Overloaded => {
            unavailable("overloaded", "too much is happening in this stream; try again")
        }
        CommandError::OutcomeUnknown => unavailable(
            "outcome_unknown",
            "it may or may not have happened: send the same request with the same Idempotency-Key to find out",
        ),
        CommandError::Unavailable => unavailable("log_unavailable", "nothing happened; try again"),
        CommandError::ShuttingDown => {
            unavailable("shutting_down", "this node is going away; the next try meets another one")
        }
        // told in the log where it happened
        CommandError::Broken => Problem::internal_logged(),
    }
}

/// What the client is told of a tip of which it is not known how far it is.
pub(super) fn of_tip(error: TipError) -> Problem {
    match error {
        TipError::Command(error) => of_command(error),
        TipError::Interrupted => of_command(CommandError::OutcomeUnknown),
    }
}

fn unavailable(code: &'static str, detail: &'static str) -> Problem {
    Problem::unavailable(code, detail, RETRY_AFTER_SECONDS)
}

fn of_rejection(rejection: &Rejection) -> Problem {
    match *rejection {
        Rejection::ShowNotFound => no_such_stream(),
        Rejection::ShowExists => {
            Problem::conflict("stream_exists", "there is a stream under this id already")
        }
        Rejection::CreatorRoleRequired => Problem::forbidden("role_required", "this needs the role CREATOR"),
        Rejection::NotTheCreator => {
            Problem::forbidden("not_the_creator", "only the stream's creator or an admin may do this")
        }
        Rejection::SystemOnly => Problem::forbidden("system_only", "this is not for callers"),
        Rejection::WrongStatus { status } => {
            let detail = format!("the stream is {}, which does not allow this", status.name());
            Problem::conflict("wrong_status", detail).with("streamStatus", status.name())
        }
        Rejection::StaleVersion { current } => {
            Problem::precondition_failed("the stream was changed meanwhile: read it again, then decide")
                .with("currentVersion", current)
        }
        Rejection::AccessDenied(reason) => access_denied(reason),
        Rejection::TooManySessions { limit } => {
            Problem::conflict("too_many_sessions", "leave on another device first").with_limit(limit.into())
        }
        Rejection::SessionUnknown => {
            Problem::not_found("session_unknown", "there is no such session of yours here: join first")
        }
        Rejection::ChatDisabled => Problem::conflict("chat_disabled", "the chat of this stream is off"),
        Rejection::TipsDisabled => Problem::conflict("tips_disabled", "this stream takes no tips"),
        Rejection::RateLimited { what, limit, window_ms, retry_after_ms } => {
            let seconds = seconds_up(window_ms);
            let detail = format!("at most {limit} {what} in {seconds} seconds; wait a little");
            Problem::limited(detail, seconds_up(retry_after_ms))
                .with_limit(limit.into())
                .with("window", seconds)
        }
        Rejection::DuplicateMessage { retry_after_ms } => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "duplicate_message",
            "you just sent the same message; say something else or wait a little",
        )
        .with_retry_after(seconds_up(retry_after_ms)),
        Rejection::MessageUnknown => Problem::unprocessable(
            "message_unknown",
            "the message to reply to is not among the last of this stream",
        )
        .with_field("replyTo"),
        Rejection::ReactionUnknown => reaction_unknown(),
        Rejection::ReactionCount => {
            let limit = domain::rules::MAX_REACTIONS_A_COMMAND;
            Problem::invalid_field("count", format!("send 1 to {limit}")).with_limit(limit.into())
        }
        Rejection::AmountNotPositive => Problem::invalid_field("amount", "send an amount above zero"),
        Rejection::AmountTooLarge => {
            Problem::unprocessable("amount_too_large", "send a smaller amount").with_field("amount")
        }
        Rejection::CurrencyMismatch { expected } => {
            Problem::unprocessable("currency_mismatch", format!("this stream takes {expected}"))
                .with_field("currency")
                .with("expected", expected.code())
        }
        Rejection::OwnShow => Problem::forbidden("own_stream", "creators do not tip their own stream"),
        Rejection::TipUnknown => Problem::not_found("tip_unknown", "there is no such tip"),
        Rejection::KeyReused => Problem::unprocessable(
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request: use a new one for each",
        )
        .with_field("Idempotency-Key"),
    }
}

/// 404, also for ids that can be none.
pub(super) fn no_such_stream() -> Problem {
    Problem::not_found("stream_not_found", "there is no such stream")
}

fn access_denied(reason: AccessReason) -> Problem {
    let (code, detail) = match reason {
        AccessReason::SubscriptionRequired => {
            ("subscription_required", "subscribe to the creator to enter this stream")
        }
        AccessReason::TicketRequired => ("ticket_required", "buy a ticket to enter this stream"),
        AccessReason::SubscriptionAndTicketRequired => (
            "subscription_and_ticket_required",
            "subscribe to the creator and buy a ticket to enter this stream",
        ),
        AccessReason::ShowFull => ("stream_full", "every seat is taken; try again when somebody has left"),
    };
    Problem::forbidden(code, detail).with("accessGranted", false)
}

fn reaction_unknown() -> Problem {
    let known = domain::rules::REACTIONS.join(", ");
    Problem::unprocessable("reaction_unknown", format!("send one of {known}")).with_field("reactionType")
}

/// Whole seconds, never too few.
fn seconds_up(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).div_ceil(1_000)
}
