//! What is known about each value of a graph, at one size of the input.

use super::ratio::Ratio;

/// The maximum number of elements that are tracked: enough for arithmetic on sizes.
pub(super) const MAX_NUMBERS: usize = 256;

/// A direction of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Vertical,
    Horizontal,
}

impl Axis {
    pub(crate) const BOTH: [Self; 2] = [Self::Vertical, Self::Horizontal];

    /// The element of `pair` (vertical, horizontal) that belongs to this direction.
    pub(crate) fn of<T: Copy>(self, [vertical, horizontal]: [T; 2]) -> T {
        match self {
            Self::Vertical => vertical,
            Self::Horizontal => horizontal,
        }
    }
}

/// What the positions along a dimension mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Not spatial: batch, channels, positions within a block.
    Plain,
    /// Positions along an axis of the image, `Ratio` of them per input pixel.
    Space(Axis, Ratio),
    /// Positions that cannot be tracked.
    Mixed,
}

/// One dimension of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dim {
    pub len: i64,
    pub role: Role,
}

impl Dim {
    pub(crate) const fn plain(len: i64) -> Self {
        Self { len, role: Role::Plain }
    }
}

/// The elements of a value, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    Ints(Vec<i64>),
    Floats(Vec<f32>),
}

impl Numbers {
    pub(crate) fn ints(&self) -> Option<&[i64]> {
        match self {
            Numbers::Ints(values) => Some(values),
            Numbers::Floats(_) => None,
        }
    }

    pub(crate) fn floats(&self) -> Option<Vec<f32>> {
        match self {
            Numbers::Ints(_) => None,
            Numbers::Floats(values) => Some(values.clone()),
        }
    }

    /// The elements at these indices; `None` if one does not exist.
    pub(crate) fn pick(&self, indices: impl Iterator<Item = Option<usize>>) -> Option<Self> {
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

/// A tensor of the graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub dims: Vec<Dim>,
    /// The elements, if they are at most [`MAX_NUMBERS`] and do not depend on the image.
    pub numbers: Option<Numbers>,
    /// Whether the elements depend on the pixels of the input image.
    pub is_image: bool,
}

impl Value {
    pub(crate) fn lens(&self) -> Vec<i64> {
        self.dims.iter().map(|dim| dim.len).collect()
    }

    /// The number of elements; exact below 2⁵³.
    pub(crate) fn count(&self) -> f64 {
        self.dims.iter().map(|dim| dim.len as f64).product()
    }
}
