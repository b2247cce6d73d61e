//! DySample, an upsampler that learns where to sample (`DySample` of tiny-smart/dysample), as
//! RealPLKSR and MoSR use it.

use super::{
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
};
use crate::model::{Attribute, Shuffle, Tensor, checkpoint::StateDict};

/// The numbers of groups that networks have.
const GROUPS: [u64; 4] = [4, 3, 1, 2];

/// The factor of the upsampler `name` for features of `channels` channels, and its groups.
///
/// # Errors
/// [`BuildError`] if no factor and number of groups fit its weights.
pub(super) fn factor(weights: &StateDict, name: &str) -> Result<(u64, u64), BuildError> {
    let key = format!("{name}.init_pos");
    let positions = dim(weights, &key, 1)?;
    // init_pos repeats 1/scale-spaced positions: twice the groups, times the factor squared.
    let first = weights.get(&key).and_then(Tensor::to_f32).and_then(|all| all.first().copied());
    let start = first.unwrap_or(0.0).abs();
    // The first position is (1 − scale)/2/scale.
    let scale = (1.0 / (1.0 - 2.0 * start)).round();
    let scale = if (1.0..=8.0).contains(&scale) { scale as u64 } else { 0 };
    let groups = positions / (2 * scale * scale).max(1);
    if scale > 0 && GROUPS.contains(&groups) && groups * 2 * scale * scale == positions {
        Ok((scale, groups))
    } else {
        Err(wrong_shape(&key, &[1, positions, 1, 1]))
    }
}

impl Network<'_> {
    /// The upsampler `name`.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn dysample(
        &mut self,
        x: &Features,
        name: &str,
        (scale, groups): (u64, u64),
    ) -> Result<Features, BuildError> {
        let offset = self.conv(x, &format!("{name}.offset"))?;
        let scope = self.conv(x, &format!("{name}.scope"))?;
        let scope = self.sigmoid(&scope);
        let offset = self.mul(&offset, &scope);
        let offset = self.scale(&offset, 0.5);
        let key = format!("{name}.init_pos");
        let start = self.tensor(&key, 4)?.clone();
        if start.dims != [1, offset.channels, 1, 1] {
            return Err(wrong_shape(&key, &start.dims));
        }
        let start = self.graph.constant(&key, start);
        let offset = self.graph.add(&offset.value, &start);
        let [horizontal, vertical] = self.halves(&offset);
        let across = self.grid(&horizontal, &x.value, 3, &[1, 1, 1, -1], scale);
        let down = self.grid(&vertical, &x.value, 2, &[1, 1, -1, 1], scale);
        let (parts, groups) = (groups as usize, groups);
        if !x.channels.is_multiple_of(groups) {
            return Err(BuildError::Indivisible { channels: x.channels, divisor: groups });
        }
        let across = self.split(&across, 1, parts);
        let down = self.split(&down, 1, parts);
        let sources = self.split(&x.value, 1, parts);
        let mut sampled = Vec::with_capacity(parts);
        for ((across, down), source) in across.iter().zip(&down).zip(&sources) {
            let pair = self.graph.concat(&[across, down], 1);
            let grid = self.transpose(&pair, &[0, 2, 3, 1]);
            let attributes = [
                ("mode", Attribute::Text("bilinear".into())),
                ("padding_mode", Attribute::Text("border".into())),
                ("align_corners", Attribute::Int(0)),
            ];
            sampled.push(self.graph.push("GridSample", &[source, &grid], attributes));
        }
        let sampled: Vec<&str> = sampled.iter().map(String::as_str).collect();
        let x = Features { value: self.graph.concat(&sampled, 1), ..*x };
        let last = format!("{name}.end_conv");
        if self.has(&format!("{last}.weight")) { self.conv(&x, &last) } else { Ok(x) }
    }

    fn halves(&mut self, x: &str) -> [String; 2] {
        let mut parts = self.split(x, 1, 2).into_iter();
        [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()]
    }

    /// Where to sample along one direction, −1..=1 from border to border, per output position.
    fn grid(&mut self, offset: &str, like: &str, axis: i64, shape: &[i64], scale: u64) -> String {
        let length = self.lengths(like, axis..axis + 1);
        let scalar = self.reshape(&length, &[]);
        let (zero, one) = (self.scalar_i64(0), self.scalar_i64(1));
        let positions = self.graph.push("Range", &[&zero, &scalar, &one], []);
        let positions = self.float_of(&positions);
        let positions = self.graph.offset(&positions, &[0.5]);
        let positions = self.reshape(&positions, shape);
        let at = self.graph.add(offset, &positions);
        let length = self.float_of(&scalar);
        let at = self.graph.push("Div", &[&at, &length], []);
        let at = self.graph.scale(&at, 2.0);
        let at = self.graph.offset(&at, &[-1.0]);
        if scale == 1 {
            return at;
        }
        self.graph.depth_to_space(&at, scale as u32, Shuffle::Crd)
    }

    fn scalar_i64(&mut self, value: i64) -> String {
        self.graph.constant("number", Tensor { dims: vec![], ..Tensor::from_i64(&[value]) })
    }
}
