//! Writing checkpoints as PyTorch does, for the tests of its reader.

// Each test binary uses a part of this file.
#![allow(dead_code)]

use std::io::{Cursor, Write};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Tensors of float32: name, shape, numbers.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// Reproducible numbers between -1 and 1.
pub struct Random(pub u32);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        ((u64::from(self.next()) * end as u64) >> 32) as usize
    }

    /// A convolution's weight and bias, its outputs about as large as its inputs.
    pub fn conv(&mut self, tensors: &mut Tensors, name: &str, shape: [usize; 4]) {
        let reach = (3.0 / (shape[1] * shape[2] * shape[3]) as f32).sqrt();
        self.tensor(tensors, &format!("{name}.weight"), &shape, reach);
        self.tensor(tensors, &format!("{name}.bias"), &shape[..1], 0.1);
    }

    pub fn tensor(&mut self, tensors: &mut Tensors, name: &str, shape: &[usize], reach: f32) {
        let count = shape.iter().product();
        let values = (0..count).map(|_| (self.next() as f32 / u32::MAX as f32 * 2.0 - 1.0) * reach);
        tensors.push((name.into(), shape.to_vec(), values.collect()));
    }
}

pub fn text(to: &mut Vec<u8>, text: &str) {
    to.push(b'X');
    to.extend((text.len() as u32).to_le_bytes());
    to.extend(text.as_bytes());
}

pub fn number(to: &mut Vec<u8>, number: usize) {
    to.extend([0x8a, 8]);
    to.extend((number as u64).to_le_bytes());
}

fn numbers(to: &mut Vec<u8>, values: &[usize]) {
    to.push(b'(');
    values.iter().for_each(|&value| number(to, value));
    to.push(b't');
}

/// The opcodes that leave one tensor on the stack.
pub fn tensor(
    to: &mut Vec<u8>,
    key: &str,
    count: usize,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
    stream: bool,
) {
    to.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(to, "storage");
    to.extend(b"ctorch\nFloatStorage\n");
    text(to, key);
    text(to, "cuda:0");
    number(to, count);
    to.extend(if stream { b"NtQ".as_slice() } else { b"tQ" });
    number(to, offset);
    numbers(to, shape);
    numbers(to, strides);
    to.extend(b"\x89ccollections\nOrderedDict\n)RtR");
}

pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The pickle of a dict, under `wrapper` where it is not empty.
fn pickle(tensors: &Tensors, wrapper: &str, stream: bool) -> Vec<u8> {
    let mut to = b"\x80\x02}".to_vec();
    if !wrapper.is_empty() {
        text(&mut to, wrapper);
        to.push(b'}');
    }
    to.push(b'(');
    for (place, (name, shape, values)) in tensors.iter().enumerate() {
        text(&mut to, name);
        tensor(&mut to, &place.to_string(), values.len(), 0, shape, &strides(shape), stream);
    }
    to.push(b'u');
    to.extend(if wrapper.is_empty() { b".".as_slice() } else { b"s." });
    to
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A zip of these entries in the folder `net`.
pub fn zip(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    zip_in("net", entries, method)
}

fn zip_in(folder: &str, entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in entries {
        zip.start_file(format!("{folder}/{name}"), options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A zip of these entries in the folder `folder`, with the zip64 end record that PyTorch writes
/// at any size.
pub fn zip64(folder: &str, entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut content = zip_in(folder, entries, CompressionMethod::Stored);
    let end = content.split_off(content.len() - 22);
    let position = content.len() as u64;
    let field = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let (count, size, start) = (entries.len() as u64, field(12), field(16));
    content.extend(b"PK\x06\x06");
    content.extend(44u64.to_le_bytes());
    content.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [count, count, size, start].iter().for_each(|value| content.extend(value.to_le_bytes()));
    content.extend(b"PK\x06\x07\0\0\0\0");
    content.extend(position.to_le_bytes());
    content.extend(1u32.to_le_bytes());
    content.extend(end);
    content
}

/// What `torch.save` writes.
pub fn pth(tensors: &Tensors, wrapper: &str, method: CompressionMethod) -> Vec<u8> {
    let mut entries = vec![("data.pkl".to_owned(), pickle(tensors, wrapper, false))];
    for (place, (_, _, values)) in tensors.iter().enumerate() {
        entries.push((format!("data/{place}"), bytes(values)));
    }
    zip(&entries, method)
}

/// What `torch.save` wrote before the zip.
pub fn stream(tensors: &Tensors, wrapper: &str) -> Vec<u8> {
    let mut to = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    to.extend(b"\x80\x02M\xe9\x03.\x80\x02}");
    text(&mut to, "little_endian");
    to.extend(b"\x88s.");
    to.extend(pickle(tensors, wrapper, true));
    to.extend(b"\x80\x02](");
    (0..tensors.len()).for_each(|place| text(&mut to, &place.to_string()));
    to.extend(b"e.");
    for (_, _, values) in tensors {
        to.extend((values.len() as u64).to_le_bytes());
        to.extend(bytes(values));
    }
    to
}

/// A Compact network with PReLU.
pub fn compact(width: usize, convolutions: usize, factor: usize) -> Tensors {
    let (mut tensors, mut random) = (Tensors::new(), Random(7));
    random.conv(&mut tensors, "body.0", [width, 3, 3, 3]);
    for place in 1..=convolutions + 1 {
        let prelu = format!("body.{}.weight", 2 * place - 1);
        random.tensor(&mut tensors, &prelu, &[width], 0.3);
        let outputs = if place > convolutions { 3 * factor * factor } else { width };
        random.conv(&mut tensors, &format!("body.{}", 2 * place), [outputs, width, 3, 3]);
    }
    tensors
}
