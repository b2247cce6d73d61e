//! What a kernel needs of an instruction set.

use super::Lanes;

/// A proof that the processor has an instruction set, and its vector of sixteen floats.
///
/// Implementations must round every operation as IEEE 754 says and agree on the rest: `max` and
/// `min` give their second operand where either is NaN.
pub trait Isa: Copy {
    type V: Copy;

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
    /// 2ⁿ of a whole `n` from −126 to 127.
    fn power_of_two(self, n: Self::V) -> Self::V;
}

/// Builds a table of kernels for an instruction set: `$features` is what the functions are
/// compiled with, `$isa` an expression that gives the proof.
macro_rules! kernels {
    ($table:ident, $name:literal, $group:literal, $isa:expr, $(#[$feature:meta])*) => {
        pub static $table: $crate::native::kernels::Kernels = {
            use $crate::native::kernels::{
                Activation, Direct, Kernels, Lanes, Layout, Product, Sums, TILE_PIXELS, direct,
                pointwise, winograd,
            };

            $(#[$feature])*
            fn input(
                source: &[Lanes],
                stride: usize,
                windows: &[usize],
                to: &mut [Lanes],
                layout: Layout,
            ) {
                winograd::input($isa, source, stride, windows, to, layout);
            }

            $(#[$feature])*
            fn products(job: &Product<'_>, sums: &mut [Lanes]) {
                winograd::multiply($isa, job, sums);
            }

            $(#[$feature])*
            fn output(job: &Sums<'_>, out: &mut [[Lanes; TILE_PIXELS]]) {
                winograd::output($isa, job, out);
            }

            $(#[$feature])*
            fn convolve(job: &Direct<'_>, out: &mut [[Lanes; TILE_PIXELS]]) {
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

            // SAFETY (of every call below): the table is only handed out where the processor
            // has the features that these functions are compiled with.
            #[allow(unused_unsafe)]
            Kernels {
                name: $name,
                group: $group,
                winograd_input: |source, stride, windows, to, layout| unsafe {
                    input(source, stride, windows, to, layout)
                },
                winograd_multiply: |job, sums| unsafe { products(job, sums) },
                winograd_output: |job, out| unsafe { output(job, out) },
                direct: |job, out| unsafe { convolve(job, out) },
                add: |to, from| unsafe { add(to, from) },
                subtract: |to, from| unsafe { subtract(to, from) },
                multiply: |to, from| unsafe { multiply(to, from) },
                affine: |to, scale, offset| unsafe { affine(to, scale, offset) },
                activate: |to, activation| unsafe { activate(to, activation) },
            }
        };
    };
}

pub(super) use kernels;
