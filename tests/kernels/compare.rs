//! Comparison with the reference, in every format.

use gstupscale::{
    frame::{FrameInfo, PixelFormat, Rect},
    kernels::{self, SPAN},
    reuse::{ChangedMap, Mode, Reference},
};

use super::{
    common::frame::info,
    library::Kernels,
    memory::{Frame, Memory, Noise, rects},
};

/// A frame, and the same frame with a few samples changed by a few codes.
fn slightly_changed(info: FrameInfo, seed: u64) -> [Frame; 2] {
    let (before, mut after) = (Frame::noisy(info, seed), Frame::noisy(info, seed));
    let mut noise = Noise::new(seed + 100);
    let layout = info.format.layout();
    for plane in 0..info.format.planes() {
        let row_bytes = info.format.row_bytes(plane, info.width);
        let rows = info.format.rows(plane, info.height);
        let (data, stride) = after.bytes_mut(plane);
        for _ in 0..6 {
            let sample = noise.next() as usize % (row_bytes / layout.bytes());
            let at = noise.next() as usize % rows * stride + sample * layout.bytes();
            let step = noise.next() % 5;
            match layout.bytes() {
                1 => data[at] = data[at].wrapping_add(step as u8),
                _ => {
                    let deep = (layout.bits - 8 + layout.low_bits).saturating_sub(noise.next() % 4);
                    let code = u16::from_le_bytes([data[at], data[at + 1]]);
                    let code = code.wrapping_add((step << deep) as u16);
                    data[at..at + 2].copy_from_slice(&code.to_le_bytes());
                }
            }
        }
        // Padding after the row, which must not count.
        data[row_bytes] ^= 0xFF;
    }
    [before, after]
}

/// A comparison, and its bits in the layout of a changed map.
struct Comparison<'a> {
    kernels: &'a Kernels,
    args: kernels::CompareArgs,
    bits: Memory,
    _rects: Memory,
    info: FrameInfo,
}

impl<'a> Comparison<'a> {
    fn new(kernels: &'a Kernels, reference: &Frame, frame: &Frame, tolerance: u8) -> Self {
        let info = frame.info;
        let rects = rects(&[info.grid().rect()]);
        let row_words = 2 * info.width.div_ceil(8 * 64);
        let mut bits = Memory::new((row_words * info.height.div_ceil(8)) as usize * 4);
        bits.get_mut::<u32>().fill(0);
        let args = kernels::CompareArgs {
            changed: bits.address(),
            row_words,
            rects: rects.address(),
            ..kernels::CompareArgs::new(&info, &frame.planes(), &reference.planes(), tolerance)
        };
        Self { kernels, args, bits, _rects: rects, info }
    }

    fn run(&self, kernel: &str) {
        let spans = self.info.width.div_ceil(SPAN);
        self.kernels.launch(kernel, &self.args, spans, self.info.height, 1);
    }

    fn map(&self) -> ChangedMap {
        let mut map = ChangedMap::none(self.info.width, self.info.height);
        let words = self.bits.get::<u32>();
        for row in 0..map.rows() {
            for word in 0..self.args.row_words {
                for bit in 0..32 {
                    if words[(row * self.args.row_words + word) as usize] >> bit & 1 == 1 {
                        assert!(word * 32 + bit < map.columns(), "a bit past the last block");
                        map.mark(word * 32 + bit, row);
                    }
                }
            }
        }
        map
    }
}

fn reference_of(frame: &Frame) -> Reference {
    let mut reference = Reference::new(frame.info).unwrap();
    reference.update_rect(&frame.get(), frame.info.grid().rect()).unwrap();
    reference
}

#[test]
fn the_same_blocks_differ_as_on_the_cpu() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        for (seed, (width, height)) in
            [(71, 27), (600, 9), (5, 3), (64, 32)].into_iter().enumerate()
        {
            let info = info(format, width, height);
            let [before, after] = slightly_changed(info, seed as u64);
            let mut reference = reference_of(&before);
            let expected = reference.compare(&after.get(), Mode::Exact).unwrap();
            let exact = Comparison::new(kernels, &before, &after, 0);
            exact.run("compare_blocks");
            assert_eq!(exact.map(), expected, "{info:?}");

            for number in 1..4 {
                // With this period one block after another is due, and this one in this call.
                let due = (number % expected.columns(), number / expected.columns());
                let mode = Mode::Tolerant { tolerance: 2, refresh: u32::MAX };
                let expected = reference.compare(&after.get(), mode).unwrap();
                let mut tolerant = Comparison::new(kernels, &before, &after, 2);
                tolerant.args.due = Rect::new(due.0, due.1, 1, 1);
                tolerant.run("compare_blocks");
                assert_eq!(tolerant.map(), expected, "{info:?} at {number}");
            }
        }
    }
}

#[test]
fn a_frame_of_noise_differs_everywhere_and_an_equal_one_nowhere() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        let info = info(format, 71, 27);
        let [a, b, c] = [1, 1, 2].map(|seed| Frame::noisy(info, seed));
        let equal = Comparison::new(kernels, &a, &b, 0);
        equal.run("compare_blocks");
        assert!(equal.map().is_empty(), "{format}");
        let other = Comparison::new(kernels, &a, &c, 0);
        other.run("compare_blocks");
        assert_eq!(other.map(), ChangedMap::all(71, 27), "{format}");
    }
}

#[test]
fn only_the_changed_blocks_are_copied_to_the_reference() {
    let Some(kernels) = Kernels::get() else { return };
    for &format in PixelFormat::ALL {
        for (width, height) in [(71, 27), (64, 32), (3, 3)] {
            let info = info(format, width, height);
            let [before, after] = [Frame::noisy(info, 1), Frame::noisy(info, 2)];
            let mut reference = reference_of(&before);
            let mut update = Comparison::new(kernels, &before, &after, 0);
            let mut noise = Noise::new(3);
            update.bits.get_mut::<u32>().fill_with(|| noise.next());
            let mut map = ChangedMap::none(width, height);
            for row in 0..map.rows() {
                for column in 0..map.columns() {
                    let word = (row * update.args.row_words + column / 32) as usize;
                    if update.bits.get::<u32>()[word] >> (column % 32) & 1 == 1 {
                        map.mark(column, row);
                    }
                }
            }
            reference.update(&after.get(), &map).unwrap();
            update.run("update_reference");
            for plane in 0..format.planes() {
                for y in 0..format.rows(plane, height) {
                    let expected = reference.frame().row(plane, y);
                    assert_eq!(before.get().row(plane, y), expected, "{format}: {plane} {y}");
                }
            }
        }
    }
}
