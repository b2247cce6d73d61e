//! The stages of one stream, over a stand-in for the model whose picture shows every mistake
//! of place: a blur with a known receptive field, then nearest-neighbour enlargement.

use gstupscale::{
    frame::{
        Channels, ChromaSite, Colorimetry, FrameInfo, FrameMut, FrameRef, Image, Matrix,
        PixelFormat, PlaneMut, PlaneRef, Range,
    },
    inference::{self, Infer},
    model::ModelInfo,
    upscaler::{Error, FrameParams, Settings, Upscaler},
};

const RADIUS: usize = 3;

/// Sums a (2·RADIUS+1)² window, zero outside of the picture, as a convolution would.
struct Blur {
    info: ModelInfo,
    /// Pixels above which a run fails for lack of memory.
    memory: usize,
}

impl Blur {
    fn new(channels: Channels, factor: u32, align: u32) -> Self {
        let info = ModelInfo {
            channels,
            factor,
            halo: Some(RADIUS as u32),
            align,
            min_side: align,
            fixed_size: None,
            batch: true,
            parameters: 0,
            macs_per_pixel: 1.0,
            peak_floats_per_pixel: 8.0,
        };
        Self { info, memory: usize::MAX }
    }
}

impl Infer for Blur {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), inference::Error> {
        let (width, height) = (input.width(), input.height());
        assert_eq!((width % self.info.align as usize, height % self.info.align as usize), (0, 0));
        if width * height > self.memory {
            return Err(inference::Error::OutOfMemory);
        }
        let factor = self.info.factor as usize;
        output.resize(input.channels(), width * factor, height * factor);
        for channel in 0..input.channels() {
            for y in 0..height * factor {
                for x in 0..width * factor {
                    let (cy, cx) = (y / factor, x / factor);
                    let mut sum = 0.0;
                    for wy in cy.saturating_sub(RADIUS)..(cy + RADIUS + 1).min(height) {
                        for wx in cx.saturating_sub(RADIUS)..(cx + RADIUS + 1).min(width) {
                            let weight = 1.0 + (wx + RADIUS - cx) as f32 * 0.01;
                            sum += input.row(channel, wy)[wx] * weight;
                        }
                    }
                    output.row_mut(channel, y)[x] = sum / 50.0;
                }
            }
        }
        Ok(())
    }
}

/// A frame in memory with some bytes of padding after each row.
#[derive(Clone, PartialEq, Debug)]
struct Frame {
    info: FrameInfo,
    planes: Vec<(Vec<u8>, usize)>,
}

impl Frame {
    fn new(format: PixelFormat, width: u32, height: u32) -> Self {
        let colorimetry = Colorimetry { matrix: Matrix::Bt709, range: Range::Limited };
        let info = FrameInfo { format, width, height, colorimetry, chroma_site: ChromaSite::LEFT };
        let plane = |plane| {
            let stride = format.row_bytes(plane, width) + 8;
            (vec![0u8; stride * format.rows(plane, height)], stride)
        };
        Self { info, planes: (0..format.planes()).map(plane).collect() }
    }

    /// Bytes that look random but are the same each time.
    fn noise(format: PixelFormat, width: u32, height: u32) -> Self {
        let mut frame = Self::new(format, width, height);
        let mut state = 1u32;
        for byte in frame.planes.iter_mut().flat_map(|plane| &mut plane.0) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = 40 + (state >> 24) as u8 / 2;
        }
        frame
    }

    fn view(&self) -> FrameRef<'_> {
        let planes =
            self.planes.iter().map(|(data, stride)| PlaneRef { data, stride: *stride }).collect();
        FrameRef::new(self.info, planes).unwrap()
    }

    fn view_mut(&mut self) -> FrameMut<'_> {
        let planes =
            self.planes.iter_mut().map(|(data, stride)| PlaneMut { data, stride: *stride });
        FrameMut::new(self.info, planes.collect()).unwrap()
    }
}

fn settings() -> Settings {
    Settings { threads: 2, tile_size: 0, halo: None, memory_limit: None }
}

const MODEL_ONLY: FrameParams = FrameParams { blend: 1.0, grain: 0.0, number: 7 };

#[track_caller]
fn upscale(
    model: Blur,
    input: &Frame,
    size: (u32, u32),
    settings: Settings,
    params: FrameParams,
) -> Frame {
    let mut output = Frame::new(input.info.format, size.0, size.1);
    let mut upscaler = Upscaler::new(Box::new(model), input.info, output.info, settings).unwrap();
    upscaler.process(&input.view(), &mut output.view_mut(), &params).unwrap();
    output
}

/// Formats of every kind: packed, planar, shared chroma, deep, grey, with alpha.
fn formats() -> impl Iterator<Item = PixelFormat> {
    ["I420", "NV12", "Y42B", "Y444", "RGB", "RGBA", "GRAY8", "I420_10LE", "P010_10LE"]
        .into_iter()
        .map(|name| PixelFormat::from_name(name).unwrap())
}

#[test]
fn tiles_give_the_same_frame_as_the_whole_in_every_format() {
    for format in formats() {
        for channels in [Channels::Rgb, Channels::Luma] {
            for (size, align) in [((83, 61), 1), ((64, 48), 2), ((37, 70), 4)] {
                let input = Frame::noise(format, size.0, size.1);
                let out = (size.0 * 2, size.1 * 2);
                let model = || Blur::new(channels, 2, align);
                let whole = upscale(model(), &input, out, settings(), MODEL_ONLY);
                let tiled = Settings { tile_size: 20, ..settings() };
                let tiles = upscale(model(), &input, out, tiled, MODEL_ONLY);
                assert!(whole == tiles, "{format} {channels:?} {size:?} align {align}");
            }
        }
    }
}

#[test]
fn a_halo_below_the_receptive_field_is_seen_by_these_tests() {
    let input = Frame::noise(PixelFormat::from_name("GRAY8").unwrap(), 83, 61);
    let model = || Blur::new(Channels::Luma, 2, 1);
    let whole = upscale(model(), &input, (166, 122), settings(), MODEL_ONLY);
    let short = Settings { tile_size: 20, halo: Some(RADIUS as u32 - 1), ..settings() };
    assert!(whole != upscale(model(), &input, (166, 122), short, MODEL_ONLY));
}

#[test]
fn threads_and_bands_do_not_show_in_the_picture() {
    for format in formats() {
        let input = Frame::noise(format, 61, 83);
        for size in [(122, 166), (200, 100), (40, 30)] {
            let params = FrameParams { blend: 0.6, grain: 0.5, number: 3 };
            let run = |threads| {
                let settings = Settings { threads, ..settings() };
                upscale(Blur::new(Channels::Rgb, 2, 1), &input, size, settings, params)
            };
            assert!(run(1) == run(3), "{format} to {size:?}");
        }
    }
}

#[test]
fn regions_halve_when_memory_runs_out_and_the_frame_is_whole() {
    let input = Frame::noise(PixelFormat::from_name("NV12").unwrap(), 200, 150);
    let whole = upscale(Blur::new(Channels::Rgb, 2, 1), &input, (400, 300), settings(), MODEL_ONLY);
    let small = Blur { memory: 70 * 70, ..Blur::new(Channels::Rgb, 2, 1) };
    assert!(whole == upscale(small, &input, (400, 300), settings(), MODEL_ONLY));
}

#[test]
fn memory_that_never_suffices_is_an_error() {
    let input = Frame::noise(PixelFormat::from_name("NV12").unwrap(), 200, 150);
    let mut output = Frame::new(input.info.format, 400, 300);
    let none = Blur { memory: 0, ..Blur::new(Channels::Rgb, 2, 1) };
    let mut upscaler = Upscaler::new(Box::new(none), input.info, output.info, settings()).unwrap();
    let result = upscaler.process(&input.view(), &mut output.view_mut(), &MODEL_ONLY);
    assert!(matches!(result, Err(Error::NoMemory { .. })));
}

#[test]
fn a_memory_limit_below_the_whole_frame_cuts_it_and_shows_nothing() {
    let input = Frame::noise(PixelFormat::from_name("I420").unwrap(), 200, 150);
    let model = || Blur::new(Channels::Luma, 2, 2);
    let whole = upscale(model(), &input, (400, 300), settings(), MODEL_ONLY);
    let limited = Settings { memory_limit: Some(80 * 80 * 8 * 4), ..settings() };
    assert!(whole == upscale(model(), &input, (400, 300), limited, MODEL_ONLY));
    let hopeless = Settings { memory_limit: Some(1000), ..settings() };
    let refused = Upscaler::new(Box::new(model()), input.info, whole.info, hopeless);
    assert!(matches!(refused, Err(Error::NoMemory { .. })));
}

#[test]
fn without_the_models_share_it_is_not_run() {
    let input = Frame::noise(PixelFormat::from_name("RGB").unwrap(), 40, 30);
    let model = Blur { memory: 0, ..Blur::new(Channels::Rgb, 2, 1) };
    let lanczos = FrameParams { blend: 0.0, ..MODEL_ONLY };
    upscale(model, &input, (80, 60), settings(), lanczos);
}

#[test]
fn sides_that_overflow_are_refused() {
    let input = Frame::new(PixelFormat::from_name("GRAY8").unwrap(), 30000, 1);
    let output = FrameInfo { width: 40000, ..input.info };
    let model = Blur::new(Channels::Luma, 2, 1);
    assert!(Upscaler::new(Box::new(model), input.info, output, settings()).is_err());
}

#[test]
fn the_smallest_frames_go_through() {
    for format in formats() {
        for (width, height) in [(1, 1), (1, 9), (3, 2)] {
            let input = Frame::noise(format, width, height);
            let model = Blur::new(Channels::Rgb, 2, 4);
            upscale(model, &input, (width * 2, height * 2), settings(), MODEL_ONLY);
        }
    }
}
