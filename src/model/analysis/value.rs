//! What is known of each value of a graph at one size of the input.

use super::ratio::Ratio;

/// Known numbers are kept up to so many elements: enough for all arithmetic on sizes.
pub(super) const LIMIT: usize = 256;

/// A direction of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Vertical,
    Horizontal,
}

impl Axis {
    pub const BOTH: [Self; 2] = [Self::Vertical, Self::Horizontal];
}

/// What the positions along a dimension mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing spatial: batch, channels, places within a block.
    Plain,
    /// Positions along an axis of the picture, `Ratio` of them per input pixel.
    Space(Axis, Ratio),
    /// Positions that cannot be followed.
    Mixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dim {
    pub len: i64,
    pub role: Role,
}

impl Dim {
    pub const fn plain(len: i64) -> Self {
        Self { len, role: Role::Plain }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    Ints(Vec<i64>),
    Floats(Vec<f32>),
}

impl Numbers {
    pub fn ints(&self) -> Option<&[i64]> {
        match self {
            Numbers::Ints(values) => Some(values),
            Numbers::Floats(_) => None,
        }
    }

    pub fn floats(&self) -> Option<Vec<f32>> {
        match self {
            Numbers::Ints(_) => None,
            Numbers::Floats(values) => Some(values.clone()),
        }
    }

    /// The elements at these indices; `None` where one is missing.
    pub fn pick(&self, indices: impl Iterator<Item = Option<usize>>) -> Option<Self> {
        match self {
            Numbers::Ints(values) => indices
                .map(|index| values.get(index?).copied())
                .collect::<Option<_>>()
                .map(Numbers::Ints),
            Numbers::Floats(values) => indices
                .map(|index| values.get(index?).copied())
                .collect::<Option<_>>()
                .map(Numbers::Floats),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub dims: Vec<Dim>,
    /// The elements, where they are few and do not depend on the picture.
    pub numbers: Option<Numbers>,
    /// Whether it depends on the picture's pixels.
    pub picture: bool,
}

impl Value {
    pub fn lens(&self) -> Vec<i64> {
        self.dims.iter().map(|dim| dim.len).collect()
    }

    /// Elements, as a float: sizes of real graphs are far from where that is inexact.
    pub fn count(&self) -> f64 {
        self.dims.iter().map(|dim| dim.len as f64).product()
    }
}
