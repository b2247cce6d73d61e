//! Arithmetic on each sample by itself.

use super::{
    super::{
        super::{
            Error,
            kernels::{Activation, LANES, Lanes},
        },
        Step, blocks,
        operands::{float, per_channel, unsupported},
    },
    Lowering,
    value::Value,
};
use crate::model::Node;

impl Lowering<'_> {
    pub(super) fn leaky(
        &mut self,
        node: &Node,
        slope: impl Fn(usize) -> Option<f32>,
    ) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let slopes = spread(&x, slope).into_iter().map(Activation::Leaky).collect();
        Ok(self.pointwise(&x, vec![Step::Activate { to: 0, activations: slopes }]))
    }

    pub(super) fn activation(
        &mut self,
        node: &Node,
        activation: Activation,
    ) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let activations = vec![activation; blocks(x.lanes.len())];
        Ok(self.pointwise(&x, vec![Step::Activate { to: 0, activations }]))
    }

    pub(super) fn clip(&mut self, node: &Node, opset: i64) -> Result<Value, Error> {
        let bound = |index: usize, name: &str, default: f32| {
            if opset < 11 {
                return Some(float(node, name, default));
            }
            match node.input(index) {
                None => Some(default),
                Some(input) => {
                    self.constants.get(Some(input)).and_then(|t| t.to_f32()?.first().copied())
                }
            }
        };
        let low = bound(1, "min", f32::MIN);
        let high = bound(2, "max", f32::MAX);
        let (Some(low), Some(high)) = (low, high) else {
            return Err(unsupported(node, "its bounds are not constant"));
        };
        self.activation(node, Activation::Clip { low, high })
    }

    pub(super) fn arithmetic(&mut self, node: &Node) -> Result<Value, Error> {
        let is_value =
            |index: usize| node.input(index).is_some_and(|name| self.values.contains_key(name));
        match (is_value(0), is_value(1)) {
            (true, true) => self.combine(node),
            (true, false) => self.with_constant(node, 0),
            (false, true) => self.with_constant(node, 1),
            (false, false) => Err(unsupported(node, "it is arithmetic on constants")),
        }
    }

    pub(super) fn with_constant(&mut self, node: &Node, picture: usize) -> Result<Value, Error> {
        let x = self.operand(node, picture)?;
        let numbers = self.constants.get(node.input(1 - picture));
        let numbers = numbers.and_then(|numbers| per_channel(numbers, x.channels()));
        let numbers = numbers.ok_or_else(|| {
            unsupported(node, "its other operand is neither a picture nor one number per channel")
        })?;
        let number = |channel: usize| numbers.get(channel).copied();
        let (scale, offset): (Vec<Lanes>, Vec<Lanes>) = match (node.op.as_str(), picture) {
            ("Add", _) => (spread(&x, |_| Some(1.0)), spread(&x, number)),
            ("Sub", 0) => (spread(&x, |_| Some(1.0)), spread(&x, |c| number(c).map(|v| -v))),
            ("Sub", _) => (spread(&x, |_| Some(-1.0)), spread(&x, number)),
            ("Mul", _) => (spread(&x, number), spread(&x, |_| Some(0.0))),
            ("Div", 0) => (spread(&x, |c| number(c).map(|v| 1.0 / v)), spread(&x, |_| Some(0.0))),
            _ => return Err(unsupported(node, "it divides by a picture")),
        };
        Ok(self.pointwise(&x, vec![Step::Affine { to: 0, scale, offset }]))
    }

    pub(super) fn combine(&mut self, node: &Node) -> Result<Value, Error> {
        let (mut a, mut b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        if a.shuffle != b.shuffle {
            (a, b) = (self.plain(node, a)?, self.plain(node, b)?);
        }
        if a.size != b.size || a.lanes.len() != b.lanes.len() {
            return Err(unsupported(node, "its operands differ in shape"));
        }
        let step = match node.op.as_str() {
            "Add" => Step::Add { to: 0, from: 1 },
            "Sub" => Step::Subtract { to: 0, from: 1 },
            "Mul" => Step::Multiply { to: 0, from: 1 },
            _ => return Err(unsupported(node, "it divides by a picture")),
        };
        Ok(self.pointwise(&a, vec![Step::Load { to: 1, picks: b.picks() }, step]))
    }
}

/// Numbers per channel as vectors in the order of a value's lanes.
fn spread(value: &Value, number: impl Fn(usize) -> Option<f32>) -> Vec<Lanes> {
    let area = value.shuffle * value.shuffle;
    let numbers: Vec<f32> =
        (0..value.lanes.len()).map(|lane| number(lane / area).unwrap_or(0.0)).collect();
    let vector = |numbers: &[f32]| {
        let mut lanes = Lanes::default();
        lanes.0.iter_mut().zip(numbers).for_each(|(to, from)| *to = *from);
        lanes
    };
    numbers.chunks(LANES).map(vector).collect()
}
