//! Layers that change a picture's size or move its samples.

use super::{
    extent::Extent,
    net::{Blob, Net},
    param::Layer,
};
use crate::model::{Attribute, Border, Shuffle, fault::Fault};

/// ncnn's "not given" in parameters where 0 and −1 mean something.
const UNSET: i32 = -233;

/// Crop: by margins, numpy-style, or to another blob's size.
pub fn crop(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let blobs = net.inputs(layer)?;
    let (x, reference) = match blobs.as_slice() {
        [x] => (x.clone(), None),
        [x, reference] => (x.clone(), Some(reference)),
        _ => return Err(layer.damaged("crops more than one picture")),
    };
    if layer.has(9) {
        return crop_ranges(layer, net, x);
    }
    let [left, top, first] = [layer.size(0, 0)?, layer.size(1, 0)?, layer.size(2, 0)?];
    let (bottom, right, channels) = match reference {
        Some(reference) => {
            let rest = |x: Extent, reference: Extent, start: u32| {
                let rest = x.beyond(reference).map(|more| more - i64::from(start));
                rest.and_then(|rest| u32::try_from(rest).ok())
                    .ok_or_else(|| layer.unsuitable("crops to a size that varies otherwise"))
            };
            let bottom = rest(x.height, reference.height, top)?;
            (bottom, rest(x.width, reference.width, left)?, reference.channels)
        }
        None => {
            if [3, 4].iter().any(|&id| !matches!(layer.int(id, 0), Ok(0 | UNSET))) {
                return Err(layer.unsuitable("crops to a fixed size"));
            }
            let channels = match layer.int(5, 0)? {
                0 | UNSET => x.channels.saturating_sub(first).saturating_sub(layer.size(8, 0)?),
                _ => layer.size(5, 0)?,
            };
            (layer.size(7, 0)?, layer.size(6, 0)?, channels)
        }
    };
    let x = crop_sides(net, x, [top, left, bottom, right]);
    crop_channels(layer, net, x, first, channels)
}

/// Crop by parameters 9 to 11: starts, ends and axes of C × H × W.
fn crop_ranges(layer: &Layer, net: &mut Net, x: Blob) -> Result<Blob, Fault> {
    let (starts, ends, axes) = (layer.ints(9)?, layer.ints(10)?, layer.ints(11)?);
    let axes = if axes.is_empty() { (0..starts.len() as i32).collect() } else { axes };
    if starts.len() != ends.len() || starts.len() != axes.len() {
        return Err(layer.damaged("has unequal counts of starts, ends and axes"));
    }
    let mut margins = [0; 4];
    let (mut first, mut end) = (0, x.channels);
    for ((&start, &stop), &axis) in starts.iter().zip(&ends).zip(&axes) {
        match axis {
            0 | -3 => {
                let place = |at: i32| match at {
                    UNSET => Some(x.channels),
                    0.. => Some(at.unsigned_abs().min(x.channels)),
                    _ => x.channels.checked_add_signed(at),
                };
                (first, end) = place(start).zip(place(stop)).ok_or_else(|| range(layer))?;
            }
            1 | 2 | -2 | -1 => {
                let (before, after) = match (start, stop) {
                    (0.., UNSET) => (start, 0),
                    (0.., ..0) => (start, stop.wrapping_neg()),
                    // Real-CUGAN's ×4 export: PyTorch's pad of −n, its signs mistaken.
                    (..0, 1..) if stop == start.wrapping_neg() => (stop, stop),
                    _ => return Err(layer.unsuitable("crops to a fixed size")),
                };
                let side = usize::from(matches!(axis, 2 | -1));
                let margin = |n: i32| u32::try_from(n).ok().filter(|&n| n <= 0xffff);
                let pair = margin(before).zip(margin(after)).ok_or_else(|| range(layer))?;
                (margins[side], margins[side + 2]) = pair;
            }
            _ => return Err(range(layer)),
        }
    }
    let x = crop_sides(net, x, margins);
    crop_channels(layer, net, x, first, end.saturating_sub(first))
}

fn range(layer: &Layer) -> Fault {
    layer.damaged("a range outside of its picture")
}

/// `x` without `margins` (top, left, bottom, right).
pub fn crop_sides(net: &mut Net, x: Blob, margins: [u32; 4]) -> Blob {
    if margins == [0; 4] {
        return x;
    }
    let [top, left, bottom, right] = margins.map(i64::from);
    let value = net.graph.crop(&x.value, margins);
    let (height, width) = (x.height.longer(-top - bottom), x.width.longer(-left - right));
    Blob { value, height, width, ..x }
}

fn crop_channels(
    layer: &Layer,
    net: &mut Net,
    x: Blob,
    first: u32,
    count: u32,
) -> Result<Blob, Fault> {
    if count == 0 || first.saturating_add(count) > x.channels {
        return Err(range(layer));
    }
    if count == x.channels {
        return Ok(x);
    }
    let value = net.graph.slice(&x.value, 1, first.into(), (first + count).into());
    Ok(Blob { value, channels: count, ..x })
}

/// Padding: constant, replicate or reflect.
pub fn padding(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    if [6, 7, 8].iter().any(|&id| layer.int(id, 0) != Ok(0)) {
        return Err(layer.unsuitable("pads channels"));
    }
    let [top, bottom, left, right] =
        [layer.size(0, 0)?, layer.size(1, 0)?, layer.size(2, 0)?, layer.size(3, 0)?];
    let pads = [top, left, bottom, right].map(i64::from);
    let value = layer.float(5, 0.0)?;
    let border = match layer.int(4, 0)? {
        0 if value == 0.0 => Border::Zero,
        1 => Border::Edge,
        2 => Border::Reflect,
        kind => return Err(layer.unsuitable(format_args!("padding type {kind} with {value}"))),
    };
    Ok(pad(net, x, pads, border))
}

/// `x` with `pads` (top, left, bottom, right) around it.
pub fn pad(net: &mut Net, x: Blob, pads: [i64; 4], border: Border) -> Blob {
    let [top, left, bottom, right] = pads;
    let value = net.graph.pad(&x.value, pads, border);
    let (height, width) = (x.height.longer(top + bottom), x.width.longer(left + right));
    Blob { value, height, width, ..x }
}

/// Interp: nearest, bilinear or bicubic, by a scale.
pub fn interp(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    if layer.int(3, 0)? != 0 || layer.int(4, 0)? != 0 || layer.int(5, 0)? != 0 {
        return Err(layer.unsuitable("resizes to a fixed size, or another picture's"));
    }
    let scale = [layer.float(1, 1.0)?, layer.float(2, 1.0)?];
    let [Some(tall), Some(wide)] = scale.map(ratio) else {
        return Err(layer.unsuitable(format_args!("resizes by {scale:?}")));
    };
    let corners = layer.int(6, 0)? != 0;
    let value = match (layer.int(0, 0)?, corners) {
        (1, _) => net.graph.resize_nearest(&x.value, scale),
        (2, false) => net.graph.resize_linear(&x.value, scale),
        (3, false) => net.graph.resize_cubic(&x.value, scale),
        // Corner on corner: where samples lie depends on the picture's size.
        (kind @ (2 | 3), true) => {
            let mode = if kind == 2 { "linear" } else { "cubic" };
            let places = Attribute::Text("align_corners".into());
            let attributes = [
                ("mode", Attribute::Text(mode.into())),
                ("coordinate_transformation_mode", places),
                ("cubic_coeff_a", Attribute::Float(-0.75)),
            ];
            net.graph.resize(&x.value, scale, attributes)
        }
        (kind, _) => return Err(layer.unsuitable(format_args!("resize type {kind}"))),
    };
    let (height, width) = (x.height.scaled(tall.0, tall.1)?, x.width.scaled(wide.0, wide.1)?);
    Ok(Blob { value, height, width, ..x })
}

/// `scale` as a fraction of small numbers.
fn ratio(scale: f32) -> Option<(u32, u32)> {
    let fits = |&below: &u32| {
        let above = scale * below as f32;
        (1.0..=64.0).contains(&above) && (above - above.round()).abs() < 1e-5
    };
    (1..=16).find(fits).map(|below| ((scale * below as f32).round() as u32, below))
}

/// PixelShuffle: channels become pixels.
pub fn pixel_shuffle(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let factor = layer.size(0, 1)?;
    let area = factor.saturating_mul(factor);
    if area == 0 || !x.channels.is_multiple_of(area) {
        return Err(layer.damaged(format_args!("{} channels do not divide by {area}", x.channels)));
    }
    let shuffle = if layer.int(1, 0)? == 0 { Shuffle::Crd } else { Shuffle::Dcr };
    let value = net.graph.depth_to_space(&x.value, factor, shuffle);
    let (height, width) = (x.height.scaled(factor, 1)?, x.width.scaled(factor, 1)?);
    Ok(Blob { value, channels: x.channels / area, height, width })
}

/// Reorg: pixels become channels.
pub fn reorg(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let stride = layer.size(0, 1)?;
    let channels = stride.checked_mul(stride).and_then(|area| area.checked_mul(x.channels));
    let (1.., Some(channels @ ..=0xffff)) = (stride, channels) else {
        return Err(layer.damaged(format_args!("a stride of {stride}")));
    };
    let value = match layer.int(1, 0)? {
        0 => net.graph.space_to_depth(&x.value, stride, x.channels),
        _ => {
            let size = Attribute::Int(stride.into());
            net.graph.push("SpaceToDepth", &[&x.value], [("blocksize", size)])
        }
    };
    let (height, width) = (x.height.scaled(1, stride)?, x.width.scaled(1, stride)?);
    Ok(Blob { value, channels, height, width })
}

/// Pooling: of the whole picture or of windows, the most or the mean.
pub fn pooling(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let mean = layer.int(0, 0)? == 1;
    let adaptive = layer.int(7, 0)? != 0;
    let to_one = layer.int(8, 0)? == 1 && layer.int(18, 1)? == 1;
    if layer.int(4, 0)? != 0 || adaptive && to_one {
        let op = if mean { "GlobalAveragePool" } else { "GlobalMaxPool" };
        return Ok(global(net, op, &x));
    }
    let mode = layer.int(5, 0)?;
    if adaptive || !matches!(mode, 0 | 1) {
        return Err(layer.unsuitable("pools by the size of the picture"));
    }
    let (wide, stride, left) = (layer.size(1, 0)?, layer.size(2, 1)?, layer.size(3, 0)?);
    let (tall, down, top) = (layer.size(11, wide)?, layer.size(12, stride)?, layer.size(13, left)?);
    let (right, bottom) = (layer.size(14, left)?, layer.size(15, top)?);
    if [wide, stride, tall, down].contains(&0) {
        return Err(layer.damaged("a window or stride of 0"));
    }
    let side = |side: Extent, pads: u32, window, stride| {
        let side = side.longer(pads.into());
        // In mode 0 a window that only begins inside counts too.
        side.longer(if mode == 0 { i64::from(stride) - 1 } else { 0 }).windows(window, stride)
    };
    let height = side(x.height, top + bottom, tall, down)?;
    let width = side(x.width, left + right, wide, stride)?;
    let ints = |values: &[u32]| Attribute::Ints(values.iter().map(|&v| v.into()).collect());
    let mut attributes = vec![
        ("kernel_shape", ints(&[tall, wide])),
        ("strides", ints(&[down, stride])),
        ("pads", ints(&[top, left, bottom, right])),
        ("ceil_mode", Attribute::Int((mode == 0).into())),
    ];
    if mean {
        attributes.push(("count_include_pad", Attribute::Int(layer.int(6, 0)?.into())));
    }
    let op = if mean { "AveragePool" } else { "MaxPool" };
    let value = net.graph.push(op, &[&x.value], attributes);
    Ok(Blob { value, height, width, ..x })
}

/// Reduction: the mean of each channel, which is what attention takes.
pub fn reduction(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let mut axes = layer.ints(3)?;
    axes.sort_unstable();
    let (whole, plain) = (layer.int(1, 1)? == 0, layer.float(2, 1.0)? == 1.0);
    if layer.int(0, 0)? != 3 || !whole || !plain || !matches!(axes[..], [1, 2] | [-2, -1]) {
        return Err(layer.unsuitable("reduces otherwise than to the mean of each channel"));
    }
    Ok(global(net, "GlobalAveragePool", &x))
}

fn global(net: &mut Net, op: &str, x: &Blob) -> Blob {
    let value = net.graph.push(op, &[&x.value], []);
    Blob { value, height: Extent::constant(1), width: Extent::constant(1), ..x.clone() }
}
