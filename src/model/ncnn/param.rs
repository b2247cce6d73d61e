//! The `.param` file of an ncnn model: layers, their parameters, and the blobs between them.
//!
//! The format is ncnn's "param" with the magic number 7767517: a line with the counts of layers
//! and blobs, then for each layer `kind name inputs outputs`, the names of the blobs, and
//! `id=value` pairs. The id of an array is written as −23300 − id, and its value starts with its
//! length.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fault::Fault;

const MAGIC: &str = "7767517";
/// The maximum number of layers; published networks have about 2000.
const MAX_LAYERS: usize = 1 << 13;
/// The maximum number of inputs, and of outputs, of a layer.
const MAX_BLOBS: usize = 1 << 10;
/// The largest size, count or distance.
const MAX_SIZE: u32 = 0xffff;

/// ncnn's value for "not given" in parameters in which 0 and −1 have a meaning.
pub(super) const UNSET: i32 = -233;

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// ncnn's name of the kind of layer, such as `Convolution`.
    pub kind: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    params: BTreeMap<i32, Vec<Number>>,
}

/// A number as it is written; its type depends on the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Int(i32),
    Float(f32),
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(value) = text.parse::<i32>() {
            return Some(Self::Int(value));
        }
        text.parse::<f32>().ok().filter(|v| v.is_finite()).map(Self::Float)
    }

    /// Older tools of ncnn wrote the floats of arrays as the integers with the same bits. Those
    /// are never small, since the float would be subnormal.
    fn float(self) -> f32 {
        match self {
            Self::Float(value) => value,
            Self::Int(value) if value.unsigned_abs() < 1 << 23 => value as f32,
            Self::Int(bits) => f32::from_bits(bits.cast_unsigned()),
        }
    }

    fn int(self) -> Option<i32> {
        match self {
            Self::Int(value) => Some(value),
            Self::Float(value) => {
                (value.fract() == 0.0 && value.abs() < 1e9).then_some(value as i32)
            }
        }
    }
}

impl Layer {
    /// Parameter `id` as an integer; `default` if it is not given.
    pub(crate) fn int(&self, id: i32, default: i32) -> Result<i32, Fault> {
        match self.params.get(&id).map(Vec::as_slice) {
            None => Ok(default),
            Some(&[number]) => number.int().ok_or_else(|| self.invalid(id, "an integer")),
            Some(_) => Err(self.invalid(id, "one integer")),
        }
    }

    /// Parameter `id` as an integer from 0 to 65535: a size, a count or a distance.
    pub(crate) fn size(&self, id: i32, default: u32) -> Result<u32, Fault> {
        let value = self.int(id, default.cast_signed())?;
        u32::try_from(value)
            .ok()
            .filter(|&v| v <= MAX_SIZE)
            .ok_or_else(|| self.invalid(id, "an integer from 0 to 65535"))
    }

    /// Parameter `id` as a float; `default` if it is not given.
    pub(crate) fn float(&self, id: i32, default: f32) -> Result<f32, Fault> {
        match self.params.get(&id).map(Vec::as_slice) {
            None => Ok(default),
            Some(&[number]) => Ok(number.float()),
            Some(_) => Err(self.invalid(id, "one number")),
        }
    }

    /// Array `id` as integers; empty if it is not given.
    pub(crate) fn ints(&self, id: i32) -> Result<Vec<i32>, Fault> {
        let numbers = self.params.get(&id).map(Vec::as_slice).unwrap_or_default();
        let ints: Option<_> = numbers.iter().map(|n| n.int()).collect();
        ints.ok_or_else(|| self.invalid(id, "a list of integers"))
    }

    /// Array `id` as floats; empty if it is not given.
    pub(crate) fn floats(&self, id: i32) -> Vec<f32> {
        let numbers = self.params.get(&id).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().map(|n| n.float()).collect()
    }

    /// Whether parameter `id` is given.
    pub(crate) fn has(&self, id: i32) -> bool {
        self.params.contains_key(&id)
    }

    /// A fault of this layer that violates the format; `what` is the rest of the message.
    pub(crate) fn damaged(&self, what: impl std::fmt::Display) -> Fault {
        Fault::damaged(format!("layer {} ({}): {what}", self.name, self.kind))
    }

    /// A fault of this layer that is not supported; `what` is the rest of the message.
    pub(crate) fn unsuitable(&self, what: impl std::fmt::Display) -> Fault {
        Fault::unsuitable(format!("layer {} ({}): {what}", self.name, self.kind))
    }

    fn invalid(&self, id: i32, expected: &str) -> Fault {
        self.damaged(format_args!("parameter {id} is not {expected}"))
    }
}

/// The layers of a `.param` file, in its order.
///
/// # Errors
/// [`Fault::Damaged`] if `text` is not a `.param` file, its counts are wrong, or a blob is produced
/// twice, or is used before it is produced.
pub(super) fn parse(text: &str) -> Result<Vec<Layer>, Fault> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next() != Some(MAGIC) {
        return Err(Fault::damaged(format!(
            "it does not start with {MAGIC}, as an ncnn .param file does"
        )));
    }
    let counts: Option<Vec<usize>> =
        lines.next().map(|l| l.split_whitespace().map_while(|n| n.parse().ok()).collect());
    let Some(&[layer_count, blob_count]) = counts.as_deref() else {
        return Err(Fault::damaged(
            "its second line does not contain the counts of layers and blobs",
        ));
    };
    if layer_count > MAX_LAYERS {
        return Err(Fault::damaged(format!("it has {layer_count} layers (maximum {MAX_LAYERS})")));
    }
    let mut layers = Vec::new();
    let mut blobs = BTreeSet::new();
    for line in lines {
        let layer = parse_layer(line)?;
        for input in &layer.inputs {
            if !blobs.contains(input) {
                return Err(
                    layer.damaged(format_args!("no layer before it produces its input {input}"))
                );
            }
        }
        for output in &layer.outputs {
            if !blobs.insert(output.clone()) {
                return Err(layer.damaged(format_args!("another layer produces {output} already")));
            }
        }
        layers.push(layer);
        if layers.len() > layer_count {
            break;
        }
    }
    if layers.len() != layer_count || blobs.len() != blob_count {
        return Err(Fault::damaged(format!(
            "it states {layer_count} layers and {blob_count} blobs, but has {} and {}",
            layers.len(),
            blobs.len()
        )));
    }
    Ok(layers)
}

fn parse_layer(line: &str) -> Result<Layer, Fault> {
    let invalid = |what: &str| {
        let line: String = line.chars().take(60).collect();
        Fault::damaged(format!("{what} in the line {line:?}"))
    };
    let mut words = line.split_whitespace();
    let mut word = || words.next().ok_or_else(|| invalid("too few words"));
    let (kind, name) = (word()?.to_owned(), word()?.to_owned());
    let mut count =
        || word()?.parse().ok().filter(|&n| n <= MAX_BLOBS).ok_or_else(|| invalid("invalid count"));
    let (inputs, outputs) = (count()?, count()?);
    let mut names =
        |count| (0..count).map(|_| word().map(str::to_owned)).collect::<Result<Vec<_>, _>>();
    let (inputs, outputs) = (names(inputs)?, names(outputs)?);
    let mut params = BTreeMap::new();
    for pair in words {
        let (id, value) = pair.split_once('=').ok_or_else(|| invalid("missing ="))?;
        let id: i32 = id.parse().map_err(|_| invalid("invalid parameter id"))?;
        // Ids of -234xx are strings: expressions, which no upscaler uses.
        let (id, value) = match id {
            -23399..=-23300 => {
                let (length, rest) = value.split_once(',').unwrap_or((value, ""));
                let values = rest.split(',').filter(|v| !v.is_empty());
                if length.parse() != Ok(values.clone().count()) {
                    return Err(invalid("wrong array length"));
                }
                (-23300 - id, values.map(Number::parse).collect())
            }
            0.. => (id, value.split(',').map(Number::parse).collect()),
            _ => continue,
        };
        let value: Option<Vec<Number>> = value;
        params.insert(id, value.ok_or_else(|| invalid("invalid number"))?);
    }
    Ok(Layer { kind, name, inputs, outputs, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Layer {
        let text = format!("7767517\n2 2\nInput in 0 1 a\n{line}\n");
        parse(&text).expect("parses").pop().expect("a layer")
    }

    #[test]
    fn numbers_are_read_as_in_ncnn() {
        let layer = one("Convolution c 1 1 a b 0=64 1=2.5e-01 -23310=2,1036831949,4 -23309=1,-2");
        assert_eq!(layer.int(0, 1), Ok(64));
        assert_eq!(layer.float(1, 0.0), Ok(0.25));
        assert_eq!(layer.float(0, 0.0), Ok(64.0));
        assert_eq!(layer.floats(10), [0.1, 4.0]);
        assert_eq!(layer.ints(9), Ok(vec![-2]));
        assert_eq!(layer.int(7, 5), Ok(5));
        assert!(layer.int(1, 0).is_err());
        assert!(layer.int(10, 0).is_err());
    }

    #[test]
    fn invalid_files_are_rejected() {
        for text in [
            "",
            "7767518\n1 1\nInput in 0 1 a",
            "7767517",
            "7767517\n1",
            "7767517\n1 -1\nInput in 0 1 a",
            "7767517\n99999999999 1\nInput in 0 1 a",
            "7767517\n2 1\nInput in 0 1 a",
            "7767517\n1 2\nInput in 0 1 a",
            "7767517\n1 1\nInput in 0 1 a\nNoop n 1 0 a",
            "7767517\n1 1\nInput in 0 99999999 a",
            "7767517\n1 1\nInput in 0 1",
            "7767517\n1 1\nInput in 0 1 a 0",
            "7767517\n1 1\nInput in 0 1 a 0=x",
            "7767517\n1 1\nInput in 0 1 a x=0",
            "7767517\n1 1\nInput in 0 1 a 0=nan",
            "7767517\n1 1\nInput in 0 1 a -23300=3,1,2",
            "7767517\n2 1\nInput in 0 1 a\nReLU r 1 1 a a",
            "7767517\n3 3\nInput in 0 1 a\nReLU r 1 1 c b\nReLU r 1 1 b c",
        ] {
            assert!(matches!(parse(text), Err(Fault::Damaged(_))), "{text:?}");
        }
    }
}
