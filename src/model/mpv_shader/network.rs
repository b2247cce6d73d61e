//! From passes to a graph.
//!
//! mpv reads textures with bilinear interpolation and repeats the samples at their borders
//! (`bind_pass_tex` of libplacebo's `custom_mpv.c`). Passes that read the same textures become one
//! convolution.

use std::collections::HashMap;

use super::{
    error::{Problem, ShaderError},
    hook::{Convolution, Kind, Operation, Part},
    pass::{Extent, Pass, quoted},
};
use crate::model::{Border, Graph, Shuffle, Window};

/// The farthest sample that a kernel reads.
const MAX_DISTANCE: u32 = 64;
/// The maximum number of inputs of a pass; Anime4K's have up to 28.
const MAX_INPUTS: usize = 256;
/// The largest enlargement of a texture, as for every model.
const MAX_SCALE: u32 = 64;
/// The maximum number of weights of a network. Anime4K's have up to 300 000.
const MAX_WEIGHTS: u64 = 1 << 24;

/// Some channels of a value of the graph.
#[derive(Clone, Debug, PartialEq)]
struct Texture {
    value: String,
    /// The first channel in the value, and their number.
    first: usize,
    channels: usize,
    /// All channels of the value.
    total: usize,
    /// Its size divided by that of the input.
    scale: u32,
}

/// A texture that a convolution reads.
#[derive(Clone, Debug, PartialEq)]
struct Source {
    texture: Texture,
    /// How many times it is enlarged before it is read.
    ratio: u32,
    part: Part,
}

impl Source {
    /// What it reads, apart from the channels.
    fn key(&self) -> (&str, u32, Part) {
        (&self.texture.value, self.ratio, self.part)
    }
}

/// What two passes must have in common to become one convolution.
#[derive(Debug, PartialEq)]
struct Reads {
    sources: Vec<Source>,
    /// Steps from the centre of the kernel to its border, and samples per step.
    radius: u32,
    dilation: u32,
    scale: u32,
}

impl Reads {
    /// The width and height of the kernel.
    fn side(&self) -> u32 {
        2 * self.radius + 1
    }

    /// One source for each value that is read, in the order of the channels of the convolution.
    fn values(&self) -> Vec<&Source> {
        let mut values: Vec<&Source> = Vec::new();
        for source in &self.sources {
            if values.iter().all(|other| other.key() != source.key()) {
                values.push(source);
            }
        }
        values
    }
}

/// The convolutions of several passes over the same textures, and the textures that they save.
#[derive(Debug)]
struct Group<'a> {
    reads: Reads,
    kernels: Vec<Convolution<'a>>,
    saves: Vec<&'a str>,
}

struct Network<'a> {
    graph: Graph,
    hook: &'a str,
    /// The channels of the hooked texture.
    channels: usize,
    textures: HashMap<&'a str, Texture>,
    /// Values that were enlarged, or of which a part was taken.
    derived: HashMap<(String, u32, Part), String>,
    /// The convolutions that the next pass may still join.
    group: Option<Group<'a>>,
    weights: u64,
}

/// The graph of all passes.
///
/// # Errors
/// [`ShaderError`] if a pass is not supported, or none saves the hooked texture.
pub(super) fn build(passes: &[Pass<'_>]) -> Result<Graph, ShaderError> {
    let Some(first) = passes.first() else { return Err(ShaderError::NoPass) };
    let channels = match first.hook {
        "MAIN" | "MAINPRESUB" | "RGB" => 3,
        "LUMA" => 1,
        hook => return Err(Problem::Hook(quoted(hook)).of(&first.name)),
    };
    if let Some(other) = passes.iter().find(|pass| pass.hook != first.hook) {
        return Err(ShaderError::Hooks(first.hook.into(), quoted(other.hook)));
    }
    let graph = Graph::new(channels as u64);
    let value = graph.input.clone();
    let input = Texture { value, first: 0, channels, total: channels, scale: 1 };
    let mut network = Network {
        graph,
        hook: first.hook,
        channels,
        textures: HashMap::from([(first.hook, input.clone())]),
        derived: HashMap::new(),
        group: None,
        weights: 0,
    };
    for pass in passes {
        network.add(pass).map_err(|problem| problem.of(&pass.name))?;
    }
    network.finish_group();
    let output = network.textures.remove(first.hook).unwrap_or(input);
    if output.value == network.graph.input {
        return Err(ShaderError::NoResult(first.hook.into()));
    }
    network.graph.set_output(&output.value);
    Ok(network.graph)
}

impl<'a> Network<'a> {
    fn add(&mut self, pass: &'a Pass<'a>) -> Result<(), Problem> {
        let operation = Operation::parse(&pass.macros, &pass.code)?;
        let save = self.resolve(pass.save.unwrap_or(self.hook));
        let is_result = save == self.hook;
        if !is_result && pass.components != Some("4") {
            return Err(Problem::Components(quoted(save)));
        }
        let scale = self.scale(pass)?;
        let residual = operation.residual.map(|name| self.texture(pass, name)).transpose()?;
        let (value, channels) = match operation.kind {
            Kind::Convolution(convolution) => {
                let reads = self.reads(pass, &convolution, scale)?;
                if !is_result && residual.is_none() {
                    self.join(reads, convolution, save);
                    return Ok(());
                }
                let rows = if is_result { self.channels } else { 4 };
                (self.convolve(&reads, &[convolution], rows), rows)
            }
            Kind::DepthToSpace(planes) if is_result => {
                (self.depth_to_space(pass, planes, scale)?, self.channels)
            }
            Kind::DepthToSpace(_) => return Err(Problem::Intermediate),
        };
        let value = match residual {
            None => value,
            Some(texture) => {
                if texture.channels != channels {
                    return Err(Problem::Residual);
                }
                let ratio = ratio(&texture, scale).ok_or(Problem::Smaller)?;
                let own = self.channels_of(&texture);
                let own = self.part(&own, ratio, Part::All);
                self.graph.add(&value, &own)
            }
        };
        self.finish_group();
        self.textures.insert(save, Texture { value, first: 0, channels, total: channels, scale });
        Ok(())
    }

    /// The name of a texture; `HOOKED` is another one of the hooked texture.
    fn resolve(&self, name: &'a str) -> &'a str {
        if name == "HOOKED" { self.hook } else { name }
    }

    /// The texture `name` as it is before the next pass.
    fn current(&mut self, name: &'a str) -> Option<Texture> {
        let name = self.resolve(name);
        if self.group.as_ref().is_some_and(|group| group.saves.contains(&name)) {
            self.finish_group();
        }
        self.textures.get(name).cloned()
    }

    /// The texture `name`, which the pass binds.
    fn texture(&mut self, pass: &Pass<'a>, name: &'a str) -> Result<Texture, Problem> {
        let is_bound = pass.binds.contains(&name);
        let texture = self.current(name).filter(|_| is_bound);
        texture.ok_or_else(|| Problem::Texture(quoted(name)))
    }

    /// The size of the texture that the pass saves, divided by that of the input.
    fn scale(&mut self, pass: &Pass<'a>) -> Result<u32, Problem> {
        let hooked = Extent { texture: self.hook, times: 1 };
        let [width, height] = pass.size.map(|extent| {
            let extent = extent.unwrap_or(hooked);
            let texture = self.current(extent.texture);
            let texture = texture.ok_or_else(|| Problem::Texture(quoted(extent.texture)))?;
            let scale = texture.scale.checked_mul(extent.times);
            scale.filter(|scale| (1..=MAX_SCALE).contains(scale)).ok_or(Problem::Scale(MAX_SCALE))
        });
        let (width, height) = (width?, height?);
        if width == height { Ok(width) } else { Err(Problem::Shape) }
    }

    /// What a convolution reads.
    fn reads(
        &mut self,
        pass: &Pass<'a>,
        convolution: &Convolution<'a>,
        scale: u32,
    ) -> Result<Reads, Problem> {
        if convolution.inputs.len() > MAX_INPUTS {
            return Err(Problem::TooLarge);
        }
        let mut sources = Vec::new();
        let mut dilation = None;
        for input in &convolution.inputs {
            let texture = self.texture(pass, input.texture)?;
            let ratio = ratio(&texture, scale).ok_or(Problem::Smaller)?;
            if let Some(step) = input.step {
                let samples = step * ratio as f32;
                let whole = samples.round();
                if (samples - whole).abs() > 1e-3 || !(1.0..=MAX_DISTANCE as f32).contains(&whole) {
                    return Err(Problem::Fraction(quoted(input.texture)));
                }
                if dilation.is_some_and(|other| other != whole as u32) {
                    return Err(Problem::Distances);
                }
                dilation = Some(whole as u32);
            }
            sources.push(Source { texture, ratio, part: input.part });
        }
        let offsets = convolution.taps.iter().flat_map(|tap| tap.offset);
        let radius = offsets.map(i32::unsigned_abs).max().unwrap_or(0);
        let dilation = if radius == 0 { 1 } else { dilation.unwrap_or(1) };
        if radius.saturating_mul(dilation) > MAX_DISTANCE {
            return Err(Problem::Distance(MAX_DISTANCE));
        }
        let reads = Reads { sources, radius, dilation, scale };
        let side = u64::from(reads.side());
        let inputs: usize = reads.values().iter().map(|value| value.texture.total).sum();
        self.weights += 4 * side * side * inputs as u64;
        if self.weights > MAX_WEIGHTS { Err(Problem::TooLarge) } else { Ok(reads) }
    }

    /// Adds a convolution to the group, or starts another group.
    fn join(&mut self, reads: Reads, convolution: Convolution<'a>, save: &'a str) {
        if self.group.as_ref().is_none_or(|group| group.reads != reads) {
            self.finish_group();
        }
        let group = self.group.get_or_insert_with(|| Group {
            reads,
            kernels: Vec::new(),
            saves: Vec::new(),
        });
        group.kernels.push(convolution);
        group.saves.push(save);
    }

    /// Computes the convolutions of the group.
    fn finish_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        let value = self.convolve(&group.reads, &group.kernels, 4);
        let total = 4 * group.saves.len();
        let scale = group.reads.scale;
        for (index, save) in group.saves.into_iter().enumerate() {
            let value = value.clone();
            let texture = Texture { value, first: 4 * index, channels: 4, total, scale };
            self.textures.insert(save, texture);
        }
    }

    /// The first `rows` channels of each convolution.
    fn convolve(&mut self, reads: &Reads, kernels: &[Convolution<'a>], rows: usize) -> String {
        let values = reads.values();
        let mut parts = Vec::new();
        let mut inputs = 0;
        let mut starts = HashMap::new();
        for source in values {
            parts.push(self.part(&source.texture.value, source.ratio, source.part));
            starts.insert(source.key(), inputs);
            inputs += source.texture.total;
        }
        let side = reads.side() as usize;
        let outputs = rows * kernels.len();
        let mut weights = vec![0.0; outputs * inputs * side * side];
        let mut bias = Vec::new();
        for (index, kernel) in kernels.iter().enumerate() {
            let mut sums = kernel.bias;
            for tap in &kernel.taps {
                let Some(source) = reads.sources.get(tap.input) else { continue };
                let start = starts.get(&source.key()).copied().unwrap_or(0) + source.texture.first;
                let [x, y] = tap.offset.map(|steps| (steps + reads.radius as i32) as usize);
                for (channel, column) in tap.matrix.as_chunks::<4>().0.iter().enumerate() {
                    if channel < source.texture.channels {
                        for (row, weight) in column.iter().enumerate().take(rows) {
                            let output = index * rows + row;
                            let place = ((output * inputs + start + channel) * side + y) * side + x;
                            if let Some(sum) = weights.get_mut(place) {
                                *sum += weight;
                            }
                        }
                    } else if channel == 3 && source.part != Part::Negative {
                        // The alpha of an image is 1, its other missing channels are 0.
                        sums.iter_mut().zip(column).for_each(|(sum, weight)| *sum += weight);
                    }
                }
            }
            bias.extend(sums.into_iter().take(rows));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let x = match parts[..] {
            [only] => only.to_owned(),
            _ => self.graph.concat(&parts, 1),
        };
        let distance = i64::from(reads.radius * reads.dilation);
        let x = match distance {
            0 => x,
            _ => self.graph.pad(&x, [distance; 4], Border::Edge),
        };
        let dims = [outputs, inputs, side, side].map(|dim| dim as u64);
        let weights = self.graph.constant_f32("weight", &dims, &weights);
        let bias = self.graph.constant_f32("bias", &dims[..1], &bias);
        let window = Window { dilation: [reads.dilation; 2], ..Window::default() };
        self.graph.conv(&x, &weights, Some(&bias), window)
    }

    /// The image of which each 2×2 samples are the channels of one sample of a texture.
    fn depth_to_space(
        &mut self,
        pass: &Pass<'a>,
        planes: [&'a str; 3],
        scale: u32,
    ) -> Result<String, Problem> {
        let mut textures = Vec::new();
        for name in planes.into_iter().take(self.channels) {
            let texture = self.texture(pass, name)?;
            if texture.channels != 4 || texture.scale * 2 != scale {
                return Err(Problem::DepthToSpace(quoted(name)));
            }
            textures.push(texture);
        }
        let image = |graph: &mut Graph, x: &str| graph.depth_to_space(x, 2, Shuffle::Crd);
        let [first, rest @ ..] = &textures[..] else { return Err(Problem::Intermediate) };
        if rest.iter().all(|texture| texture == first) {
            let x = self.channels_of(first);
            let plane = image(&mut self.graph, &x);
            return Ok(match self.channels {
                1 => plane,
                channels => self.graph.concat(&vec![plane.as_str(); channels], 1),
            });
        }
        let whole = textures.iter().enumerate().all(|(index, texture)| {
            texture.value == first.value
                && texture.first == 4 * index
                && texture.total == 4 * textures.len()
        });
        if whole {
            return Ok(image(&mut self.graph, &first.value));
        }
        let values: Vec<String> = textures.iter().map(|t| self.channels_of(t)).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let x = self.graph.concat(&values, 1);
        Ok(image(&mut self.graph, &x))
    }

    /// A texture's channels as a value of their own.
    fn channels_of(&mut self, texture: &Texture) -> String {
        if texture.channels == texture.total {
            return texture.value.clone();
        }
        let [start, end] =
            [texture.first, texture.first + texture.channels].map(|channel| channel as i64);
        self.graph.slice(&texture.value, 1, start, end)
    }

    /// A part of a value that is enlarged `ratio` times.
    fn part(&mut self, value: &str, ratio: u32, part: Part) -> String {
        if ratio == 1 && part == Part::All {
            return value.to_owned();
        }
        let key = (value.to_owned(), ratio, part);
        if let Some(made) = self.derived.get(&key) {
            return made.clone();
        }
        let made = match part {
            Part::All => self.graph.resize_linear(value, [ratio as f32; 2]),
            Part::Positive => {
                let x = self.part(value, ratio, Part::All);
                self.graph.relu(&x)
            }
            Part::Negative => {
                let x = self.part(value, ratio, Part::All);
                let x = self.graph.scale(&x, -1.0);
                self.graph.relu(&x)
            }
        };
        self.derived.insert(key, made.clone());
        made
    }
}

/// How many times larger than the texture an image of this scale is; `None` if that is not a whole
/// number.
fn ratio(texture: &Texture, scale: u32) -> Option<u32> {
    scale.is_multiple_of(texture.scale).then_some(scale / texture.scale)
}
