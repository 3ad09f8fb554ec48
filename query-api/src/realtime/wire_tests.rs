//! Frames as bytes, good and bad.

use super::*;

const LIMIT: usize = 1_024;

/// A client's frame, masked.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(MASKED | u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            frame.push(MASKED | 126);
            frame.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            frame.push(MASKED | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn decode(bytes: &[u8]) -> Result<Vec<Inbound>, WireError> {
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(bytes);
    let mut all = Vec::new();
    while let Some(inbound) = decoder.next()? {
        all.push(inbound);
    }
    Ok(all)
}

fn said(text: &str) -> Inbound {
    Inbound::Text(text.to_owned())
}

#[test]
fn messages_are_read_whole_fragmented_and_byte_by_byte() {
    let fragmented =
        [masked(TEXT, b"ab"), masked(FIN | PING, b"p"), masked(0, b"c"), masked(FIN, b"d")].concat();
    let expected = vec![Inbound::Ping(Bytes::from_static(b"p")), said("abcd")];
    assert_eq!(decode(&fragmented), Ok(expected.clone()));

    let mut decoder = Decoder::new(LIMIT);
    let mut seen = Vec::new();
    for byte in &fragmented {
        decoder.feed(&[*byte]);
        while let Some(inbound) = decoder.next().unwrap() {
            seen.push(inbound);
        }
    }
    assert_eq!(seen, expected);
    assert_eq!(decoder.unread.capacity(), 0, "an idle decoder keeps no buffer");
    assert_eq!(decode(&masked(FIN | TEXT, &[b'x'; 900])), Ok(vec![said(&"x".repeat(900))]));
}

#[test]
fn what_breaks_the_protocol_is_told_by_its_close_code() {
    let unmasked = vec![FIN | TEXT, 1, b'x'];
    let table: Vec<(Vec<u8>, CloseCode)> = vec![
        (unmasked, CloseCode::Protocol),
        (masked(FIN | 0x40 | TEXT, b"x"), CloseCode::Protocol),
        (masked(FIN | 0x3, b"x"), CloseCode::Protocol),
        (masked(FIN | 0xB, b"x"), CloseCode::Protocol),
        (masked(FIN, b"x"), CloseCode::Protocol),
        ([masked(TEXT, b"x"), masked(FIN | TEXT, b"y")].concat(), CloseCode::Protocol),
        (masked(PING, b"x"), CloseCode::Protocol),
        (masked(FIN | PING, &[0; 126]), CloseCode::Protocol),
        (masked(FIN | CLOSE, &[3]), CloseCode::Protocol),
        (masked(FIN | CLOSE, &1005_u16.to_be_bytes()), CloseCode::Protocol),
        (masked(FIN | BINARY, b"x"), CloseCode::Unsupported),
        (masked(FIN | TEXT, &[0xFF]), CloseCode::InvalidText),
        (masked(FIN | TEXT, &[b'x'; LIMIT + 1]), CloseCode::TooBig),
        ([masked(TEXT, &[b'x'; LIMIT]), masked(FIN, b"y")].concat(), CloseCode::TooBig),
        (
            vec![FIN | TEXT, MASKED | 127, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0],
            CloseCode::TooBig,
        ),
    ];
    for (bytes, code) in table {
        assert_eq!(decode(&bytes).map_err(WireError::close_code), Err(code), "{bytes:?}");
    }
}

#[test]
fn closes_are_read() {
    assert_eq!(decode(&masked(FIN | CLOSE, b"")), Ok(vec![Inbound::Close(None)]));
    assert_eq!(decode(&masked(FIN | CLOSE, &1000_u16.to_be_bytes())), Ok(vec![Inbound::Close(Some(1000))]));
}

#[test]
fn what_is_written_can_be_split_again() {
    let lengths = [0, 1, 125, 126, 65_535, 65_536];
    let texts: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'x'; *length]).collect();
    let wire: Vec<u8> = texts.iter().flat_map(|payload| text(payload)).collect();
    let split: Vec<Vec<u8>> = payloads(Bytes::from(wire)).map(|payload| payload.to_vec()).collect();
    assert_eq!(split, texts);
}

#[test]
fn a_reason_is_cut_to_what_a_control_frame_holds() {
    let frame = close(4000, &"é".repeat(100));
    assert!(frame.len() <= 2 + CONTROL_PAYLOAD_MAX);
    assert!(std::str::from_utf8(&frame[4..]).is_ok());
}

#[test]
fn a_frame_ends_behind_its_payload() {
    let lengths = [0, 125, 126, 70_000];
    let frames: Vec<_> = lengths.iter().map(|length| text(&vec![b'x'; *length])).collect();
    let whole = frames.concat();
    let mut end = 0;
    assert_eq!(frame_end(&whole, 0), 0);
    for frame in frames {
        assert_eq!(frame_end(&whole, end + 1), end + frame.len());
        end += frame.len();
        assert_eq!(frame_end(&whole, end), end);
    }
}
