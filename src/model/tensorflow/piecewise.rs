//! Values that are straight lines through zero on either side of it.
//!
//! Frozen graphs spell PReLU as `relu(x) + α·(x − |x|)/2`, leaky ReLU as
//! `relu(x) − α·relu(−x)` and so on. Each step of such a spelling is `p·x` where x > 0 and
//! `n·x` where x < 0, so the steps can be worked out here and leave one operator.

use crate::model::Graph;

/// `positive·max(x, 0) + negative·min(x, 0)` of the value `base`; each slope one number for
/// all channels or one for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Piecewise {
    pub base: String,
    positive: Vec<f32>,
    negative: Vec<f32>,
}

impl Piecewise {
    /// The value itself.
    pub fn identity(base: String) -> Self {
        Self { base, positive: vec![1.0], negative: vec![1.0] }
    }

    /// Where the value is below 0, 0.
    pub fn relu(self) -> Self {
        let positive = self.positive.iter().map(|&p| p.max(0.0)).collect();
        let negative = self.negative.iter().map(|&n| n.min(0.0)).collect();
        Self { positive, negative, ..self }
    }

    /// The value without its sign.
    pub fn abs(self) -> Self {
        let positive = self.positive.iter().map(|p| p.abs()).collect();
        let negative = self.negative.iter().map(|n| -n.abs()).collect();
        Self { positive, negative, ..self }
    }

    /// Times one number, or one for each channel; `None` where the counts do not fit.
    pub fn times(&self, factors: &[f32]) -> Option<Self> {
        let positive = pairs(&self.positive, factors, |a, b| a * b)?;
        let negative = pairs(&self.negative, factors, |a, b| a * b)?;
        Some(Self { base: self.base.clone(), positive, negative })
    }

    /// The sum with `sign` times another of the same base.
    pub fn plus(&self, other: &Self, sign: f32) -> Option<Self> {
        if self.base != other.base {
            return None;
        }
        let positive = pairs(&self.positive, &other.positive, |a, b| a + sign * b)?;
        let negative = pairs(&self.negative, &other.negative, |a, b| a + sign * b)?;
        Some(Self { base: self.base.clone(), positive, negative })
    }

    /// The value in `graph`, by as few operators as it takes.
    pub fn emit(&self, graph: &mut Graph) -> String {
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
        let factors = [&self.positive, &self.negative].map(|slopes| per_channel(graph, slopes));
        let above = graph.mul(&above, &factors[0]);
        let below = graph.mul(&below, &factors[1]);
        graph.add(&above, &below)
    }
}

fn per_channel(graph: &mut Graph, numbers: &[f32]) -> String {
    graph.constant_f32("slope", &[numbers.len() as u64, 1, 1], numbers)
}

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
    fn every_spelling_of_prelu_becomes_one_operator() {
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
    fn other_values_stay_apart() {
        let other = Piecewise::identity("y".into());
        assert_eq!(x().plus(&other, 1.0), None);
        assert_eq!(x().times(&[1.0, 2.0]).and_then(|v| v.times(&[1.0, 2.0, 3.0])), None);
        assert_eq!(x().emit(&mut Graph::new(1)), "x");
    }
}
