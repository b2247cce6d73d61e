//! Operators that move pixels: shuffles, changes of size and borders.

use super::{
    super::{
        super::{Error, kernels::LANES},
        Block, Border, Root, blocks,
        operands::{float, unsupported},
    },
    Lowering,
    convolution::Kernel,
    value::Value,
};
use crate::model::{Attribute, Node};

impl Lowering<'_> {
    pub(super) fn depth_to_space(&mut self, node: &Node) -> Result<Value, Error> {
        let operand = self.operand(node, 0)?;
        let x = self.plain(node, operand)?;
        let factor = factor(node)?;
        let area = factor * factor;
        let channels = x.channels() / area;
        if channels * area != x.channels() || channels == 0 {
            return Err(unsupported(node, "its channels do not divide"));
        }
        let shuffled = match node.text("mode").unwrap_or("DCR") {
            "CRD" => Some(x),
            // Places first: from channel `place · channels + channel`.
            "DCR" => x.select((0..x.channels()).map(|to| to % area * channels + to / area)),
            _ => None,
        };
        let shuffled = shuffled.ok_or_else(|| unsupported(node, "it has an unknown mode"))?;
        Ok(Value { shuffle: factor, ..shuffled })
    }

    pub(super) fn space_to_depth(&mut self, node: &Node) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let factor = factor(node)?;
        let deep = self.unshuffle(node, &x, factor)?;
        // ONNX has the places first.
        let (channels, area) = (x.channels(), factor * factor);
        let order = (0..channels * area).map(|to| to % channels * area + to / channels);
        deep.select(order).ok_or_else(|| unsupported(node, "its channels do not divide"))
    }

    /// The value after a pixel unshuffle, channel by channel.
    pub(super) fn unshuffle(
        &mut self,
        node: &Node,
        x: &Value,
        factor: usize,
    ) -> Result<Value, Error> {
        if x.shuffle == factor {
            return Ok(Value { shuffle: 1, ..x.clone() });
        }
        let x = self.plain(node, x.clone())?;
        let size = x.size.over(factor);
        let size = size.ok_or_else(|| unsupported(node, "its size does not divide"))?;
        let area = factor * factor;
        let count = x.channels() * area;
        let input = Block::Input { factor: 1, first: 0 };
        if x.blocks == [input] && x.lanes.iter().copied().eq(0..x.channels()) {
            let firsts = (0..count).step_by(LANES);
            return Ok(Value {
                size,
                blocks: firsts.map(|first| Block::Input { factor, first }).collect(),
                lanes: (0..count).collect(),
                shuffle: 1,
            });
        }
        let lanes: Vec<_> = (0..count)
            .filter_map(|to| {
                let (block, lane) = x.place(*x.lanes.get(to / area)?)?;
                Some((block, lane, [to % area / factor, to % factor]))
            })
            .collect();
        let picks = lanes.chunks(LANES).map(<[_]>::to_vec).collect();
        Ok(self.push(Root::Unshuffle { factor, picks }, Vec::new(), count, size))
    }

    pub(super) fn resize(&mut self, node: &Node) -> Result<Value, Error> {
        let operand = self.operand(node, 0)?;
        let index = if node.op == "Upsample" { 1 } else { 2 };
        let scales = match node.attributes.get("scales") {
            Some(Attribute::Floats(scales)) => Some(scales.clone()),
            _ => self.constants.get(node.input(index)).and_then(|scales| scales.to_f32()),
        };
        let unknown =
            || unsupported(node, "its scale is not a whole constant factor or 1 over one");
        let whole = |scale: f32| scale.fract() == 0.0 && (1.0..=16.0).contains(&scale);
        let scale = match scales.as_deref() {
            Some([1.0, 1.0, tall, wide]) if tall == wide => *tall,
            _ => return Err(unknown()),
        };
        if scale < 1.0 && whole(1.0 / scale) {
            return self.reduce(node, operand, (1.0 / scale) as usize);
        }
        if !whole(scale) {
            return Err(unknown());
        }
        let factor = scale as usize;
        if factor == 1 {
            return Ok(operand);
        }
        let x = self.plain(node, operand)?;
        let places = match node.text("coordinate_transformation_mode") {
            _ if node.op == "Upsample" => "asymmetric",
            places => places.unwrap_or("half_pixel"),
        };
        let centred = matches!(places, "half_pixel" | "pytorch_half_pixel");
        let rounding = match node.text("nearest_mode") {
            _ if node.op == "Upsample" => "floor",
            rounding => rounding.unwrap_or("round_prefer_floor"),
        };
        match node.text("mode").unwrap_or("nearest") {
            "nearest"
                if places == "asymmetric" && rounding == "floor"
                    || places == "asymmetric"
                        && rounding == "round_prefer_floor"
                        && factor == 2
                    || centred && rounding.starts_with("round_prefer") =>
            {
                let area = factor * factor;
                let lanes = x.lanes.iter().flat_map(|&lane| vec![lane; area]).collect();
                Ok(Value { lanes, shuffle: factor, ..x })
            }
            "linear" if centred => {
                let channels = x.channels();
                let count = channels * factor * factor;
                let vectors = blocks(channels);
                let root = Root::Bilinear { factor, picks: x.picks() };
                let made = self.push(root, Vec::new(), vectors * LANES * factor * factor, x.size);
                // Place after place; of each all vectors.
                let place =
                    |to: usize| to % (factor * factor) * vectors * LANES + to / (factor * factor);
                Ok(Value { lanes: (0..count).map(place).collect(), shuffle: factor, ..made })
            }
            mode => Err(unsupported(node, format!("mode {mode}, {places}, {rounding}"))),
        }
    }

    /// A resize to 1 / `factor` of the size: a convolution of each channel whose stride is the
    /// factor, with the border samples repeated.
    fn reduce(&mut self, node: &Node, operand: Value, factor: usize) -> Result<Value, Error> {
        let x = self.plain(node, operand)?;
        let (taps, first) = reduction(node, factor).ok_or_else(|| {
            unsupported(node, format!("it reduces by {factor} in an unknown mode"))
        })?;
        let before = (-first).max(0);
        let end = taps.len() as i64 + first;
        let behind = (end - factor as i64).max(0);
        let x = self.padded(node, x, [before; 2], [behind; 2], Border::Edge)?;
        // As long as the stride at least, so that the size is the same for every side.
        let skip = (first + before) as usize;
        let side = (skip + taps.len()).max(factor);
        let along = |at: usize| {
            let tap = at.checked_sub(skip).and_then(|at| taps.get(at));
            tap.copied().unwrap_or(0.0)
        };
        let one: Vec<f32> =
            (0..side * side).map(|at| along(at / side) * along(at % side)).collect();
        let channels = x.channels();
        let kernel = Kernel {
            weights: one.repeat(channels),
            outputs: channels,
            inputs: 1,
            size: [side; 2],
            group: channels,
            stride: factor,
            dilations: [1; 2],
            pads: [0; 4],
            bias: vec![0.0; channels],
        };
        self.convolve(node, x, &kernel)
    }

    pub(super) fn pad(&mut self, node: &Node) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let pads = self.list(node, 1, "pads");
        let pads = pads.ok_or_else(|| unsupported(node, "its pads are not constant"))?;
        let [0, 0, top, left, 0, 0, bottom, right] = pads[..] else {
            return Err(unsupported(node, format!("its pads are {pads:?}")));
        };
        if pads.iter().any(|pad| pad.abs() > 1 << 12) {
            return Err(unsupported(node, "its pads are larger than 4096"));
        }
        let value = match node.input(2) {
            Some(name) => self.constants.get(Some(name)).and_then(|t| t.to_f32()?.first().copied()),
            None => Some(float(node, "value", 0.0)),
        };
        let border = match node.text("mode").unwrap_or("constant") {
            "constant" if value == Some(0.0) => Border::Zero,
            "edge" => Border::Edge,
            "reflect" => Border::Reflect,
            mode => return Err(unsupported(node, format!("mode {mode} with {value:?}"))),
        };
        self.padded(node, x, [top, left], [bottom, right], border)
    }

    pub(super) fn padded(
        &mut self,
        node: &Node,
        x: Value,
        before: [i64; 2],
        behind: [i64; 2],
        border: Border,
    ) -> Result<Value, Error> {
        if before == [0; 2] && behind == [0; 2] {
            return Ok(x);
        }
        let x = self.plain(node, x)?;
        let size = x.size.plus([before[0] + behind[0], before[1] + behind[1]]);
        let root = Root::Pad { before, border, inner: x.size, picks: x.picks() };
        Ok(self.push(root, Vec::new(), x.channels(), size))
    }
}

fn factor(node: &Node) -> Result<usize, Error> {
    let factor = node.int("blocksize").and_then(|factor| usize::try_from(factor).ok());
    let factor = factor.filter(|factor| (1..=16).contains(factor));
    factor.ok_or_else(|| unsupported(node, "its block is not 1 to 16"))
}

/// The weights along one axis of a resize to 1 / `factor`, and the place of the first one from
/// the cell's first sample. `None` for modes that the engine does not have.
fn reduction(node: &Node, factor: usize) -> Option<(Vec<f32>, i64)> {
    let centred = match node.text("coordinate_transformation_mode") {
        None | Some("half_pixel" | "pytorch_half_pixel") => node.op != "Upsample",
        Some("asymmetric") => false,
        _ => return None,
    };
    if node.int("antialias").unwrap_or(0) != 0 || node.int("exclude_outside").unwrap_or(0) != 0 {
        return None;
    }
    // The middle of a cell is between two samples if the factor is even.
    let between = centred && factor.is_multiple_of(2);
    let at = if centred { (factor as i64 - 1) / 2 } else { 0 };
    match node.text("mode").unwrap_or("nearest") {
        "nearest" => {
            let up = match node.text("nearest_mode").unwrap_or("round_prefer_floor") {
                "round_prefer_floor" | "floor" => 0,
                "round_prefer_ceil" | "ceil" => i64::from(between),
                _ => return None,
            };
            Some((vec![1.0], at + up))
        }
        "linear" if between => Some((vec![0.5; 2], at)),
        "cubic" if between => {
            // Keys' cubic convolution, half way between two samples.
            let a = float(node, "cubic_coeff_a", -0.75);
            let outer = a / 8.0;
            Some((vec![outer, 0.5 - outer, 0.5 - outer, outer], at - 1))
        }
        "linear" | "cubic" => Some((vec![1.0], at)),
        _ => None,
    }
}
