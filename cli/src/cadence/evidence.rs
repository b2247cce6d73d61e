//! How well fields of two successive frames fit together.

/// An 8-bit luma picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Luma {
    pub width: usize,
    /// Row by row, without padding.
    pub samples: Vec<u8>,
}

/// What two successive frames show. A comb is the row pattern of two fields that were not taken at
/// the same time. Its energy is the mean per sample of a filter for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Comb of the later frame itself.
    pub own: f32,
    /// Comb of its top field with the bottom field of the frame before.
    pub bottom_before: f32,
    /// Comb of its bottom field with the top field of the frame before.
    pub top_before: f32,
    /// What the same filter finds within the fields of the later frame, which is noise and detail.
    pub detail: f32,
    /// Share of the samples that differ from the frame before.
    pub moved: f32,
}

/// Differences up to this are noise, in 8-bit steps.
const NOISE: u8 = 10;
/// Filter results up to this come from noise and fine detail.
const DETAIL: u16 = 48;
/// Samples at each edge that are not measured: old footage has blanking and switching noise there.
const BORDER: usize = 8;

impl Luma {
    fn row(&self, y: usize) -> &[u8] {
        let start = y * self.width;
        let row = self.samples.get(start..start + self.width).unwrap_or_default();
        row.get(BORDER..self.width.saturating_sub(BORDER)).unwrap_or_default()
    }

    fn height(&self) -> usize {
        self.samples.len() / self.width.max(1)
    }
}

/// The parts of the comb filter (1, -3, 4, -3, 1) for one row.
#[derive(Default)]
struct Filtered {
    /// From the row itself and its neighbours in the same field.
    inner: Vec<u16>,
    /// From the rows next to it.
    outer: Vec<u16>,
}

impl Filtered {
    /// Filters row `y`, whose neighbours are `step` rows away: 1 in a frame, 2 in a field.
    fn fill(&mut self, of: &Luma, y: usize, step: usize) {
        let same = of.row(y - 2 * step).iter().zip(of.row(y)).zip(of.row(y + 2 * step));
        self.inner.clear();
        self.inner
            .extend(same.map(|((&a, &b), &c)| u16::from(a) + 4 * u16::from(b) + u16::from(c)));
        let other = of.row(y - step).iter().zip(of.row(y + step));
        self.outer.clear();
        self.outer.extend(other.map(|(&a, &b)| 3 * (u16::from(a) + u16::from(b))));
    }
}

/// Whether each sample of a row differs from the frame before, as 1 or 0, combined with the rows in
/// `moved` by `or`.
fn mark(moved: &mut [u8], before: &[u8], now: &[u8]) {
    for ((moved, &before), &now) in moved.iter_mut().zip(before).zip(now) {
        *moved |= u8::from(before.abs_diff(now) > NOISE);
    }
}

/// The sum over the samples that moved.
fn comb(inner: &[u16], outer: &[u16], moved: &[u8]) -> u64 {
    // In short runs, so that sums fit into 32 bits.
    let rows = inner.chunks(1024).zip(outer.chunks(1024)).zip(moved.chunks(1024));
    rows.map(|((inner, outer), moved)| {
        let samples = inner.iter().zip(outer).zip(moved);
        let sum: u32 = samples
            .map(|((&inner, &outer), &moved)| {
                u32::from(inner.abs_diff(outer).saturating_sub(DETAIL)) * u32::from(moved)
            })
            .sum();
        u64::from(sum)
    })
    .sum()
}

/// Measures two frames of the same size. All zero if the sizes differ.
pub fn measure(before: &Luma, now: &Luma) -> Evidence {
    let height = now.height();
    let is_measurable = before.width == now.width && before.samples.len() == now.samples.len();
    if !is_measurable || height < 2 * BORDER + 2 || now.width <= 2 * BORDER {
        return Evidence::default();
    }
    let [mut earlier, mut later, mut field] = [(); 3].map(|()| Filtered::default());
    let mut moved = Vec::new();
    let [mut own, mut bottom_before, mut top_before, mut detail, mut count] = [0_u64; 5];
    for y in BORDER..height - BORDER {
        moved.clear();
        moved.resize(now.width - 2 * BORDER, 0);
        for row in y - 1..=y + 1 {
            mark(&mut moved, before.row(row), now.row(row));
        }
        let in_row: u64 = moved.chunks(128).map(|it| u64::from(it.iter().sum::<u8>())).sum();
        if in_row == 0 {
            continue;
        }
        count += in_row;
        earlier.fill(before, y, 1);
        later.fill(now, y, 1);
        field.fill(now, y, 2);
        detail += comb(&field.inner, &field.outer, &moved);
        own += comb(&later.inner, &later.outer, &moved);
        // In a top row, the filter's inner part comes from the top field.
        let [from_later, from_earlier] = [
            comb(&later.inner, &earlier.outer, &moved),
            comb(&earlier.inner, &later.outer, &moved),
        ];
        let is_top = y % 2 == 0;
        bottom_before += if is_top { from_later } else { from_earlier };
        top_before += if is_top { from_earlier } else { from_later };
    }
    let samples = ((height - 2 * BORDER) * (now.width - 2 * BORDER)) as f32;
    let mean = |sum: u64| sum as f32 / samples;
    Evidence {
        own: mean(own),
        bottom_before: mean(bottom_before),
        top_before: mean(top_before),
        detail: mean(detail),
        moved: mean(count),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const WIDTH: usize = 96;
    const HEIGHT: usize = 64;

    /// A textured picture, moved to the right by `shift` samples.
    fn picture(shift: f64) -> Luma {
        let wave = |x: f64| 120.0 + 60.0 * (x * 0.35).sin() + 30.0 * (x * 0.11).sin();
        let sample = |at: usize| {
            let (x, y) = (at % WIDTH, at / WIDTH);
            wave(x as f64 - shift + 3.0 * (y as f64 * 0.1).sin()) as u8
        };
        Luma { width: WIDTH, samples: (0..WIDTH * HEIGHT).map(sample).collect() }
    }

    /// The frame whose top field shows the picture at `top`, and its bottom field that at `bottom`.
    pub fn frame(top: f64, bottom: f64) -> Luma {
        let fields = [picture(top), picture(bottom)];
        let rows = (0..HEIGHT).flat_map(|y| fields[y % 2].samples[y * WIDTH..][..WIDTH].to_vec());
        Luma { width: WIDTH, samples: rows.collect() }
    }

    #[test]
    fn the_comb_is_least_where_the_fields_were_taken_together() {
        let progressive = measure(&frame(0.0, 0.0), &frame(4.0, 4.0));
        assert!(progressive.own * 4.0 < progressive.bottom_before);
        assert!(progressive.own * 4.0 < progressive.top_before);
        let offset = measure(&frame(0.0, 4.0), &frame(4.0, 8.0));
        assert!(offset.bottom_before * 4.0 < offset.own, "{offset:?}");
    }

    #[test]
    fn fields_far_apart_have_a_stronger_comb() {
        let top_first = measure(&frame(0.0, 1.5), &frame(3.0, 4.5));
        assert!(top_first.top_before > 1.5 * top_first.bottom_before, "{top_first:?}");
        let bottom_first = measure(&frame(1.5, 0.0), &frame(4.5, 3.0));
        assert!(bottom_first.bottom_before > 1.5 * bottom_first.top_before, "{bottom_first:?}");
    }

    #[test]
    fn what_does_not_move_and_what_does_not_fit_is_no_evidence() {
        assert_eq!(measure(&frame(2.0, 2.0), &frame(2.0, 2.0)), Evidence::default());
        assert_eq!(measure(&Luma::default(), &frame(2.0, 2.0)), Evidence::default());
        let tiny = Luma { width: 4, samples: vec![0; 16] };
        assert_eq!(measure(&tiny, &tiny), Evidence::default());
    }
}
