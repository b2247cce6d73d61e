//! Layers that change the size of an image or move its samples.

use super::{
    extent::Extent,
    net::{Blob, Net},
    param::{Layer, UNSET},
};
use crate::model::{Attribute, Border, Shuffle, fault::Fault};

/// Crop: by margins, by ranges, or to the size of another blob.
pub(super) fn crop(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const LEFT: i32 = 0;
    const TOP: i32 = 1;
    const FIRST_CHANNEL: i32 = 2;
    const WIDTH: i32 = 3;
    const HEIGHT: i32 = 4;
    const CHANNELS: i32 = 5;
    const RIGHT: i32 = 6;
    const BOTTOM: i32 = 7;
    const LAST_CHANNELS: i32 = 8;
    let blobs = net.inputs(layer)?;
    let (x, reference) = match blobs.as_slice() {
        [x] => (x.clone(), None),
        [x, reference] => (x.clone(), Some(reference)),
        _ => return Err(layer.damaged("has more than two inputs")),
    };
    if layer.has(RANGE_STARTS) {
        return crop_ranges(layer, net, x);
    }
    let [left, top] = [layer.size(LEFT, 0)?, layer.size(TOP, 0)?];
    let first = layer.size(FIRST_CHANNEL, 0)?;
    let (bottom, right, channels) = match reference {
        Some(reference) => {
            let rest = |x: Extent, reference: Extent, start: u32| {
                let rest = x.difference(reference).map(|more| more - i64::from(start));
                rest.and_then(|rest| u32::try_from(rest).ok()).ok_or_else(|| {
                    layer.unsuitable("crops by an amount that depends on the size of the image")
                })
            };
            let bottom = rest(x.height, reference.height, top)?;
            (bottom, rest(x.width, reference.width, left)?, reference.channels)
        }
        None => {
            if [WIDTH, HEIGHT].iter().any(|&id| !matches!(layer.int(id, 0), Ok(0 | UNSET))) {
                return Err(layer.unsuitable(FIXED_SIZE));
            }
            let channels = match layer.int(CHANNELS, 0)? {
                0 | UNSET => {
                    let removed = first.saturating_add(layer.size(LAST_CHANNELS, 0)?);
                    x.channels.saturating_sub(removed)
                }
                _ => layer.size(CHANNELS, 0)?,
            };
            (layer.size(BOTTOM, 0)?, layer.size(RIGHT, 0)?, channels)
        }
    };
    let x = crop_sides(net, x, [top, left, bottom, right]);
    crop_channels(layer, net, x, first, channels)
}

const FIXED_SIZE: &str = "cropping to a fixed size is not supported";

/// The parameter of Crop that selects ranges.
const RANGE_STARTS: i32 = 9;

/// Crop by ranges: starts, ends and axes of C × H × W.
fn crop_ranges(layer: &Layer, net: &mut Net, x: Blob) -> Result<Blob, Fault> {
    const ENDS: i32 = 10;
    const AXES: i32 = 11;
    let (starts, ends, axes) = (layer.ints(RANGE_STARTS)?, layer.ints(ENDS)?, layer.ints(AXES)?);
    let axes = if axes.is_empty() { (0..starts.len() as i32).collect() } else { axes };
    if starts.len() != ends.len() || starts.len() != axes.len() {
        return Err(layer.damaged("has different counts of starts, ends and axes"));
    }
    let [mut rows, mut columns] = [(0, 0); 2];
    let (mut first, mut end) = (0, x.channels);
    for ((&start, &stop), &axis) in starts.iter().zip(&ends).zip(&axes) {
        match axis {
            0 | -3 => {
                let channel = |at: i32| match at {
                    UNSET => Some(x.channels),
                    0.. => Some(at.unsigned_abs().min(x.channels)),
                    _ => x.channels.checked_add_signed(at),
                };
                let range = channel(start).zip(channel(stop));
                (first, end) = range.ok_or_else(|| out_of_range(layer))?;
            }
            1 | -2 => rows = margins(layer, start, stop)?,
            2 | -1 => columns = margins(layer, start, stop)?,
            _ => return Err(out_of_range(layer)),
        }
    }
    let x = crop_sides(net, x, [rows.0, columns.0, rows.1, columns.1]);
    crop_channels(layer, net, x, first, end.saturating_sub(first))
}

/// The samples that the range `start..stop` removes before and after.
fn margins(layer: &Layer, start: i32, stop: i32) -> Result<(u32, u32), Fault> {
    let (before, after) = match (start, stop) {
        (0.., UNSET) => (start, 0),
        (0.., ..0) => (start, stop.wrapping_neg()),
        // Real-CUGAN's ×4 export has PyTorch's pad of −n with wrong signs.
        (..0, 1..) if stop == start.wrapping_neg() => (stop, stop),
        _ => return Err(layer.unsuitable(FIXED_SIZE)),
    };
    let margin = |n: i32| u32::try_from(n).ok().filter(|&n| n <= 0xffff);
    margin(before).zip(margin(after)).ok_or_else(|| out_of_range(layer))
}

fn out_of_range(layer: &Layer) -> Fault {
    layer.damaged("crops a range outside of its input")
}

/// `x` without `margins` (top, left, bottom, right).
fn crop_sides(net: &mut Net, x: Blob, margins: [u32; 4]) -> Blob {
    if margins == [0; 4] {
        return x;
    }
    let [top, left, bottom, right] = margins.map(i64::from);
    let value = net.graph.crop(&x.value, margins);
    let (height, width) = (x.height.plus(-top - bottom), x.width.plus(-left - right));
    Blob { value, height, width, ..x }
}

/// The `count` channels of `x` from `first`.
fn crop_channels(
    layer: &Layer,
    net: &mut Net,
    x: Blob,
    first: u32,
    count: u32,
) -> Result<Blob, Fault> {
    if count == 0 || first.saturating_add(count) > x.channels {
        return Err(out_of_range(layer));
    }
    if count == x.channels {
        return Ok(x);
    }
    let value = net.graph.slice(&x.value, 1, first.into(), (first + count).into());
    Ok(Blob { value, channels: count, ..x })
}

/// Padding: with zeros, with the border sample, or by reflection.
pub(super) fn padding(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const TOP: i32 = 0;
    const BOTTOM: i32 = 1;
    const LEFT: i32 = 2;
    const RIGHT: i32 = 3;
    const MODE: i32 = 4;
    const VALUE: i32 = 5;
    const PER_CHANNEL: i32 = 6;
    const FRONT: i32 = 7;
    const BEHIND: i32 = 8;
    let x = net.input(layer)?;
    if [PER_CHANNEL, FRONT, BEHIND].iter().any(|&id| layer.int(id, 0) != Ok(0)) {
        return Err(layer.unsuitable("padding of channels is not supported"));
    }
    let [top, left] = [layer.size(TOP, 0)?, layer.size(LEFT, 0)?];
    let [bottom, right] = [layer.size(BOTTOM, 0)?, layer.size(RIGHT, 0)?];
    let value = layer.float(VALUE, 0.0)?;
    let border = match layer.int(MODE, 0)? {
        0 if value == 0.0 => Border::Zero,
        1 => Border::Edge,
        2 => Border::Reflect,
        mode => {
            return Err(layer.unsuitable(format_args!(
                "the padding mode {mode} with value {value} is not supported"
            )));
        }
    };
    Ok(pad(net, x, [top, left, bottom, right].map(i64::from), border))
}

/// `x` with `pads` (top, left, bottom, right) around it.
pub(super) fn pad(net: &mut Net, x: Blob, pads: [i64; 4], border: Border) -> Blob {
    let [top, left, bottom, right] = pads;
    let value = net.graph.pad(&x.value, pads, border);
    let (height, width) = (x.height.plus(top + bottom), x.width.plus(left + right));
    Blob { value, height, width, ..x }
}

/// Interp: nearest-neighbour, bilinear or bicubic resizing by a scale.
pub(super) fn interp(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const MODE: i32 = 0;
    const SCALE_HEIGHT: i32 = 1;
    const SCALE_WIDTH: i32 = 2;
    const HEIGHT: i32 = 3;
    const WIDTH: i32 = 4;
    const DYNAMIC_SIZE: i32 = 5;
    const ALIGN_CORNERS: i32 = 6;
    let x = net.input(layer)?;
    for id in [HEIGHT, WIDTH, DYNAMIC_SIZE] {
        if layer.int(id, 0)? != 0 {
            let what = "resizing to a fixed size, or to that of another image, is not supported";
            return Err(layer.unsuitable(what));
        }
    }
    let scale = [layer.float(SCALE_HEIGHT, 1.0)?, layer.float(SCALE_WIDTH, 1.0)?];
    let [Some(vertical), Some(horizontal)] = scale.map(ratio) else {
        return Err(layer.unsuitable(format_args!("resizing by {scale:?} is not supported")));
    };
    let align_corners = layer.int(ALIGN_CORNERS, 0)? != 0;
    let value = match (layer.int(MODE, 0)?, align_corners) {
        (1, _) => net.graph.resize_nearest(&x.value, scale),
        (2, false) => net.graph.resize_linear(&x.value, scale),
        (3, false) => net.graph.resize_cubic(&x.value, scale),
        (mode @ (2 | 3), true) => {
            let mode = if mode == 2 { "linear" } else { "cubic" };
            let coordinates = Attribute::Text("align_corners".into());
            let attributes = [
                ("mode", Attribute::Text(mode.into())),
                ("coordinate_transformation_mode", coordinates),
                ("cubic_coeff_a", Attribute::Float(-0.75)),
            ];
            net.graph.resize(&x.value, scale, attributes)
        }
        (mode, _) => {
            return Err(layer.unsuitable(format_args!("the resizing mode {mode} is not supported")));
        }
    };
    let height = x.height.scaled(vertical.0, vertical.1)?;
    let width = x.width.scaled(horizontal.0, horizontal.1)?;
    Ok(Blob { value, height, width, ..x })
}

/// `scale` as a fraction of small numbers.
fn ratio(scale: f32) -> Option<(u32, u32)> {
    let fits = |&denominator: &u32| {
        let numerator = scale * denominator as f32;
        (1.0..=64.0).contains(&numerator) && (numerator - numerator.round()).abs() < 1e-5
    };
    let denominator = (1..=16).find(fits)?;
    Some(((scale * denominator as f32).round() as u32, denominator))
}

/// PixelShuffle: turns channels into pixels.
pub(super) fn pixel_shuffle(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const FACTOR: i32 = 0;
    const MODE: i32 = 1;
    let x = net.input(layer)?;
    let factor = layer.size(FACTOR, 1)?;
    let area = factor.saturating_mul(factor);
    if area == 0 || !x.channels.is_multiple_of(area) {
        let channels = x.channels;
        return Err(layer.damaged(format_args!("cannot divide {channels} channels by {area}")));
    }
    let shuffle = if layer.int(MODE, 0)? == 0 { Shuffle::Crd } else { Shuffle::Dcr };
    let value = net.graph.depth_to_space(&x.value, factor, shuffle);
    let (height, width) = (x.height.scaled(factor, 1)?, x.width.scaled(factor, 1)?);
    Ok(Blob { value, channels: x.channels / area, height, width })
}

/// The block size that a Reorg turns into channels.
pub(super) fn reorg_stride(layer: &Layer) -> Result<u32, Fault> {
    const STRIDE: i32 = 0;
    layer.size(STRIDE, 1)
}

/// Reorg: turns pixels into channels.
pub(super) fn reorg(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const MODE: i32 = 1;
    let x = net.input(layer)?;
    let stride = reorg_stride(layer)?;
    let channels = stride.checked_mul(stride).and_then(|area| area.checked_mul(x.channels));
    let (1.., Some(channels @ ..=0xffff)) = (stride, channels) else {
        return Err(layer.damaged(format_args!("has a stride of {stride}")));
    };
    let value = match layer.int(MODE, 0)? {
        0 => net.graph.space_to_depth(&x.value, stride, x.channels),
        _ => {
            let size = Attribute::Int(stride.into());
            net.graph.push("SpaceToDepth", &[&x.value], [("blocksize", size)])
        }
    };
    let (height, width) = (x.height.scaled(1, stride)?, x.width.scaled(1, stride)?);
    Ok(Blob { value, channels, height, width })
}

/// Pooling: the maximum or the mean of windows, or of the whole image.
pub(super) fn pooling(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const KIND: i32 = 0;
    const KERNEL_WIDTH: i32 = 1;
    const STRIDE_WIDTH: i32 = 2;
    const PAD_LEFT: i32 = 3;
    const GLOBAL: i32 = 4;
    const PAD_MODE: i32 = 5;
    const COUNT_PADS: i32 = 6;
    const ADAPTIVE: i32 = 7;
    const OUTPUT_WIDTH: i32 = 8;
    const KERNEL_HEIGHT: i32 = 11;
    const STRIDE_HEIGHT: i32 = 12;
    const PAD_TOP: i32 = 13;
    const PAD_RIGHT: i32 = 14;
    const PAD_BOTTOM: i32 = 15;
    const OUTPUT_HEIGHT: i32 = 18;
    let x = net.input(layer)?;
    let is_mean = layer.int(KIND, 0)? == 1;
    let is_adaptive = layer.int(ADAPTIVE, 0)? != 0;
    let to_one = layer.int(OUTPUT_WIDTH, 0)? == 1 && layer.int(OUTPUT_HEIGHT, 1)? == 1;
    if layer.int(GLOBAL, 0)? != 0 || is_adaptive && to_one {
        let op = if is_mean { "GlobalAveragePool" } else { "GlobalMaxPool" };
        return Ok(global(net, op, &x));
    }
    // Mode 0 includes a last window that is only partly inside, mode 1 does not.
    let pad_mode = layer.int(PAD_MODE, 0)?;
    if is_adaptive || !matches!(pad_mode, 0 | 1) {
        return Err(layer.unsuitable("its windows depend on the size of the image"));
    }
    let ceil = pad_mode == 0;
    let kernel_width = layer.size(KERNEL_WIDTH, 0)?;
    let kernel_height = layer.size(KERNEL_HEIGHT, kernel_width)?;
    let stride_width = layer.size(STRIDE_WIDTH, 1)?;
    let stride_height = layer.size(STRIDE_HEIGHT, stride_width)?;
    let left = layer.size(PAD_LEFT, 0)?;
    let top = layer.size(PAD_TOP, left)?;
    let (right, bottom) = (layer.size(PAD_RIGHT, left)?, layer.size(PAD_BOTTOM, top)?);
    if [kernel_width, stride_width, kernel_height, stride_height].contains(&0) {
        return Err(layer.damaged("has a kernel or stride of 0"));
    }
    let windows = |side: Extent, pads: u32, kernel, stride: u32| {
        let partial = if ceil { i64::from(stride) - 1 } else { 0 };
        side.plus(i64::from(pads) + partial).windows(kernel, stride)
    };
    let height = windows(x.height, top + bottom, kernel_height, stride_height)?;
    let width = windows(x.width, left + right, kernel_width, stride_width)?;
    let ints = |values: &[u32]| Attribute::Ints(values.iter().map(|&v| v.into()).collect());
    let mut attributes = vec![
        ("kernel_shape", ints(&[kernel_height, kernel_width])),
        ("strides", ints(&[stride_height, stride_width])),
        ("pads", ints(&[top, left, bottom, right])),
        ("ceil_mode", Attribute::Int(ceil.into())),
    ];
    if is_mean {
        let count_pads = Attribute::Int(layer.int(COUNT_PADS, 0)?.into());
        attributes.push(("count_include_pad", count_pads));
    }
    let op = if is_mean { "AveragePool" } else { "MaxPool" };
    let value = net.graph.push(op, &[&x.value], attributes);
    Ok(Blob { value, height, width, ..x })
}

/// Reduction to the mean of each channel, as attention layers use it.
pub(super) fn reduction(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const OPERATION: i32 = 0;
    const REDUCE_ALL: i32 = 1;
    const COEFFICIENT: i32 = 2;
    const AXES: i32 = 3;
    const MEAN: i32 = 3;
    let x = net.input(layer)?;
    let mut axes = layer.ints(AXES)?;
    axes.sort_unstable();
    let is_mean = layer.int(OPERATION, 0)? == MEAN && layer.float(COEFFICIENT, 1.0)? == 1.0;
    let is_per_channel = layer.int(REDUCE_ALL, 1)? == 0 && matches!(axes[..], [1, 2] | [-2, -1]);
    if !is_mean || !is_per_channel {
        return Err(layer.unsuitable("only the mean of each channel is supported"));
    }
    Ok(global(net, "GlobalAveragePool", &x))
}

/// Adds `op`, which reduces each channel to one sample.
fn global(net: &mut Net, op: &str, x: &Blob) -> Blob {
    let value = net.graph.push(op, &[&x.value], []);
    Blob { value, height: Extent::constant(1), width: Extent::constant(1), ..x.clone() }
}
