//! The picture that the canvas was computed from, and how frames differ from it.

mod plane;
mod refresh;

use std::{ops::Range, sync::Arc};

use plane::{Contents, Differences, ReferencePlane};

use super::{changed_map::ChangedMap, distances::Distances};
use crate::frame::{Error, FrameInfo, FrameRef, PlaneRef, Rect};

/// What counts as unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Code values that are equal. Padding and unused bits are ignored.
    Exact,
    /// Code values that are close.
    Tolerant {
        /// The largest difference of a code value that counts as unchanged, in 8-bit steps (scaled
        /// for deeper formats).
        tolerance: u8,
        /// The number of frames within which every block that differs at all is updated; 0: such
        /// blocks are not updated.
        refresh: u32,
    },
}

impl Mode {
    /// The tolerance in 8-bit steps, and the blocks (not pixels) that have no tolerance because
    /// they are due for a refresh, in comparison `number` of a frame of `columns` × `rows` blocks.
    pub(crate) fn limits(self, number: u64, columns: u32, rows: u32) -> (u8, Rect) {
        let Self::Tolerant { tolerance, refresh } = self else { return (0, Rect::default()) };
        let due = match refresh {
            0 => None,
            refresh => refresh::due(number, refresh, columns, rows),
        };
        let rect = due.map(|(x, y)| Rect::new(x.start, y.start, x.end - x.start, y.end - y.start));
        (tolerance, rect.unwrap_or_default())
    }
}

/// The picture that the canvas was computed from.
#[derive(Clone, Debug)]
pub struct Reference {
    info: FrameInfo,
    planes: Vec<ReferencePlane>,
    /// Whether it contains a picture.
    filled: bool,
    /// The number of comparisons since a picture was first there.
    comparisons: u64,
    /// Kept for its allocation.
    differences: Differences,
}

/// What counts as unchanged in a row of blocks.
struct Limits {
    /// In 8-bit steps.
    tolerance: u8,
    /// The columns without tolerance.
    due: Range<u32>,
    /// How samples that bypass the model are treated if they share a plane with samples that the
    /// model reads.
    shared_planes: SharedPlanes,
}

/// How samples are treated that bypass the model in a plane with samples that the model reads
/// (alpha in RGBA).
#[derive(Clone, Copy, PartialEq, Eq)]
enum SharedPlanes {
    /// They count as bypassing the model.
    Separate,
    /// They count as read by the model: copying their block also copies what the model reads.
    Together,
}

/// Where a frame differs from the reference.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Blocks in which samples that the model reads differ.
    pub model_planes: ChangedMap,
    /// Blocks in which samples that bypass the model differ. A block can be in both maps.
    pub bypass_planes: ChangedMap,
}

/// The picture of a [`Reference`] at one time. It shares memory with the reference until that
/// changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    info: FrameInfo,
    planes: Vec<(Arc<Vec<u8>>, usize)>,
}

impl Snapshot {
    /// The picture.
    #[must_use]
    pub fn frame(&self) -> FrameRef<'_> {
        let planes = self.planes.iter().map(|(data, stride)| PlaneRef { data, stride: *stride });
        FrameRef { info: self.info, planes: planes.collect() }
    }

    /// The picture, or without one a frame like `info` without planes, for stages that do not read
    /// it.
    pub(crate) fn frame_or_nothing(snapshot: Option<&Self>, info: FrameInfo) -> FrameRef<'_> {
        snapshot.map_or_else(|| FrameRef { info, planes: Vec::new() }, Self::frame)
    }
}

impl Reference {
    /// A reference without a picture, for frames like `info` of which the model reads every
    /// component.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`].
    pub fn new(info: FrameInfo) -> Result<Self, Error> {
        Self::for_model(info, |_| true)
    }

    /// A reference without a picture, for frames like `info` of which the model reads only those
    /// components for which `reads` returns true.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`].
    pub fn for_model(info: FrameInfo, reads: impl Fn(usize) -> bool) -> Result<Self, Error> {
        info.check()?;
        let planes =
            (0..info.format.planes()).map(|plane| ReferencePlane::new(&info, plane, &reads));
        let planes = planes.collect();
        let differences = Differences::default();
        Ok(Self { info, planes, filled: false, comparisons: 0, differences })
    }

    /// Drops the picture: the next frame differs everywhere. Call this whenever the canvas may not
    /// be the model's output for the reference.
    pub fn reset(&mut self) {
        self.filled = false;
    }

    /// The blocks of `frame` that differ in any plane.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] or [`Error::ShortPlane`].
    pub fn compare(&mut self, frame: &FrameRef<'_>, mode: Mode) -> Result<ChangedMap, Error> {
        let Changes { model_planes, bypass_planes } = self.changes(frame, mode)?;
        Ok(model_planes.union(&bypass_planes))
    }

    /// The blocks of `frame` that differ, by whether the model reads what differs.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] or [`Error::ShortPlane`].
    pub fn changes(&mut self, frame: &FrameRef<'_>, mode: Mode) -> Result<Changes, Error> {
        self.check(frame)?;
        let FrameInfo { width, height, .. } = self.info;
        let none = ChangedMap::none(width, height);
        if !self.filled {
            return Ok(Changes {
                model_planes: ChangedMap::all(width, height),
                bypass_planes: none,
            });
        }
        let mut changes = Changes { model_planes: none.clone(), bypass_planes: none };
        let (columns, rows) = (changes.model_planes.columns(), changes.model_planes.rows());
        let (tolerance, due) = mode.limits(self.comparisons, columns, rows);
        self.comparisons += 1;
        let shared_planes = match mode {
            Mode::Exact => SharedPlanes::Separate,
            // What is copied in spite of its tolerance must also be computed.
            Mode::Tolerant { .. } => SharedPlanes::Together,
        };
        for row in 0..rows {
            let is_due = (due.y..due.bottom()).contains(&row);
            let due = if is_due { due.x..due.right() } else { 0..0 };
            self.compare_row(frame, row, &Limits { tolerance, due, shared_planes }, &mut changes);
        }
        Ok(changes)
    }

    /// How much each block of `frame` differs in the samples that the model reads. `None` without a
    /// picture.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] or [`Error::ShortPlane`].
    pub(crate) fn distances(&mut self, frame: &FrameRef<'_>) -> Result<Option<Distances>, Error> {
        self.check(frame)?;
        if !self.filled {
            return Ok(None);
        }
        let mut distances = Distances::zero(self.info.width, self.info.height);
        let layout = self.info.format.layout();
        let differences = &mut self.differences;
        for (index, plane) in self.planes.iter().enumerate() {
            if !plane.contents().model {
                continue;
            }
            for row in 0..distances.rows() {
                let other = |y| frame.row(index, y);
                if !plane.measure(row, layout.bytes(), layout.low_bits, differences, other) {
                    continue;
                }
                for column in 0..distances.columns() {
                    let steps = match layout.bytes() {
                        1 => plane.largest(&differences.bytes, column),
                        _ => {
                            let difference = plane.largest(&differences.words, column);
                            difference.div_ceil(1 << (layout.bits - 8)).min(255) as u8
                        }
                    };
                    distances.raise(column, row, steps);
                }
            }
        }
        Ok(Some(distances))
    }

    /// Compares a row of blocks.
    fn compare_row(
        &mut self,
        frame: &FrameRef<'_>,
        row: u32,
        limits: &Limits,
        changes: &mut Changes,
    ) {
        let layout = self.info.format.layout();
        let differences = &mut self.differences;
        for (index, plane) in self.planes.iter().enumerate() {
            let other = |y| frame.row(index, y);
            if !plane.measure(row, layout.bytes(), layout.low_bits, differences, other) {
                continue;
            }
            let is_shared = plane.contents() == Contents { model: true, bypass: true };
            let together = limits.shared_planes == SharedPlanes::Together && is_shared;
            for column in 0..changes.model_planes.columns() {
                let tolerance = if limits.due.contains(&column) { 0 } else { limits.tolerance };
                let changed = match layout.bytes() {
                    1 => plane.above(&differences.bytes, column, tolerance),
                    _ => {
                        let tolerance = u16::from(tolerance) << (layout.bits - 8);
                        plane.above(&differences.words, column, tolerance)
                    }
                };
                if changed.model || changed.bypass && together {
                    changes.model_planes.mark(column, row);
                } else if changed.bypass {
                    changes.bypass_planes.mark(column, row);
                }
            }
        }
    }

    /// Copies the blocks of `map`, in which only bypass planes changed, from `frame`. The output
    /// that depends on them must then be made again from [`frame`](Self::frame), without the model.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] or [`Error::ShortPlane`].
    pub fn update_bypass_planes(
        &mut self,
        frame: &FrameRef<'_>,
        map: &ChangedMap,
    ) -> Result<(), Error> {
        self.check(frame)?;
        for (index, plane) in self.planes.iter_mut().enumerate() {
            if plane.contents().bypass {
                for rect in map.rects() {
                    plane.copy(rect, |y| frame.row(index, y));
                }
            }
        }
        Ok(())
    }

    /// Copies the blocks of `map` from `frame`. The part of the canvas that depends on them must
    /// then be computed from [`frame`](Self::frame), or everything must be dropped by
    /// [`reset`](Self::reset).
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] or [`Error::ShortPlane`].
    pub fn update(&mut self, frame: &FrameRef<'_>, map: &ChangedMap) -> Result<(), Error> {
        self.check(frame)?;
        let FrameInfo { width, height, .. } = self.info;
        if !self.filled || map.size() != (width, height) {
            return self.update_rect(frame, Rect::of_size(width, height));
        }
        for row in 0..map.rows() {
            for run in map.runs(row) {
                self.copy(frame, map.pixels(&run, row));
            }
        }
        Ok(())
    }

    /// Copies the pixels of `rect`, extended to whole blocks, from `frame`, on the same condition
    /// as [`update`](Self::update). Copying more than what changed keeps a tolerant picture closer
    /// to the frames.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] or [`Error::ShortPlane`].
    pub fn update_rect(&mut self, frame: &FrameRef<'_>, rect: Rect) -> Result<(), Error> {
        self.check(frame)?;
        let whole = Rect::of_size(self.info.width, self.info.height);
        self.filled |= rect.contains(&whole);
        self.copy(frame, rect.intersection(&whole));
        Ok(())
    }

    /// The picture, from which regions are computed.
    #[must_use]
    pub fn frame(&self) -> FrameRef<'_> {
        FrameRef { info: self.info, planes: self.planes.iter().map(ReferencePlane::get).collect() }
    }

    /// The current picture, which later updates of the reference do not change.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let planes = self.planes.iter().map(ReferencePlane::snapshot).collect();
        Snapshot { info: self.info, planes }
    }

    fn copy(&mut self, frame: &FrameRef<'_>, rect: Rect) {
        for (index, plane) in self.planes.iter_mut().enumerate() {
            plane.copy(rect, |y| frame.row(index, y));
        }
    }

    fn check(&self, frame: &FrameRef<'_>) -> Result<(), Error> {
        frame.check()?;
        frame.info.check_same_kind(&self.info)
    }
}

#[cfg(test)]
mod tests;
