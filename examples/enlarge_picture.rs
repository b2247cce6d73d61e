//! Enlarges a picture with a model file, as an application does that does not use GStreamer.
//!
//! ```shell
//! cargo run --example enlarge_picture -- model.pth small.png large.png
//! ```
//!
//! `builtin` is the name of the model that is part of the library.

use std::{env, error::Error, thread};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Monitor, Precision},
    frame::{FrameInfo, FrameMut, FrameRef, PixelFormat, PlaneMut, PlaneRef, Range},
    model::Model,
    upscaler::{self, FrameParams, Reuse, StreamSettings},
};
use image::RgbImage;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, small, large] = &arguments[..] else {
        return Err("usage: enlarge_picture MODEL SMALL.png LARGE.png".into());
    };
    enlarge(model, &image::open(small)?.to_rgb8())?.save(large)?;
    Ok(())
}

/// Enlarges `small` by the factor of the model.
pub fn enlarge(model: &str, small: &RgbImage) -> Result<RgbImage, Box<dyn Error>> {
    let model = Model::open(model)?;
    let threads = thread::available_parallelism()?.get();
    let options = EngineOptions {
        backend: Backend::Auto,
        precision: Precision::Auto,
        device_id: 0,
        threads,
        cache_dir: env::temp_dir().join("enlarge_picture"),
    };
    let loaded = backend::load(&model, &options, &PrintProgress)?;
    let factor = model.info.factor;
    let mut large = RgbImage::new(small.width() * factor, small.height() * factor);
    let (from, to) = (frame_info(small), frame_info(&large));
    let settings =
        StreamSettings { threads, tile_size: 0, halo: None, memory_limit: None, fidelity: 0.0 };
    let mut pipeline = upscaler::open(loaded.infer, loaded.traits, from, to, settings)?;
    let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Off };
    let stride = small.width() as usize * 3;
    let input = FrameRef { info: from, planes: vec![PlaneRef { data: small, stride }] };
    let stride = large.width() as usize * 3;
    let mut output = FrameMut { info: to, planes: vec![PlaneMut { data: &mut large, stride }] };
    pipeline.process(&input, None, &mut output, &params)?;
    Ok(large)
}

/// The description of a picture in 8-bit R′G′B′.
fn frame_info(picture: &RgbImage) -> FrameInfo {
    FrameInfo::bt709(PixelFormat::Rgb, picture.width(), picture.height(), Range::Full)
}

struct PrintProgress;

impl Monitor for PrintProgress {
    fn progress(&self, percent: u32, what: &str) {
        eprintln!("{percent:3} % {what}");
    }

    fn cancelled(&self) -> bool {
        false
    }
}
