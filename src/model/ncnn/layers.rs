//! Each of ncnn's layers as nodes of the graph; what parameters mean is in ncnn's
//! docs/developer-guide/operators.md.

use super::{
    convolution,
    extent::Extent,
    net::{Blob, Net},
    param::Layer,
    spatial,
};
use crate::model::{Attribute, fault::Fault};

/// The kinds that are known, for messages.
const KNOWN: &str = "BatchNorm, Bias, BinaryOp, Clip, Concat, Convolution, ConvolutionDepthWise, \
    Crop, Deconvolution, DeconvolutionDepthWise, Dropout, ELU, Eltwise, Flatten, GELU, HardSigmoid, \
    HardSwish, InnerProduct, Input, Interp, MemoryData, Noop, Padding, PixelShuffle, Pooling, \
    PReLU, Reduction, ReLU, Reorg, Reshape, Scale, Sigmoid, Slice, Split, Swish, TanH, UnaryOp";

/// Adds `layer` to `net`.
///
/// # Errors
/// Where the layer is not known, contradicts itself, or wants weights that are not there.
pub fn add(layer: &Layer, net: &mut Net) -> Result<(), Fault> {
    let blob = match layer.kind.as_str() {
        "Slice" => return slice(layer, net),
        "Split" | "Noop" => net.input(layer)?,
        "BatchNorm" => batch_norm(layer, net)?,
        "Bias" => bias(layer, net)?,
        "BinaryOp" => binary_op(layer, net)?,
        "Concat" => concat(layer, net)?,
        "Convolution" | "ConvolutionDepthWise" => convolution::convolution(layer, net)?,
        "Crop" => spatial::crop(layer, net)?,
        "Deconvolution" | "DeconvolutionDepthWise" => convolution::deconvolution(layer, net)?,
        "Eltwise" => eltwise(layer, net)?,
        "Flatten" | "Reshape" => reshape(layer, net)?,
        "InnerProduct" => convolution::inner_product(layer, net)?,
        "Interp" => spatial::interp(layer, net)?,
        "MemoryData" => memory_data(layer, net)?,
        "Padding" => spatial::padding(layer, net)?,
        "PixelShuffle" => spatial::pixel_shuffle(layer, net)?,
        "Pooling" => spatial::pooling(layer, net)?,
        "PReLU" => prelu(layer, net)?,
        "Reduction" => spatial::reduction(layer, net)?,
        "Reorg" => spatial::reorg(layer, net)?,
        "Scale" => scale(layer, net)?,
        "Dropout" => match layer.float(0, 1.0)? {
            1.0 => net.input(layer)?,
            factor => {
                let x = net.input(layer)?;
                net.with_scalar("Mul", &x, factor)
            }
        },
        _ => pointwise(layer, net)?,
    };
    let copies = layer.outputs.iter().map(|name| (name.clone(), blob.clone()));
    if layer.kind != "Split" && layer.outputs.len() != 1 {
        return Err(layer.damaged(format_args!("has {} outputs, not one", layer.outputs.len())));
    }
    net.blobs.extend(copies);
    Ok(())
}

/// Layers that treat each sample alike.
fn pointwise(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let v = x.value.as_str();
    let graph = &mut net.graph;
    let hard = || -> Result<_, Fault> {
        let (alpha, beta) = (layer.float(0, 0.2)?, layer.float(1, 0.5)?);
        Ok([("alpha", Attribute::Float(alpha)), ("beta", Attribute::Float(beta))])
    };
    let value = match layer.kind.as_str() {
        "AbsVal" => graph.push("Abs", &[v], []),
        "Clip" => graph.clip(v, layer.float(0, f32::MIN)?, layer.float(1, f32::MAX)?),
        "ELU" => graph.push("Elu", &[v], [("alpha", Attribute::Float(layer.float(0, 0.1)?))]),
        "HardSigmoid" => graph.push("HardSigmoid", &[v], hard()?),
        "HardSwish" => {
            let gate = graph.push("HardSigmoid", &[v], hard()?);
            graph.mul(v, &gate)
        }
        "GELU" => gelu(layer, net, v)?,
        "ReLU" => match layer.float(0, 0.0)? {
            0.0 => graph.relu(v),
            slope => graph.leaky_relu(v, slope),
        },
        "Sigmoid" => graph.sigmoid(v),
        "Swish" => graph.silu(v),
        "TanH" => graph.tanh(v),
        "UnaryOp" => {
            let op = match layer.int(0, 0)? {
                0 => "Abs",
                1 => "Neg",
                4 => return Ok(x.with(graph.mul(v, v))),
                5 => "Sqrt",
                7 => "Exp",
                8 => "Log",
                15 => "Reciprocal",
                16 => "Tanh",
                kind => return Err(layer.unsuitable(format_args!("operation {kind}"))),
            };
            graph.push(op, &[v], [])
        }
        _ => return Err(layer.unsuitable(format_args!("not known here; known are {KNOWN}"))),
    };
    Ok(x.with(value))
}

/// x/2 · (1 + erf(x/√2)), or its approximation by tanh.
fn gelu(layer: &Layer, net: &mut Net, x: &str) -> Result<String, Fault> {
    let graph = &mut net.graph;
    let inner = if layer.int(0, 0)? == 0 {
        let scaled = graph.scale(x, std::f32::consts::FRAC_1_SQRT_2);
        graph.push("Erf", &[&scaled], [])
    } else {
        let square = graph.mul(x, x);
        let cube = graph.mul(&square, x);
        let bent = graph.scale(&cube, 0.044_715);
        let sum = graph.add(x, &bent);
        let scaled = graph.scale(&sum, 0.797_884_6);
        graph.tanh(&scaled)
    };
    let gate = graph.offset(&inner, &[1.0]);
    let product = graph.mul(x, &gate);
    Ok(graph.scale(&product, 0.5))
}

fn prelu(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let slopes = per_channel(layer, net, &x, 0)?;
    let slopes = net.graph.constant_f32("slope", &[slopes.len() as u64, 1, 1], &slopes);
    Ok(x.with(net.graph.prelu(&x.value, &slopes)))
}

/// Weights as many as parameter `id` says, one for each channel of `x` or one for all.
fn per_channel(layer: &Layer, net: &mut Net, x: &Blob, id: i32) -> Result<Vec<f32>, Fault> {
    let count = layer.size(id, 0)?;
    if count != 1 && count != x.channels {
        return Err(layer.damaged(format_args!("has {count} numbers for {} channels", x.channels)));
    }
    net.weights.plain(count as usize)
}

fn bias(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let values = per_channel(layer, net, &x, 0)?;
    Ok(net.with_channels("Add", &x, &values))
}

fn scale(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    if layer.int(0, 0)? == -233 {
        let [x, factor] = net.inputs(layer)?.try_into().map_err(|_| layer.damaged("not of two"))?;
        return net.pairwise(layer, "Mul", &x, &factor);
    }
    let x = net.input(layer)?;
    let factors = per_channel(layer, net, &x, 0)?;
    let scaled = net.with_channels("Mul", &x, &factors);
    if layer.int(1, 0)? == 0 {
        return Ok(scaled);
    }
    let offsets = per_channel(layer, net, &x, 0)?;
    Ok(net.with_channels("Add", &scaled, &offsets))
}

fn batch_norm(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let eps = layer.float(1, 0.0)?;
    let [slope, mean, variance, bias] = [
        per_channel(layer, net, &x, 0)?,
        per_channel(layer, net, &x, 0)?,
        per_channel(layer, net, &x, 0)?,
        per_channel(layer, net, &x, 0)?,
    ];
    let factors: Vec<_> = slope.iter().zip(&variance).map(|(s, v)| s / (v + eps).sqrt()).collect();
    let offsets = bias.iter().zip(&mean).zip(&factors).map(|((b, m), f)| b - m * f);
    let offsets: Vec<_> = offsets.collect();
    let scaled = net.with_channels("Mul", &x, &factors);
    Ok(net.with_channels("Add", &scaled, &offsets))
}

fn binary_op(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    // The last three are the first ones' with their sides changed.
    let (op, turned) = match layer.int(0, 0)? {
        0 => ("Add", false),
        1 => ("Sub", false),
        2 => ("Mul", false),
        3 => ("Div", false),
        4 => ("Max", false),
        5 => ("Min", false),
        6 => ("Pow", false),
        7 => ("Sub", true),
        8 => ("Div", true),
        9 => ("Pow", true),
        kind => return Err(layer.unsuitable(format_args!("operation {kind}"))),
    };
    if layer.int(1, 0)? != 0 {
        let x = net.input(layer)?;
        let scalar = layer.float(2, 0.0)?;
        if !turned {
            return Ok(net.with_scalar(op, &x, scalar));
        }
        let scalar = net.graph.constant_f32("scalar", &[], &[scalar]);
        return Ok(x.with(net.graph.push(op, &[&scalar, &x.value], [])));
    }
    let [a, b] = net.inputs(layer)?.try_into().map_err(|_| layer.damaged("not of two"))?;
    let (a, b) = if turned { (b, a) } else { (a, b) };
    net.pairwise(layer, op, &a, &b)
}

fn eltwise(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let mut blobs = net.inputs(layer)?;
    let coefficients = layer.floats(1);
    let op = match layer.int(0, 0)? {
        0 => "Mul",
        1 => "Add",
        2 => "Max",
        kind => return Err(layer.unsuitable(format_args!("operation {kind}"))),
    };
    if op == "Add" && !coefficients.is_empty() {
        if coefficients.len() != blobs.len() {
            return Err(layer.damaged("has not one coefficient for each input"));
        }
        for (blob, &factor) in blobs.iter_mut().zip(&coefficients) {
            if factor != 1.0 {
                *blob = net.with_scalar("Mul", blob, factor);
            }
        }
    }
    let mut blobs = blobs.into_iter();
    let first = blobs.next().ok_or_else(|| layer.damaged("lacks an input"))?;
    blobs.try_fold(first, |sum, blob| net.pairwise(layer, op, &sum, &blob))
}

fn concat(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let blobs = net.inputs(layer)?;
    if !matches!(layer.int(0, 0)?, 0 | -3) {
        return Err(layer.unsuitable("joins pictures side by side"));
    }
    let [first, ..] = blobs.as_slice() else { return Err(layer.damaged("lacks an input")) };
    if blobs.iter().any(|b| (b.height, b.width) != (first.height, first.width)) {
        return Err(layer.unsuitable("joins pictures of different sizes"));
    }
    let channels = blobs.iter().map(|b| u64::from(b.channels)).sum::<u64>();
    let channels = u32::try_from(channels).ok().filter(|&c| c <= 0xffff);
    let channels = channels.ok_or_else(|| layer.damaged("joins more than 65535 channels"))?;
    let values: Vec<&str> = blobs.iter().map(|b| b.value.as_str()).collect();
    let value = net.graph.concat(&values, 1);
    Ok(Blob { value, channels, ..first.clone() })
}

/// Slice: channels shared out among several outputs.
fn slice(layer: &Layer, net: &mut Net) -> Result<(), Fault> {
    let x = net.input(layer)?;
    let sizes = layer.ints(0)?;
    if !matches!(layer.int(1, 0)?, 0 | -3) || sizes.len() != layer.outputs.len() {
        return Err(layer.unsuitable("cuts otherwise than by channels, one piece for each output"));
    }
    let mut first = 0;
    for (index, (name, &size)) in layer.outputs.iter().zip(&sizes).enumerate() {
        let left = x.channels - first;
        let count = match size {
            // An equal share of what is left.
            -233 => left / (sizes.len() - index) as u32,
            _ => u32::try_from(size).unwrap_or(0),
        };
        if count == 0 || count > left {
            return Err(layer.damaged("cuts more channels than there are"));
        }
        let end = first + count;
        let value = net.graph.slice(&x.value, 1, first.into(), end.into());
        net.blobs.insert(name.clone(), Blob { value, channels: count, ..x.clone() });
        first = end;
    }
    Ok(())
}

fn memory_data(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let (w, h, c) = (layer.size(0, 0)?, layer.size(1, 0)?, layer.size(2, 0)?);
    if layer.int(11, 0)? != 0 {
        return Err(layer.unsuitable("holds four dimensions"));
    }
    let [channels, height, width] = match (w, h, c) {
        (1.., 0, 0) => [w, 1, 1],
        (1.., 1.., 1..) => [c, h, w],
        _ => return Err(layer.unsuitable(format_args!("holds {w} × {h} × {c} numbers"))),
    };
    let count =
        [height, width].iter().try_fold(channels as usize, |n, &d| n.checked_mul(d as usize));
    let count = count.ok_or_else(|| layer.damaged("holds too much"))?;
    let values = match layer.int(21, 1)? {
        0 => net.weights.tagged(count)?,
        _ => net.weights.plain(count)?,
    };
    let dims = [1, channels, height, width].map(u64::from);
    let value = net.graph.constant_f32("data", &dims, &values);
    let (height, width) = (Extent::constant(height), Extent::constant(width));
    Ok(Blob { value, channels, height, width })
}

/// Reshape and Flatten, where a vector stays one: its 1 × 1 pictures need no change.
fn reshape(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    let (w, h, c) = (layer.int(0, -233)?, layer.int(1, -233)?, layer.int(2, -233)?);
    let all = |n: i32| n == -1 || u32::try_from(n) == Ok(x.channels);
    let vector = h == -233 && c == -233 && (w == -233 || all(w)) || w == 1 && h == 1 && all(c);
    if !x.is_vector() || !vector {
        return Err(layer.unsuitable("reshapes a picture"));
    }
    Ok(x)
}
