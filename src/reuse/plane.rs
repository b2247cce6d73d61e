//! A plane of the reference, and how a plane of a frame differs from it.

use std::{ops::Range, sync::Arc};

use super::changed_map::BLOCK;
use crate::frame::{FrameInfo, PlaneRef, Rect};

/// Rows without padding between them.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    /// Shared with snapshots, and copied on writing while there are any.
    data: Arc<Vec<u8>>,
    row_bytes: usize,
    rows: usize,
    /// Bytes of a block in a row.
    block_bytes: usize,
    /// Rows of a block.
    block_rows: usize,
    /// Per sample of a block's row: whether it is one of a component that the model reads …
    main: Vec<bool>,
    /// … or of one that it does not.
    beside: Vec<bool>,
    /// Whether there are any of the one and of the other.
    serves: (bool, bool),
}

/// The largest difference in a row of blocks, per column of samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Worst {
    pub bytes: Vec<u8>,
    pub words: Vec<u16>,
}

impl Plane {
    /// Plane `plane` of frames like `info`; `reads`: whether the model does, by component.
    pub fn new(info: &FrameInfo, plane: usize, reads: &dyn Fn(usize) -> bool) -> Self {
        let FrameInfo { format, width, height, .. } = *info;
        let (row_bytes, rows) = (format.row_bytes(plane, width), format.rows(plane, height));
        let block_bytes = format.row_bytes(plane, BLOCK).max(1);
        let layout = format.layout();
        // The samples of a block's row that belong to such components.
        let samples = |main: bool| -> Vec<bool> {
            let used = |sample: usize| {
                let mut components = layout.components.iter().enumerate();
                components.any(|(index, component)| {
                    (component.plane, sample % component.step) == (plane, component.offset)
                        && reads(index) == main
                })
            };
            (0..block_bytes / layout.bytes()).map(used).collect()
        };
        let (main, beside) = (samples(true), samples(false));
        let any = |samples: &[bool]| samples.iter().any(|used| *used);
        Self {
            data: Arc::new(vec![0; row_bytes * rows]),
            row_bytes,
            rows,
            block_bytes,
            block_rows: format.rows(plane, BLOCK).max(1),
            serves: (any(&main), any(&beside)),
            main,
            beside,
        }
    }

    pub fn get(&self) -> PlaneRef<'_> {
        PlaneRef { data: &self.data, stride: self.row_bytes }
    }

    /// The bytes as they are now, and those of a row.
    pub fn snapshot(&self) -> (Arc<Vec<u8>>, usize) {
        (self.data.clone(), self.row_bytes)
    }

    /// The plane's rows in a row of blocks.
    fn rows_of(&self, block_row: u32) -> Range<usize> {
        let start = block_row as usize * self.block_rows;
        start.min(self.rows)..(start + self.block_rows).min(self.rows)
    }

    fn row(&self, y: usize) -> &[u8] {
        self.data.get(y * self.row_bytes..(y + 1) * self.row_bytes).unwrap_or_default()
    }

    /// Fills `worst` for a row of blocks; false, and nothing done, where all bytes are equal.
    pub fn measure<'a>(
        &self,
        block_row: u32,
        sample_bytes: usize,
        low_bits: u32,
        worst: &mut Worst,
        other: impl Fn(usize) -> &'a [u8],
    ) -> bool {
        let mut differs = false;
        for y in self.rows_of(block_row) {
            let (mine, other) = (self.row(y), other(y));
            // memcmp: far faster than the arithmetic, and mostly the end of it.
            if mine == other {
                continue;
            }
            if !differs {
                differs = true;
                worst.clear(sample_bytes, self.row_bytes / sample_bytes);
            }
            match sample_bytes {
                1 => widen_bytes(&mut worst.bytes, mine, other),
                _ => widen_words(&mut worst.words, mine, other, low_bits),
            }
        }
        differs
    }

    /// Whether the model reads any of it, and whether anything else does.
    pub fn serves(&self) -> (bool, bool) {
        self.serves
    }

    /// Whether any sample of a block is above `limit`, by the largest differences of its row: of
    /// those that the model reads, and of the others.
    pub fn any_above<T: Copy + PartialOrd>(
        &self,
        worst: &[T],
        column: u32,
        limit: T,
    ) -> (bool, bool) {
        let samples = self.main.len();
        let block = || worst.iter().skip(column as usize * samples);
        let above = |used: &[bool]| {
            block().zip(used).fold(false, |any, (worst, used)| any | (*used & (*worst > limit)))
        };
        (self.serves.0 && above(&self.main), self.serves.1 && above(&self.beside))
    }

    /// Copies the samples of `rect` (in luma pixels, grown to whole blocks).
    pub fn copy<'a>(&mut self, rect: Rect, other: impl Fn(usize) -> &'a [u8]) {
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

impl Worst {
    fn clear(&mut self, sample_bytes: usize, samples: usize) {
        let (bytes, words) = if sample_bytes == 1 { (samples, 0) } else { (0, samples) };
        self.bytes.clear();
        self.bytes.resize(bytes, 0);
        self.words.clear();
        self.words.resize(words, 0);
    }
}

/// `worst` becomes the greater of itself and the difference, per sample. Vectorises.
fn widen_bytes(worst: &mut [u8], a: &[u8], b: &[u8]) {
    for ((worst, a), b) in worst.iter_mut().zip(a).zip(b) {
        *worst = (*worst).max(a.abs_diff(*b));
    }
}

/// The same for samples of two bytes, little endian, without their unused low bits.
fn widen_words(worst: &mut [u16], a: &[u8], b: &[u8], low_bits: u32) {
    for ((worst, a), b) in worst.iter_mut().zip(a.as_chunks().0).zip(b.as_chunks().0) {
        let (a, b) = (u16::from_le_bytes(*a) >> low_bits, u16::from_le_bytes(*b) >> low_bits);
        *worst = (*worst).max(a.abs_diff(b));
    }
}
