//! Chooses the size of the output: pure arithmetic.
//!
//! The rules are those of videoscale. The display aspect ratio is kept; if the sizes that
//! downstream allows do not permit that, the pixel aspect ratio changes. If only one side is
//! given, the other is chosen to keep the pixel aspect ratio, whereas videoscale keeps the
//! length of the other side.

use crate::frame::FrameInfo;

/// A positive fraction in lowest terms.
pub(super) type Ratio = num_rational::Ratio<u64>;

pub(super) const ONE: Ratio = Ratio::new_raw(1, 1);

/// The fraction with this numerator and denominator. Zeros are replaced by 1.
pub(super) fn ratio(numerator: u64, denominator: u64) -> Ratio {
    Ratio::new(numerator.max(1), denominator.max(1))
}

fn value(ratio: Ratio) -> f64 {
    *ratio.numer() as f64 / *ratio.denom() as f64
}

/// The nearest fraction that a caps field can hold, by continued fractions.
fn representable(fraction: Ratio) -> Ratio {
    const LIMIT: u64 = i32::MAX as u64;
    let (mut n, mut d) = fraction.into_raw();
    let (mut before, mut last) = ((0u64, 1u64), (1u64, 0u64));
    while d != 0 {
        let term = n / d;
        let next = (
            term.saturating_mul(last.0).saturating_add(before.0),
            term.saturating_mul(last.1).saturating_add(before.1),
        );
        if next.0 > LIMIT || next.1 > LIMIT {
            break;
        }
        (before, last) = (last, next);
        (n, d) = (d, n % d);
    }
    if last.1 == 0 { ratio(LIMIT, 1) } else { ratio(last.0, last.1) }
}

/// The widths or heights that a peer accepts, as inclusive ranges (minimum, maximum, step).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lengths(pub Vec<(u32, u32, u32)>);

impl Lengths {
    pub(crate) fn any() -> Self {
        Self(vec![(1, FrameInfo::MAX_SIDE, 1)])
    }

    /// The length, if there is only one.
    fn only(&self) -> Option<u32> {
        match self.0.as_slice() {
            [(low, high, _)] if low == high => Some(*low),
            _ => None,
        }
    }

    /// Whether the only upper limit is our own, [`FrameInfo::MAX_SIDE`].
    fn is_open_ended(&self) -> bool {
        self.0.iter().any(|(low, high, _)| low < high && *high >= FrameInfo::MAX_SIDE)
    }

    fn nearest(&self, wanted: u64) -> u32 {
        let in_range = |&(low, high, step): &(u32, u32, u32)| {
            let (high, step) = (u64::from(high.max(low)), u64::from(step.max(1)));
            let low = u64::from(low);
            let offset = wanted.clamp(low, high) - low;
            let steps = ((offset + step / 2) / step).min((high - low) / step);
            (low + steps * step) as u32
        };
        let distance = |length: &u32| u64::from(*length).abs_diff(wanted);
        self.0.iter().map(in_range).min_by_key(distance).unwrap_or(1)
    }
}

/// The pixel aspect ratios that a peer accepts, as inclusive ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ratios(pub Vec<(Ratio, Ratio)>);

impl Ratios {
    pub(crate) fn any() -> Self {
        let far = i32::MAX as u64;
        Self(vec![(ratio(1, far), ratio(far, 1))])
    }

    fn nearest(&self, wanted: Ratio) -> Ratio {
        let wanted = representable(wanted);
        let in_range = |(low, high): &(Ratio, Ratio)| wanted.max(*low).min((*high).max(*low));
        let distance = |ratio: &Ratio| (value(*ratio) / value(wanted)).ln().abs();
        self.0
            .iter()
            .map(in_range)
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap_or(wanted)
    }
}

/// The size of a picture in pixels, and its pixel aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub width: u32,
    pub height: u32,
    pub pixel_aspect: Ratio,
}

impl Shape {
    pub(crate) fn display_aspect(&self) -> Ratio {
        ratio(
            u64::from(self.width) * self.pixel_aspect.numer(),
            u64::from(self.height) * self.pixel_aspect.denom(),
        )
    }
}

/// What downstream accepts.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    pub widths: Lengths,
    pub heights: Lengths,
    pub pixel_aspects: Ratios,
}

/// A size that exceeds [`FrameInfo::MAX_SIDE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub width: u64,
    pub height: u64,
}

/// Width and height multiplied by `scale` and rounded, at least 1.
pub(super) fn scaled(shape: &Shape, scale: f64) -> (u64, u64) {
    let side = |length: u32| ((f64::from(length) * scale).round() as u64).max(1);
    (side(shape.width), side(shape.height))
}

/// Chooses the shape of the output for an input `from`, as near to the `preferred` width and
/// height as `allowed` permits.
///
/// # Errors
/// Returns [`TooLarge`] if downstream accepts `preferred`, but a frame cannot be as large.
pub(super) fn choose(
    from: &Shape,
    preferred: (u64, u64),
    allowed: &Allowed,
) -> Result<Shape, TooLarge> {
    let (widths, heights) = (&allowed.widths, &allowed.heights);
    let display = from.display_aspect();
    let pixel = allowed.pixel_aspects.nearest(from.pixel_aspect);
    let width_for = |height: u32| rounded(f64::from(height) * value(display) / value(pixel));
    let height_for = |width: u32| rounded(f64::from(width) * value(pixel) / value(display));
    let fits = |width: u32, height: u32| {
        u64::from(width) == width_for(height) || u64::from(height) == height_for(width)
    };
    // Changes the pixel aspect ratio if the size alone does not keep the display aspect ratio.
    let with_aspect = |width: u32, height: u32| {
        let exact = ratio(
            display.numer().saturating_mul(u64::from(height)),
            display.denom().saturating_mul(u64::from(width)),
        );
        let pixel_aspect =
            if fits(width, height) { pixel } else { allowed.pixel_aspects.nearest(exact) };
        Shape { width, height, pixel_aspect }
    };

    match (widths.only(), heights.only()) {
        (Some(width), Some(height)) => Ok(with_aspect(width, height)),
        (Some(width), None) => Ok(with_aspect(width, heights.nearest(height_for(width)))),
        (None, Some(height)) => Ok(with_aspect(widths.nearest(width_for(height)), height)),
        (None, None) => {
            let max = u64::from(FrameInfo::MAX_SIDE);
            if preferred.0 > max && widths.is_open_ended()
                || preferred.1 > max && heights.is_open_ended()
            {
                return Err(TooLarge { width: preferred.0, height: preferred.1 });
            }
            let (width, height) = (widths.nearest(preferred.0), heights.nearest(preferred.1));
            if (u64::from(width), u64::from(height)) == preferred && pixel == from.pixel_aspect {
                return Ok(Shape { width, height, pixel_aspect: pixel });
            }
            let by_height = with_aspect(widths.nearest(width_for(height)), height);
            let by_width = with_aspect(width, heights.nearest(height_for(width)));
            Ok(if fits(by_height.width, by_height.height) {
                by_height
            } else if fits(by_width.width, by_width.height) {
                by_width
            } else {
                [by_height, by_width, with_aspect(width, height)]
                    .into_iter()
                    .min_by(|a, b| distortion(a, display).total_cmp(&distortion(b, display)))
                    .unwrap_or(by_height)
            })
        }
    }
}

fn rounded(length: f64) -> u64 {
    (length.round() as u64).max(1)
}

fn distortion(shape: &Shape, display: Ratio) -> f64 {
    (value(shape.display_aspect()) / value(display)).ln().abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(width: u32, height: u32, n: u64, d: u64) -> Shape {
        Shape { width, height, pixel_aspect: ratio(n, d) }
    }

    fn allowed(widths: Lengths, heights: Lengths) -> Allowed {
        Allowed { widths, heights, pixel_aspects: Ratios::any() }
    }

    fn one(length: u32) -> Lengths {
        Lengths(vec![(length, length, 1)])
    }

    #[track_caller]
    fn check(from: Shape, scale: f64, allowed: &Allowed, expected: Shape) {
        assert_eq!(choose(&from, scaled(&from, scale), allowed), Ok(expected));
    }

    #[test]
    fn without_restrictions_the_output_is_the_input_times_scale() {
        let any = allowed(Lengths::any(), Lengths::any());
        check(shape(640, 360, 1, 1), 2.0, &any, shape(1280, 720, 1, 1));
        check(shape(720, 478, 8, 9), 4.0, &any, shape(2880, 1912, 8, 9));
        check(shape(101, 57, 1, 1), 1.5, &any, shape(152, 86, 1, 1));
        check(shape(1, 1, 1, 1), 0.1, &any, shape(1, 1, 1, 1));
    }

    #[test]
    fn one_given_side_keeps_the_pixel_aspect_ratio() {
        let wide = allowed(one(1920), Lengths::any());
        check(shape(640, 360, 1, 1), 4.0, &wide, shape(1920, 1080, 1, 1));
        let high = allowed(Lengths::any(), one(956));
        check(shape(720, 478, 8, 9), 4.0, &high, shape(1440, 956, 8, 9));
    }

    #[test]
    fn two_given_sides_change_the_pixel_aspect_ratio() {
        let square = allowed(one(500), one(500));
        check(shape(640, 360, 1, 1), 4.0, &square, shape(500, 500, 16, 9));
    }

    #[test]
    fn square_pixels_widen_the_picture() {
        let mut square = allowed(Lengths::any(), Lengths::any());
        square.pixel_aspects = Ratios(vec![(ONE, ONE)]);
        check(shape(720, 576, 16, 15), 2.0, &square, shape(1536, 1152, 1, 1));
    }

    #[test]
    fn a_limit_on_one_side_shrinks_both() {
        let narrow = allowed(Lengths(vec![(16, 1280, 1)]), Lengths::any());
        check(shape(640, 360, 1, 1), 4.0, &narrow, shape(1280, 720, 1, 1));
        let stepped = allowed(Lengths(vec![(16, 1000, 16)]), Lengths(vec![(16, 1000, 16)]));
        let shape = choose(&shape(640, 360, 1, 1), (1280, 720), &stepped).unwrap();
        assert_eq!((shape.width % 16, shape.height % 16), (0, 0));
        assert!(distortion(&shape, ratio(16, 9)) < 1e-9, "{shape:?}");
    }

    #[test]
    fn a_size_above_the_maximum_is_an_error_unless_downstream_limits_it() {
        let any = allowed(Lengths::any(), Lengths::any());
        let from = shape(20_000, 100, 1, 1);
        let error = TooLarge { width: 40_000, height: 200 };
        assert_eq!(choose(&from, scaled(&from, 2.0), &any), Err(error));
        let limited = allowed(Lengths(vec![(1, 4000, 1)]), Lengths::any());
        check(from, 2.0, &limited, shape(4000, 20, 1, 1));
    }

    #[test]
    fn a_ratio_that_caps_cannot_hold_is_approximated() {
        let fine = representable(ratio(u64::MAX, u64::MAX / 3));
        assert!((value(fine) - 3.0).abs() < 1e-6);
        assert!(*fine.numer() <= i32::MAX as u64 && *fine.denom() <= i32::MAX as u64);
    }

    fn lengths() -> impl Strategy<Value = Lengths> {
        prop_oneof![
            Just(Lengths::any()),
            (1u32..=32768).prop_map(one),
            proptest::collection::vec((1u32..=20_000, 0u32..=12_000, 1u32..=64), 1..4).prop_map(
                |ranges| Lengths(
                    ranges.into_iter().map(|(low, more, step)| (low, low + more, step)).collect()
                )
            ),
        ]
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        (1u32..=32768, 1u32..=32768, 1u64..=10_000, 1u64..=10_000)
            .prop_map(|(width, height, n, d)| shape(width, height, n, d))
    }

    fn holds(lengths: &Lengths, length: u32) -> bool {
        lengths.0.iter().any(|(low, high, step)| {
            (low..=high).contains(&&length) && (length - low).is_multiple_of(*step)
        })
    }

    proptest! {
        #[test]
        fn the_chosen_size_is_always_allowed(
            from in shapes(), scale in 0.01f64..16.0, widths in lengths(), heights in lengths(),
        ) {
            let allowed = allowed(widths, heights);
            if let Ok(to) = choose(&from, scaled(&from, scale), &allowed) {
                prop_assert!(holds(&allowed.widths, to.width), "{to:?}");
                prop_assert!(holds(&allowed.heights, to.height), "{to:?}");
            }
        }

        #[test]
        fn the_display_aspect_ratio_is_kept_up_to_rounding(
            from in shapes(), scale in 0.01f64..16.0, widths in lengths(), heights in lengths(),
        ) {
            if let Ok(to) = choose(&from, scaled(&from, scale), &allowed(widths, heights)) {
                // Each side is rounded by up to half a pixel.
                let tolerance = 0.51 / f64::from(to.width.min(to.height));
                prop_assert!(distortion(&to, from.display_aspect()) <= tolerance * 2.0 + 1e-6, "{to:?}");
            }
        }
    }
}
