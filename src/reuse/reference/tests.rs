//! How the reference compares with frames and follows them.

use proptest::prelude::*;

use super::*;
use crate::frame::{PixelFormat, Range as CodeRange};

const TOLERANT: Mode = Mode::Tolerant { tolerance: 2, refresh: u32::MAX };

fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
    FrameInfo::bt709(format, width, height, CodeRange::Limited)
}

/// Planes whose rows have padding.
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

    fn read(&self) -> FrameRef<'_> {
        let planes = self.planes.iter();
        let planes = planes.map(|(data, stride)| PlaneRef { data, stride: *stride }).collect();
        FrameRef::new(self.info, planes).unwrap()
    }

    /// Adds `steps` to the code value of the sample at (`x`, `y`) of a component.
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

/// A reference that contains `frame`.
fn after(frame: &Frame) -> Reference {
    let mut reference = Reference::new(frame.info).unwrap();
    let map = reference.compare(&frame.read(), Mode::Exact).unwrap();
    assert_eq!(map, ChangedMap::all(frame.info.width, frame.info.height));
    reference.update(&frame.read(), &map).unwrap();
    // With a very long period, no block is due in comparisons after the first ones.
    reference.comparisons = 1 << 20;
    reference
}

fn assert_equal(reference: &Reference, frame: &Frame) {
    for plane in 0..frame.info.format.planes() {
        for y in 0..frame.info.format.rows(plane, frame.info.height) {
            assert_eq!(reference.frame().row(plane, y), frame.read().row(plane, y));
        }
    }
}

proptest! {
    #[test]
    fn a_changed_sample_marks_its_block_only(
        format in prop::sample::select(PixelFormat::ALL),
        width in 1u32..40, height in 1u32..40,
        component in 0usize..4, x in 0u32..40, y in 0u32..40, steps in 1u16..8,
    ) {
        let mut frame = Frame::new(info(format, width, height), 16);
        let mut reference = after(&frame);
        prop_assert!(reference.compare(&frame.read(), Mode::Exact).unwrap().is_empty());
        let layout = format.layout();
        let component = component % layout.components.len();
        let [shift_x, shift_y] = layout.subsampling_of(component);
        let (x, y) = ((x % width) >> shift_x, (y % height) >> shift_y);
        let deep = 1 << (layout.bits - 8);
        frame.add(component, x as usize, y as usize, steps * deep);
        let mut expected = ChangedMap::none(width, height);
        expected.mark((x << shift_x) / 8, (y << shift_y) / 8);
        prop_assert_eq!(&reference.compare(&frame.read(), Mode::Exact).unwrap(), &expected);
        let tolerant = reference.compare(&frame.read(), TOLERANT).unwrap();
        prop_assert_eq!(tolerant.is_empty(), steps <= 2);
        prop_assert!(tolerant.is_empty() || tolerant == expected);
        reference.update(&frame.read(), &expected).unwrap();
        prop_assert!(reference.compare(&frame.read(), Mode::Exact).unwrap().is_empty());
        assert_equal(&reference, &frame);
    }
}

#[test]
fn the_smallest_step_of_a_deep_format_is_a_change_within_the_tolerance() {
    let mut frame = Frame::new(info(PixelFormat::P010_10le, 16, 8), 16);
    let mut reference = after(&frame);
    frame.add(0, 9, 3, 1);
    assert_eq!(reference.compare(&frame.read(), Mode::Exact).unwrap().count(), 1);
    assert!(reference.compare(&frame.read(), TOLERANT).unwrap().is_empty());
}

#[test]
fn padding_and_unused_bits_are_ignored() {
    let mut frame = Frame::new(info(PixelFormat::Bgrx, 9, 3), 16);
    let mut reference = after(&frame);
    frame.planes[0].0.iter_mut().skip(3).step_by(4).take(9).for_each(|byte| *byte = 99);
    frame.planes[0].0[9 * 4] = 99;
    assert!(reference.compare(&frame.read(), Mode::Exact).unwrap().is_empty());
    frame.planes[0].0[8 * 4] += 1;
    assert_eq!(reference.compare(&frame.read(), Mode::Exact).unwrap().count(), 1);

    let mut frame = Frame::new(info(PixelFormat::P010_10le, 16, 8), 0);
    let mut reference = after(&frame);
    frame.planes[1].0[4] = 0x3F;
    assert!(reference.compare(&frame.read(), Mode::Exact).unwrap().is_empty());
    frame.planes[1].0[4] = 0x40;
    assert_eq!(reference.compare(&frame.read(), Mode::Exact).unwrap().count(), 1);
}

#[test]
fn a_slow_fade_never_exceeds_the_tolerance() {
    let info = info(PixelFormat::I420, 33, 17);
    let mut reference = after(&Frame::new(info, 16));
    for value in 17..112 {
        let frame = Frame::new(info, value);
        let map = reference.compare(&frame.read(), TOLERANT).unwrap();
        reference.update(&frame.read(), &map).unwrap();
        for plane in 0..3 {
            let differences =
                reference.frame().row(plane, 3).iter().map(|mine| mine.abs_diff(value)).max();
            assert!(differences.unwrap() <= 2);
        }
    }
}

#[test]
fn every_block_that_differs_is_updated_within_the_refresh_period() {
    let info = info(PixelFormat::Nv12, 100, 60);
    let mut reference = after(&Frame::new(info, 16));
    let frame = Frame::new(info, 17);
    let mode = Mode::Tolerant { tolerance: 2, refresh: 25 };
    let all = ChangedMap::all(100, 60).count();
    for _ in 0..25 {
        let map = reference.compare(&frame.read(), mode).unwrap();
        assert!(map.count() <= all.div_ceil(8), "{} of {all}", map.count());
        reference.update(&frame.read(), &map).unwrap();
    }
    assert_equal(&reference, &frame);
    assert!(reference.compare(&frame.read(), mode).unwrap().is_empty());
}

#[test]
fn after_a_reset_everything_differs_until_a_whole_frame_is_copied() {
    let frame = Frame::new(info(PixelFormat::Gray8, 24, 24), 16);
    let mut reference = after(&frame);
    reference.reset();
    reference.update_rect(&frame.read(), Rect::new(0, 0, 24, 23)).unwrap();
    let map = reference.compare(&frame.read(), Mode::Exact).unwrap();
    assert_eq!(map.count(), 9);
    reference.update_rect(&frame.read(), Rect::of_size(24, 24)).unwrap();
    assert!(reference.compare(&frame.read(), Mode::Exact).unwrap().is_empty());
}

#[test]
fn a_frame_of_another_size_is_an_error() {
    let mut reference = after(&Frame::new(info(PixelFormat::Gray8, 24, 24), 16));
    let other = Frame::new(info(PixelFormat::Gray8, 24, 25), 16);
    let error = reference.compare(&other.read(), Mode::Exact).unwrap_err();
    assert!(matches!(error, Error::FrameMismatch { .. }));
}

#[test]
#[ignore = "a measurement"]
fn time_of_comparing() {
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
                let map = reference.compare(&frame.read(), mode).unwrap();
                (start.elapsed(), map.count())
            });
            println!("{name}, {mode:?}: time and changed blocks {:?}", times.min().unwrap());
        }
    }
    let start = std::time::Instant::now();
    reference.update_rect(&noise.read(), Rect::of_size(1920, 1080)).unwrap();
    println!("copying all: {:?}", start.elapsed());
}

#[test]
fn without_a_refresh_a_small_difference_stays_unchanged() {
    let info = info(PixelFormat::Nv12, 100, 60);
    let mut reference = after(&Frame::new(info, 16));
    let frame = Frame::new(info, 18);
    let mode = Mode::Tolerant { tolerance: 2, refresh: 0 };
    for _ in 0..300 {
        assert!(reference.compare(&frame.read(), mode).unwrap().is_empty());
    }
}
