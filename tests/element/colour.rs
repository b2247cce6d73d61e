//! Colorimetry that is described incompletely. The control is `videoscale`, which gets the same
//! samples with a complete colorimetry.

use gst::prelude::*;

/// Colour bars with this many lines, whose caps then get the colorimetry `text`. Enlarged by
/// `scaler`, converted to R′G′B′ by the output's own caps.
fn bars(height: u32, text: &str, scaler: &str) -> Vec<[u8; 3]> {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let width = 112;
    let description = format!(
        "videotestsrc num-buffers=1 pattern=smpte75 ! video/x-raw,format=Y444,width={width},height={height} \
         ! capssetter caps=\"video/x-raw,colorimetry=(string){text}\" ! {scaler} \
         ! video/x-raw,width={},height={} ! videoconvert ! video/x-raw,format=RGB \
         ! appsink name=out sync=false",
        width * 2,
        height * 2
    );
    let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let out = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let sample = out.pull_sample().unwrap_or_else(|_| panic!("{text}: no frame"));
    let map = sample.buffer().unwrap().map_readable().unwrap();
    let row = &map[width as usize * 2 * 3 * 8..];
    let colours = (0..7).map(|bar| {
        let x = (bar * 2 + 1) * width as usize * 2 / 14;
        [row[x * 3], row[x * 3 + 1], row[x * 3 + 2]]
    });
    let colours = colours.collect();
    drop(map);
    pipeline.set_state(gst::State::Null).unwrap();
    colours
}

#[test]
fn an_incomplete_colorimetry_keeps_the_colours_at_every_size() {
    // Heights on both sides of 576 lines, above which unlabelled video is BT.709.
    for (height, matrix) in [(360, 4), (320, 4), (640, 3)] {
        for range in [0, 1, 2] {
            for named in [0, 3, 4, 5, 6] {
                for (transfer, primaries) in [(0, 0), (5, 1), (16, 0), (0, 4)] {
                    let text = format!("{range}:{named}:{transfer}:{primaries}");
                    let meant = format!(
                        "{}:{}:5:1",
                        if range == 1 { 1 } else { 2 },
                        if named == 0 { matrix } else { named }
                    );
                    let found = bars(height, &text, "upscale scale=2 blend=0");
                    let expected = bars(height, &meant, "videoscale");
                    let pairs = found.iter().flatten().zip(expected.iter().flatten());
                    let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max();
                    assert!(
                        worst <= Some(3),
                        "{height} lines, {text}: {worst:?}: {found:?} instead of {expected:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_identity_matrix_in_a_ycbcr_format_is_refused() {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let description = "videotestsrc num-buffers=1 ! video/x-raw,format=Y444,width=64,height=48 \
                       ! capssetter caps=\"video/x-raw,colorimetry=(string)1:1:7:1\" \
                       ! upscale blend=0 ! fakesink";
    let pipeline = gst::parse::launch(description).unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_seconds(300);
    let end = pipeline.bus().unwrap().timed_pop_filtered(limit, &kinds).expect("an end");
    pipeline.set_state(gst::State::Null).unwrap();
    let gst::MessageView::Error(error) = end.view() else { panic!("{end:?}") };
    assert!(error.error().to_string().contains("identity"), "{}", error.error());
}
