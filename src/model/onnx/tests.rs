//! Reading, writing and adapting files, including invalid ones.

use std::{fs, path::Path};

use bytes::Bytes;
use prost::Message;

use super::{
    open,
    proto::{
        AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto,
        StringStringEntryProto, TensorProto, attribute_proto::AttributeType,
        tensor_proto::DataLocation, tensor_shape_proto::dimension, type_proto,
    },
    read::import,
    write::{Layout, write},
};
use crate::{
    frame::Channels,
    model::{
        Attribute, Border, Element, Error, Graph, Model, Shuffle, Window, join::join, sha256_hex,
    },
};

/// A small network that uses most of the writer's features.
fn network(channels: u64) -> Graph {
    let mut graph = Graph::new(channels);
    let weight: Vec<f32> =
        (0..4 * channels * channels * 9).map(|i| (i % 7) as f32 * 0.01).collect();
    let weight = graph.constant_f32("body.weight", &[4 * channels, channels, 3, 3], &weight);
    let bias = graph.constant_f32("body.bias", &[4 * channels], &vec![0.5; 4 * channels as usize]);
    let padded = graph.pad("input", [1; 4], Border::Edge);
    let x = graph.conv(&padded, &weight, Some(&bias), Window::default());
    let x = graph.leaky_relu(&x, 0.2);
    let x = graph.depth_to_space(&x, 2, Shuffle::Crd);
    let base = graph.resize_linear("input", [2.0; 2]);
    let sum = graph.add(&x, &base);
    graph.set_output(&sum);
    graph
}

fn bytes_of(graph: &Graph) -> Bytes {
    write(graph, Layout::default()).unwrap()
}

/// Opens the model. Writes its file to the directory `UPSCALE_CORPUS`, if that is set, as a start for
/// fuzzing.
fn opened(bytes: Bytes) -> Result<Model, Error> {
    if let Some(folder) = std::env::var_os("UPSCALE_CORPUS") {
        fs::write(Path::new(&folder).join(sha256_hex([&bytes])), &bytes).unwrap();
    }
    open("test", Path::new("/missing/test.onnx"), bytes)
}

/// The model of the small network's file after `change`.
fn changed(change: impl FnOnce(&mut ModelProto)) -> Result<Model, Error> {
    let mut proto = ModelProto::decode(bytes_of(&network(3))).unwrap();
    change(&mut proto);
    opened(proto.encode_to_vec().into())
}

fn why(result: Result<Model, Error>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn writing_and_reading_keeps_the_graph() {
    let graph = network(3);
    let read = import(Path::new("test.onnx"), &bytes_of(&graph)).unwrap();
    // Scales have an additional float32 copy.
    let nodes = |graph: &Graph| {
        graph
            .nodes
            .iter()
            .map(|n| (n.op.clone(), n.outputs.clone(), n.attributes.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(nodes(&read.graph), nodes(&graph));
    assert!(
        graph.constants.iter().all(|(name, tensor)| read.graph.constants.get(name) == Some(tensor))
    );
    assert!(read.complete && read.external.is_none());
}

#[test]
fn half_precision_keeps_float32_ends_and_scales() {
    let layout =
        Layout { element: Element::F16, batch: Some(2), size: Some((64, 48)), ..Layout::default() };
    let read = import(Path::new("test.onnx"), &write(&network(3), layout).unwrap()).unwrap();
    assert_eq!(read.ends, [Element::F32; 2]);
    assert_eq!(read.graph.input_dims, [Some(2), Some(3), Some(48), Some(64)]);
    assert_eq!(read.graph.constants["body.weight"].element, Element::F16);
    let resize = read.graph.nodes.iter().find(|node| node.op == "Resize").unwrap();
    assert_eq!(read.graph.constants[&resize.inputs[2]].element, Element::F32);
    let casts = read.graph.nodes.iter().filter(|node| node.op == "Cast").count();
    assert_eq!(casts, 2);
    let one = Layout { batch: Some(1), ..layout };
    assert!(opened(write(&network(3), one).unwrap()).is_ok());
}

#[test]
fn weights_beyond_half_precision_are_clamped() {
    let mut graph = Graph::new(1);
    let x = graph.scale("input", 1e6);
    graph.set_output(&x);
    let layout = Layout { element: Element::F16, ..Layout::default() };
    let read = import(Path::new("test.onnx"), &write(&graph, layout).unwrap()).unwrap();
    assert_eq!(read.graph.constants["factor"].to_f32(), Some(vec![65504.0]));
}

#[test]
fn a_file_that_follows_the_contract_keeps_its_bytes() {
    let bytes = bytes_of(&network(3));
    let model = opened(bytes.clone()).unwrap();
    assert_eq!(model.onnx, bytes);
    assert_eq!((model.info.factor, model.info.halo), (2, Some(1)));
}

#[test]
fn metadata_sets_range_order_and_mean() {
    let model = changed(|proto| {
        for (key, value) in [("range", "255"), ("order", "bgr"), ("mean", "[1, 2, 3.5]")] {
            let entry =
                StringStringEntryProto { key: format!("upscale.{key}"), value: value.into() };
            proto.metadata_props.push(entry);
        }
    })
    .unwrap();
    let graph = model.graph.unwrap();
    assert_eq!(graph.nodes.iter().filter(|node| node.op == "Gather").count(), 2);
    assert_eq!(graph.nodes.iter().filter(|node| node.op == "Mul").count(), 2);
    assert_eq!(model.info.halo, Some(1));
    // The adapted bytes need no adapters again.
    let again = opened(model.onnx.clone());
    assert_eq!(again.unwrap().onnx, model.onnx);
}

#[test]
fn channels_last_is_detected_from_the_shapes() {
    let mut inner = network(3);
    let turned = |order: [i64; 4]| [("perm", Attribute::Ints(order.into()))];
    let ahead = Graph { nodes: Vec::new(), ..Graph::new(3) };
    let mut graph = Graph { input_dims: vec![None, None, None, Some(3)], ..ahead };
    let x = graph.push("Transpose", &["input"], turned([0, 3, 1, 2]));
    graph.set_output(&x);
    let y = inner.push("Transpose", &[&inner.output.clone()], turned([0, 2, 3, 1]));
    inner.set_output(&y);
    let whole = join(&graph, &inner).unwrap();
    let model = opened(bytes_of(&whole)).unwrap();
    assert_eq!((model.info.factor, model.info.channels), (2, Channels::Rgb));
    assert_eq!(model.info.halo, Some(1));
    assert_eq!(model.graph.unwrap().input_dims, [None, Some(3), None, None]);
}

#[test]
fn a_fourth_channel_needs_a_setting() {
    let bytes = bytes_of(&network(4));
    assert!(why(opened(bytes.clone())).contains("alpha = true"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rgba.onnx");
    fs::write(path.with_extension("toml"), "alpha = true\nrange = 255").unwrap();
    let model = open("rgba", &path, bytes.clone()).unwrap();
    assert_eq!(model.info.channels, Channels::Rgb);
    fs::write(path.with_extension("toml"), "aplha = true").unwrap();
    assert!(why(open("rgba", &path, bytes)).contains("aplha"));
}

#[test]
fn models_that_are_not_upscalers_of_one_image_are_rejected() {
    let two = changed(|proto| {
        let graph = proto.graph.as_mut().unwrap();
        let mut second = graph.input[0].clone();
        second.name = "second".into();
        graph.input.push(second);
    });
    assert!(why(two).contains("2 inputs; expected one image"));
    let three = changed(|proto| {
        if let Some(type_proto::Value::TensorType(tensor)) =
            &mut proto.graph.as_mut().unwrap().input[0].r#type.as_mut().unwrap().value
        {
            tensor.shape.as_mut().unwrap().dim.remove(0);
        }
    });
    assert!(why(three).contains("has 3 dimensions; expected 4"));
    assert!(why(opened(bytes_of(&network(2)))).contains("takes 2 channels"));
    let strange = changed(|proto| proto.graph.as_mut().unwrap().node[0].op_type = "Enlarge".into());
    assert!(why(strange).contains("operator Enlarge"));
}

#[test]
fn invalid_dimensions_and_cycles_are_rejected() {
    let wide = changed(|proto| {
        if let Some(type_proto::Value::TensorType(tensor)) =
            &mut proto.graph.as_mut().unwrap().input[0].r#type.as_mut().unwrap().value
        {
            let width = &mut tensor.shape.as_mut().unwrap().dim[3];
            width.value = Some(dimension::Value::DimValue(i64::MAX));
        }
    });
    assert!(why(wide).contains("dimension of 9223372036854775807"));
    let huge = changed(|proto| {
        for tensor in &mut proto.graph.as_mut().unwrap().initializer {
            tensor.dims.fill(i64::MAX);
        }
    });
    assert!(why(huge).contains("of dimensions"));
    let negative = changed(|proto| proto.graph.as_mut().unwrap().initializer[0].dims[0] = i64::MIN);
    assert!(why(negative).contains("negative"));
    let cyclic = changed(|proto| {
        let graph = proto.graph.as_mut().unwrap();
        graph.node[0].input[0] = graph.node[2].output[0].clone();
    });
    assert!(why(cyclic).contains("cycle"));
    for value in [i64::MAX, i64::MIN, 0, -1] {
        let strided = changed(|proto| {
            for node in &mut proto.graph.as_mut().unwrap().node {
                for attribute in &mut node.attribute {
                    attribute.i = value;
                    attribute.ints.fill(value);
                }
            }
        });
        assert!(strided.is_err());
    }
}

#[test]
fn truncated_files_are_rejected_and_changed_bytes_do_not_panic() {
    let bytes = bytes_of(&network(1));
    for length in (0..bytes.len() - 1).step_by(5) {
        assert!(opened(bytes.slice(..length)).is_err(), "the first {length} bytes");
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for _ in 0..2000 {
        let mut broken = bytes.to_vec();
        for _ in 0..1 + random() % 4 {
            let place = random() % broken.len();
            broken[place] = match random() % 3 {
                0 => 0xff,
                1 => 0,
                _ => random() as u8,
            };
        }
        let _ = opened(broken.into());
    }
}

/// The small network with its weights in the file `location`.
fn with_external_weights(location: &str, offset: &str) -> ModelProto {
    let mut proto = ModelProto::decode(bytes_of(&network(3))).unwrap();
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let weights: &mut TensorProto = proto
        .graph
        .as_mut()
        .unwrap()
        .initializer
        .iter_mut()
        .find(|t| t.name == "body.weight")
        .unwrap();
    weights.data_location = DataLocation::External.into();
    let length = weights.raw_data.len().to_string();
    weights.raw_data = Bytes::new();
    weights.external_data =
        vec![entry("location", location), entry("offset", offset), entry("length", &length)];
    proto
}

#[test]
fn external_weights_are_read_from_the_models_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("models/net.onnx");
    fs::create_dir(folder.path().join("models")).unwrap();
    let weights = vec![0u8; 12 * 3 * 9 * 4 + 8];
    fs::write(folder.path().join("secret"), &weights).unwrap();
    fs::write(folder.path().join("models/net.data"), &weights).unwrap();
    std::os::unix::fs::symlink("../secret", folder.path().join("models/link")).unwrap();
    let try_open = |location: &str, offset: &str| {
        open("net", &path, with_external_weights(location, offset).encode_to_vec().into())
    };
    let model = try_open("net.data", "8").unwrap();
    assert_eq!(model.external.as_deref(), path.parent());
    let secret = folder.path().join("secret").display().to_string();
    for location in ["../secret", "link", &secret, "", "sub/../../secret"] {
        assert!(
            why(try_open(location, "0")).contains("directory") || location.is_empty(),
            "{location}"
        );
        assert!(try_open(location, "0").is_err(), "{location}");
    }
    for offset in ["9", "18446744073709551615", "-1", "x"] {
        assert!(try_open("net.data", offset).is_err(), "{offset}");
    }
    assert!(why(try_open("gone", "0")).contains("cannot read"));
}

#[test]
fn a_model_with_a_fixed_batch_above_one_is_rejected() {
    for (batch, fits) in [(1, true), (4, false)] {
        let mut graph = network(3);
        graph.input_dims[0] = Some(batch);
        let result = opened(bytes_of(&graph));
        assert_eq!(result.is_ok(), fits);
        assert_eq!(
            why(result).contains("4 images at a time; export it with a batch size of 1"),
            !fits
        );
    }
}

#[test]
fn a_stated_factor_does_not_allow_an_invalid_window() {
    let result = changed(|proto| {
        let (key, value) = ("upscale.factor".into(), "2".into());
        proto.metadata_props.push(StringStringEntryProto { key, value });
        let nodes = &mut proto.graph.as_mut().unwrap().node;
        let convolution = nodes.iter_mut().find(|node| node.op_type == "Conv").unwrap();
        let pads = convolution.attribute.iter_mut().find(|it| it.name == "pads").unwrap();
        pads.ints.fill(-3);
    });
    let why = why(result);
    assert!(why.contains("Conv has pads of [-3, -3, -3, -3]"), "{why}");
}

#[test]
fn only_the_bytes_of_a_weight_are_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    let file = fs::File::create(folder.path().join("net.data")).unwrap();
    // Sparse: it takes no space.
    file.set_len(3 << 30).unwrap();
    let offset = (2u64 << 30).to_string();
    let bytes = with_external_weights("net.data", &offset).encode_to_vec().into();
    let (_, weights) = import(&path, &bytes).unwrap().external.unwrap();
    assert_eq!(weights.iter().map(Bytes::len).collect::<Vec<_>>(), [12 * 3 * 9 * 4]);

    let mut longer = with_external_weights("net.data", "0");
    let tensors = &mut longer.graph.as_mut().unwrap().initializer;
    let weights = tensors.iter_mut().find(|tensor| !tensor.external_data.is_empty()).unwrap();
    weights.external_data[2].value = (3u64 << 30).to_string();
    let longer = open("net", &path, longer.encode_to_vec().into());
    assert!(why(longer).contains("3221225472 bytes; its dimensions require 1296"));
    weights_without_a_length_have_the_size_of_their_dimensions(&path);
}

fn weights_without_a_length_have_the_size_of_their_dimensions(path: &Path) {
    let mut proto = with_external_weights("net.data", "8");
    let tensors = &mut proto.graph.as_mut().unwrap().initializer;
    tensors.iter_mut().for_each(|tensor| tensor.external_data.truncate(2));
    let (_, weights) = import(path, &proto.encode_to_vec().into()).unwrap().external.unwrap();
    assert_eq!(weights[0].len(), 12 * 3 * 9 * 4);
}

/// A node with an attribute.
fn node_with(op: &str, attribute: AttributeProto) -> NodeProto {
    let (input, output) = (vec!["input".into()], vec!["extra".into()]);
    NodeProto {
        op_type: op.into(),
        input,
        output,
        attribute: vec![attribute],
        ..Default::default()
    }
}

fn with_graph(op: &str, g: GraphProto) -> NodeProto {
    let (name, r#type) = ("body".into(), AttributeType::Graph.into());
    node_with(op, AttributeProto { name, r#type, g: Some(g), ..Default::default() })
}

/// Why the small network with another node is refused.
fn why_with(node: NodeProto) -> String {
    why(changed(|proto| {
        let (key, value) = ("upscale.factor".into(), "2".into());
        proto.metadata_props.push(StringStringEntryProto { key, value });
        proto.graph.as_mut().unwrap().node.push(node);
    }))
}

fn external_tensor() -> TensorProto {
    let entry = StringStringEntryProto { key: "location".into(), value: "passwd".into() };
    TensorProto {
        name: "stolen".into(),
        data_location: DataLocation::External.into(),
        external_data: vec![entry],
        ..Default::default()
    }
}

#[test]
fn loops_and_functions_are_refused_by_name() {
    for op in ["Loop", "Scan", "SequenceMap", "BeamSearch"] {
        let why = why_with(with_graph(op, GraphProto::default()));
        assert!(why.contains(&format!("operator {op} contains a graph")), "{why}");
    }
    // A loop in a branch.
    let branch =
        GraphProto { node: vec![with_graph("Loop", GraphProto::default())], ..Default::default() };
    assert!(why_with(with_graph("If", branch)).contains("operator Loop contains a graph"));
    // Functions that call each other twice take exponential time to inline.
    let bomb = changed(|proto| {
        for level in 0..22 {
            let name = format!("f{level}");
            let call = |_| NodeProto { op_type: format!("f{}", level + 1), ..Default::default() };
            let node = (0..2).map(call).collect();
            proto.functions.push(FunctionProto { name, node, ..Default::default() });
        }
    });
    assert!(why(bomb).contains("it defines the function \"f0\""));
    let mut context = with_graph("EPContext", GraphProto::default());
    context.attribute.clear();
    assert!(why_with(context).contains("EPContext loads another file"));
}

#[test]
fn a_branch_has_a_bounded_number_of_operators() {
    let relu = NodeProto { op_type: "Relu".into(), ..Default::default() };
    let branch = GraphProto { node: vec![relu; 70_000], ..Default::default() };
    assert!(why_with(with_graph("If", branch)).contains("more than 65536 operators"));
}

#[test]
fn weight_files_are_refused_wherever_else_a_file_names_them() {
    let in_branch = GraphProto { initializer: vec![external_tensor()], ..Default::default() };
    let value = AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor.into(),
        t: Some(external_tensor()),
        ..Default::default()
    };
    let constant =
        GraphProto { node: vec![node_with("Constant", value.clone())], ..Default::default() };
    let sparse = || SparseTensorProto { values: Some(external_tensor()), ..Default::default() };
    let sparse_in_branch = GraphProto { sparse_initializer: vec![sparse()], ..Default::default() };
    let nodes = [
        with_graph("If", in_branch),
        with_graph("If", constant),
        with_graph("If", sparse_in_branch),
        // The type hides the tensor from readers.
        node_with("Relu", AttributeProto { r#type: AttributeType::Int.into(), ..value }),
        node_with(
            "Relu",
            AttributeProto { tensors: vec![external_tensor()], ..Default::default() },
        ),
        node_with(
            "Constant",
            AttributeProto { sparse_tensor: Some(sparse()), ..Default::default() },
        ),
    ];
    for node in nodes {
        let why = why_with(node.clone());
        assert!(why.contains("tensor \"stolen\" is stored in another file"), "{why}: {node:?}");
    }
    let top = changed(|proto| {
        proto.graph.as_mut().unwrap().sparse_initializer.push(sparse());
    });
    assert!(why(top).contains("tensor \"stolen\" is stored in another file"));
}

/// The small network whose input is added to a tensor made by `op` from `numbers`.
fn with_made_tensor(op: &str, numbers: &[i64]) -> Result<Model, Error> {
    let mut graph = network(3);
    let numbers = graph.constant_i64("numbers", numbers);
    let made = match op {
        "ConstantOfShape" => graph.push(op, &[&numbers], []),
        _ => {
            let one = graph.constant_f32("one", &[1, 1, 1, 1], &[1.0]);
            graph.push(op, &[&one, &numbers], [])
        }
    };
    let starts = graph.constant_i64("starts", &[0, 0]);
    let ends = graph.constant_i64("ends", &[1, 1]);
    let axes = graph.constant_i64("axes", &[2, 3]);
    let small = graph.push("Slice", &[&made, &starts, &ends, &axes], []);
    let output = graph.output.clone();
    let sum = graph.add(&output, &small);
    graph.set_output(&sum);
    opened(bytes_of(&graph))
}

#[test]
fn tensors_of_gigabytes_from_a_few_numbers_are_refused() {
    for op in ["ConstantOfShape", "Tile", "Expand"] {
        let huge = why(with_made_tensor(op, &[1, 1, 27_000, 27_000]));
        assert!(huge.contains("too large (729000000 elements)"), "{op}: {huge}");
    }
    // The same where the shapes cannot be inferred and the factor is stated.
    let unknown = changed(|proto| {
        let (key, value) = ("upscale.factor".into(), "2".into());
        proto.metadata_props.push(StringStringEntryProto { key, value });
        let graph = proto.graph.as_mut().unwrap();
        let shape = [27_000i64, 27_000].map(i64::to_le_bytes).concat();
        let dims = vec![2];
        graph.initializer.push(TensorProto {
            name: "shape".into(),
            data_type: 7,
            dims,
            raw_data: shape.into(),
            ..Default::default()
        });
        let node = |op: &str, input: &str, output: &str| NodeProto {
            op_type: op.into(),
            input: vec![input.into()],
            output: vec![output.into()],
            ..Default::default()
        };
        graph.node.push(node("Mystery", "input", "m"));
        graph.node.push(node("ConstantOfShape", "shape", "huge"));
    });
    let unknown = why(unknown);
    assert!(unknown.contains("ConstantOfShape makes"), "{unknown}");
}

#[test]
fn the_length_of_a_chain_is_bounded_before_a_model_is_opened() {
    let error = Model::open(&vec!["missing.pth"; 5001].join(",")).unwrap_err().to_string();
    assert!(error.contains("a chain has 5001 models; the maximum is 16"), "{error}");
}
