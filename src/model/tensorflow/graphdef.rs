//! A frozen graph's nodes, attributes and constants.

use std::collections::HashMap;

use half::f16;
use prost::Message;

use crate::model::fault::Fault;

#[allow(clippy::all)]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));
}

pub use proto::NodeDef;
use proto::{GraphDef, attr_value::Value};

const DT_FLOAT: i32 = 1;
const DT_INT32: i32 = 3;
const DT_INT64: i32 = 9;
const DT_HALF: i32 = 19;

/// No published graph comes near.
const MOST_NODES: usize = 1 << 13;
/// A short list of numbers, its last repeated, may grow to so many: enough for any bias.
const MOST_REPEATED: u64 = 1 << 12;

/// The nodes of a graph by their names, in the file's order.
pub struct Nodes {
    pub list: Vec<NodeDef>,
    index: HashMap<String, usize>,
}

impl Nodes {
    /// # Errors
    /// Where `bytes` are no graph, or names repeat.
    pub fn decode(bytes: bytes::Bytes) -> Result<Self, Fault> {
        let graph = GraphDef::decode(bytes)
            .map_err(|error| Fault::damaged(format!("not a TensorFlow graph: {error}")))?;
        let list = graph.node;
        if list.is_empty() || list.len() > MOST_NODES {
            let why = format!("{} nodes, where 1 to {MOST_NODES} are taken", list.len());
            return Err(Fault::damaged(why));
        }
        let mut index = HashMap::new();
        for (place, node) in list.iter().enumerate() {
            if index.insert(node.name.clone(), place).is_some() {
                return Err(Fault::damaged(format!("two nodes are called {}", node.name)));
            }
        }
        Ok(Self { list, index })
    }

    /// The node that `input` means, by its place in the list.
    pub fn place(&self, input: &str) -> Result<usize, Fault> {
        let name = input.strip_suffix(":0").unwrap_or(input);
        let missing = || Fault::damaged(format!("no node is called {name}"));
        self.index.get(name).copied().ok_or_else(missing)
    }
}

impl NodeDef {
    /// Its inputs of data, those for order alone left out.
    pub fn data_inputs(&self) -> impl Iterator<Item = &str> {
        self.input.iter().map(String::as_str).filter(|input| !input.starts_with('^'))
    }

    /// An attribute of one integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attr.get(name)?.value {
            Some(Value::I(value)) => Some(value),
            _ => None,
        }
    }

    /// An attribute of one float.
    pub fn float(&self, name: &str) -> Option<f32> {
        match self.attr.get(name)?.value {
            Some(Value::F(value)) => Some(value),
            _ => None,
        }
    }

    /// An attribute of a list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match &self.attr.get(name)?.value {
            Some(Value::List(list)) => Some(&list.i),
            _ => None,
        }
    }

    /// An attribute of text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.attr.get(name)?.value {
            Some(Value::S(bytes)) => str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The numbers of a `Const`.
    ///
    /// # Errors
    /// Where shape and numbers do not fit, or their type is not known.
    pub fn constant(&self) -> Result<Constant, Fault> {
        let Some(Value::Tensor(tensor)) = self.attr.get("value").and_then(|a| a.value.as_ref())
        else {
            return Err(self.damaged("has no value"));
        };
        let dims = tensor.tensor_shape.iter().flat_map(|shape| &shape.dim);
        let dims: Option<Vec<u64>> = dims.map(|dim| u64::try_from(dim.size).ok()).collect();
        let dims = dims.ok_or_else(|| self.damaged("has a negative size"))?;
        let count = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        let count = count.ok_or_else(|| self.damaged("is too large"))?;
        let content = &tensor.tensor_content[..];
        let mut numbers: Vec<f32> = match (tensor.dtype, content) {
            (DT_FLOAT, []) => tensor.float_val.clone(),
            (DT_INT32, []) => tensor.int_val.iter().map(|&v| v as f32).collect(),
            (DT_INT64, []) => tensor.int64_val.iter().map(|&v| v as f32).collect(),
            (DT_HALF, []) => {
                tensor.half_val.iter().map(|&bits| f16::from_bits(bits as u16).to_f32()).collect()
            }
            (DT_FLOAT, content) => parts(content, f32::from_le_bytes),
            (DT_INT32, content) => parts(content, |bytes| i32::from_le_bytes(bytes) as f32),
            (DT_INT64, content) => parts(content, |bytes| i64::from_le_bytes(bytes) as f32),
            (DT_HALF, content) => parts(content, |bytes| f16::from_le_bytes(bytes).to_f32()),
            (other, _) => return Err(self.unsuitable(format!("holds numbers of type {other}"))),
        };
        // A short list repeats its last number; only small constants are written so.
        let short = content.is_empty() && (numbers.len() as u64) < count && count <= MOST_REPEATED;
        if let (true, Some(&last)) = (short, numbers.last()) {
            numbers.resize(count as usize, last);
        }
        if numbers.len() as u64 != count {
            let why = format!("has {} numbers where its shape has {count}", numbers.len());
            return Err(self.damaged(why));
        }
        Ok(Constant { dims, numbers })
    }

    /// Something about this node that its format forbids.
    pub fn damaged(&self, what: impl std::fmt::Display) -> Fault {
        Fault::damaged(format!("node {} ({}): {what}", self.name, self.op))
    }

    /// Something about this node that is not known here.
    pub fn unsuitable(&self, what: impl std::fmt::Display) -> Fault {
        Fault::unsuitable(format!("node {} ({}): {what}", self.name, self.op))
    }
}

fn parts<const N: usize>(content: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    // Bytes left over make one number more, so that the count does not fit.
    let (whole, rest) = content.as_chunks();
    let odd = (!rest.is_empty()).then_some(0.0);
    whole.iter().map(|&bytes| number(bytes)).chain(odd).collect()
}

/// Numbers and their shape, the dimensions in TensorFlow's own order.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    pub dims: Vec<u64>,
    /// Integers too: those that graphs hold (axes, paddings) are small, so exact.
    pub numbers: Vec<f32>,
}

impl Constant {
    /// One number for all samples, or one for each channel (the last dimension).
    pub fn per_channel(&self) -> Option<&[f32]> {
        let (_, others) = self.dims.split_last().unwrap_or((&1, &[]));
        let flat = others.iter().all(|&dim| dim == 1) && !self.numbers.is_empty();
        flat.then_some(&self.numbers)
    }

    /// Its numbers as integers.
    pub fn ints(&self) -> Vec<i64> {
        self.numbers.iter().map(|&n| n as i64).collect()
    }

    /// A kernel, of four dimensions, with these in another order.
    pub fn permuted(&self, order: [usize; 4]) -> Option<([u64; 4], Vec<f32>)> {
        let dims: [u64; 4] = self.dims.as_slice().try_into().ok()?;
        if dims.contains(&0) {
            return None;
        }
        let mut strides = [1; 4];
        for axis in (0..3).rev() {
            strides[axis] = strides[axis + 1] * dims[axis + 1] as usize;
        }
        let to = order.map(|axis| dims[axis]);
        let step = order.map(|axis| strides[axis]);
        let mut values = Vec::with_capacity(self.numbers.len());
        for a in 0..to[0] as usize {
            for b in 0..to[1] as usize {
                for c in 0..to[2] as usize {
                    let start = a * step[0] + b * step[1] + c * step[2];
                    let row = self.numbers.get(start..)?.iter().step_by(step[3].max(1));
                    values.extend(row.take(to[3] as usize));
                }
            }
        }
        Some((to, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_change_their_order() {
        let numbers = (0..24u8).map(f32::from).collect();
        let constant = Constant { dims: vec![2, 1, 3, 4], numbers };
        let (dims, values) = constant.permuted([3, 2, 0, 1]).expect("four dimensions");
        assert_eq!(dims, [4, 3, 2, 1]);
        // Element (y, x, i, o) = 12y + 4i + o now lies at (o, i, y, x).
        assert_eq!(values[..4], [0.0, 12.0, 4.0, 16.0]);
        assert_eq!(values[6], 1.0);
    }
}
