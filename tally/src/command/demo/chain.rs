//! Whether a socket received every durable frame once, and in order.

/// The durable frames of one viewer, over all of the viewer's connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// Where the first connection began, as its first snapshot or frame told: the frames after it are due.
    floor: Option<u64>,
    last: Option<u64>,
    frames: u64,
    gaps: u64,
    repeats: u64,
}

impl Chain {
    /// How the show stands at `sequence`; frames go on from there.
    pub(super) fn snapshot(&mut self, sequence: u64) {
        // with frames before it, they go on from the last of them: a snapshot leaves none out
        if self.last.is_none() {
            self.floor = Some(sequence);
        }
    }

    pub(super) fn durable(&mut self, sequence: u64, previous: Option<u64>) {
        self.frames += 1;
        if self.last.is_some_and(|last| sequence <= last) {
            self.repeats += 1;
            return;
        }
        let follows = match (self.last, self.floor) {
            (Some(last), _) => previous == Some(last),
            (None, Some(floor)) => previous.is_none_or(|previous| previous <= floor) && sequence > floor,
            // said between the socket's opening and its first snapshot: what came before is not due
            (None, None) => {
                self.floor = previous;
                true
            }
        };
        self.gaps += u64::from(!follows);
        self.last = Some(sequence);
    }

    /// Where a resume goes on.
    pub(super) fn position(&self) -> Option<u64> {
        self.last.or(self.floor)
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    pub(super) fn gaps(&self) -> u64 {
        self.gaps
    }

    pub(super) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Frames that somebody who saw all of them (`all`, ascending) has between this chain's ends and it has not.
    pub(super) fn missing(&self, all: &[u64]) -> u64 {
        let (Some(from), Some(last)) = (self.floor.or(Some(0)), self.last) else { return 0 };
        // a chain that began with the show's first frame is owed that too
        let start = if self.floor.is_some() { all.partition_point(|sequence| *sequence <= from) } else { 0 };
        let end = all.partition_point(|sequence| *sequence <= last);
        (end.saturating_sub(start) as u64).saturating_sub(self.frames - self.repeats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(floor: u64, frames: &[(u64, u64)]) -> Chain {
        let mut chain = Chain::default();
        chain.snapshot(floor);
        for (sequence, previous) in frames {
            chain.durable(*sequence, Some(*previous));
        }
        chain
    }

    #[test]
    fn a_whole_chain_has_no_gap() {
        let mut chain = chain(5, &[(7, 4), (9, 7)]);
        chain.snapshot(9);
        chain.durable(12, Some(9));
        assert_eq!((chain.gaps(), chain.repeats(), chain.frames(), chain.position()), (0, 0, 3, Some(12)));
        assert_eq!(chain.missing(&[2, 4, 7, 9, 12, 14]), 0);
    }

    #[test]
    fn what_is_lost_or_doubled_is_seen() {
        let lost = chain(5, &[(7, 4), (12, 9)]);
        assert_eq!((lost.gaps(), lost.missing(&[4, 7, 9, 12])), (1, 1));
        let doubled = chain(5, &[(7, 4), (7, 4), (9, 7)]);
        assert_eq!((doubled.gaps(), doubled.repeats(), doubled.missing(&[4, 7, 9])), (0, 1, 0));
        assert_eq!(chain(5, &[(9, 7)]).gaps(), 1);
    }

    #[test]
    fn what_is_said_before_the_first_snapshot_begins_the_chain() {
        let mut early = Chain::default();
        early.durable(9, Some(7));
        early.snapshot(11);
        early.durable(12, Some(9));
        assert_eq!((early.gaps(), early.missing(&[2, 4, 7, 9, 12])), (0, 0));
    }
}
