//! mpv shaders give the picture that a literal evaluation of their code gives.

mod glsl;

use std::{env, fmt::Write, fs, path::Path};

use gstupscale::{
    frame::Image,
    model::{Error, Model, internals::parse_mpv_shader},
    native::{Engine, Options},
};

use crate::common::engine::read_png;

/// The largest difference to the literal evaluation. Both compute in fp32, in different orders.
const TOLERANCE: f32 = 1e-4;

/// Writes shaders in the form of Anime4K, with weights from a fixed sequence.
struct Writer {
    text: String,
    hook: &'static str,
    seed: u32,
}

/// How a convolution reads a texture: its name, `step` of an offset ("" for no offset), and whether
/// as a CReLU.
type Read = (&'static str, &'static str, bool);

impl Writer {
    fn new(hook: &'static str) -> Self {
        Self { text: "// A comment, as for a licence.\n\n".into(), hook, seed: 1 }
    }

    fn weights(&mut self, count: usize, scale: f32) -> String {
        let mut weight = || {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            scale * ((self.seed >> 8) as f32 / 16_777_216.0 - 0.5)
        };
        let weights: Vec<String> = (0..count).map(|_| format!("{:?}", weight())).collect();
        weights.join(", ")
    }

    fn head(&mut self, binds: &[&str], save: &str, size: &str, times: u32) {
        let hook = self.hook;
        write!(self.text, "//!DESC Test-{save}\n//!HOOK {hook}\n").unwrap();
        for bind in binds {
            writeln!(self.text, "//!BIND {bind}").unwrap();
        }
        let times = if times == 1 { String::new() } else { format!(" {times} *") };
        write!(self.text, "//!SAVE {save}\n//!WIDTH {size}.w{times}\n//!HEIGHT {size}.h{times}\n")
            .unwrap();
        if save != hook {
            self.text.push_str("//!COMPONENTS 4\n");
        }
        writeln!(self.text, "//!WHEN OUTPUT.w {hook}.w / 1.200 >").unwrap();
    }

    /// A convolution of `reads`, whose result is `result` (an expression of `result`).
    fn conv(&mut self, reads: &[Read], save: &str, (size, times): (&str, u32), result: &str) {
        let mut binds: Vec<&str> = reads.iter().map(|read| read.0).collect();
        if result.contains(self.hook) && !binds.contains(&self.hook) {
            binds.push(self.hook);
        }
        self.head(&binds, save, size, times);
        let mut taps = Vec::new();
        for &(texture, step, rectified) in reads {
            for sign in if rectified { &["", "-"][..] } else { &[""] } {
                let number = taps.len();
                let (name, sample) = match step {
                    "" => (format!("g_{number}"), format!("{texture}_tex({texture}_pos)")),
                    step => {
                        let step = if step == "1" { String::new() } else { format!(" * {step}") };
                        let sample = format!("{texture}_texOff(vec2(x_off, y_off){step})");
                        (format!("go_{number}"), sample)
                    }
                };
                let parameters = if step.is_empty() { "" } else { "(x_off, y_off)" };
                let value = if rectified { format!("max({sign}({sample}), 0.0)") } else { sample };
                writeln!(self.text, "#define {name}{parameters} ({value})").unwrap();
                let offsets: Vec<String> = match step {
                    "" => vec![String::new()],
                    _ => (0..9).map(|i| format!("({}.0, {}.0)", i / 3 - 1, i % 3 - 1)).collect(),
                };
                taps.extend(offsets.into_iter().map(|offset| format!("{name}{offset}")));
            }
        }
        let scale = 2.0 / (4.0 * taps.len() as f32).sqrt();
        self.text.push_str("vec4 hook() {\n    vec4 result = ");
        for tap in taps {
            let matrix = self.weights(16, scale);
            write!(self.text, "mat4({matrix}) * {tap};\n    result += ").unwrap();
        }
        let bias = self.weights(4, 0.2);
        write!(self.text, "vec4({bias});\n    return {result};\n}}\n").unwrap();
    }

    fn depth_to_space(&mut self, planes: &[&str]) {
        let hook = self.hook;
        let binds: Vec<&str> = [hook].iter().chain(planes).copied().collect();
        self.head(&binds, hook, planes[0], 2);
        self.text.push_str("vec4 hook() {\n");
        for n in 0..4 {
            let line = match planes.get(n) {
                None => format!("    float c{n} = c{};\n", n - 1),
                Some(t) => format!(
                    "    vec2 f{n} = fract({t}_pos * {t}_size);\n    \
                     ivec2 i{n} = ivec2(f{n} * vec2(2.0));\n    float c{n} = {t}_tex((vec2(0.5) - f{n}) \
                     * {t}_pt + {t}_pos)[i{n}.y * 2 + i{n}.x];\n"
                ),
            };
            self.text.push_str(&line);
        }
        writeln!(self.text, "    return vec4(c0, c1, c2, c3) + {hook}_tex({hook}_pos);\n}}")
            .unwrap();
    }
}

/// A network of the Upscale family: the image of one detail plane, or of three.
fn upscale(hook: &'static str, planes: &[&'static str]) -> String {
    let mut shader = Writer::new(hook);
    let own = (hook, 1);
    for save in ["conv2d_tf", "conv2d_tf1"] {
        shader.conv(&[(hook, "1", false)], save, own, "result");
    }
    let first = [("conv2d_tf", "1", true), ("conv2d_tf1", "1", true)];
    for save in ["conv2d_1_tf", "conv2d_1_tf1"] {
        shader.conv(&first, save, ("conv2d_tf", 1), "result");
    }
    // One of two textures that were computed together, and no offsets.
    let second = [("conv2d_1_tf1", "", true), ("conv2d_tf", "", true)];
    for save in planes {
        shader.conv(&second, save, ("conv2d_1_tf", 1), "result");
    }
    shader.depth_to_space(planes);
    shader.text
}

/// A network of the Restore family.
fn restore() -> String {
    let mut shader = Writer::new("MAIN");
    shader.conv(&[("MAIN", "1", false)], "conv2d_tf", ("MAIN", 1), "result");
    let reads = [("conv2d_tf", "1", true)];
    let result = "result * 0.5 + MAIN_tex(MAIN_pos)";
    shader.conv(&reads, "MAIN", ("conv2d_tf", 1), result);
    shader.text
}

/// A network of the GAN family, which enlarges its features `times` times.
fn enlarge(times: u32, step: &'static str) -> String {
    let mut shader = Writer::new("MAIN");
    for save in ["conv0ups", "conv0ups1"] {
        shader.conv(&[("MAIN", "1", false)], save, ("MAIN", 1), "result");
    }
    let reads = [("conv0ups", step, true), ("conv0ups1", step, true)];
    shader.conv(&reads, "conv1ups", ("conv0ups", times), "result");
    let reads = [("conv1ups", "1", true)];
    shader.conv(&reads, "MAIN", ("conv1ups", 1), "result + MAIN_tex(MAIN_pos)");
    shader.text
}

fn picture(channels: usize, [width, height]: [usize; 2]) -> Image {
    let mut image = Image::new(channels, width, height);
    for (index, sample) in image.data_mut().iter_mut().enumerate() {
        *sample = (index * 37 % 101) as f32 / 100.0;
    }
    image
}

/// The model, and the largest difference of its picture to that of the shader's code.
fn compare(name: &str, shader: &str, size: [usize; 2]) -> (Model, f32) {
    let graph = parse_mpv_shader(shader).unwrap_or_else(|error| panic!("{name}: {error}"));
    let model = Model::from_graph(name, Path::new(name), graph).expect("a model");
    let mut engine = Engine::open(&model, &Options::default()).expect("it is supported");
    let input = picture(model.info.channels.count(), size);
    let mut output = Image::default();
    engine.run(&input, &mut output).expect("the model runs");
    let expected = glsl::evaluate(shader, &input);
    assert_eq!((output.width(), output.height()), (expected.width(), expected.height()));
    let pairs = output.data().iter().zip(expected.data());
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    (model, worst)
}

#[test]
fn shaders_give_the_picture_of_a_literal_evaluation() {
    let last = ["conv2d_last_tf", "conv2d_last_tf1", "conv2d_last_tf2"];
    for (name, shader, factor, halo) in [
        ("upscale", upscale("MAIN", &last[..1]), 2, 2),
        ("upscale in colour", upscale("MAIN", &last), 2, 2),
        ("upscale luma", upscale("LUMA", &last[..1]), 2, 2),
        ("restore", restore(), 1, 2),
        ("enlarge 2 times", enlarge(2, "0.5"), 2, 3),
        ("enlarge 3 times", enlarge(3, "0.6666666666666666"), 3, 3),
        ("enlarge 4 times", enlarge(4, "0.5"), 4, 3),
    ] {
        for size in [[13, 9], [8, 17]] {
            let (model, worst) = compare(name, &shader, size);
            assert_eq!((model.info.factor, model.info.halo), (factor, Some(halo)), "{name}");
            assert!(worst <= TOLERANCE, "{name}: {worst}");
        }
    }
}

#[test]
fn shaders_in_one_file_run_one_after_the_other() {
    let both = restore() + &upscale("MAIN", &["conv2d_last_tf"]);
    let (model, worst) = compare("both", &both, [11, 10]);
    assert_eq!((model.info.factor, model.info.halo), (2, Some(4)));
    assert!(worst <= TOLERANCE, "{worst}");
}

#[test]
fn shaders_that_are_not_networks_are_refused_with_the_reason() {
    let good = upscale("MAIN", &["conv2d_last_tf"]);
    for (old, new, reason) in [
        ("//!HOOK MAIN", "//!HOOK NATIVE", "\"Test-conv2d_tf\" is not supported: it hooks NATIVE"),
        ("//!HOOK MAIN", "//!HOOK MAIN\n//!HOOK LUMA", "hooks more than one texture"),
        ("//!HOOK", "//!PARAM", "has the directive PARAM"),
        ("//!HOOK", "//!NOTHOOK", "has the directive NOTHOOK"),
        ("//!SAVE MAIN", "//!SAVE OTHER", "components other than 4"),
        ("//!COMPONENTS 4", "//!COMPONENTS 2", "components other than 4"),
        ("//!BIND conv2d_tf1\n", "", "reads conv2d_tf1, which it does not bind"),
        ("//!WIDTH MAIN.w", "//!WIDTH MAIN.w 2 /", "its size \"MAIN.w 2 /\" is not a multiple"),
        ("//!WIDTH MAIN.w", "//!WIDTH MAIN.w 99 *", "more than 64 times"),
        ("//!WIDTH MAIN.w", "//!WIDTH MAIN.w 2 *", "by different factors"),
        ("conv2d_last_tf.w 2 *", "conv2d_last_tf.w 3 *", "by different factors"),
        ("(x_off, y_off)))", "(x_off, y_off) * 0.3))", "between two samples"),
        ("go_0(-1.0, -1.0)", "go_0(-0.5, -1.0)", "expected whole offsets"),
        ("go_0(-1.0, -1.0)", "go_0(-99.0, -1.0)", "more than 64 away"),
        ("go_0(-1.0, -1.0)", "go_7(-1.0, -1.0)", "expected a macro of the pass"),
        ("mat4(", "mat4(1.0, ", "neither a convolution nor a depth-to-space step"),
        ("max(", "min(", "expected a name that ends in _texOff"),
        ("return result;", "return abs(result);", "expected return result"),
        ("fract(", "floor(", "expected vec2 f0 = fract("),
    ] {
        let shader = good.replace(old, new);
        assert_ne!(shader, good, "{old}");
        let error = parse_mpv_shader(&shader).expect_err(new).to_string();
        assert!(error.contains(reason), "{new}: {error}");
    }
    let error = parse_mpv_shader("// nothing").expect_err("no pass").to_string();
    assert_eq!(error, "it has no pass that starts with //!HOOK");
}

#[test]
fn damaged_shaders_are_refused_or_still_networks() {
    let good = upscale("MAIN", &["conv2d_last_tf"]) + &enlarge(3, "0.6666666666666666");
    let (mut refused, step) = (0, good.len() / 300);
    for at in (0..good.len()).step_by(step) {
        let (before, after) = good.split_at(at);
        let rest = &after[1..];
        for damaged in [
            before.to_owned(),
            format!("{before}{rest}"),
            format!("{before}9{after}"),
            format!("{before}\u{20ac}{rest}"),
            format!("{before}{}", &good[..at]),
        ] {
            match parse_mpv_shader(&damaged) {
                Ok(graph) => drop(Model::from_graph("damaged", Path::new("damaged"), graph)),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn a_shader_opens_as_a_file_and_in_a_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("Upscale x2.GLSL");
    fs::write(&path, upscale("MAIN", &["conv2d_last_tf"])).expect("the file is written");
    let name = path.to_str().expect("a UTF-8 path");
    assert_eq!(Model::open(name).expect("it opens").info.factor, 2);
    let chain = format!("{name},{name}");
    assert_eq!(Model::open(&chain).expect("it opens").info.factor, 4);
    fs::write(&path, [0xff, 0xfe]).expect("the file is written");
    assert!(matches!(Model::open(name), Err(Error::Damaged { .. })));
}

/// The largest difference to the picture that libplacebo made of `input.png` in the same folder, in
/// steps of 1/255. libplacebo keeps textures in fp16.
fn compare_with_libplacebo(model: &Model, folder: &Path, name: &str) -> Option<i32> {
    let expected = folder.join(name).with_extension("png");
    if !expected.is_file() {
        return None;
    }
    let mut engine = Engine::open(model, &Options::default()).expect("it is supported");
    let mut output = Image::default();
    engine.run(&read_png(&folder.join("input.png")), &mut output).expect("the model runs");
    let expected = read_png(&expected);
    assert_eq!((output.width(), output.height()), (expected.width(), expected.height()));
    let step = |sample: &f32| (sample.clamp(0.0, 1.0) * 255.0).round() as i32;
    let pairs = output.data().iter().zip(expected.data());
    pairs.map(|(a, b)| (step(a) - step(b)).abs()).max()
}

/// The shaders in the folder `UPSCALE_SHADERS`, such as those of Anime4K.
#[test]
#[ignore = "reads published shaders"]
fn published_shaders_give_the_picture_of_a_literal_evaluation() {
    let folder = env::var_os("UPSCALE_SHADERS").expect("UPSCALE_SHADERS names a folder");
    let folder = Path::new(&folder);
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "glsl"));
    paths.sort();
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let shader = fs::read_to_string(&path).expect("text");
        if let Err(error) = parse_mpv_shader(&shader) {
            println!("{name}: {error}");
            continue;
        }
        let (model, worst) = compare(&name, &shader, [19, 14]);
        let info = &model.info;
        println!(
            "{name}: {}x, halo {:?}, {} parameters, {worst:e}",
            info.factor, info.halo, info.parameters
        );
        let steps = compare_with_libplacebo(&model, folder, &name);
        if let Some(steps) = steps {
            println!("    {steps}/255 from libplacebo");
        }
        if worst > TOLERANCE || steps > Some(2) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
