//! One plane of the reference, and how it differs from the plane of a frame.

use std::{ops::Range, sync::Arc};

use crate::{
    frame::{FrameInfo, PlaneRef, Rect},
    reuse::changed_map::BLOCK,
};

/// A plane without padding between its rows.
#[derive(Clone, Debug)]
pub(super) struct ReferencePlane {
    /// Shared with snapshots, and copied on write while they exist.
    data: Arc<Vec<u8>>,
    row_bytes: usize,
    rows: usize,
    /// Bytes of a row of a block.
    block_bytes: usize,
    /// Rows of a block.
    block_rows: usize,
    /// For each sample in a row of a block, whether the model reads it.
    model_samples: Vec<bool>,
    /// For each sample in a row of a block, whether it bypasses the model. Unused samples (the x of
    /// RGBx) belong to neither.
    bypass_samples: Vec<bool>,
    contents: Contents,
}

/// What a plane, or the difference of a block, contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// Samples that the model reads.
    pub model: bool,
    /// Samples that bypass the model.
    pub bypass: bool,
}

/// The largest difference in a row of blocks, for each column of samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences {
    /// For formats of 8 bits.
    pub bytes: Vec<u8>,
    /// For deeper formats.
    pub words: Vec<u16>,
}

impl ReferencePlane {
    /// Plane `plane` of frames like `info`. `reads` says whether the model reads a component.
    pub(crate) fn new(info: &FrameInfo, plane: usize, reads: &dyn Fn(usize) -> bool) -> Self {
        let FrameInfo { format, width, height, .. } = *info;
        let (row_bytes, rows) = (format.row_bytes(plane, width), format.rows(plane, height));
        let block_bytes = format.row_bytes(plane, BLOCK).max(1);
        let layout = format.layout();
        let samples = |of_model: bool| -> Vec<bool> {
            let used = |sample: usize| {
                let mut components = layout.components.iter().enumerate();
                components.any(|(index, component)| {
                    (component.plane, sample % component.step) == (plane, component.offset)
                        && reads(index) == of_model
                })
            };
            (0..block_bytes / layout.bytes()).map(used).collect()
        };
        let (model_samples, bypass_samples) = (samples(true), samples(false));
        let any = |samples: &[bool]| samples.iter().any(|used| *used);
        Self {
            data: Arc::new(vec![0; row_bytes * rows]),
            row_bytes,
            rows,
            block_bytes,
            block_rows: format.rows(plane, BLOCK).max(1),
            contents: Contents { model: any(&model_samples), bypass: any(&bypass_samples) },
            model_samples,
            bypass_samples,
        }
    }

    /// The plane to read.
    pub(crate) fn get(&self) -> PlaneRef<'_> {
        PlaneRef { data: &self.data, stride: self.row_bytes }
    }

    /// The current bytes, and the number of bytes per row.
    pub(crate) fn snapshot(&self) -> (Arc<Vec<u8>>, usize) {
        (self.data.clone(), self.row_bytes)
    }

    /// What the plane contains.
    pub(crate) fn contents(&self) -> Contents {
        self.contents
    }

    /// The plane's rows in a row of blocks.
    fn rows_of(&self, block_row: u32) -> Range<usize> {
        let start = block_row as usize * self.block_rows;
        start.min(self.rows)..(start + self.block_rows).min(self.rows)
    }

    fn row(&self, y: usize) -> &[u8] {
        self.data.get(y * self.row_bytes..(y + 1) * self.row_bytes).unwrap_or_default()
    }

    /// Writes the differences of a row of blocks to `differences`, given the rows of the `other`
    /// plane. Returns false, and writes nothing, if all bytes are equal.
    pub(crate) fn measure<'a>(
        &self,
        block_row: u32,
        sample_bytes: usize,
        low_bits: u32,
        differences: &mut Differences,
        other: impl Fn(usize) -> &'a [u8],
    ) -> bool {
        let mut differs = false;
        for y in self.rows_of(block_row) {
            let (mine, other) = (self.row(y), other(y));
            // A call of memcmp, which is much faster than computing differences.
            if mine == other {
                continue;
            }
            if !differs {
                differs = true;
                differences.clear(sample_bytes, self.row_bytes / sample_bytes);
            }
            match sample_bytes {
                1 => add_bytes(&mut differences.bytes, mine, other),
                _ => add_words(&mut differences.words, mine, other, low_bits),
            }
        }
        differs
    }

    /// Which samples of the block in `column` differ by more than `limit`, given the differences of
    /// its row of blocks.
    pub(crate) fn above<T: Copy + PartialOrd>(
        &self,
        differences: &[T],
        column: u32,
        limit: T,
    ) -> Contents {
        let samples = self.model_samples.len();
        let block = || differences.iter().skip(column as usize * samples);
        let above = |used: &[bool]| {
            let pairs = block().zip(used);
            // Without an early exit, so that it vectorises.
            pairs.fold(false, |any, (difference, used)| any | (*used & (*difference > limit)))
        };
        Contents {
            model: self.contents.model && above(&self.model_samples),
            bypass: self.contents.bypass && above(&self.bypass_samples),
        }
    }

    /// The largest difference of a sample that the model reads in the block in `column`, given the
    /// differences of its row of blocks.
    pub(crate) fn largest<T: Copy + Ord + Default>(&self, differences: &[T], column: u32) -> T {
        let samples = self.model_samples.len();
        let block = differences.iter().skip(column as usize * samples);
        let used = block.zip(&self.model_samples).filter(|(_, used)| **used);
        used.map(|(difference, _)| *difference).max().unwrap_or_default()
    }

    /// Copies the samples of `rect`, in luma pixels and extended to whole blocks, from the rows of
    /// the `other` plane.
    pub(crate) fn copy<'a>(&mut self, rect: Rect, other: impl Fn(usize) -> &'a [u8]) {
        let start = (rect.x / BLOCK) as usize * self.block_bytes;
        let end = (rect.right().div_ceil(BLOCK) as usize * self.block_bytes).min(self.row_bytes);
        let rows = self.rows_of(rect.y / BLOCK).start
            ..(rect.bottom().div_ceil(BLOCK) as usize * self.block_rows).min(self.rows);
        let data = Arc::make_mut(&mut self.data);
        for y in rows {
            let at = y * self.row_bytes;
            let mine = data.get_mut(at + start..at + end);
            if let (Some(mine), Some(other)) = (mine, other(y).get(start..end)) {
                mine.copy_from_slice(other);
            }
        }
    }
}

impl Differences {
    fn clear(&mut self, sample_bytes: usize, samples: usize) {
        let (bytes, words) = if sample_bytes == 1 { (samples, 0) } else { (0, samples) };
        self.bytes.clear();
        self.bytes.resize(bytes, 0);
        self.words.clear();
        self.words.resize(words, 0);
    }
}

/// Raises each of `largest` to the difference between `a` and `b` if that is greater. Vectorises.
fn add_bytes(largest: &mut [u8], a: &[u8], b: &[u8]) {
    for ((largest, a), b) in largest.iter_mut().zip(a).zip(b) {
        *largest = (*largest).max(a.abs_diff(*b));
    }
}

/// The same for little-endian samples of two bytes, without their unused low bits.
fn add_words(largest: &mut [u16], a: &[u8], b: &[u8], low_bits: u32) {
    for ((largest, a), b) in largest.iter_mut().zip(a.as_chunks().0).zip(b.as_chunks().0) {
        let (a, b) = (u16::from_le_bytes(*a) >> low_bits, u16::from_le_bytes(*b) >> low_bits);
        *largest = (*largest).max(a.abs_diff(b));
    }
}
