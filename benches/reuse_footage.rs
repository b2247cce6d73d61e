//! The share of real footage that reuse leaves to compute: `cargo bench --bench reuse_footage`.

#[allow(dead_code)]
#[path = "../tests/common/data.rs"]
mod data;

use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::VideoFrameExt;
use gstupscale::{
    frame::{
        ChromaSite, Colorimetry, FrameInfo, FrameRef, Matrix, PixelFormat, PlaneRef, Range, Rect,
        Transfer,
    },
    reuse::{CostModel, Dependence, Mode, Plan, Planner, Reference, Shapes},
};

const CLIPS: [&str; 6] = [
    "pattern_480p.mkv",
    "near_static_180p.mp4",
    "popeye_480p_subtitles.mkv",
    "popeye_1080p_subtitles.mkv",
    "carphone_qcif.mp4",
    "bbb_720p.mp4",
];

/// The dependence and the cost of realesr-animevideov3 with 4:2:0 video on two cores.
const DEPENDENCE: Dependence = Dependence { halo: 18, spread: 5, align: 1 };
const COST: CostModel = CostModel { per_call: 1e-3, per_pixel: 6e-6, whole: 1.0 };

/// One mode applied to one clip.
struct Simulation {
    mode: Mode,
    reference: Reference,
    planner: Planner,
    seconds: f64,
    whole_seconds: f64,
    duplicates: u32,
    /// The total time of comparing and of planning.
    times: [Duration; 2],
}

impl Simulation {
    fn new(info: FrameInfo, mode: Mode) -> Self {
        let shapes = Shapes { grid: 1, min_side: 1, largest: (u32::MAX, u32::MAX) };
        Self {
            mode,
            reference: Reference::new(info).unwrap(),
            planner: Planner::new(info.width, info.height, DEPENDENCE, shapes, COST),
            seconds: 0.0,
            whole_seconds: 0.0,
            duplicates: 0,
            times: [Duration::ZERO; 2],
        }
    }

    fn frame(&mut self, frame: &FrameRef<'_>) {
        let start = Instant::now();
        let map = self.reference.compare(frame, self.mode).unwrap();
        let compare = start.elapsed();
        let start = Instant::now();
        let plan = self.planner.plan(&map);
        self.times = [self.times[0] + compare, self.times[1] + start.elapsed()];
        self.reference.update(frame, &map).unwrap();
        match &plan {
            Plan::Nothing => self.duplicates += 1,
            Plan::Regions(regions) => {
                for region in regions {
                    self.reference.update_rect(frame, self.planner.owned(region)).unwrap();
                }
            }
            Plan::Whole => {
                let all = Rect::of_size(frame.info.width, frame.info.height);
                self.reference.update_rect(frame, all).unwrap();
            }
        }
        self.seconds += self.planner.seconds(&plan);
        self.whole_seconds += self.planner.seconds(&Plan::Whole);
    }
}

fn main() {
    let Some(data) = data::test_data() else { return };
    gst::init().unwrap();
    for clip in CLIPS {
        let description = format!(
            "filesrc location={} ! decodebin ! videoconvert ! video/x-raw,format=I420 \
             ! appsink name=sink sync=false",
            data.join("video").join(clip).display()
        );
        let pipeline = gst::parse::launch(&description).unwrap();
        let bin = pipeline.downcast_ref::<gst::Bin>().unwrap();
        let sink = bin.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let (mut simulations, mut frames) = (vec![], 0);
        while let Ok(sample) = sink.pull_sample() {
            let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
            let buffer = sample.buffer().unwrap();
            let video = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
            let info = FrameInfo {
                format: PixelFormat::I420,
                width: info.width(),
                height: info.height(),
                colorimetry: Colorimetry {
                    matrix: Matrix::Bt601,
                    range: Range::Limited,
                    transfer: Transfer::Gamma,
                },
                chroma_site: ChromaSite::LEFT,
            };
            let planes = (0..3).map(|plane| PlaneRef {
                data: video.plane_data(plane).unwrap(),
                stride: video.plane_stride()[plane as usize] as usize,
            });
            let frame = FrameRef::new(info, planes.collect()).unwrap();
            if simulations.is_empty() {
                let tolerant = Mode::Tolerant { tolerance: 2, refresh: 250 };
                simulations =
                    vec![Simulation::new(info, Mode::Exact), Simulation::new(info, tolerant)];
            }
            simulations.iter_mut().for_each(|simulation| simulation.frame(&frame));
            frames += 1;
        }
        pipeline.set_state(gst::State::Null).unwrap();
        for Simulation { mode, seconds, whole_seconds, duplicates, times, .. } in simulations {
            println!(
                "{clip}, {mode:?}: {:.3} of the work for {frames} frames, {duplicates} duplicates; on \
                 average {:?} to compare, {:?} to plan",
                seconds / whole_seconds,
                times[0] / frames,
                times[1] / frames
            );
        }
    }
}
