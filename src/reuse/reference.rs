//! The picture that the canvas was computed from, and how frames compare with it.

use std::{ops::Range, sync::Arc};

use super::{
    ChangedMap,
    plane::{Plane, Worst},
    refresh,
};
use crate::frame::{Error, FrameInfo, FrameRef, PlaneRef, Rect};

/// What counts as unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Equality of all that a sample means; padding and unused bits are not looked at.
    Exact,
    Tolerant {
        /// The largest difference of a code value, in 8-bit steps (scaled for deeper formats).
        tolerance: u8,
        /// Frames within which each place that differs at all is taken anew, at least 1.
        refresh: u32,
    },
}

impl Mode {
    /// The largest difference that is no change, in 8-bit steps, and the blocks (not pixels) for
    /// which it is 0 all the same, at the `number`th comparison of a frame of as many blocks.
    pub(crate) fn limits(self, number: u64, columns: u32, rows: u32) -> (u8, Rect) {
        let Self::Tolerant { tolerance, refresh } = self else { return (0, Rect::default()) };
        let due = refresh::due(number, refresh, columns, rows);
        let rect = due.map(|(across, down)| {
            Rect::new(across.start, down.start, across.end - across.start, down.end - down.start)
        });
        (tolerance, rect.unwrap_or_default())
    }
}

/// What the picture on the canvas was computed from.
#[derive(Clone, Debug)]
pub struct Reference {
    info: FrameInfo,
    planes: Vec<Plane>,
    /// Whether it holds a picture.
    filled: bool,
    /// Frames that were compared.
    frames: u64,
    worst: Worst,
}

/// What counts as unchanged in a row of blocks.
struct Limits {
    /// In 8-bit steps …
    tolerance: u8,
    /// … but in these columns none.
    due: Range<u32>,
    /// Whether what shares a plane with what the model reads counts as such.
    together: bool,
}

/// Where a frame differs from the reference.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Blocks in which samples that the model reads differ.
    pub model_planes: ChangedMap,
    /// Blocks in which samples that bypass the model differ; a block can be in both maps.
    pub bypass_planes: ChangedMap,
}

/// A reference's picture at one time: shares its memory until that changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    info: FrameInfo,
    planes: Vec<(Arc<Vec<u8>>, usize)>,
}

impl Snapshot {
    /// The picture.
    pub fn frame(&self) -> FrameRef<'_> {
        let planes = self.planes.iter().map(|(data, stride)| PlaneRef { data, stride: *stride });
        FrameRef { info: self.info, planes: planes.collect() }
    }
}

impl Reference {
    /// For frames like `info`; it holds no picture yet.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`].
    pub fn new(info: FrameInfo) -> Result<Self, Error> {
        Self::for_model(info, |_| true)
    }

    /// The same where the model `reads` some of the format's components only; the others are
    /// enlarged beside it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_model(info: FrameInfo, reads: impl Fn(usize) -> bool) -> Result<Self, Error> {
        info.check()?;
        let planes = (0..info.format.planes()).map(|plane| Plane::new(&info, plane, &reads));
        let planes = planes.collect();
        Ok(Self { info, planes, filled: false, frames: 0, worst: Worst::default() })
    }

    /// Forgets the picture: the next frame differs everywhere. To be called whenever the canvas
    /// is not, or may not be, what the model makes of it.
    pub fn reset(&mut self) {
        self.filled = false;
    }

    /// The blocks of `frame` that differ, in any plane.
    ///
    /// # Errors
    /// Where `frame` is not as described to [`new`](Self::new).
    pub fn compare(&mut self, frame: &FrameRef<'_>, mode: Mode) -> Result<ChangedMap, Error> {
        let Changes { model_planes, bypass_planes } = self.changes(frame, mode)?;
        Ok(model_planes.union(&bypass_planes))
    }

    /// The blocks of `frame` that differ, by whether the model has anything to do with it.
    ///
    /// # Errors
    /// Where `frame` is not as described to [`new`](Self::new).
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
        let (tolerance, due) = mode.limits(self.frames, columns, rows);
        self.frames += 1;
        for row in 0..rows {
            let is_due = (due.y..due.bottom()).contains(&row);
            let due = if is_due { due.x..due.right() } else { 0..0 };
            // What is taken with a tolerance must be computed from, too.
            let limits = Limits { tolerance, due, together: mode != Mode::Exact };
            self.compare_row(frame, row, &limits, &mut changes);
        }
        Ok(changes)
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
        let worst = &mut self.worst;
        for (index, plane) in self.planes.iter().enumerate() {
            let other = |y| frame.row(index, y);
            if !plane.measure(row, layout.bytes(), layout.low_bits, worst, other) {
                continue;
            }
            for column in 0..changes.model_planes.columns() {
                let tolerance = if limits.due.contains(&column) { 0 } else { limits.tolerance };
                let (main, beside) = match layout.bytes() {
                    1 => plane.any_above(&worst.bytes, column, tolerance),
                    _ => {
                        let tolerance = u16::from(tolerance) << (layout.bits - 8);
                        plane.any_above(&worst.words, column, tolerance)
                    }
                };
                let together = limits.together && plane.serves() == (true, true);
                if main || beside && together {
                    changes.model_planes.mark(column, row);
                } else if beside {
                    changes.bypass_planes.mark(column, row);
                }
            }
        }
    }

    /// Takes the blocks of `map`, which the model has nothing to do with, from `frame`: what
    /// depends on them is made anew from [`frame`](Self::frame) without the model.
    ///
    /// # Errors
    /// Where `frame` is not as described to [`new`](Self::new).
    pub fn update_bypass_planes(
        &mut self,
        frame: &FrameRef<'_>,
        map: &ChangedMap,
    ) -> Result<(), Error> {
        self.check(frame)?;
        for (index, plane) in self.planes.iter_mut().enumerate() {
            if plane.serves().1 {
                for rect in map.rects() {
                    plane.copy(rect, |y| frame.row(index, y));
                }
            }
        }
        Ok(())
    }

    /// Takes the blocks of `map` from `frame`. Every place of the canvas that depends on them
    /// must then be computed from [`frame`](Self::frame), or all be forgotten by
    /// [`reset`](Self::reset).
    ///
    /// # Errors
    /// Where `frame` is not as described to [`new`](Self::new).
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

    /// Takes the pixels of `rect`, grown to whole blocks, from `frame`, on the same condition
    /// as [`update`](Self::update). Taking more than what changed keeps a tolerant picture
    /// closer to the frames where it costs nothing.
    ///
    /// # Errors
    /// Where `frame` is not as described to [`new`](Self::new).
    pub fn update_rect(&mut self, frame: &FrameRef<'_>, rect: Rect) -> Result<(), Error> {
        self.check(frame)?;
        let whole = Rect::of_size(self.info.width, self.info.height);
        self.filled |= rect.contains(&whole);
        self.copy(frame, rect.intersection(&whole));
        Ok(())
    }

    /// The picture itself: what regions are computed from.
    pub fn frame(&self) -> FrameRef<'_> {
        FrameRef { info: self.info, planes: self.planes.iter().map(Plane::get).collect() }
    }

    /// The picture as it is now, whatever becomes of the reference.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { info: self.info, planes: self.planes.iter().map(Plane::snapshot).collect() }
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{ChromaSite, Colorimetry, Matrix, PixelFormat, Range as CodeRange};

    const TOLERANT: Mode = Mode::Tolerant { tolerance: 2, refresh: u32::MAX };

    fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
        let colorimetry = Colorimetry { matrix: Matrix::Bt709, range: CodeRange::Limited };
        FrameInfo { format, width, height, colorimetry, chroma_site: ChromaSite::LEFT }
    }

    /// Planes whose rows have some bytes behind them.
    struct Frame {
        info: FrameInfo,
        planes: Vec<(Vec<u8>, usize)>,
    }

    impl Frame {
        fn new(info: FrameInfo, value: u8) -> Self {
            let FrameInfo { format, width, height, .. } = info;
            let plane = |plane| {
                let stride = format.row_bytes(plane, width) + 5;
                (vec![value; stride * format.rows(plane, height)], stride)
            };
            Self { info, planes: (0..format.planes()).map(plane).collect() }
        }

        fn get(&self) -> FrameRef<'_> {
            let planes = self.planes.iter();
            let planes = planes.map(|(data, stride)| PlaneRef { data, stride: *stride }).collect();
            FrameRef::new(self.info, planes).unwrap()
        }

        /// Adds to the code value of the `x`th, `y`th sample of a component.
        fn add(&mut self, component: usize, x: usize, y: usize, steps: u16) {
            let layout = self.info.format.layout();
            let place = layout.components[component];
            let (data, stride) = &mut self.planes[place.plane];
            let at = y * *stride + (x * place.step + place.offset) * layout.bytes();
            if layout.bytes() == 1 {
                data[at] += steps as u8;
            } else {
                let value = u16::from_le_bytes([data[at], data[at + 1]]);
                let value = value + (steps << layout.low_bits);
                data[at..at + 2].copy_from_slice(&value.to_le_bytes());
            }
        }
    }

    fn after(frame: &Frame) -> Reference {
        let mut reference = Reference::new(frame.info).unwrap();
        let map = reference.compare(&frame.get(), Mode::Exact).unwrap();
        assert_eq!(map, ChangedMap::all(frame.info.width, frame.info.height));
        reference.update(&frame.get(), &map).unwrap();
        // Past the frames at which something is due when the period is very long.
        reference.frames = 1 << 20;
        reference
    }

    fn assert_equal(reference: &Reference, frame: &Frame) {
        for plane in 0..frame.info.format.planes() {
            for y in 0..frame.info.format.rows(plane, frame.info.height) {
                assert_eq!(reference.frame().row(plane, y), frame.get().row(plane, y));
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_sample_marks_its_blocks_and_no_other(
            format in prop::sample::select(PixelFormat::ALL),
            width in 1u32..40, height in 1u32..40,
            component in 0usize..4, x in 0u32..40, y in 0u32..40, steps in 1u16..8,
        ) {
            let mut frame = Frame::new(info(format, width, height), 16);
            let mut reference = after(&frame);
            prop_assert!(reference.compare(&frame.get(), Mode::Exact).unwrap().is_empty());
            let layout = format.layout();
            let component = component % layout.components.len();
            let [shift_x, shift_y] = layout.subsampling_of(component);
            let (x, y) = ((x % width) >> shift_x, (y % height) >> shift_y);
            let deep = 1 << (layout.bits - 8);
            frame.add(component, x as usize, y as usize, steps * deep);
            let mut expected = ChangedMap::none(width, height);
            expected.mark((x << shift_x) / 8, (y << shift_y) / 8);
            prop_assert_eq!(&reference.compare(&frame.get(), Mode::Exact).unwrap(), &expected);
            let tolerant = reference.compare(&frame.get(), TOLERANT).unwrap();
            prop_assert_eq!(tolerant.is_empty(), steps <= 2);
            prop_assert!(tolerant.is_empty() || tolerant == expected);
            reference.update(&frame.get(), &expected).unwrap();
            prop_assert!(reference.compare(&frame.get(), Mode::Exact).unwrap().is_empty());
            assert_equal(&reference, &frame);
        }
    }

    #[test]
    fn a_step_of_the_deepest_kind_is_a_change_and_within_tolerance() {
        let mut frame = Frame::new(info(PixelFormat::P010_10le, 16, 8), 16);
        let mut reference = after(&frame);
        frame.add(0, 9, 3, 1);
        assert_eq!(reference.compare(&frame.get(), Mode::Exact).unwrap().count(), 1);
        assert!(reference.compare(&frame.get(), TOLERANT).unwrap().is_empty());
    }

    #[test]
    fn padding_and_unused_bits_are_not_looked_at() {
        let mut frame = Frame::new(info(PixelFormat::Bgrx, 9, 3), 16);
        let mut reference = after(&frame);
        frame.planes[0].0.iter_mut().skip(3).step_by(4).take(9).for_each(|byte| *byte = 99);
        frame.planes[0].0[9 * 4] = 99;
        assert!(reference.compare(&frame.get(), Mode::Exact).unwrap().is_empty());
        frame.planes[0].0[8 * 4] += 1;
        assert_eq!(reference.compare(&frame.get(), Mode::Exact).unwrap().count(), 1);

        let mut frame = Frame::new(info(PixelFormat::P010_10le, 16, 8), 0);
        let mut reference = after(&frame);
        frame.planes[1].0[4] = 0x3F;
        assert!(reference.compare(&frame.get(), Mode::Exact).unwrap().is_empty());
        frame.planes[1].0[4] = 0x40;
        assert_eq!(reference.compare(&frame.get(), Mode::Exact).unwrap().count(), 1);
    }

    #[test]
    fn a_fade_of_one_step_a_frame_never_drifts_beyond_the_tolerance() {
        let info = info(PixelFormat::I420, 33, 17);
        let mut reference = after(&Frame::new(info, 16));
        for value in 17..112 {
            let frame = Frame::new(info, value);
            let map = reference.compare(&frame.get(), TOLERANT).unwrap();
            reference.update(&frame.get(), &map).unwrap();
            for plane in 0..3 {
                let differences =
                    reference.frame().row(plane, 3).iter().map(|mine| mine.abs_diff(value)).max();
                assert!(differences.unwrap() <= 2);
            }
        }
    }

    #[test]
    fn every_place_that_differs_is_taken_anew_within_the_period() {
        let info = info(PixelFormat::Nv12, 100, 60);
        let mut reference = after(&Frame::new(info, 16));
        let frame = Frame::new(info, 17);
        let mode = Mode::Tolerant { tolerance: 2, refresh: 25 };
        let all = ChangedMap::all(100, 60).count();
        for _ in 0..25 {
            let map = reference.compare(&frame.get(), mode).unwrap();
            assert!(map.count() <= all.div_ceil(8), "{} of {all}", map.count());
            reference.update(&frame.get(), &map).unwrap();
        }
        assert_equal(&reference, &frame);
        assert!(reference.compare(&frame.get(), mode).unwrap().is_empty());
    }

    #[test]
    fn after_a_reset_everything_differs_until_a_whole_frame_was_taken() {
        let frame = Frame::new(info(PixelFormat::Gray8, 24, 24), 16);
        let mut reference = after(&frame);
        reference.reset();
        reference.update_rect(&frame.get(), Rect::new(0, 0, 24, 23)).unwrap();
        let map = reference.compare(&frame.get(), Mode::Exact).unwrap();
        assert_eq!(map.count(), 9);
        reference.update_rect(&frame.get(), Rect::of_size(24, 24)).unwrap();
        assert!(reference.compare(&frame.get(), Mode::Exact).unwrap().is_empty());
    }

    #[test]
    fn a_frame_of_another_size_is_refused() {
        let mut reference = after(&Frame::new(info(PixelFormat::Gray8, 24, 24), 16));
        let other = Frame::new(info(PixelFormat::Gray8, 24, 25), 16);
        let error = reference.compare(&other.get(), Mode::Exact).unwrap_err();
        assert!(matches!(error, Error::FrameMismatch { .. }));
    }

    #[test]
    #[ignore = "a measurement"]
    fn comparing_time() {
        let info = info(PixelFormat::Nv12, 1920, 1080);
        let same = Frame::new(info, 16);
        let mut noise = Frame::new(info, 16);
        let bytes = noise.planes.iter_mut().flat_map(|(data, _)| data);
        bytes.enumerate().for_each(|(index, byte)| *byte = ((index * index) >> 7) as u8);
        let mut reference = after(&same);
        for (name, frame) in [("equal", &same), ("all different", &noise)] {
            for mode in [Mode::Exact, TOLERANT] {
                let times = (0..30).map(|_| {
                    let start = std::time::Instant::now();
                    let map = reference.compare(&frame.get(), mode).unwrap();
                    (start.elapsed(), map.count())
                });
                println!("{name}, {mode:?}: {:?} and blocks", times.min().unwrap());
            }
        }
        let start = std::time::Instant::now();
        reference.update_rect(&noise.get(), Rect::of_size(1920, 1080)).unwrap();
        println!("taking all: {:?}", start.elapsed());
    }
}
