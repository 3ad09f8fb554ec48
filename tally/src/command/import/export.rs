//! What a chat export holds, whoever wrote it: entries in the order of the file, one at a time.

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use schemas::Money;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;

use super::{twitch, youtube};

/// Entries are read in pieces of this size.
const BUFFER_BYTES: usize = 256 * 1024;

/// What a packed file begins with; `--compression Gzip` makes TwitchDownloader write such.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What editors put before a text.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Exports name an entry twice where two downloads of a chat meet: so many of the last ids are remembered.
const REMEMBERED_IDS: usize = 20_000;

/// Who wrote an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// TwitchDownloader's JSON: one object with all comments.
    Twitch,
    /// yt-dlp's `live_chat.json`: an object on each line.
    YouTube,
}

/// What an export says of the show itself.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Head {
    /// The platform's id of the show.
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) host: Option<Host>,
    /// When it began, as the export writes it.
    pub(super) date: Option<String>,
    /// Where it begins on the clock of its entries: not at zero where it is cut out of something longer.
    pub(super) start_ms: i64,
    /// How long it was, as far as it says so.
    pub(super) length_ms: Option<i64>,
    /// Games or topics, in the order of the show.
    pub(super) topics: Vec<String>,
}

/// Whose show it was.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Host {
    pub(super) id: String,
    pub(super) name: String,
}

/// One thing of an export.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Entry {
    /// Somebody wrote, or paid.
    Said(Said),
    /// Something that Tally has no place for, by kind.
    Unmapped(String),
}

impl Entry {
    /// The same, told from a start that the export's clock shows as so much.
    pub(super) fn since(self, start_ms: i64) -> Self {
        match self {
            Self::Said(said) => Self::Said(Said { at_ms: said.at_ms.saturating_sub(start_ms), ..said }),
            Self::Unmapped(kind) => Self::Unmapped(kind),
        }
    }
}

/// What somebody wrote or paid.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Said {
    /// The platform's id of it.
    pub(super) id: String,
    /// On the clock of the export, or from the start of the show; negative where people wait for it.
    pub(super) at_ms: i64,
    pub(super) author: Author,
    /// Emotes as their names. May be empty where something was paid.
    pub(super) text: String,
    pub(super) emotes: u64,
    pub(super) paid: Option<Money>,
}

/// Who it was.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Author {
    /// The platform's id.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_host: bool,
    pub(super) is_moderator: bool,
}

/// What is done with each entry; `Break` ends the reading.
pub(super) type Each<'a> = dyn FnMut(Entry) -> ControlFlow<()> + 'a;

impl Format {
    pub(super) fn platform(self) -> &'static str {
        match self {
            Self::Twitch => "twitch",
            Self::YouTube => "youtube",
        }
    }

    /// Looks at the beginning of a file. What people write cannot be taken for a member: its quotes are escaped.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let mut beginning = Vec::new();
        open(path, None)?
            .take(64 * 1024)
            .read_to_end(&mut beginning)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let text = String::from_utf8_lossy(&beginning);
        let text = text.trim_ascii_start();
        match text {
            _ if text.contains("\"replayChatItemAction\":") => Ok(Self::YouTube),
            _ if text.starts_with('{')
                && ["\"comments\"", "\"streamer\"", "\"FileInfo\""].iter().any(|key| text.contains(key)) =>
            {
                Ok(Self::Twitch)
            }
            _ => bail!("{} is neither TwitchDownloader's JSON nor yt-dlp's live_chat.json", path.display()),
        }
    }
}

/// Reads an export from its beginning, entry by entry, and tells what it says of the show. `bar` is moved by the bytes read.
pub(super) fn read(
    path: &Path,
    format: Format,
    bar: Option<&ProgressBar>,
    each: &mut Each<'_>,
) -> anyhow::Result<Head> {
    let mut known = RecentIds::default();
    let mut once = |entry: Entry| match entry {
        Entry::Said(said) if !known.is_new(&said.id) => {
            each(Entry::Unmapped("the same entry again".to_owned()))
        }
        entry @ (Entry::Said(_) | Entry::Unmapped(_)) => each(entry),
    };
    let from = BufReader::with_capacity(BUFFER_BYTES, open(path, bar)?);
    match format {
        Format::Twitch => twitch::read(from, &mut once),
        Format::YouTube => youtube::read(from, &mut once),
    }
    .with_context(|| format!("{} cannot be read", path.display()))
}

/// Bytes as they come.
type Bytes = Box<dyn Read + Send>;

/// A file's text from its beginning: unpacked as it is read, and without a byte order mark.
fn open(path: &Path, bar: Option<&ProgressBar>) -> anyhow::Result<Bytes> {
    let cannot_open = || format!("cannot open {}", path.display());
    let file = File::open(path).with_context(cannot_open)?;
    let file: Bytes = match bar {
        Some(bar) => Box::new(bar.wrap_read(file)),
        None => Box::new(file),
    };
    let (start, file) = ahead(file, GZIP.len()).with_context(cannot_open)?;
    let is_packed = start == GZIP;
    let file = Cursor::new(start).chain(file);
    let text: Bytes = if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let (start, text) = ahead(text, BYTE_ORDER_MARK.len()).with_context(cannot_open)?;
    Ok(if start == BYTE_ORDER_MARK { text } else { Box::new(Cursor::new(start).chain(text)) })
}

/// The first so many bytes, fewer of a shorter file, and what follows them.
fn ahead(mut from: Bytes, bytes: usize) -> std::io::Result<(Vec<u8>, Bytes)> {
    let mut start = Vec::with_capacity(bytes);
    from.by_ref().take(bytes as u64).read_to_end(&mut start)?;
    Ok((start, from))
}

/// The last ids that were seen.
#[derive(Default)]
struct RecentIds {
    known: std::collections::HashSet<String>,
    order: VecDeque<String>,
}

impl RecentIds {
    fn is_new(&mut self, id: &str) -> bool {
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// A text as the edge takes it: without control characters, trimmed.
pub(super) fn cleaned(text: &str) -> String {
    let plain = |character: char| if character.is_control() && character != '\n' { ' ' } else { character };
    text.chars().map(plain).collect::<String>().trim().to_owned()
}

/// One line, without its end; `None` at the end of the file. One that is longer than any entry is refused.
pub(super) fn line(from: &mut impl BufRead, line: &mut Vec<u8>) -> anyhow::Result<Option<usize>> {
    /// The longest entries, with all their menus and images, have some ten kilobytes.
    const LINE_MAX: u64 = 8 * 1024 * 1024;
    line.clear();
    let length = from.take(LINE_MAX).read_until(b'\n', line)?;
    if length as u64 == LINE_MAX {
        bail!("a line is longer than {LINE_MAX} bytes");
    }
    Ok((length > 0).then_some(length))
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
