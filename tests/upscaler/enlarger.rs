//! Pipelines with an engine that keeps the enlarged picture up to date by itself.

use std::sync::{Arc, Mutex};

use gstupscale::{
    engine::{AnyEngine, Infer},
    frame::{Channels, FrameInfo, Image, PixelFormat, Rect},
    model::ModelInfo,
    reuse::{CostModel, Region},
    upscaler::{
        BufferPool, Compute, Cost, CpuPipeline, EngineTraits, Enlarger, Error, FrameParams, Next,
        Patch, Pipeline, Planning, Reuse, StreamSettings, Work,
    },
};

use crate::common::{
    blur::{Blur, RADIUS},
    frame::{self, Frame},
};

const SETTINGS: StreamSettings =
    StreamSettings { threads: 1, tile_size: 0, halo: None, memory_limit: None, fidelity: 0.0 };

/// Blurs what depends on changed pixels, and keeps what it is asked for.
struct Incremental {
    blur: Blur,
    asked: Arc<Mutex<Vec<Work>>>,
}

impl Enlarger for Incremental {
    fn info(&self) -> &ModelInfo {
        &self.blur.info
    }

    fn planning(&self) -> Planning {
        Planning::Changes
    }

    fn update(
        &mut self,
        source: &Image,
        work: &Work,
        pool: &BufferPool,
    ) -> Result<(Vec<Patch>, Cost), Error> {
        self.asked.lock().unwrap().push(work.clone());
        let (width, height) = (source.width() as u32, source.height() as u32);
        let mut all = Image::default();
        self.blur.run(source, &mut all)?;
        let rects = match &work.compute {
            Compute::Changed(rects) => rects.clone(),
            _ => vec![Rect::of_size(width, height)],
        };
        let patch = |rect: &Rect| {
            let rect = rect.grown_within(RADIUS as u32, width, height);
            let large = rect.scaled(self.blur.info.factor);
            let [w, h] = [large.width, large.height].map(|side| side as usize);
            let mut picture = pool.take(source.channels(), w, h);
            picture.copy_from(&all, large, 0, 0);
            Patch { rect, picture, parts: vec![] }
        };
        Ok((rects.iter().map(patch).collect(), Cost::default()))
    }

    fn measure(
        &mut self,
        _source: &Image,
        _region: &Region,
        _pool: &BufferPool,
    ) -> Result<Option<CostModel>, Error> {
        panic!("regions are not planned");
    }

    fn into_engine(self: Box<Self>) -> AnyEngine {
        AnyEngine::Host(Box::new(self.blur))
    }
}

#[test]
fn exact_reuse_after_tolerant_reuse_computes_everything_again() {
    let info = frame::info(PixelFormat::from_name("NV12").unwrap(), 100, 80);
    let large = FrameInfo { width: 200, height: 160, ..info };
    let asked = Arc::new(Mutex::new(vec![]));
    let enlarger = Incremental { blur: Blur::new(Channels::Rgb, 2, 1), asked: asked.clone() };
    let traits = EngineTraits::default();
    let mut pipeline =
        CpuPipeline::with_enlarger(Box::new(enlarger), traits, info, large, SETTINGS).unwrap();
    let input = Frame::new(info, 0).noisy(2);
    let tolerant = Reuse::Tolerant { tolerance: 2, refresh: 250 };
    for reuse in [tolerant, tolerant, Reuse::Exact, Reuse::Exact, tolerant] {
        let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse };
        let mut output = Frame::new(large, 0);
        pipeline.process(&input.read(), None, &mut output.write(), &params).unwrap();
    }
    let asked: Vec<Compute> = asked.lock().unwrap().drain(..).map(|work| work.compute).collect();
    // The first frame, and the first exact one: kept features may differ within the tolerance.
    // Tolerant frames without a change let the engine refresh its features.
    let refresh = Compute::Changed(vec![]);
    assert_eq!(asked, [Compute::Whole, refresh.clone(), Compute::Whole, refresh]);
}

#[test]
fn an_engine_that_asks_for_changes_gets_the_changed_pixels_and_nothing_else() {
    let info = frame::info(PixelFormat::from_name("NV12").unwrap(), 100, 80);
    let large = FrameInfo { width: 200, height: 160, ..info };
    let asked = Arc::new(Mutex::new(vec![]));
    let enlarger = Incremental { blur: Blur::new(Channels::Rgb, 2, 1), asked: asked.clone() };
    // Regions of this engine need not be exact: it does not compute any.
    let traits = EngineTraits::default();
    let enlarger = Box::new(enlarger);
    let mut with =
        CpuPipeline::with_enlarger(enlarger, traits, info, large, SETTINGS.clone()).unwrap();
    let model = Box::new(Blur::new(Channels::Rgb, 2, 1));
    let mut without = CpuPipeline::new(model, traits, info, large, SETTINGS).unwrap();

    let mut input = Frame::new(info, 0).noisy(2);
    let mut last: Option<Frame> = None;
    for (number, change) in [None, Some((30, 20)), None, Some((60, 50))].into_iter().enumerate() {
        if let Some((x, y)) = change {
            input.set(0, x, y, 255 - input.get(0, x, y));
        }
        let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Exact };
        with.submit(&input.read(), &params).unwrap();
        let next = with.next().unwrap();
        assert_eq!(next == Some(Next::Same), number == 2, "frame {number}");
        let mut output = Frame::new(large, 0);
        with.finish(last.as_ref().map(Frame::read).as_ref(), &mut output.write()).unwrap();

        let mut expected = Frame::new(large, 0);
        let params = FrameParams { reuse: Reuse::Off, ..params };
        without.process(&input.read(), None, &mut expected.write(), &params).unwrap();
        assert!(output == expected, "frame {number}");
        last = Some(output);
    }
    let asked: Vec<Compute> = asked.lock().unwrap().drain(..).map(|work| work.compute).collect();
    // A block of 8×8 pixels, and four more on each side whose chroma depends on it.
    let changed = |x, y| Compute::Changed(vec![Rect::new(x, y, 16, 16)]);
    assert_eq!(asked, [Compute::Whole, changed(20, 12), changed(52, 44)]);
}
