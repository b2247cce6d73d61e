//! Motion-adaptive deinterlacing of one plane.
//!
//! A missing row is predicted from the fields shown just before and after, where nothing moves, and
//! from the rows around it, where something does. The high vertical frequencies come from the other
//! fields and the low ones from the present field, with the weights of the three-field filter that
//! M. Weston of BBC R&D described (the w3fdif filter of FFmpeg). The prediction stays within
//! the range that the change of the neighbouring fields allows, as in the yadif and bwdif filters.

/// A sample of 8 or 16 bits.
pub trait Sample: Copy {
    fn value(self) -> i32;
    /// The sample closest to `value`, which is not above `max`.
    fn from_value(value: i32, max: i32) -> Self;
}

impl Sample for u8 {
    fn value(self) -> i32 {
        self.into()
    }

    fn from_value(value: i32, max: i32) -> Self {
        value.clamp(0, max.min(255)) as u8
    }
}

impl Sample for u16 {
    fn value(self) -> i32 {
        self.into()
    }

    fn from_value(value: i32, max: i32) -> Self {
        value.clamp(0, max.min(65535)) as u16
    }
}

/// The rows of one plane of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a, S> {
    pub samples: &'a [S],
    /// Samples from one row to the next one.
    pub stride: usize,
    /// Samples of a row.
    pub width: usize,
    pub height: usize,
}

impl<'a, S> Plane<'a, S> {
    /// A row of the same field as `y`; at the edges the last one of this field.
    fn row(&self, y: isize) -> &'a [S] {
        let last = self.height as isize - 1;
        let inside = match y {
            y if y < 0 => y.rem_euclid(2),
            y if y > last => last - (last - y).rem_euclid(2),
            y => y,
        };
        let start = inside.max(0) as usize * self.stride;
        self.samples.get(start..start + self.width).unwrap_or_default()
    }
}

/// The frames around a field that is deinterlaced.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a, S> {
    pub before: Plane<'a, S>,
    pub now: Plane<'a, S>,
    pub after: Plane<'a, S>,
    /// Whether the field is shown before the other field of its frame.
    pub is_first: bool,
    /// The largest sample.
    pub max: i32,
}

/// Weights in 1/8192: of the other fields, at the row and 2 and 4 rows away; of the present field
/// with them, 1 and 3 rows away; and of the present field alone.
const OTHERS: [i32; 3] = [5570, 3801, 1016];
const WITH_OTHERS: [i32; 2] = [4309, 213];
const ALONE: [i32; 2] = [5077, 981];

/// Intermediate rows.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Mean of the other fields.
    between: Vec<i32>,
    /// Their difference from each other.
    change: Vec<i32>,
    /// How far the prediction may be from the mean.
    range: Vec<i32>,
    /// High vertical frequencies of the other fields, in 1/8192.
    high: Vec<i32>,
}

impl<S: Sample> Window<'_, S> {
    /// Computes row `y` of the field's picture, which the other field of its frame has.
    pub fn predict(&self, y: usize, scratch: &mut Scratch, to: &mut [S]) {
        let y = y as isize;
        // The fields shown just before and after.
        let (earlier, later) = match self.is_first {
            true => (self.before, self.now),
            false => (self.now, self.after),
        };
        let Scratch { between, change, range, high } = scratch;
        between.clear();
        change.clear();
        range.clear();
        high.clear();
        for (a, b) in earlier.row(y).iter().zip(later.row(y)) {
            between.push((a.value() + b.value()) >> 1);
            change.push((a.value() - b.value()).abs());
        }
        // Twice the mean change of the rows above and below, in both directions of time.
        let above =
            self.before.row(y - 1).iter().zip(self.now.row(y - 1)).zip(self.after.row(y - 1));
        let below =
            self.before.row(y + 1).iter().zip(self.now.row(y + 1)).zip(self.after.row(y + 1));
        for ((((a, c), d), ((b, e), f)), change) in above.zip(below).zip(change.iter()) {
            let (c, e) = (c.value(), e.value());
            let past = ((a.value() - c).abs() + (b.value() - e).abs()) >> 1;
            let future = ((d.value() - c).abs() + (f.value() - e).abs()) >> 1;
            range.push((change >> 1).max(past).max(future));
        }
        self.widen(y, (&earlier, &later), (between, range));
        let near = earlier.row(y).iter().zip(later.row(y));
        let middle = around(&earlier, &later, y, 2);
        let far = around(&earlier, &later, y, 4);
        high.extend(near.zip(middle).zip(far).map(|(((a, b), middle), far)| {
            OTHERS[0] * (a.value() + b.value()) - OTHERS[1] * middle + OTHERS[2] * far
        }));
        let inner = self.now.row(y - 1).iter().zip(self.now.row(y + 1));
        let outer = self.now.row(y - 3).iter().zip(self.now.row(y + 3));
        let known = inner.zip(outer).zip(between.iter().zip(range.iter()));
        let known = known.zip(change.iter().zip(high.iter()));
        for (to, ((((c, e), (g, h)), (&between, &range)), (&change, &high))) in
            to.iter_mut().zip(known)
        {
            let (c, e) = (c.value(), e.value());
            let outer = g.value() + h.value();
            // Detail that is stronger than the change is taken from the other fields too.
            let predicted = if (c - e).abs() > change {
                let value = (high >> 2) + WITH_OTHERS[0] * (c + e) - WITH_OTHERS[1] * outer;
                (value >> 13).clamp(c.min(e).min(between), c.max(e).max(between))
            } else {
                (ALONE[0] * (c + e) - ALONE[1] * outer) >> 13
            };
            let value = predicted.clamp(between - range, between + range);
            *to = S::from_value(value, self.max);
        }
    }

    /// Widens the range where the mean of the other fields and those of the rows next to it differ from
    /// the present field in the same direction: that is a comb, also if it repeats in each frame.
    fn widen(
        &self,
        y: isize,
        (earlier, later): (&Plane<'_, S>, &Plane<'_, S>),
        (between, range): (&[i32], &mut [i32]),
    ) {
        // At the edges there are no other rows to compare with.
        if y < 2 || y + 2 >= self.now.height as isize {
            return;
        }
        let mean = |y: isize| {
            let rows = earlier.row(y).iter().zip(later.row(y));
            rows.map(|(a, b)| (a.value() + b.value()) >> 1)
        };
        let known = self.now.row(y - 1).iter().zip(self.now.row(y + 1));
        let means = mean(y - 2).zip(mean(y + 2));
        for (((range, &between), (c, e)), (above, below)) in
            range.iter_mut().zip(between).zip(known).zip(means)
        {
            let (c, e) = (c.value(), e.value());
            let (from_above, from_below) = (between - c, between - e);
            let (above, below) = (above - c, below - e);
            let most = from_above.max(from_below).max(above.min(below));
            let least = from_above.min(from_below).min(above.max(below));
            let beyond = least.max(-most);
            // Where nothing moves, a weak comb is detail.
            if *range > 0 || beyond > self.max >> 4 {
                *range = (*range).max(beyond);
            }
        }
    }
}

/// The sums of the samples `distance` rows above and below row `y` in both planes.
fn around<'a, S: Sample>(
    earlier: &Plane<'a, S>,
    later: &Plane<'a, S>,
    y: isize,
    distance: isize,
) -> impl Iterator<Item = i32> + use<'a, S> {
    let [a, b] = [earlier, later].map(|plane| {
        let rows = plane.row(y - distance).iter().zip(plane.row(y + distance));
        rows.map(|(a, b)| a.value() + b.value())
    });
    a.zip(b).map(|(a, b)| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 64;
    const HEIGHT: usize = 48;

    type Picture = Vec<u8>;

    /// A textured picture with diagonal edges, moved by `shift` samples to the right.
    fn picture(shift: f64) -> Picture {
        let sample = |at: usize| {
            let (x, y) = ((at % WIDTH) as f64 - shift, (at / WIDTH) as f64);
            let texture = 30.0 * (x * 0.4 + y * 0.3).sin() + 20.0 * (y * 0.9).sin();
            let disc = (x - 30.0).powi(2) + (y - 22.0).powi(2) < 200.0;
            (110.0 + texture + if disc { 60.0 } else { 0.0 }) as u8
        };
        (0..WIDTH * HEIGHT).map(sample).collect()
    }

    /// The frame that holds one field of each picture.
    fn frame(top: &Picture, bottom: &Picture) -> Picture {
        let rows = (0..HEIGHT).flat_map(|y| [top, bottom][y % 2][y * WIDTH..][..WIDTH].to_vec());
        rows.collect()
    }

    fn plane<S>(samples: &[S]) -> Plane<'_, S> {
        Plane { samples, stride: WIDTH, width: WIDTH, height: HEIGHT }
    }

    /// Both pictures of the frame `now`, top field first.
    fn pictures(before: &Picture, now: &Picture, after: &Picture) -> [Picture; 2] {
        [0, 1].map(|parity| {
            let window = Window {
                before: plane(before),
                now: plane(now),
                after: plane(after),
                is_first: parity == 0,
                max: 255,
            };
            let mut picture = now.clone();
            for y in (0..HEIGHT).filter(|y| y % 2 != parity) {
                let row = &mut picture[y * WIDTH..][..WIDTH];
                window.predict(y, &mut Scratch::default(), row);
            }
            picture
        })
    }

    /// The mean of the rows above and below.
    fn linear(now: &Picture, parity: usize) -> Picture {
        let row = |y: usize| &now[y * WIDTH..][..WIDTH];
        let rows = (0..HEIGHT).flat_map(|y| {
            let other = if y == 0 { 1 } else { y - 1 };
            let below = if y + 1 == HEIGHT { y - 1 } else { y + 1 };
            let mean = |(a, b): (&u8, &u8)| ((u16::from(*a) + u16::from(*b)) / 2) as u8;
            match y % 2 == parity {
                true => row(y).to_vec(),
                false => row(other).iter().zip(row(below)).map(mean).collect(),
            }
        });
        rows.collect()
    }

    fn psnr(a: &Picture, b: &Picture) -> f64 {
        let square = |(a, b): (&u8, &u8)| (f64::from(*a) - f64::from(*b)).powi(2);
        let error = a.iter().zip(b).map(square).sum::<f64>() / a.len() as f64;
        10.0 * (255.0 * 255.0 / error.max(1e-9)).log10()
    }

    #[test]
    fn a_still_picture_is_kept() {
        let still = picture(0.0);
        for made in pictures(&still, &still, &still) {
            let found = psnr(&made, &still);
            assert!(found > 45.0, "{found} dB");
        }
    }

    #[test]
    fn moving_pictures_are_closer_than_with_linear_interpolation() {
        let fields: Vec<_> = (0..6).map(|field| picture(f64::from(field) * 0.7)).collect();
        let frames: Vec<_> = fields.chunks(2).map(|pair| frame(&pair[0], &pair[1])).collect();
        let made = pictures(&frames[0], &frames[1], &frames[2]);
        for (parity, (made, whole)) in made.iter().zip(&fields[2..4]).enumerate() {
            let simple = psnr(&linear(&frames[1], parity), whole);
            let found = psnr(made, whole);
            assert!(found > simple + 2.0, "{found} dB, linear {simple} dB");
        }
    }

    #[test]
    fn the_fields_own_rows_stay_and_16_bits_give_the_same_picture() {
        let fields: Vec<_> = (0..6).map(|field| picture(f64::from(field) * 2.0)).collect();
        let frames: Vec<_> = fields.chunks(2).map(|pair| frame(&pair[0], &pair[1])).collect();
        let narrow = &pictures(&frames[0], &frames[1], &frames[2])[0];
        let wide = |picture: &Picture| picture.iter().map(|it| u16::from(*it)).collect::<Vec<_>>();
        let [before, now, after] = [0, 1, 2].map(|number| wide(&frames[number]));
        let window = Window {
            before: plane(&before),
            now: plane(&now),
            after: plane(&after),
            is_first: true,
            max: 255,
        };
        for y in (1..HEIGHT).step_by(2) {
            let mut row = vec![0_u16; WIDTH];
            window.predict(y, &mut Scratch::default(), &mut row);
            assert_eq!(row, wide(&narrow[y * WIDTH..][..WIDTH].to_vec()));
        }
        for y in (0..HEIGHT).step_by(2) {
            assert_eq!(narrow[y * WIDTH..][..WIDTH], fields[2][y * WIDTH..][..WIDTH]);
        }
    }
}
