//! Builds ONNX files from the bytes of a fuzzer: graphs of operators that upscalers use, with odd
//! attributes, shapes, branches, loops, functions and weight files.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// A protobuf message under construction.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// The bytes of the fuzzer; zeros after their end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, end: usize) -> usize {
        self.byte() as usize % end.max(1)
    }

    /// Rarely true: for one of 16 bytes.
    fn rarely(&mut self) -> bool {
        self.byte() == 0x5a || self.0.first() == Some(&0xa5)
    }

    fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    fn int(&mut self) -> i64 {
        const ODD: [i64; 12] = [0, 1, -1, 2, 3, 4, 8, 64, 27_000, 1 << 31, i64::MAX, i64::MIN];
        let byte = self.byte();
        if byte < 0xe0 { i64::from(byte % 9) } else { ODD[self.below(ODD.len())] }
    }

    fn ints(&mut self) -> Vec<i64> {
        (0..self.below(9)).map(|_| self.int()).collect()
    }
}

const OPERATORS: &[&str] = &[
    "Conv",
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Concat",
    "DepthToSpace",
    "SpaceToDepth",
    "Resize",
    "Upsample",
    "ConvTranspose",
    "Pad",
    "Slice",
    "Gather",
    "Reshape",
    "Transpose",
    "Shape",
    "ConstantOfShape",
    "Expand",
    "Tile",
    "Range",
    "Cast",
    "Unsqueeze",
    "Squeeze",
    "Flatten",
    "Clip",
    "Sigmoid",
    "Tanh",
    "Split",
    "Where",
    "Equal",
    "MatMul",
    "Gemm",
    "Softmax",
    "ReduceMean",
    "GlobalAveragePool",
    "AveragePool",
    "MaxPool",
    "Identity",
    "Floor",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "Einsum",
    "Pow",
    "Sqrt",
    "OneHot",
    "EyeLike",
    "NonZero",
    "TopK",
    "If",
    "Loop",
    "Scan",
    "EPContext",
    "Constant",
];

const ATTRIBUTES: &[&str] = &[
    "pads",
    "strides",
    "dilations",
    "kernel_shape",
    "group",
    "axis",
    "axes",
    "perm",
    "blocksize",
    "mode",
    "scales",
    "to",
    "alpha",
    "value",
    "output_padding",
    "output_shape",
    "auto_pad",
    "shape",
    "coordinate_transformation_mode",
    "nearest_mode",
    "keepdims",
    "split",
    "starts",
    "ends",
    "body",
    "then_branch",
    "else_branch",
    "epsilon",
    "transA",
    "transB",
    "ceil_mode",
    "num_outputs",
];

const WORDS: &[&str] = &[
    "DCR",
    "CRD",
    "nearest",
    "linear",
    "cubic",
    "asymmetric",
    "half_pixel",
    "align_corners",
    "SAME_UPPER",
    "VALID",
    "constant",
    "reflect",
    "edge",
    "floor",
    "ceil",
    "",
    "\u{0}",
];

fn tensor(choices: &mut Choices<'_>, name: &str, dims: &[i64], numbers: &[i64]) -> Message {
    let mut tensor = Message::default().text(8, name);
    for &dim in dims {
        tensor = tensor.number(1, dim);
    }
    if choices.rarely() {
        let location = Message::default().text(1, "location");
        let location = location.text(2, choices.of(&["/etc/passwd", "../x", "x", ""]));
        return tensor.number(2, 1).number(14, 1).message(13, &location);
    }
    if choices.byte() % 2 == 0 {
        let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        tensor.number(2, 7).bytes(9, &raw)
    } else {
        let raw: Vec<u8> =
            numbers.iter().flat_map(|&number| (number as f32 * 0.1).to_le_bytes()).collect();
        tensor.number(2, 1).bytes(9, &raw)
    }
}

/// A constant of a shape that weights and lists of sizes have.
fn constant(choices: &mut Choices<'_>, name: &str) -> Message {
    const SHAPES: [&[i64]; 12] = [
        &[],
        &[1],
        &[2],
        &[4],
        &[8],
        &[3],
        &[12, 3, 3, 3],
        &[3, 3, 3, 3],
        &[4, 1, 3, 3],
        &[1, 1, 3, 3],
        &[3, 12, 1, 1],
        &[1, 3, 1, 1],
    ];
    let dims = SHAPES[choices.below(SHAPES.len())];
    let count = dims.iter().product::<i64>() as usize;
    let numbers: Vec<i64> = (0..count).map(|_| choices.int()).collect();
    tensor(choices, name, dims, &numbers)
}

fn attribute(choices: &mut Choices<'_>, depth: usize) -> Message {
    let named = Message::default().text(1, choices.of(ATTRIBUTES));
    match choices.below(7) {
        0 => named.number(20, 2).number(3, choices.int()),
        1 | 2 => {
            let list = choices.ints();
            list.into_iter().fold(named.number(20, 7), |named, number| named.number(8, number))
        }
        3 => named.number(20, 3).text(4, choices.of(WORDS)),
        4 => named.number(20, 1).float(2, choices.int() as f32 * 0.1),
        5 => {
            let numbers = choices.ints();
            let dims = [numbers.len() as i64];
            named.number(20, 4).message(5, &tensor(choices, "t", &dims, &numbers))
        }
        _ if depth < 3 => named.number(20, 5).message(6, &graph(choices, depth + 1)),
        _ => named,
    }
}

fn value(choices: &mut Choices<'_>, name: &str, channels: i64) -> Message {
    let any = Message::default().text(2, "n");
    let side = |choices: &mut Choices<'_>| match choices.byte() {
        0..0xc0 => any.clone(),
        _ => Message::default().number(1, choices.int().saturating_mul(8)),
    };
    let dims = [
        Message::default().number(1, 1),
        Message::default().number(1, channels),
        side(choices),
        side(choices),
    ];
    let shape = dims.iter().fold(Message::default(), |shape, dim| shape.message(1, dim));
    let kind = Message::default().number(1, if choices.rarely() { 10 } else { 1 });
    let kind = Message::default().message(1, &kind.message(2, &shape));
    Message::default().text(1, name).message(2, &kind)
}

fn graph(choices: &mut Choices<'_>, depth: usize) -> Message {
    let mut graph = Message::default().text(2, "g");
    let mut names = vec!["input".to_owned()];
    for index in 0..choices.below(5) {
        let name = format!("c{depth}.{index}");
        graph = graph.message(5, &constant(choices, &name));
        names.push(name);
    }
    for index in 0..1 + choices.below(8) {
        let mut node = Message::default();
        let op = choices.of(OPERATORS);
        for _ in 0..1 + choices.below(3) {
            // Later names are used more often.
            let place = choices.below(names.len()).max(choices.below(names.len()));
            node = node.text(1, &names[place]);
        }
        let name = format!("v{depth}.{index}");
        node = node.text(2, &name).text(4, op);
        for _ in 0..choices.below(4) {
            node = node.message(5, &attribute(choices, depth));
        }
        graph = graph.message(1, &node);
        names.push(name);
    }
    let channels = *choices.of(&[&3i64, &1, &3, &4]);
    let last = names.last().map_or("input", String::as_str);
    let (input, output) = (value(choices, "input", channels), value(choices, last, channels));
    graph.message(11, &input).message(12, &output)
}

/// An ONNX file that `data` describes.
pub fn model(data: &[u8]) -> Vec<u8> {
    let mut choices = Choices(data);
    let graph = graph(&mut choices, 0);
    let operators = Message::default().number(2, 7 + choices.below(12) as i64);
    let mut model = Message::default().number(1, 8).message(7, &graph).message(8, &operators);
    const KEYS: &[&str] = &["factor", "range", "mean", "order", "layout", "alpha"];
    const VALUES: &[&str] =
        &["2", "4", "0", "-1", "[1,2,3]", "bgr", "nhwc", "true", "1e40", "nan", "[", "3"];
    for _ in 0..choices.below(3) {
        let key = format!("upscale.{}", choices.of(KEYS));
        let entry = Message::default().text(1, &key).text(2, choices.of(VALUES));
        model = model.message(14, &entry);
    }
    if choices.rarely() {
        let call = Message::default().text(4, "f");
        let function = Message::default().text(1, "f").message(7, &call).message(7, &call);
        model = model.message(25, &function);
    }
    model.0
}

/// The command `gst-upscale` that opens the engine's door: `UPSCALE_COMMAND`, or the release build.
pub fn command() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/gst-upscale");
    std::env::var_os("UPSCALE_COMMAND").map_or(built, PathBuf::from)
}

/// A temporary directory of this process, which no other user may write to.
pub fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("upscale-fuzz-{}", std::process::id()));
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    created.expect("the temporary directory is writable");
    folder
}

/// An entry of a model's metadata, to be appended to a file.
pub fn metadata(key: &str, value: &str) -> Vec<u8> {
    let entry = Message::default().text(1, key).text(2, value);
    Message::default().message(14, &entry).0
}
