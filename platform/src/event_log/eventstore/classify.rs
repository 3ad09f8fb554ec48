//! What the client's errors mean.

use eventstore::{CurrentRevision, Error};
use tonic::Code;

use crate::event_log::AppendError;

/// Only what the server said for certain counts as not written. All else may have been: a connection that
/// broke, a deadline, a leader that stepped down.
pub(super) fn append_error(error: Error) -> AppendError {
    match error {
        Error::WrongExpectedVersion { current, .. } => AppendError::WrongExpected {
            actual: match current {
                CurrentRevision::Current(revision) => Some(revision),
                CurrentRevision::NoStream => None,
            },
        },
        Error::AccessDenied | Error::ResourceDeleted | Error::UnsupportedFeature => {
            AppendError::Refused(error.into())
        }
        // the code of an append or event that is too large, of a bad stream name, of a bad event
        Error::Grpc { code: Code::InvalidArgument | Code::OutOfRange, .. } => {
            AppendError::Refused(error.into())
        }
        Error::Grpc { .. }
        | Error::ServerError(_)
        | Error::NotLeaderException(_)
        | Error::ConnectionClosed
        | Error::GrpcConnectionError(_)
        | Error::InternalParsingError(_)
        | Error::ResourceAlreadyExists
        | Error::ResourceNotFound
        | Error::InternalClientError
        | Error::DeadlineExceeded
        | Error::InitializationError(_)
        | Error::IllegalStateError(_) => AppendError::OutcomeUnknown(error.into()),
    }
}

/// The client's own task has ended: nothing will ever come of it again.
pub(super) fn is_dead(error: &Error) -> bool {
    matches!(error, Error::ConnectionClosed | Error::GrpcConnectionError(_))
}

/// The error tells of the connection or the node, not of the request. An exhausted resource is HTTP/2's word for a connection on which too
/// many requests were given up.
pub(super) fn is_connection(error: &Error) -> bool {
    is_dead(error)
        || matches!(
            error,
            Error::ServerError(_)
                | Error::NotLeaderException(_)
                | Error::Grpc { code: Code::ResourceExhausted, .. }
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventstore::{Endpoint, GrpcConnectionError, StreamState};
    use tonic::Status;

    fn of(error: Error) -> &'static str {
        match append_error(error) {
            AppendError::WrongExpected { .. } => "wrong",
            AppendError::Refused(_) => "refused",
            AppendError::OutcomeUnknown(_) => "unknown",
        }
    }

    #[test]
    fn a_conflict_tells_where_the_stream_is() {
        for (current, expected) in [(CurrentRevision::Current(4), Some(4)), (CurrentRevision::NoStream, None)]
        {
            let error = Error::WrongExpectedVersion { expected: StreamState::NoStream, current };
            let AppendError::WrongExpected { actual } = append_error(error) else { panic!() };
            assert_eq!(actual, expected);
        }
    }

    #[test]
    fn a_connection_that_is_given_up_is_no_fault_of_the_request() {
        let of = |code| is_connection(&Error::from_grpc(Status::new(code, "")));
        assert!(of(Code::ResourceExhausted));
        assert!(!of(Code::InvalidArgument) && !of(Code::PermissionDenied));
    }

    #[test]
    fn only_what_the_server_said_for_certain_is_a_refusal() {
        let status = |code| of(Error::from_grpc(Status::new(code, "")));
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unauthenticated, Code::OutOfRange] {
            assert_eq!(status(code), "refused", "{code:?}");
        }
        let unsure =
            [Code::Unavailable, Code::Internal, Code::Unknown, Code::DeadlineExceeded, Code::Aborted];
        for code in unsure.into_iter().chain([Code::Cancelled, Code::ResourceExhausted, Code::DataLoss]) {
            assert_eq!(status(code), "unknown", "{code:?}");
        }
        assert_eq!(of(Error::ConnectionClosed), "unknown");
        assert_eq!(of(Error::NotLeaderException(Endpoint { host: "b".into(), port: 1 })), "unknown");
        let connection = GrpcConnectionError::Grpc(String::new());
        assert_eq!(of(Error::GrpcConnectionError(connection)), "unknown");
    }
}
