//! Files as they lie on disks: packed, and with what editors put before them.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const TWITCH: &str = include_str!("../../../../tests/vectors/chat_exports/twitch_downloader.json");
const YOUTUBE: &str = include_str!("../../../../tests/vectors/chat_exports/youtube.live_chat.json");

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn entries(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    read(path, Format::of(path)?, None, &mut |entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

#[test]
fn a_packed_or_marked_file_is_read_like_the_plain_one() {
    for plain in [TWITCH, YOUTUBE] {
        let marked = [&BYTE_ORDER_MARK, plain.as_bytes()].concat();
        let wanted = entries(file(plain.as_bytes()).path()).unwrap();
        assert!(wanted.len() > 15);
        for bytes in [marked.clone(), packed(plain.as_bytes()), packed(&marked)] {
            assert_eq!(entries(file(&bytes).path()).unwrap(), wanted);
        }
        // two halves that were packed one by one are one file, as gzip's own tools have it
        let (first, second) = plain.as_bytes().split_at(plain.len() / 2);
        assert_eq!(entries(file(&[packed(first), packed(second)].concat()).path()).unwrap(), wanted);
    }
}

#[test]
fn a_packed_file_that_was_cut_off_is_told() {
    let whole = packed(TWITCH.as_bytes());
    let error = entries(file(&whole[..whole.len() / 2]).path()).unwrap_err();
    assert!(format!("{error:#}").contains("cannot"), "{error:#}");
    for nothing in [&b""[..], &[0x1f], &GZIP, &BYTE_ORDER_MARK] {
        entries(file(nothing).path()).unwrap_err();
    }
}
