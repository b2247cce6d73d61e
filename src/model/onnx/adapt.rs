//! Nodes around an imported model that make it follow the contract: NCHW, float32, 0..=1, R′G′B′.

use super::{
    read::Import,
    settings::{ChannelOrder, Settings, TensorLayout},
};
use crate::model::{Attribute, Element, Graph, fault::Reason};

/// ONNX's `TensorProto.DataType` of float32.
const FLOAT: i64 = 1;

/// The value of white in samples of 8 bits.
const WHITE: f32 = 255.0;

/// Why a model cannot be made to follow the contract.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AdaptError {
    #[error(
        "the model has 4 input channels; if the fourth is alpha, set `alpha = true` in a .toml file next to the model"
    )]
    FourthChannel,
    #[error("the model takes {0} channels; expected 3 (R'G'B') or 1 (luma)")]
    Channels(u64),
    #[error("the model has {channels} channels, but its `mean` has {values} values")]
    MeanCount { channels: u64, values: usize },
}

impl Reason for AdaptError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// Graphs to run before and after an imported one.
pub(super) struct Adapters {
    pub before: Graph,
    pub after: Graph,
}

/// The adapters that `import` needs; `None` if it follows the contract already.
///
/// # Errors
/// See [`AdaptError`].
pub(super) fn adapters(
    import: &Import,
    settings: &Settings,
) -> Result<Option<Adapters>, AdaptError> {
    let dims = &import.graph.input_dims;
    let dim = |index: usize| dims.get(index).copied().flatten();
    let is_channels = |count: Option<u64>| matches!(count, Some(1 | 3 | 4));
    let nhwc = match settings.layout {
        Some(layout) => layout == TensorLayout::Nhwc,
        None => !is_channels(dim(1)) && is_channels(dim(3)),
    };
    let own_channels = dim(if nhwc { 3 } else { 1 });
    let alpha = settings.alpha.unwrap_or(false);
    let channels = match (own_channels, alpha) {
        (Some(1), false) => 1,
        (Some(3) | None, false) | (Some(4) | None, true) => 3,
        (Some(4), false) => return Err(AdaptError::FourthChannel),
        (Some(other), _) => return Err(AdaptError::Channels(other)),
    };
    let [input_element, output_element] = import.ends;
    let default_range = if import.ends.contains(&Element::U8) { WHITE } else { 1.0 };
    let range = settings.range.unwrap_or(default_range);
    let mean = settings.mean.clone().unwrap_or_default();
    let bgr = settings.order == Some(ChannelOrder::Bgr) && channels == 3;
    if !mean.is_empty() && mean.len() as u64 != channels && mean.len() != 1 {
        return Err(AdaptError::MeanCount { channels, values: mean.len() });
    }
    let is_plain = range == 1.0 && mean.iter().all(|&mean| mean == 0.0) && !bgr && !alpha && !nhwc;
    let is_float32 = import.ends == [Element::F32; 2];
    if is_plain && is_float32 && own_channels.is_some() {
        return Ok(None);
    }

    let mut before = Graph { opset: import.graph.opset, ..Graph::new(channels) };
    let (height, width) = if nhwc { (dim(1), dim(2)) } else { (dim(2), dim(3)) };
    before.input_dims = vec![dim(0), Some(channels), height, width];
    let mut after = before.clone();
    let mut x = before.push("Identity", &["input"], []);
    let mut y = "input".to_owned();

    // `after` undoes the steps of `before` in reverse order.
    if nhwc {
        y = transpose(&mut after, &y, [0, 3, 1, 2]);
    }
    if output_element != Element::F32 {
        y = cast(&mut after, &y, FLOAT);
    }
    if alpha {
        y = select_channels(&mut after, &y, &[0, 1, 2]);
    }
    if bgr {
        x = select_channels(&mut before, &x, &[2, 1, 0]);
    }
    if range != 1.0 {
        x = before.scale(&x, range);
    }
    if !mean.is_empty() {
        x = before.offset(&x, &mean.iter().map(|mean| -mean).collect::<Vec<_>>());
        y = after.offset(&y, &mean);
    }
    if range != 1.0 {
        y = after.scale(&y, 1.0 / range);
    }
    if bgr {
        y = select_channels(&mut after, &y, &[2, 1, 0]);
    }
    if alpha {
        let first = select_channels(&mut before, &x, &[0]);
        let zero = before.scale(&first, 0.0);
        let opaque = before.offset(&zero, &[range]);
        x = before.concat(&[&x, &opaque], 1);
    }
    if input_element == Element::U8 {
        let rounded = before.push("Round", &[&x], []);
        x = before.clip(&rounded, 0.0, WHITE);
    }
    if input_element != Element::F32 {
        x = cast(&mut before, &x, input_element.number().into());
    }
    if nhwc {
        x = transpose(&mut before, &x, [0, 2, 3, 1]);
    }
    let y = after.push("Identity", &[&y], []);
    before.set_output(&x);
    after.set_output(&y);
    Ok(Some(Adapters { before, after }))
}

fn transpose(graph: &mut Graph, x: &str, order: [i64; 4]) -> String {
    graph.push("Transpose", &[x], [("perm", Attribute::Ints(order.into()))])
}

fn cast(graph: &mut Graph, x: &str, data_type: i64) -> String {
    graph.push("Cast", &[x], [("to", Attribute::Int(data_type))])
}

fn select_channels(graph: &mut Graph, x: &str, channels: &[i64]) -> String {
    let channels = graph.constant_i64("order", channels);
    graph.push("Gather", &[x, &channels], [("axis", Attribute::Int(1))])
}
