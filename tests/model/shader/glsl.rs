//! Evaluates mpv shaders literally: every statement of every pass at every pixel, with textures
//! that are read with bilinear interpolation and repeat their borders.

use std::collections::HashMap;

use gstupscale::frame::Image;

/// A scalar, a vector or a 4×4 matrix.
type Value = Vec<f32>;

#[derive(Clone, Debug)]
enum Expression {
    Number(f32),
    Name(String),
    Call(String, Vec<Expression>),
    Operation(char, Box<[Expression; 2]>),
    Element(Box<[Expression; 2]>),
}

/// The samples of a texture, with four channels.
#[derive(Clone, Debug)]
struct Texture {
    size: [usize; 2],
    samples: Vec<[f32; 4]>,
}

impl Texture {
    /// The interpolated sample at a place from 0 to 1.
    fn sample(&self, place: [f32; 2]) -> Value {
        let axis = |axis: usize| {
            let at = place[axis] * self.size[axis] as f32 - 0.5;
            let low = at.floor();
            let index = |at: f32| at.clamp(0.0, self.size[axis] as f32 - 1.0) as usize;
            [(index(low), 1.0 - (at - low)), (index(low + 1.0), at - low)]
        };
        let mut sum = vec![0.0; 4];
        for (y, tall) in axis(1) {
            for (x, wide) in axis(0) {
                let sample = self.samples[y * self.size[0] + x];
                sum.iter_mut().zip(sample).for_each(|(sum, sample)| *sum += sample * tall * wide);
            }
        }
        sum
    }
}

/// Tokens that are not yet read.
struct Parser(Vec<String>);

impl Parser {
    fn new(text: &str) -> Self {
        let mut tokens: Vec<String> = Vec::new();
        let mut glue = false;
        for letter in text.chars() {
            let word = letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
            let exponent = matches!(letter, '-' | '+')
                && tokens.last().is_some_and(|last| {
                    last.ends_with('e') && last.starts_with(|c: char| c.is_ascii_digit())
                });
            // A dot after a name selects an element.
            let number = tokens.last().is_some_and(|t| t.starts_with(|c: char| c.is_ascii_digit()));
            let selects = letter == '.' && !number && glue;
            match tokens.last_mut() {
                Some(last) if glue && (word && !selects || exponent) => last.push(letter),
                _ if letter.is_whitespace() => {}
                _ => tokens.push(letter.into()),
            }
            glue = (word && !selects) || exponent;
        }
        tokens.reverse();
        Self(tokens)
    }

    fn next(&mut self) -> String {
        self.0.pop().expect("a token")
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_next = self.0.last().is_some_and(|next| next == token);
        if is_next {
            self.0.pop();
        }
        is_next
    }

    fn sum(&mut self) -> Expression {
        let mut left = self.product();
        loop {
            let operator = if self.takes("+") {
                '+'
            } else if self.takes("-") {
                '-'
            } else {
                return left;
            };
            left = Expression::Operation(operator, Box::new([left, self.product()]));
        }
    }

    fn product(&mut self) -> Expression {
        let mut left = self.unary();
        while self.takes("*") {
            left = Expression::Operation('*', Box::new([left, self.unary()]));
        }
        left
    }

    fn unary(&mut self) -> Expression {
        if self.takes("-") {
            let zero = Expression::Number(0.0);
            return Expression::Operation('-', Box::new([zero, self.unary()]));
        }
        let token = self.next();
        let mut value = if token == "(" {
            let inner = self.sum();
            assert!(self.takes(")"));
            inner
        } else if token.starts_with(|c: char| c.is_ascii_digit()) {
            Expression::Number(token.parse().expect("a number"))
        } else if self.takes("(") {
            let mut arguments = Vec::new();
            while !self.takes(")") {
                arguments.push(self.sum());
                self.takes(",");
            }
            Expression::Call(token, arguments)
        } else {
            Expression::Name(token)
        };
        loop {
            let index = if self.takes(".") {
                Expression::Number(if self.next() == "x" { 0.0 } else { 1.0 })
            } else if self.takes("[") {
                let index = self.sum();
                assert!(self.takes("]"));
                index
            } else {
                return value;
            };
            value = Expression::Element(Box::new([value, index]));
        }
    }
}

/// A pass: its directives, its macros with their parameters, its statements as the variables that
/// they set ("" for what is returned) and whether they add to it.
#[derive(Debug, Default)]
struct Pass {
    directives: HashMap<String, String>,
    macros: HashMap<String, (Vec<String>, Expression)>,
    statements: Vec<(String, bool, Expression)>,
}

impl Pass {
    fn new(text: &str) -> Self {
        let mut pass = Self::default();
        let mut code = String::new();
        for line in text.lines().filter(|line| !line.starts_with("// ")) {
            if let Some(directive) = line.strip_prefix("//!") {
                let (name, value) = directive.split_once(' ').expect("a value");
                pass.directives.insert(name.into(), value.into());
            } else if let Some(line) = line.strip_prefix("#define ") {
                let (head, body) = line.split_at(line.find(" (").expect("a body"));
                let (name, parameters) = head.split_once('(').unwrap_or((head, ""));
                let parameters = parameters.trim_end_matches(')').split(", ");
                let parameters = parameters.map(str::to_owned).collect();
                pass.macros.insert(name.into(), (parameters, Parser::new(body).sum()));
            } else {
                code.push_str(line);
            }
        }
        let start = code.find('{').expect("a body") + 1;
        let body = &code[start..code.rfind('}').expect("an end")];
        for statement in body.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let (variable, adds, value) = if let Some(value) = statement.strip_prefix("return ") {
                ("", false, value)
            } else if let Some((variable, value)) = statement.split_once("+=") {
                (variable.trim(), true, value)
            } else {
                let (head, value) = statement.split_once('=').expect("an assignment");
                (head.split_whitespace().nth(1).expect("a variable"), false, value)
            };
            pass.statements.push((variable.into(), adds, Parser::new(value).sum()));
        }
        pass
    }
}

/// Where an expression is evaluated.
struct Place<'a> {
    pass: &'a Pass,
    textures: &'a HashMap<String, Texture>,
    position: [f32; 2],
    variables: HashMap<String, Value>,
}

fn broadcast(a: &Value, b: &Value, operation: impl Fn(f32, f32) -> f32) -> Value {
    let length = a.len().max(b.len());
    let at = |value: &Value, index: usize| value[if value.len() == 1 { 0 } else { index }];
    (0..length).map(|index| operation(at(a, index), at(b, index))).collect()
}

fn pair(value: &Value) -> [f32; 2] {
    [value[0], value[1]]
}

impl Place<'_> {
    fn name(&self, name: &str) -> Value {
        if let Some(value) = self.variables.get(name) {
            return value.clone();
        }
        if let Some((_, body)) = self.pass.macros.get(name) {
            return self.value(body);
        }
        let (texture, property) = name.rsplit_once('_').expect("a property of a texture");
        let size = self.textures[texture].size.map(|side| side as f32);
        match property {
            "pos" => self.position.to_vec(),
            "size" => size.to_vec(),
            "pt" => size.map(|side| 1.0 / side).to_vec(),
            _ => panic!("{name}"),
        }
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Value {
        if let Some((parameters, body)) = self.pass.macros.get(name) {
            let variables = parameters.iter().cloned().zip(arguments.iter().cloned()).collect();
            return Place { variables, ..*self }.value(body);
        }
        match name {
            "max" => broadcast(&arguments[0], &arguments[1], f32::max),
            "fract" => arguments[0].iter().map(|value| value - value.floor()).collect(),
            "ivec2" => arguments[0].iter().map(|value| value.trunc()).collect(),
            "vec2" | "vec4" | "mat4" => {
                let all = arguments.concat();
                let length = if name == "vec2" { 2 } else { all.len() };
                if all.len() == 1 { vec![all[0]; length] } else { all }
            }
            _ => {
                let (texture, function) = name.rsplit_once('_').expect("a texture");
                let texture = &self.textures[texture];
                let place = match function {
                    "tex" => pair(&arguments[0]),
                    "texOff" => {
                        let offset = pair(&arguments[0]);
                        [0, 1].map(|axis| {
                            self.position[axis] + offset[axis] / texture.size[axis] as f32
                        })
                    }
                    _ => panic!("{name}"),
                };
                texture.sample(place)
            }
        }
    }

    fn value(&self, expression: &Expression) -> Value {
        match expression {
            Expression::Number(number) => vec![*number],
            Expression::Name(name) => self.name(name),
            Expression::Call(name, arguments) => {
                let arguments: Vec<Value> = arguments.iter().map(|a| self.value(a)).collect();
                self.call(name, &arguments)
            }
            Expression::Element(parts) => {
                let [value, index] = &**parts;
                vec![self.value(value)[self.value(index)[0] as usize]]
            }
            Expression::Operation(operator, parts) => {
                let [a, b] = [0, 1].map(|index| self.value(&parts[index]));
                match operator {
                    '+' => broadcast(&a, &b, |a, b| a + b),
                    '-' => broadcast(&a, &b, |a, b| a - b),
                    _ if a.len() == 16 && b.len() == 4 => (0..4)
                        .map(|row| (0..4).map(|column| a[4 * column + row] * b[column]).sum())
                        .collect(),
                    _ => broadcast(&a, &b, |a, b| a * b),
                }
            }
        }
    }
}

/// The image that the shader makes of `input`.
pub fn evaluate(shader: &str, input: &Image) -> Image {
    let channels = input.channels();
    let size = [input.width(), input.height()];
    let samples = (0..size[0] * size[1]).map(|index| {
        let mut sample = [0.0, 0.0, 0.0, 1.0];
        for (channel, value) in sample.iter_mut().enumerate().take(channels) {
            *value = input.row(channel, index / size[0])[index % size[0]];
        }
        sample
    });
    let image = Texture { size, samples: samples.collect() };
    let mut textures = HashMap::new();
    let mut hook = String::new();
    for text in shader.split("//!DESC").skip(1) {
        let pass = Pass::new(&format!("//!DESC{text}"));
        hook.clone_from(&pass.directives["HOOK"]);
        textures.entry(hook.clone()).or_insert_with(|| image.clone());
        let side = |name: &str, axis: usize| {
            let extent = pass.directives.get(name).cloned().unwrap_or(format!("{hook}.w"));
            let mut words = extent.split(['.', ' ']);
            let texture: &Texture = &textures[words.next().expect("a texture")];
            let times = words.nth(1).map_or(1, |times| times.parse().expect("a number"));
            texture.size[axis] * times
        };
        let size = [side("WIDTH", 0), side("HEIGHT", 1)];
        let samples = (0..size[0] * size[1]).map(|index| {
            let at = [index % size[0], index / size[0]];
            let position = [0, 1].map(|axis| (at[axis] as f32 + 0.5) / size[axis] as f32);
            let variables = HashMap::new();
            let mut place = Place { pass: &pass, textures: &textures, position, variables };
            for (variable, adds, expression) in &pass.statements {
                let mut value = place.value(expression);
                if *adds {
                    value = broadcast(&place.variables[variable], &value, |a, b| a + b);
                }
                place.variables.insert(variable.clone(), value);
            }
            let result = &place.variables[""];
            let mut sample = [result[0], result[1], result[2], result[3]];
            if pass.directives["SAVE"] == hook {
                sample[3] = 1.0;
                sample[channels..3].fill(0.0);
            }
            sample
        });
        let texture = Texture { size, samples: samples.collect() };
        textures.insert(pass.directives["SAVE"].clone(), texture);
    }
    let made = &textures[&hook];
    let mut output = Image::new(channels, made.size[0], made.size[1]);
    for (index, sample) in made.samples.iter().enumerate() {
        for (channel, value) in sample.iter().enumerate().take(channels) {
            output.row_mut(channel, index / made.size[0])[index % made.size[0]] = *value;
        }
    }
    output
}
