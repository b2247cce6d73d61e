//! The nodes, attributes and constants of a frozen graph.

use std::collections::HashMap;

use half::f16;
use prost::Message;

use crate::model::fault::Fault;

#[allow(unreachable_pub, clippy::all)]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));
}

pub(super) use proto::NodeDef;
use proto::{GraphDef, attr_value::Value};

const DT_FLOAT: i32 = 1;
const DT_INT32: i32 = 3;
const DT_INT64: i32 = 9;
const DT_HALF: i32 = 19;

/// The maximum number of nodes, far above those of published graphs.
const MAX_NODES: usize = 1 << 13;
/// The maximum number of elements of a constant whose last value is repeated: enough for any bias.
const MAX_REPEATED: u64 = 1 << 12;

/// The nodes of a graph, in the order of the file and by name.
pub(super) struct Nodes {
    pub list: Vec<NodeDef>,
    index: HashMap<String, usize>,
}

impl Nodes {
    /// Decodes the content of a file.
    ///
    /// # Errors
    /// [`Fault::Damaged`] if `bytes` are not a graph, or two nodes have one name.
    pub(crate) fn decode(bytes: bytes::Bytes) -> Result<Self, Fault> {
        let graph = GraphDef::decode(bytes)
            .map_err(|error| Fault::damaged(format!("it is not a TensorFlow graph: {error}")))?;
        let list = graph.node;
        if list.is_empty() || list.len() > MAX_NODES {
            let why = format!("it has {} nodes; expected 1 to {MAX_NODES}", list.len());
            return Err(Fault::damaged(why));
        }
        let mut index = HashMap::new();
        for (position, node) in list.iter().enumerate() {
            if index.insert(node.name.clone(), position).is_some() {
                return Err(Fault::damaged(format!("two nodes have the name {}", node.name)));
            }
        }
        Ok(Self { list, index })
    }

    /// The index of the node that `input` refers to.
    pub(crate) fn find(&self, input: &str) -> Result<usize, Fault> {
        let name = input.strip_suffix(":0").unwrap_or(input);
        let missing = || Fault::damaged(format!("no node has the name {name}"));
        self.index.get(name).copied().ok_or_else(missing)
    }

    /// The node at `index`.
    pub(crate) fn get(&self, index: usize) -> Result<&NodeDef, Fault> {
        self.list.get(index).ok_or_else(|| Fault::damaged("it refers to a node that is missing"))
    }

    /// The indices of the data inputs of `node`.
    pub(crate) fn inputs(&self, node: &NodeDef) -> Result<Vec<usize>, Fault> {
        node.data_inputs().map(|input| self.find(input)).collect()
    }
}

impl NodeDef {
    /// The names of the inputs, without control inputs.
    fn data_inputs(&self) -> impl Iterator<Item = &str> {
        self.input.iter().map(String::as_str).filter(|input| !input.starts_with('^'))
    }

    /// An integer attribute.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        match self.attr.get(name)?.value {
            Some(Value::I(value)) => Some(value),
            _ => None,
        }
    }

    /// A float attribute.
    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        match self.attr.get(name)?.value {
            Some(Value::F(value)) => Some(value),
            _ => None,
        }
    }

    /// An attribute that is a list of integers.
    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        match &self.attr.get(name)?.value {
            Some(Value::List(list)) => Some(&list.i),
            _ => None,
        }
    }

    /// A string attribute.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.attr.get(name)?.value {
            Some(Value::S(bytes)) => str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The value of a `Const`.
    ///
    /// # Errors
    /// [`Fault::Damaged`] if the elements do not match the shape; [`Fault::Unsuitable`] if their
    /// type is not supported.
    pub(crate) fn constant(&self) -> Result<Constant, Fault> {
        let Some(Value::Tensor(tensor)) = self.attr.get("value").and_then(|a| a.value.as_ref())
        else {
            return Err(self.damaged("has no value"));
        };
        let dims = tensor.tensor_shape.iter().flat_map(|shape| &shape.dim);
        let dims: Option<Vec<u64>> = dims.map(|dim| u64::try_from(dim.size).ok()).collect();
        let dims = dims.ok_or_else(|| self.damaged("has a negative dimension"))?;
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
            (other, _) => {
                return Err(self.unsuitable(format!("the data type {other} is not supported")));
            }
        };
        // The last value of a short list is repeated; only small constants are written like that.
        let short = content.is_empty() && (numbers.len() as u64) < count && count <= MAX_REPEATED;
        if let (true, Some(&last)) = (short, numbers.last()) {
            numbers.resize(count as usize, last);
        }
        if numbers.len() as u64 != count {
            let why = format!("has {} values; its shape needs {count}", numbers.len());
            return Err(self.damaged(why));
        }
        Ok(Constant { dims, numbers })
    }

    /// A fault of this node that violates the format; `what` is the rest of the message.
    pub(crate) fn damaged(&self, what: impl std::fmt::Display) -> Fault {
        Fault::damaged(format!("node {} ({}): {what}", self.name, self.op))
    }

    /// A fault of this node that is not supported; `what` is the rest of the message.
    pub(crate) fn unsuitable(&self, what: impl std::fmt::Display) -> Fault {
        Fault::unsuitable(format!("node {} ({}): {what}", self.name, self.op))
    }
}

/// The numbers in `content`, each of `N` bytes.
fn parts<const N: usize>(content: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    // A partial element counts as one, so that the count does not match the shape.
    let (whole, rest) = content.as_chunks();
    let partial = (!rest.is_empty()).then_some(0.0);
    whole.iter().map(|&bytes| number(bytes)).chain(partial).collect()
}

/// A constant tensor, with its dimensions in TensorFlow's order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub dims: Vec<u64>,
    /// The elements. Integers too: those in graphs (axes, pads) are small enough to be exact.
    pub numbers: Vec<f32>,
}

impl Constant {
    /// The elements, if they are one for all samples, or one for each channel (the last dimension).
    pub(crate) fn per_channel(&self) -> Option<&[f32]> {
        let (_, others) = self.dims.split_last().unwrap_or((&1, &[]));
        let only_channels = others.iter().all(|&dim| dim == 1) && !self.numbers.is_empty();
        only_channels.then_some(&self.numbers)
    }

    /// The elements as integers.
    pub(crate) fn ints(&self) -> Vec<i64> {
        self.numbers.iter().map(|&n| n as i64).collect()
    }

    /// A kernel (height, width, inputs, outputs) in ONNX's order (outputs, inputs, height, width).
    /// `None` if it does not have four dimensions, or is empty.
    pub(crate) fn to_onnx_kernel(&self) -> Option<([u64; 4], Vec<f32>)> {
        let &[height, width, inputs, outputs] = self.dims.as_slice() else { return None };
        let per_input = usize::try_from(outputs).ok()?;
        let per_position = per_input.checked_mul(usize::try_from(inputs).ok()?)?;
        if per_position == 0 || self.numbers.is_empty() {
            return None;
        }
        let mut values = Vec::with_capacity(self.numbers.len());
        for output in 0..per_input {
            for input in 0..per_position / per_input {
                let taps = self.numbers.iter().skip(input * per_input + output);
                values.extend(taps.step_by(per_position));
            }
        }
        Some(([outputs, inputs, height, width], values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_converted_to_onnx_order() {
        let numbers = (0..24u8).map(f32::from).collect();
        let constant = Constant { dims: vec![2, 1, 3, 4], numbers };
        let (dims, values) = constant.to_onnx_kernel().expect("four dimensions");
        assert_eq!(dims, [4, 3, 2, 1]);
        // Element (y, x, i, o) = 12y + 4i + o is now at (o, i, y, x).
        assert_eq!(values[..4], [0.0, 12.0, 4.0, 16.0]);
        assert_eq!(values[6], 1.0);
    }
}
