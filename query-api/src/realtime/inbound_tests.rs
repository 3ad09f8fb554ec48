//! Frames of clients: what each becomes.

use super::*;

fn show() -> ShowId {
    ShowId(uuid::Uuid::from_u128(1))
}

fn wish(text: &str) -> Result<Wish, String> {
    understand(text, show(), Some("alice")).wish.map_err(|error| error.code)
}

fn body(text: &str) -> (CommandKind, String) {
    match wish(text) {
        Ok(Wish::Command { kind, body }) => (kind, String::from_utf8(body).unwrap()),
        other => panic!("a command expected, not {other:?}"),
    }
}

#[test]
fn commands_carry_what_the_client_wrote_and_nothing_else() {
    let own = show().to_string();
    let message =
        format!(r#"{{"type":"SEND_MESSAGE","data":{{"streamId":"{own}","message":"hi","userId":"alice"}}}}"#);
    assert_eq!(body(&message), (CommandKind::Message, r#"{"message":"hi"}"#.to_owned()));
    let tip = r#"{"type":"SEND_TIP","requestId":"r1","data":{"amount":5.00,"message":"x","currency":"USD"}}"#;
    assert_eq!(body(tip), (CommandKind::Tip, r#"{"message":"x","amount":5.00,"currency":"USD"}"#.to_owned()));
    let join = r#"{"type":"JOIN_STREAM","data":{"deviceId":"d","deviceType":"MOBILE","else":1}}"#;
    assert_eq!(body(join), (CommandKind::Join, r#"{"deviceId":"d","deviceType":"MOBILE"}"#.to_owned()));
    let react = r#"{"type":"REACT","data":{"reactionType":"HEART","count":3}}"#;
    assert_eq!(body(react), (CommandKind::React, r#"{"reactionType":"HEART","count":3}"#.to_owned()));
    assert_eq!(body(r#"{"type":"LEAVE_STREAM"}"#), (CommandKind::Leave, "{}".to_owned()));
}

#[test]
fn resume_and_heartbeat_are_understood() {
    assert_eq!(wish(r#"{"type":"RESUME","data":{"sequence":7}}"#), Ok(Wish::Resume(7)));
    assert_eq!(wish(r#"{"type":"RESUME","sequence":7}"#), Ok(Wish::Resume(7)));
    assert_eq!(wish(r#"{"type":"HEARTBEAT"}"#), Ok(Wish::Heartbeat));
}

#[test]
fn bad_frames_get_an_error_with_a_code() {
    let long = format!(r#"{{"type":"HEARTBEAT","requestId":"{}"}}"#, "x".repeat(256));
    let table = [
        ("", "bad_frame"),
        ("hello", "bad_frame"),
        ("[]", "bad_frame"),
        ("{}", "bad_frame"),
        (r#"{"type":7}"#, "bad_frame"),
        (r#"{"type":"HEARTBEAT","type":"RESUME"}"#, "bad_frame"),
        (r#"{"type":"RESUME"}"#, "bad_frame"),
        (r#"{"type":"RESUME","data":{"sequence":-1}}"#, "bad_frame"),
        (r#"{"type":"RESUME","data":{"sequence":"7"}}"#, "bad_frame"),
        (r#"{"type":"HEARTBEAT","requestId":""}"#, "bad_frame"),
        (&long, "bad_frame"),
        (r#"{"type":"DANCE"}"#, "unknown_type"),
        (r#"{"type":"join_stream"}"#, "unknown_type"),
        (r#"{"type":"VOTE"}"#, "not_available"),
        (r#"{"type":"ASK"}"#, "not_available"),
        (r#"{"type":"UPVOTE"}"#, "not_available"),
        (r#"{"type":"SEND_TIP","data":{"amount":5}}"#, "idempotency_key_required"),
        (r#"{"type":"SEND_MESSAGE","data":{"message":"x","userId":"bob"}}"#, "user_mismatch"),
        (r#"{"type":"JOIN_STREAM","data":{"streamId":"stream_123"}}"#, "stream_mismatch"),
    ];
    for (text, code) in table {
        assert_eq!(wish(text), Err(code.to_owned()), "{text}");
    }
}

#[test]
fn without_a_token_nothing_can_be_commanded() {
    let anonymous = |text: &str| understand(text, show(), None).wish.map_err(|error| error.code);
    assert_eq!(
        anonymous(r#"{"type":"SEND_MESSAGE","data":{"message":"x"}}"#),
        Err("token_missing".to_owned())
    );
    assert_eq!(
        anonymous(r#"{"type":"JOIN_STREAM","data":{"userId":"alice"}}"#),
        Err("user_mismatch".to_owned())
    );
    assert_eq!(anonymous(r#"{"type":"RESUME","sequence":1}"#), Ok(Wish::Resume(1)));
}

#[test]
fn the_request_id_is_found_in_both_places() {
    let id = |text: &str| understand(text, show(), None).request_id;
    assert_eq!(id(r#"{"type":"HEARTBEAT","requestId":"a"}"#).as_deref(), Some("a"));
    assert_eq!(id(r#"{"type":"VOTE","data":{"requestId":"b"}}"#).as_deref(), Some("b"));
    assert_eq!(id(r#"{"type":"HEARTBEAT"}"#), None);
}
