//! Piecewise linear functions with one bend, at zero.
//!
//! Frozen graphs express PReLU as `relu(x) + α·(x − |x|)/2`, leaky ReLU as `relu(x) − α·relu(−x)`,
//! and so on. Each step is `p·x` for x > 0 and `n·x` for x < 0, so that all steps together become
//! one operator.

use crate::model::Graph;

/// `positive·max(x, 0) + negative·min(x, 0)` of the value `base`. The slopes are one number for all
/// channels, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piecewise {
    pub base: String,
    positive: Vec<f32>,
    negative: Vec<f32>,
}

impl Piecewise {
    /// The value itself.
    pub(crate) fn identity(base: String) -> Self {
        Self { base, positive: vec![1.0], negative: vec![1.0] }
    }

    /// max(x, 0) of this.
    pub(crate) fn relu(self) -> Self {
        let positive = self.positive.iter().map(|&p| p.max(0.0)).collect();
        let negative = self.negative.iter().map(|&n| n.min(0.0)).collect();
        Self { positive, negative, ..self }
    }

    /// The absolute value of this.
    pub(crate) fn abs(self) -> Self {
        let positive = self.positive.iter().map(|p| p.abs()).collect();
        let negative = self.negative.iter().map(|n| -n.abs()).collect();
        Self { positive, negative, ..self }
    }

    /// This times one number, or one for each channel; `None` if the counts do not match.
    pub(crate) fn times(&self, factors: &[f32]) -> Option<Self> {
        let positive = pairs(&self.positive, factors, |a, b| a * b)?;
        let negative = pairs(&self.negative, factors, |a, b| a * b)?;
        Some(Self { base: self.base.clone(), positive, negative })
    }

    /// This plus `sign` times `other`; `None` if they have different bases.
    pub(crate) fn plus(&self, other: &Self, sign: f32) -> Option<Self> {
        if self.base != other.base {
            return None;
        }
        let positive = pairs(&self.positive, &other.positive, |a, b| a + sign * b)?;
        let negative = pairs(&self.negative, &other.negative, |a, b| a + sign * b)?;
        Some(Self { base: self.base.clone(), positive, negative })
    }

    /// Adds this to `graph` with as few operators as possible; returns the name of the value.
    pub(crate) fn emit(&self, graph: &mut Graph) -> String {
        let all = |slopes: &[f32], value| slopes.iter().all(|&slope| slope == value);
        if all(&self.positive, 1.0) {
            return match self.negative.as_slice() {
                slopes if all(slopes, 1.0) => self.base.clone(),
                slopes if all(slopes, 0.0) => graph.relu(&self.base),
                &[slope] => graph.leaky_relu(&self.base, slope),
                slopes => {
                    let slopes = per_channel(graph, slopes);
                    graph.prelu(&self.base, &slopes)
                }
            };
        }
        if self.positive == self.negative {
            let factors = per_channel(graph, &self.positive);
            return graph.mul(&self.base, &factors);
        }
        let above = graph.relu(&self.base);
        let below = graph.sub(&self.base, &above);
        let [positive, negative] =
            [&self.positive, &self.negative].map(|slopes| per_channel(graph, slopes));
        let above = graph.mul(&above, &positive);
        let below = graph.mul(&below, &negative);
        graph.add(&above, &below)
    }
}

/// Adds the constant `numbers` in a shape that broadcasts over channels.
fn per_channel(graph: &mut Graph, numbers: &[f32]) -> String {
    graph.constant_f32("slope", &[numbers.len() as u64, 1, 1], numbers)
}

/// `op` of each pair; `None` if the counts do not match.
fn pairs(a: &[f32], b: &[f32], op: impl Fn(f32, f32) -> f32) -> Option<Vec<f32>> {
    match (a, b) {
        (&[a], b) => Some(b.iter().map(|&b| op(a, b)).collect()),
        (a, &[b]) => Some(a.iter().map(|&a| op(a, b)).collect()),
        _ if a.len() == b.len() => Some(a.iter().zip(b).map(|(&a, &b)| op(a, b)).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x() -> Piecewise {
        Piecewise::identity("x".into())
    }

    #[test]
    fn prelu_and_leaky_relu_become_one_operator() {
        let alpha = [0.25, -0.5];
        let below = x().plus(&x().abs(), -1.0).and_then(|v| v.times(&alpha)?.times(&[0.5]));
        let prelu = below.and_then(|v| x().relu().plus(&v, 1.0)).expect("fits");
        assert_eq!(prelu.positive, [1.0; 2]);
        assert_eq!(prelu.negative, alpha);
        let mut graph = Graph::new(2);
        prelu.emit(&mut graph);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].op, "PRelu");

        let below = x().times(&[-1.0]).and_then(|v| v.relu().times(&[0.2]));
        let leaky = below.and_then(|v| x().relu().plus(&v, -1.0)).expect("fits");
        assert_eq!((leaky.positive, leaky.negative), (vec![1.0], vec![0.2]));
    }

    #[test]
    fn different_bases_are_not_combined() {
        let other = Piecewise::identity("y".into());
        assert_eq!(x().plus(&other, 1.0), None);
        assert_eq!(x().times(&[1.0, 2.0]).and_then(|v| v.times(&[1.0, 2.0, 3.0])), None);
        assert_eq!(x().emit(&mut Graph::new(1)), "x");
    }
}
