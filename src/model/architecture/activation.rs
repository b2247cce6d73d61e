//! Activation functions without trained parameters.

/// An activation without trained parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    Relu,
    LeakyRelu(f32),
    Mish,
    Silu,
    Tanh,
}
