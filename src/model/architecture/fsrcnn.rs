//! FSRCNN: convolutions with PReLU and a transposed one, on luma. Under the names of
//! yjn870/FSRCNN-pytorch and Lornatang/FSRCNN-PyTorch.

use super::{
    Hints,
    network::{Features, Network, dim},
};
use crate::model::{Graph, Window, checkpoint::StateDict, fault::Fault};

/// Rows of (convolution, PReLU) and the transposed convolution at the end.
const FORMS: [(&[&str], &str); 2] = [
    (&["first_part", "mid_part"], "last_part"),
    (&["feature_extraction", "shrink", "map", "expand"], "deconv"),
];

fn form(weights: &StateDict) -> Option<(&'static [&'static str], &'static str)> {
    let has = |layer: &str| weights.get(&format!("{layer}.weight")).is_some();
    let row = |row: &&str| has(&format!("{row}.0")) && has(&format!("{row}.1"));
    FORMS.into_iter().find(|(rows, last)| rows.iter().all(row) && has(last))
}

pub(super) fn matches(weights: &StateDict) -> bool {
    form(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let (rows, last) = form(weights).unwrap_or(FORMS[0]);
    let factor = hints.factor.ok_or_else(|| {
        Fault::unsuitable(
            "its weights do not tell its factor: name the file …_x2.pth, or write factor = 2 into a .toml beside it",
        )
    })?;
    let channels = dim(weights, &format!("{}.0.weight", rows[0]), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.input();
    for row in rows {
        for place in (0..).step_by(2).take_while(|at| has_layer(weights, row, *at)) {
            x = net.conv(&x, &format!("{row}.{place}"))?;
            x = net.prelu(&x, &format!("{row}.{}", place + 1))?;
        }
    }
    let key = format!("{last}.weight");
    let weight = net.tensor(&key, 4)?;
    let &[inputs, outputs, height, width] = weight.dims.as_slice() else {
        return Err(Fault::unsuitable(format!("{key:?} is no convolution")));
    };
    let size = u32::try_from(height).ok().filter(|&size| size % 2 == 1 && size < 64);
    let (Some(size), true) = (size, inputs == x.channels && height == width) else {
        return Err(Fault::unsuitable(format!("{key:?} is {:?}, which does not fit", weight.dims)));
    };
    let bias = net.bias(last, outputs)?.map(|bias| net.graph.constant("last:bias", bias));
    let weight = net.graph.constant(&key, weight.clone());
    let window = Window { stride: [factor; 2], ..Window::padded(size / 2) };
    let value =
        net.graph.conv_transpose(&x.value, &weight, bias.as_deref(), window, [factor - 1; 2]);
    net.finish(&Features { value, channels: outputs })
}

fn has_layer(weights: &StateDict, row: &str, place: usize) -> bool {
    weights.get(&format!("{row}.{place}.weight")).is_some()
}
