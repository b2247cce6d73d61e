//! One operator of a graph: its inputs, and what analysis finds out about it.

use super::{
    error::{AnalysisError, Problem},
    reach::{Reach, Reaches},
    value::{Axis, Dim, Numbers, Role, Value},
};
use crate::model::Node;

/// What analysis finds out about one operator.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The shape of each output.
    pub outputs: Vec<Vec<Dim>>,
    /// How output positions depend on the positions of every input that holds image data;
    /// `None` if that dependency is not bounded.
    pub reach: Option<Reaches>,
    /// The output's elements, if the operator reads them off a shape.
    pub numbers: Option<Numbers>,
    /// Multiply-adds.
    pub macs: f64,
    /// Minimum lengths of dimensions of the first input: (dimension, length).
    pub needs: Vec<(usize, i64)>,
}

impl Outcome {
    /// One output; each position depends on the same position of the inputs.
    pub(crate) fn pointwise(dims: Vec<Dim>) -> Self {
        Self {
            outputs: vec![dims],
            reach: Some([Reach::SAME; 2]),
            numbers: None,
            macs: 0.0,
            needs: Vec::new(),
        }
    }

    /// One output; each position may depend on every position of the inputs.
    pub(crate) fn unbounded(dims: Vec<Dim>) -> Self {
        Self { reach: None, ..Self::pointwise(dims) }
    }

    /// [`Self::pointwise`] or, unless `bounded`, [`Self::unbounded`].
    pub(crate) fn pointwise_if(bounded: bool, dims: Vec<Dim>) -> Self {
        if bounded { Self::pointwise(dims) } else { Self::unbounded(dims) }
    }

    /// Sets the dependency along `axis`, unless it is unbounded already.
    pub(crate) fn set_reach(&mut self, axis: Axis, reach: Reach) {
        if let Some(reaches) = &mut self.reach {
            match axis {
                Axis::Vertical => reaches[0] = reach,
                Axis::Horizontal => reaches[1] = reach,
            }
        }
    }

    /// Gives `dim` the role `role`; `None` means that its positions can no longer be tracked.
    pub(crate) fn set_role(&mut self, dim: &mut Dim, role: Option<Role>) {
        dim.role = role.unwrap_or(Role::Mixed);
        if role.is_none() {
            self.reach = None;
        }
    }
}

/// One operator and its inputs, by position; `None` for inputs that are left out.
pub(super) struct Inputs<'a> {
    pub node: &'a Node,
    pub values: &'a [Option<&'a Value>],
    /// The version of ONNX's operator set.
    pub opset: i64,
}

impl<'a> Inputs<'a> {
    pub(crate) fn get(&self, index: usize) -> Option<&'a Value> {
        self.values.get(index).copied().flatten()
    }

    pub(crate) fn need(&self, index: usize) -> Result<&'a Value, AnalysisError> {
        self.get(index).ok_or_else(|| self.error(Problem::MissingInput(index)))
    }

    /// The integers of an input, or of the attribute that older operator sets have instead.
    pub(crate) fn ints(&self, index: usize, attribute: &str) -> Option<Vec<i64>> {
        match self.get(index) {
            Some(value) => Some(value.numbers.as_ref()?.ints()?.to_vec()),
            None => self.node.ints(attribute).map(<[i64]>::to_vec),
        }
    }

    /// [`Self::ints`]; `name` names what is missing in the error.
    pub(crate) fn need_ints(
        &self,
        index: usize,
        attribute: &str,
        name: &'static str,
    ) -> Result<Vec<i64>, AnalysisError> {
        self.ints(index, attribute).ok_or_else(|| self.error(Problem::NotConstant(name)))
    }

    pub(crate) fn error(&self, problem: Problem) -> AnalysisError {
        AnalysisError::Operator { op: self.node.op.clone(), problem }
    }

    /// `axis` as an index below `rank`; negative ones count from the end.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize, AnalysisError> {
        let index = || {
            let from_start = match axis {
                0.. => axis,
                _ => axis.checked_add(i64::try_from(rank).ok()?)?,
            };
            usize::try_from(from_start).ok().filter(|&index| index < rank)
        };
        index().ok_or_else(|| self.error(Problem::Axis { axis, rank }))
    }
}
