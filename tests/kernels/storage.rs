//! The C++ implementation of half floats, which replaces the GPU's instructions.

use half::f16;

use super::{library::Kernels, memory::Noise};

#[test]
fn every_half_float_is_read_exactly() {
    let Some(kernels) = Kernels::get() else { return };
    for bits in 0..=u16::MAX {
        let (got, expected) = (kernels.float_of_half(bits), f16::from_bits(bits).to_f32());
        assert!(got == expected || got.is_nan() && expected.is_nan(), "{bits:#x}");
    }
}

#[test]
fn floats_are_rounded_to_the_nearest_half_float() {
    let Some(kernels) = Kernels::get() else { return };
    let check = |value: f32| {
        let (got, expected) = (f16::from_bits(kernels.half_of(value)), f16::from_f32(value));
        assert!(
            got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(),
            "{value:e} is {got} instead of {expected}"
        );
    };
    // Half floats, the midpoints between them, and the neighbours of both.
    for bits in 0..u16::MAX {
        let (low, high) = (f16::from_bits(bits).to_f32(), f16::from_bits(bits + 1).to_f32());
        for value in [low, (low + high) / 2.0] {
            [value.next_down(), value, value.next_up()].into_iter().for_each(check);
        }
    }
    let mut noise = Noise::new(5);
    (0..100_000).for_each(|_| check(f32::from_bits(noise.next())));
}
