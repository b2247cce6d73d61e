//! The code of a pass as an operation of a network.

use std::collections::HashMap;

use super::{code::Code, error::Problem};

/// What a pass computes, before it adds `residual`, a texture that is read at the own position.
#[derive(Debug)]
pub(super) struct Operation<'a> {
    pub kind: Kind<'a>,
    pub residual: Option<&'a str>,
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    Convolution(Convolution<'a>),
    /// Each sample becomes 2×2, from the four channels of a texture. The textures of red, green and
    /// blue.
    DepthToSpace([&'a str; 3]),
}

/// A sum of matrices times samples.
#[derive(Debug, Default)]
pub(super) struct Convolution<'a> {
    pub inputs: Vec<Input<'a>>,
    pub taps: Vec<Tap>,
    pub bias: [f32; 4],
}

/// A texture as a convolution reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Input<'a> {
    pub texture: &'a str,
    pub part: Part,
    /// The samples of the texture in one step of an offset; `None` if it is read without offsets.
    pub step: Option<f32>,
}

/// The part of its values that is read. Positive and negative part together are a CReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// x.
    All,
    /// max(x, 0).
    Positive,
    /// max(−x, 0).
    Negative,
}

/// One position of the kernel.
#[derive(Debug)]
pub(super) struct Tap {
    /// The index of the input.
    pub input: usize,
    /// Steps to the right and downwards.
    pub offset: [i32; 2],
    /// The weights: element 4·i + o is from channel i to channel o, since GLSL stores columns.
    pub matrix: [f32; 16],
}

impl<'a> Operation<'a> {
    /// The operation of this code.
    ///
    /// # Errors
    /// [`Problem::Code`] if it is neither a convolution nor a depth-to-space step.
    pub(super) fn parse(macros: &[&'a str], code: &'a str) -> Result<Self, Problem> {
        let mut code = Code::new(code);
        code.expect("vec4 hook() {")?;
        let is_convolution = code.peek() == "vec4";
        let (kind, residual) = if is_convolution {
            let inputs = macros.iter().map(|definition| input(definition));
            let inputs = inputs.collect::<Result<HashMap<_, _>, _>>()?;
            let (convolution, residual) = convolution(&mut code, &inputs)?;
            (Kind::Convolution(convolution), residual)
        } else {
            let (planes, residual) = depth_to_space(&mut code)?;
            (Kind::DepthToSpace(planes), residual)
        };
        code.expect("}")?;
        code.end()?;
        Ok(Self { kind, residual })
    }
}

/// A macro and the input that it is: `go_0(x_off, y_off) (max((NAME_texOff(vec2(x_off, y_off))),
/// 0.0))`, or `g_0 (max((NAME_tex(NAME_pos)), 0.0))`.
fn input(definition: &str) -> Result<(&str, Input<'_>), Problem> {
    let mut code = Code::new(definition);
    let name = code.next();
    let has_offset = code.accept("(x_off, y_off)");
    code.expect("(")?;
    let input = if code.accept("max(") {
        let part = if code.accept("-") { Part::Negative } else { Part::Positive };
        code.expect("(")?;
        let input = Input { part, ..texture(&mut code, has_offset)? };
        code.expect("), 0.0)")?;
        input
    } else {
        texture(&mut code, has_offset)?
    };
    code.expect(")")?;
    code.end()?;
    Ok((name, input))
}

/// `NAME_texOff(vec2(x_off, y_off))`, whose offset may be scaled, or `NAME_tex(NAME_pos)`.
fn texture<'a>(code: &mut Code<'a>, has_offset: bool) -> Result<Input<'a>, Problem> {
    if !has_offset {
        return Ok(Input { texture: at_own_position(code)?, part: Part::All, step: None });
    }
    let texture = code.name("_texOff")?;
    code.expect("(vec2(x_off, y_off)")?;
    let step = if code.accept("*") { code.number()? } else { 1.0 };
    code.expect(")")?;
    Ok(Input { texture, part: Part::All, step: Some(step) })
}

/// `NAME_tex(NAME_pos)`.
fn at_own_position<'a>(code: &mut Code<'a>) -> Result<&'a str, Problem> {
    let texture = code.name("_tex")?;
    code.expect(&format!("({texture}_pos)"))?;
    Ok(texture)
}

/// The texture that a pass adds to its result, if any, and the end of the statement.
fn residual<'a>(code: &mut Code<'a>) -> Result<Option<&'a str>, Problem> {
    let residual = if code.accept("+") { Some(at_own_position(code)?) } else { None };
    code.expect(";")?;
    Ok(residual)
}

/// `vec4 result = mat4(…) * go_0(-1.0, 0.0); result += …; return result;`
fn convolution<'a>(
    code: &mut Code<'a>,
    inputs: &HashMap<&'a str, Input<'a>>,
) -> Result<(Convolution<'a>, Option<&'a str>), Problem> {
    let mut convolution = Convolution::default();
    let mut indices: HashMap<&str, usize> = HashMap::new();
    code.expect("vec4 result =")?;
    loop {
        if code.accept("mat4(") {
            let matrix = code.numbers()?;
            code.expect(") *")?;
            let start = *code;
            let name = code.next();
            let input = inputs.get(name).ok_or_else(|| start.expected("a macro of the pass"))?;
            let offset = match input.step {
                Some(_) => offset(code)?,
                None => [0; 2],
            };
            let next = convolution.inputs.len();
            let index = *indices.entry(name).or_insert(next);
            if index == next {
                convolution.inputs.push(*input);
            }
            convolution.taps.push(Tap { input: index, offset, matrix });
        } else {
            code.expect("vec4(")?;
            let numbers: [f32; 4] = code.numbers()?;
            code.expect(")")?;
            for (sum, number) in convolution.bias.iter_mut().zip(numbers) {
                *sum += number;
            }
        }
        code.expect(";")?;
        if !code.accept("result +=") {
            break;
        }
    }
    code.expect("return result")?;
    if code.accept("*") {
        let factor = code.number()?;
        let weights = convolution.taps.iter_mut().flat_map(|tap| &mut tap.matrix);
        weights.chain(&mut convolution.bias).for_each(|weight| *weight *= factor);
    }
    Ok((convolution, residual(code)?))
}

/// `(-1.0, 0.0)`.
fn offset(code: &mut Code<'_>) -> Result<[i32; 2], Problem> {
    let start = *code;
    code.expect("(")?;
    let offset: [f32; 2] = code.numbers()?;
    code.expect(")")?;
    if offset.iter().any(|steps| steps.fract() != 0.0) {
        return Err(start.expected("whole offsets"));
    }
    Ok(offset.map(|steps| steps as i32))
}

/// Each of the channels c0 to c3 either takes the sample of its own texture that belongs to the
/// position, or repeats the channel before it.
fn depth_to_space<'a>(code: &mut Code<'a>) -> Result<([&'a str; 3], Option<&'a str>), Problem> {
    let mut planes: Vec<&str> = Vec::new();
    for n in 0..4 {
        let before = planes.last().copied();
        if let Some(before) = before
            && code.accept(&format!("float c{n} = c{};", planes.len() - 1))
        {
            planes.push(before);
            continue;
        }
        code.expect(&format!("vec2 f{n} = fract("))?;
        let t = code.name("_pos")?;
        code.expect(&format!(
            "* {t}_size); ivec2 i{n} = ivec2(f{n} * vec2(2.0)); float c{n} = {t}_tex((vec2(0.5) - f{n}) * {t}_pt + {t}_pos)[i{n}.y * 2 + i{n}.x];"
        ))?;
        planes.push(t);
    }
    code.expect("return vec4(c0, c1, c2, c3)")?;
    let residual = residual(code)?;
    match planes[..] {
        [red, green, blue, _] => Ok(([red, green, blue], residual)),
        _ => Err(code.expected("four channels")),
    }
}
