//! Resampling, blending and grain.

use gstupscale::{
    frame::{
        BypassPlanes, Channels, Grain, Image, PixelFormat, PlacedImage, Rect, Resampler, Transfer,
        blend_row,
    },
    kernels::{self, FINISHED},
};
use half::f16;

use super::{
    common::frame::info,
    library::Kernels,
    memory::{Memory, Storage, Stored, Tables, noise_image, rects},
};

/// One conversion from canvas and input to output.
struct Case {
    input: (u32, u32),
    factor: u32,
    output: (u32, u32),
    channels: usize,
    blend: f32,
    grain: f32,
    transfer: Transfer,
}

impl Case {
    fn canvas(&self) -> (u32, u32) {
        (self.input.0 * self.factor, self.input.1 * self.factor)
    }

    /// The output of the CPU stages.
    fn on_cpu(&self, canvas: &Image, input: &Image) -> Image {
        let (mut out, mut lanczos) = (Image::default(), Image::default());
        let enlarge = |image: &Image, size, out: &mut Image| {
            let resampler = Resampler::new(size, self.output);
            resampler.resample(PlacedImage::whole(image), resampler.output(), out).unwrap();
        };
        if self.blend > 0.0 {
            enlarge(canvas, self.canvas(), &mut out);
        }
        if self.blend < 1.0 {
            enlarge(input, self.input, &mut lanczos);
            match self.blend > 0.0 {
                true => blend_row(lanczos.data(), out.data_mut(), self.blend),
                false => out = lanczos,
            }
        }
        if self.grain > 0.0 {
            Grain::new(self.grain, 42, self.transfer).apply(&mut out, 0, 0);
        }
        out
    }

    fn check<T: Storage>(&self, kernels: &Kernels, parts: &[Rect]) {
        let canvas = noise_image::<T>(self.channels, self.canvas(), (-0.1, 1.1), 1);
        let input = noise_image::<T>(self.channels, self.input, (-0.1, 1.1), 2);
        let expected = self.on_cpu(&canvas, &input);
        let [stored_canvas, stored_input] = [&canvas, &input].map(Stored::<T>::of);
        let out = Stored::<f32>::new(self.channels, self.output.0, self.output.1);
        let [from_canvas, from_input] =
            [self.canvas(), self.input].map(|size| Tables::of(&Resampler::new(size, self.output)));
        let ([canvas_horizontal, canvas_vertical], [input_horizontal, input_vertical]) =
            (from_canvas.get(), from_input.get());
        let (list, noise) = (rects(parts), Memory::of(kernels::noise()));
        let args = kernels::FinishArgs {
            canvas: stored_canvas.picture(),
            input: stored_input.picture(),
            out: out.picture(),
            canvas_horizontal,
            canvas_vertical,
            input_horizontal,
            input_vertical,
            grain: kernels::GrainArgs::new(
                &Grain::new(self.grain, 42, self.transfer),
                noise.address(),
            ),
            rects: list.address(),
            share: self.blend,
            channels: self.channels as u32,
        };
        let name = format!("finish_{}", T::SUFFIX);
        let spans = self.output.0.div_ceil(FINISHED);
        kernels.launch(&name, &args, spans, self.output.1, parts.len() as u32);
        let what = format!(
            "{:?} by {} to {:?}, blend {}, grain {}",
            self.input, self.factor, self.output, self.blend, self.grain
        );
        for part in parts {
            out.assert_holds(&expected, *part, &what);
        }
    }
}

#[test]
fn pictures_are_resampled_and_blended_and_get_grain_as_on_the_cpu() {
    let Some(kernels) = Kernels::get() else { return };
    // Enlarged, unchanged, reduced, by integer and other ratios, from and to tiny sizes.
    let outputs = [(80, 60), (40, 30), (120, 90), (97, 71), (53, 11), (3, 2), (1, 100)];
    for output in outputs {
        for channels in [1, 3] {
            for (blend, grain, transfer) in [
                (1.0, 0.0, Transfer::Gamma),
                (0.0, 0.0, Transfer::Gamma),
                (0.3, 0.0, Transfer::Gamma),
                (1.0, 0.8, Transfer::Gamma),
                (0.7, 0.2, Transfer::Gamma),
                (0.9, 0.7, Transfer::Pq),
                (1.0, 0.5, Transfer::Hlg),
            ] {
                let (input, factor) = ((40, 30), 2);
                let case = Case { input, factor, output, channels, blend, grain, transfer };
                let whole = [Rect::of_size(output.0, output.1)];
                case.check::<f32>(kernels, &whole);
                case.check::<f16>(kernels, &whole);
            }
        }
    }
    for input in [(1, 1), (2, 7)] {
        let (output, transfer) = ((9, 31), Transfer::Gamma);
        let case = Case { input, factor: 4, output, channels: 3, blend: 0.5, grain: 1.0, transfer };
        case.check::<f32>(kernels, &[Rect::of_size(9, 31)]);
    }
}

#[test]
fn rectangles_equal_the_same_pixels_of_the_whole_picture() {
    let Some(kernels) = Kernels::get() else { return };
    let case = Case {
        input: (40, 30),
        factor: 2,
        output: (120, 90),
        channels: 3,
        blend: 0.5,
        grain: 0.5,
        transfer: Transfer::Gamma,
    };
    case.check::<f32>(kernels, &[Rect::new(13, 31, 70, 40), Rect::new(100, 1, 20, 3)]);
}

#[test]
fn bypass_planes_with_every_chroma_site_are_enlarged_as_on_the_cpu() {
    let Some(kernels) = Kernels::get() else { return };
    for chroma_site in crate::common::frame::SITES {
        for format in [PixelFormat::A420, PixelFormat::Y42b, PixelFormat::Rgba] {
            let [from, to] = [(37, 21), (74, 42)].map(|(width, height)| {
                let mut info = info(format, width, height);
                info.chroma_site = chroma_site;
                BypassPlanes::of(&info, Channels::Luma)
            });
            for (from, to) in from.iter().zip(&to) {
                let size = (from.grid.width(), from.grid.height());
                let image = noise_image::<f32>(from.channels(), size, (-0.5, 0.5), 3);
                let resampler = Resampler::between(from, to);
                let (mut expected, whole) = (Image::default(), resampler.output());
                resampler.resample(PlacedImage::whole(&image), whole, &mut expected).unwrap();
                let (source, tables) = (Stored::<f32>::of(&image), Tables::of(&resampler));
                let out = Stored::<f32>::new(from.channels(), whole.width, whole.height);
                let [canvas_horizontal, canvas_vertical] = tables.get();
                let list = rects(&[whole]);
                let args = kernels::FinishArgs {
                    canvas: source.picture(),
                    out: out.picture(),
                    canvas_horizontal,
                    canvas_vertical,
                    rects: list.address(),
                    share: 1.0,
                    channels: from.channels() as u32,
                    ..Default::default()
                };
                let spans = whole.width.div_ceil(FINISHED);
                kernels.launch("finish_f32", &args, spans, whole.height, 1);
                out.assert_holds(&expected, whole, &format!("{format}, {:?}", from.kind));
            }
        }
    }
}
