//! Which partition a stream's records go to.

use sha2::{Digest, Sha256};

/// How many partitions the topic has. The number is part of the topic's version: with another one, records of a stream would stand in two
/// partitions, and their order would be lost.
pub const PARTITIONS: u32 = 12;

/// The partition of a stream, 0 to [`PARTITIONS`] − 1. All records of a stream go there, so they keep their order.
///
/// The first eight bytes of the stream's SHA-256 as a big-endian number, modulo the number of partitions: the same from any language,
/// whatever a Kafka client's own partitioner does.
#[must_use]
pub fn partition_of(stream: &str) -> i32 {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(stream.as_bytes()));
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of a division by twelve")]
    let partition = (number % u64::from(PARTITIONS)) as i32;
    partition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_that_other_languages_compute() {
        // Python: int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "big") % 12
        for (stream, partition) in [
            ("", 4),
            ("show-00000000-0000-0000-0000-000000000001", 7),
            ("show-00000000-0000-0000-0000-000000000002", 11),
            ("payment-00000000-0000-0000-0000-000000000001", 4),
            ("show-0197f3c2-6d4e-7b5a-9c1d-2e3f4a5b6c7d", 7),
            ("account-ffffffff-ffff-ffff-ffff-ffffffffffff", 9),
        ] {
            assert_eq!(partition_of(stream), partition, "{stream}");
        }
    }
}
