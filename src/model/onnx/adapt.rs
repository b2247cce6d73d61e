//! Nodes around an imported model that bring it to the contract: NCHW, float32, 0..1, R′G′B′.

use super::{
    read::Import,
    settings::{Layout, Order, Settings},
};
use crate::model::{Attribute, Element, Graph};

/// Graphs to put ahead of and behind an imported one.
pub(super) struct Adapters {
    pub before: Graph,
    pub after: Graph,
}

/// What the model at hand needs; `None` where it fits as it is.
///
/// # Errors
/// Why it cannot be brought to the contract, as the end of a sentence.
pub(super) fn adapters(import: &Import, settings: &Settings) -> Result<Option<Adapters>, String> {
    let dims = &import.graph.input_dims;
    let dim = |index: usize| dims.get(index).copied().flatten();
    let channels = |count: Option<u64>| matches!(count, Some(1 | 3 | 4));
    let nhwc = match settings.layout {
        Some(layout) => layout == Layout::Nhwc,
        None => !channels(dim(1)) && channels(dim(3)),
    };
    let own = dim(if nhwc { 3 } else { 1 });
    let alpha = settings.alpha.unwrap_or(false);
    let count = match (own, alpha) {
        (Some(1), false) => 1,
        (Some(3) | None, false) | (Some(4) | None, true) => 3,
        (Some(4), false) => {
            return Err(
                "it takes 4 channels: say what the fourth is, by alpha = true in a .toml beside it"
                    .into(),
            );
        }
        (Some(other), _) => {
            return Err(format!(
                "it takes {other} channels, wanted are three (R'G'B') or one (luma)"
            ));
        }
    };
    let range = settings.range.unwrap_or(1.0);
    let mean = settings.mean.clone().unwrap_or_default();
    let bgr = settings.order == Some(Order::Bgr) && count == 3;
    if !mean.is_empty() && mean.len() as u64 != count && mean.len() != 1 {
        return Err(format!("it has {count} channels but its stated mean has {}", mean.len()));
    }
    let plain = range == 1.0 && mean.iter().all(|&mean| mean == 0.0) && !bgr && !alpha && !nhwc;
    let single = import.ends == [Element::F32; 2];
    if plain && single && own.is_some() {
        return Ok(None);
    }

    let mut before = Graph { opset: import.graph.opset, ..Graph::new(count) };
    let sides = if nhwc { [dim(1), dim(2)] } else { [dim(2), dim(3)] };
    before.input_dims = vec![dim(0), Some(count), sides[0], sides[1]];
    let mut after = before.clone();
    let mut x = before.push("Identity", &["input"], []);
    let mut y = "input".to_owned();

    // The same steps ahead and, backwards, behind.
    if nhwc {
        y = permute(&mut after, &y, [0, 3, 1, 2]);
    }
    if import.ends[1] != Element::F32 {
        y = cast(&mut after, &y, 1);
    }
    if alpha {
        y = channels_of(&mut after, &y, &[0, 1, 2]);
    }
    if bgr {
        x = channels_of(&mut before, &x, &[2, 1, 0]);
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
        y = channels_of(&mut after, &y, &[2, 1, 0]);
    }
    if alpha {
        let first = channels_of(&mut before, &x, &[0]);
        let nothing = before.scale(&first, 0.0);
        let opaque = before.offset(&nothing, &[range]);
        x = before.concat(&[&x, &opaque], 1);
    }
    if import.ends[0] != Element::F32 {
        x = cast(&mut before, &x, 10);
    }
    if nhwc {
        x = permute(&mut before, &x, [0, 2, 3, 1]);
    }
    let y = after.push("Identity", &[&y], []);
    before.set_output(&x);
    after.set_output(&y);
    Ok(Some(Adapters { before, after }))
}

fn permute(graph: &mut Graph, x: &str, order: [i64; 4]) -> String {
    graph.push("Transpose", &[x], [("perm", Attribute::Ints(order.into()))])
}

fn cast(graph: &mut Graph, x: &str, kind: i64) -> String {
    graph.push("Cast", &[x], [("to", Attribute::Int(kind))])
}

fn channels_of(graph: &mut Graph, x: &str, order: &[i64]) -> String {
    let order = graph.constant_i64("order", order);
    graph.push("Gather", &[x, &order], [("axis", Attribute::Int(1))])
}
