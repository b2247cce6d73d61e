//! What a kernel needs of an instruction set.

use super::{Lanes, Shorts, Words};

/// A proof that the CPU has an instruction set, and its vector of sixteen floats.
///
/// Implementations must round every operation as IEEE 754 says and agree on the rest: `max` and
/// `min` give their second operand where either is NaN.
pub(crate) trait Isa: Copy {
    type V: Copy;
    /// Sixteen whole numbers of 32 bits.
    type N: Copy;

    fn splat(self, value: f32) -> Self::V;
    fn load(self, from: &Lanes) -> Self::V;
    fn store(self, to: &mut Lanes, value: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c − a · b`, rounded once.
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if value < 0 { value · slope } else { value }`.
    fn leaky(self, value: Self::V, slope: Self::V) -> Self::V;
    /// The nearest whole number, halves to even.
    fn round(self, value: Self::V) -> Self::V;
    /// The larger of |value| and `most`, which is not negative; `most` where `value` is NaN.
    fn max_magnitude(self, value: Self::V, most: Self::V) -> Self::V;
    /// Whether a lane is above `limit`.
    fn any_above(self, value: Self::V, limit: f32) -> bool;
    /// The nearest whole numbers, halves to even, limited to 16 bits. Beyond 32 bits, and of
    /// NaN: the least.
    fn store_shorts(self, to: &mut Shorts, value: Self::V);
    fn splat_word(self, value: i32) -> Self::N;
    fn load_words(self, from: &Words) -> Self::N;
    fn store_words(self, to: &mut Words, value: Self::N);
    /// `sum` + the products of the low and of the high halves, modulo 2³².
    fn dot(self, a: Self::N, b: Self::N, sum: Self::N) -> Self::N;
    fn to_float(self, value: Self::N) -> Self::V;
    /// Brings a vector that will be read soon into the first-level cache.
    #[inline(always)]
    fn prefetch(self, _from: &Lanes) {}
    /// 2ⁿ of a whole `n` from −126 to 127.
    fn power_of_two(self, n: Self::V) -> Self::V;
}

/// Builds a table of kernels for an instruction set: `$features` is what the functions are
/// compiled with, `$isa` an expression that gives the proof.
macro_rules! kernels {
    ($table:ident, $name:literal, $group:literal, $isa:expr, $(#[$feature:meta])*) => {
        pub(crate) static $table: $crate::native::kernels::Kernels = {
            use $crate::native::kernels::{
                Activation, Direct, FixedSums, Kernels, Lanes, Layout, POSITIONS, Pixels, Product,
                Renewed, Shorts, Sums, TILE_PIXELS, Windows, Words, direct, fixed,
                multiply::{self, Fixed, Float},
                pointwise, renew, winograd,
            };

            $(#[$feature])*
            fn input(
                windows: &Windows<'_>,
                to: &mut [Lanes],
                layout: Layout,
            ) {
                winograd::input($isa, windows, to, layout);
            }

            $(#[$feature])*
            fn products(job: &Product<'_, Lanes, Lanes>, sums: &mut [[Lanes; POSITIONS]]) {
                multiply::multiply::<_, Float>($isa, job, sums);
            }

            $(#[$feature])*
            fn output(job: &Sums<'_, Lanes>, out: &mut Pixels<'_, '_>) {
                winograd::output($isa, job, out);
            }

            $(#[$feature])*
            fn fixed_input(
                windows: &Windows<'_>,
                scales: &[Lanes; POSITIONS],
                to: &mut [Shorts],
                layout: Layout,
            ) -> u64 {
                fixed::input($isa, windows, scales, to, layout)
            }

            $(#[$feature])*
            fn fixed_products(job: &Product<'_, Shorts, Words>, sums: &mut [[Words; POSITIONS]]) {
                multiply::multiply::<_, Fixed>($isa, job, sums);
            }

            $(#[$feature])*
            fn fixed_output(job: &FixedSums<'_>, out: &mut Pixels<'_, '_>) {
                fixed::output($isa, job, out);
            }

            $(#[$feature])*
            fn convolve(job: &Direct<'_>, out: &mut Pixels<'_, '_>) {
                direct::convolve($isa, job, out);
            }

            $(#[$feature])*
            fn add(to: &mut [Lanes], from: &[Lanes]) {
                pointwise::add($isa, to, from);
            }

            $(#[$feature])*
            fn subtract(to: &mut [Lanes], from: &[Lanes]) {
                pointwise::subtract($isa, to, from);
            }

            $(#[$feature])*
            fn multiply(to: &mut [Lanes], from: &[Lanes]) {
                pointwise::multiply($isa, to, from);
            }

            $(#[$feature])*
            fn affine(to: &mut [Lanes], scale: &Lanes, offset: &Lanes) {
                pointwise::affine($isa, to, scale, offset);
            }

            $(#[$feature])*
            fn activate(to: &mut [Lanes], activation: &Activation) {
                pointwise::activate($isa, to, activation);
            }

            $(#[$feature])*
            fn renewed(
                kept: &mut [Lanes],
                stride: usize,
                new: &[Lanes; TILE_PIXELS],
                limit: Option<&Lanes>,
            ) -> Renewed {
                renew::renew(kept, stride, new, limit)
            }

            // SAFETY of every call below: the table is only handed out if the CPU has the
            // features that these functions are compiled with.
            #[allow(
                unused_unsafe,
                clippy::undocumented_unsafe_blocks,
                reason = "the portable functions are safe; the comment above holds for all"
            )]
            Kernels {
                name: $name,
                group: $group,
                winograd_input: |windows, to, layout| unsafe { input(windows, to, layout) },
                winograd_multiply: |job, sums| unsafe { products(job, sums) },
                winograd_output: |job, out| unsafe { output(job, out) },
                fixed_input: |windows, scales, to, layout| unsafe {
                    fixed_input(windows, scales, to, layout)
                },
                fixed_multiply: |job, sums| unsafe { fixed_products(job, sums) },
                fixed_output: |job, out| unsafe { fixed_output(job, out) },
                direct: |job, out| unsafe { convolve(job, out) },
                add: |to, from| unsafe { add(to, from) },
                subtract: |to, from| unsafe { subtract(to, from) },
                multiply: |to, from| unsafe { multiply(to, from) },
                affine: |to, scale, offset| unsafe { affine(to, scale, offset) },
                activate: |to, activation| unsafe { activate(to, activation) },
                renew: |kept, stride, new, limit| unsafe { renewed(kept, stride, new, limit) },
            }
        };
    };
}

pub(super) use kernels;
