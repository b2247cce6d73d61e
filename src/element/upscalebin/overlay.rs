//! The text that `overlay` shows.

/// The text for these statistics of `upscale`, and those of a second before.
pub(super) fn text(now: &gst::StructureRef, before: Option<&gst::StructureRef>) -> String {
    let word = |name: &str| now.get::<&str>(name).unwrap_or_default();
    let since = |name: &str| {
        let total = |structure: &gst::StructureRef| structure.get::<u64>(name).unwrap_or_default();
        total(now).saturating_sub(before.map_or(0, total))
    };
    let percent = |name: &str| 100.0 * now.get::<f64>(name).unwrap_or_default();
    let frames = since("frames-out");
    let busy: u64 =
        ["compare-time", "unpack-time", "infer-time", "finish-time"].map(since).iter().sum();
    format!(
        "{}, {} {}\n{:.1} ms a frame, {frames} frames\nmodel {:.0} %, reused {:.0} %, Lanczos {:.0} %",
        word("model"),
        word("backend"),
        word("precision"),
        busy as f64 / frames.max(1) as f64 / 1e6,
        percent("model-share"),
        percent("reused-share"),
        percent("resampled-share"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_shows_the_last_second() {
        gst::init().unwrap();
        let stats = |frames: u64, milliseconds: u64| {
            gst::Structure::builder("upscale-stats")
                .field("model", "builtin")
                .field("backend", "native")
                .field("precision", "int16")
                .field("frames-out", frames)
                .field("infer-time", milliseconds * 1_000_000)
                .field("model-share", 0.25)
                .field("reused-share", 0.75)
                .field("resampled-share", 0.0)
                .build()
        };
        let (before, now) = (stats(30, 100), stats(60, 400));
        assert_eq!(
            text(&now, Some(&before)),
            "builtin, native int16\n10.0 ms a frame, 30 frames\nmodel 25 %, reused 75 %, Lanczos 0 %"
        );
        let empty = gst::Structure::new_empty("upscale-stats");
        assert!(text(&empty, None).contains("0.0 ms a frame"));
    }
}
