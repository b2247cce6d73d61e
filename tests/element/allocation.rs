//! Allocation queries: what upstream is offered, and what is taken from the answer of downstream.

use gst::{MetaAPI, prelude::*};
use gst_video::{VideoCropMeta, VideoMeta, VideoOverlayCompositionMeta};

use crate::bench::{Bench, caps, rgb};

/// An element with caps, whose downstream supports some metas.
fn bench() -> Bench {
    let mut bench = Bench::new("");
    let pad = bench.harness.sinkpad().unwrap();
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        let Some(query) = info.query_mut() else { return gst::PadProbeReturn::Ok };
        let gst::QueryViewMut::Allocation(query) = query.view_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        query.add_allocation_meta::<VideoMeta>(None);
        query.add_allocation_meta::<VideoCropMeta>(None);
        let window = gst::Structure::builder("overlay").field("width", 1920u32).build();
        query.add_allocation_meta::<VideoOverlayCompositionMeta>(Some(&window));
        gst::PadProbeReturn::Handled
    });
    bench.harness.set_src_caps(caps(&rgb(16, 8)));
    bench
}

#[test]
fn upstream_may_use_any_strides_and_the_metas_of_downstream_except_cropping() {
    let bench = bench();
    bench.element.set_property("pipeline-depth", 3);
    let mut query = gst::query::Allocation::new(Some(&caps(&rgb(16, 8))), true);
    assert!(bench.element.static_pad("sink").unwrap().query(query.query_mut()));
    let found: Vec<_> = query.allocation_metas().map(|(api, _)| api).collect();
    assert!(found.contains(&VideoMeta::meta_api()));
    assert!(found.contains(&VideoOverlayCompositionMeta::meta_api()));
    assert!(!found.contains(&VideoCropMeta::meta_api()));
    let window = query
        .allocation_metas()
        .find(|(api, _)| *api == VideoOverlayCompositionMeta::meta_api())
        .and_then(|(_, window)| window.map(|window| window.get::<u32>("width")));
    assert_eq!(window, Some(Ok(1920)));
    let kept = query.allocation_pools().next().map(|(_, _, min, _)| min);
    assert_eq!(kept, Some(3), "frames in flight are held");
}

#[test]
fn frames_come_from_a_pool_and_return_to_it() {
    let mut bench = bench();
    let mut seen = std::collections::HashSet::new();
    for number in 0..20 {
        let frame = bench.frame(number, number as u8);
        seen.insert(bench.push_and_pull(frame).as_ptr() as usize);
    }
    assert!(seen.len() < 5, "{} buffers for 20 frames", seen.len());
}
