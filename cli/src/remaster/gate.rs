//! Finds the frames of a segment among those that are decoded after a seek, by their hashes, and passes
//! them to the enlarger.

use std::{ops::Range, sync::Arc};

use super::frame_table::{Frame, Locator};

/// Frames before and after a segment that are decoded too, since pictures are made of the fields of
/// successive frames.
pub const CONTEXT: usize = 2;

/// What to do with a decoded frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Drop,
    /// It is this frame of the film.
    Pass(usize),
    /// The segment is complete; end the stream.
    End,
    /// The decoder gave other pictures than when the plan was made, or the wanted one is already
    /// past.
    Lost,
}

/// Lets the frames of a range pass, in order.
#[derive(Debug)]
pub struct Gate {
    frames: Arc<[Frame]>,
    locator: Locator,
    /// Frames that still have to pass.
    wanted: Range<usize>,
    open: bool,
    /// The hash of the last frame that passed.
    last: Option<u64>,
}

impl Gate {
    /// For `segment` and the frames of context around it.
    pub fn new(frames: Arc<[Frame]>, segment: &Range<usize>) -> Self {
        let start = segment.start.saturating_sub(CONTEXT);
        let end = (segment.end + CONTEXT).min(frames.len());
        Self { frames, locator: Locator::default(), wanted: start..end, open: false, last: None }
    }

    /// Judges the next decoded frame.
    pub fn judge(&mut self, hash: u64, pts: u64) -> Verdict {
        if self.is_complete() {
            return Verdict::End;
        }
        if !self.open {
            match self.locator.push(&self.frames, hash, pts) {
                Some(number) if number == self.wanted.start => self.open = true,
                Some(number) if number > self.wanted.start => return Verdict::Lost,
                _ => return Verdict::Drop,
            }
        }
        match self.frames.get(self.wanted.start) {
            Some(frame) if frame.hash == hash => {
                self.wanted.start += 1;
                self.last = Some(hash);
                Verdict::Pass(self.wanted.start - 1)
            }
            // Of equal pictures, an earlier one was taken for the first: one of them is left over.
            _ if self.last == Some(hash) => Verdict::Drop,
            _ => Verdict::Lost,
        }
    }

    /// Whether every frame has passed.
    pub fn is_complete(&self) -> bool {
        self.wanted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(hashes: Range<u64>) -> Arc<[Frame]> {
        let frame = |hash| Frame { pts: hash, duration: 1, hash, change: 0, key: false };
        hashes.map(frame).collect()
    }

    fn judge(gate: &mut Gate, hashes: &[u64]) -> Vec<Verdict> {
        hashes.iter().map(|&hash| gate.judge(hash, hash)).collect()
    }

    #[test]
    fn a_segment_passes_with_its_context() {
        let frames = frames(0..10);
        let mut gate = Gate::new(frames.clone(), &(4..6));
        let verdicts = judge(&mut gate, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let passed = (2..8).map(Verdict::Pass);
        let expected: Vec<_> =
            [Verdict::Drop; 2].into_iter().chain(passed).chain([Verdict::End]).collect();
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn the_film_has_no_context_at_its_ends() {
        let frames = frames(0..3);
        let mut gate = Gate::new(frames.clone(), &(0..3));
        assert_eq!(judge(&mut gate, &[0, 1, 2]), [0, 1, 2].map(Verdict::Pass));
        assert!(gate.is_complete());
    }

    #[test]
    fn equal_pictures_before_the_film_do_not_count() {
        let frames: Arc<[Frame]> = [frames(5..6), frames(5..6), frames(6..8)].concat().into();
        let mut gate = Gate::new(frames, &(0..4));
        let verdicts = judge(&mut gate, &[4, 5, 5, 5, 5, 6, 7]);
        let expected = [
            Verdict::Drop,
            Verdict::Pass(0),
            Verdict::Pass(1),
            Verdict::Drop,
            Verdict::Drop,
            Verdict::Pass(2),
            Verdict::Pass(3),
        ];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn a_missing_or_different_frame_is_noticed() {
        let frames = frames(0..10);
        assert_eq!(Gate::new(frames.clone(), &(4..6)).judge(3, 3), Verdict::Lost);
        let mut gate = Gate::new(frames.clone(), &(4..6));
        let verdicts = judge(&mut gate, &[2, 3, 5]);
        assert_eq!(verdicts, [Verdict::Pass(2), Verdict::Pass(3), Verdict::Lost]);
    }
}
