//! Bytes of a file that end in zeros which take no memory: an index's journal reserves 64 MiB and writes a few KiB.

use std::borrow::Cow;

/// Bytes of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseBytes {
    /// Up to the last byte that was written since the file was that long; all others are zeros.
    held: Vec<u8>,
    len: usize,
}

impl SparseBytes {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes; what lies between the end and the write becomes zeros.
    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.held.len() < end {
            self.held.resize(end, 0);
        }
        self.held[offset..end].copy_from_slice(bytes);
        self.len = self.len.max(end);
    }

    /// Cuts, or lengthens with zeros.
    pub(super) fn resize(&mut self, len: usize) {
        self.held.truncate(len);
        self.len = len;
    }

    /// At most so many bytes from an offset on.
    pub(super) fn read(&self, offset: usize, length: usize) -> Cow<'_, [u8]> {
        let start = offset.min(self.len);
        let end = start.saturating_add(length).min(self.len);
        if end <= self.held.len() {
            return Cow::Borrowed(&self.held[start..end]);
        }
        let mut bytes = self.held.get(start..).unwrap_or_default().to_vec();
        bytes.resize(end - start, 0);
        Cow::Owned(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_read_as_plain_bytes_do(steps in prop::collection::vec((0..3, 0..90_usize, 0..40_usize), 1..30)) {
            let (mut sparse, mut plain) = (SparseBytes::default(), Vec::new());
            for (number, (step, at, length)) in (1_u8..).zip(steps) {
                match step {
                    0 => {
                        sparse.put(at, &vec![number; length]);
                        plain.resize(plain.len().max(at + length), 0);
                        plain[at..at + length].fill(number);
                    }
                    1 => {
                        sparse.resize(at);
                        plain.resize(at, 0);
                    }
                    _ => {
                        let read = plain.iter().skip(at).take(length).copied().collect::<Vec<_>>();
                        prop_assert_eq!(&*sparse.read(at, length), &read[..]);
                    }
                }
                prop_assert_eq!(sparse.len(), plain.len());
            }
            prop_assert_eq!(&*sparse.read(0, usize::MAX), &plain[..]);
        }
    }
}
