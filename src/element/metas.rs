//! Converts the metas of a buffer when its frame is enlarged.

use gst_video::{
    VideoInfo, VideoOverlayComposition, VideoOverlayCompositionMeta, VideoOverlayCompositionRef,
    VideoOverlayRectangle, video_meta::VideoMetaTransformScale,
};

/// What to do with a meta of an input buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Copy it: it is also valid for the enlarged frame.
    Copy,
    /// Nothing: it has been converted and added to the output buffer, or cannot be converted.
    Done,
    /// Let the base class decide.
    Unknown,
}

/// Converts `meta` for the enlarged frame in `outbuf`, or returns what else to do with it.
pub(super) fn transform(
    meta: &gst::MetaRef<'_, gst::Meta>,
    outbuf: &mut gst::BufferRef,
    input: &VideoInfo,
    output: &VideoInfo,
) -> Outcome {
    if let Some(meta) = meta.downcast_ref::<VideoOverlayCompositionMeta>() {
        if let Some(composition) = scaled_composition(meta.overlay(), input, output) {
            VideoOverlayCompositionMeta::add(outbuf, &composition);
        }
        return Outcome::Done;
    }
    if meta.tags().is_empty() {
        return Outcome::Copy;
    }
    // Enlarging changes neither colour nor orientation.
    if !meta.tags_contain_only(&["video", "size", "orientation", "colorspace"]) {
        return Outcome::Unknown;
    }
    if meta.has_tag::<gst_video::video_meta::tags::Size>() {
        let change = VideoMetaTransformScale::new(input, output);
        // A meta that cannot be transformed is dropped.
        let _ = meta.clone().transform(outbuf, &change);
        return Outcome::Done;
    }
    Outcome::Copy
}

/// `composition` with its rectangles moved to their places in the enlarged frame. The pixels of
/// the rectangles are shared and not scaled: the element that draws them does that.
fn scaled_composition(
    composition: &VideoOverlayCompositionRef,
    input: &VideoInfo,
    output: &VideoInfo,
) -> Option<VideoOverlayComposition> {
    let horizontal = f64::from(output.width()) / f64::from(input.width().max(1));
    let vertical = f64::from(output.height()) / f64::from(input.height().max(1));
    let rectangles = composition.iter().map(|rectangle| {
        let (x, y, width, height) = rectangle.render_rectangle();
        // Scaling the edges instead of the sizes keeps adjacent rectangles adjacent.
        let place = |at: i32, scale: f64| (f64::from(at) * scale).round() as i32;
        let length = |at: i32, length: u32, scale: f64| {
            let end = (f64::from(at) + f64::from(length)) * scale;
            (end.round() as i64 - i64::from(place(at, scale))).clamp(1, i64::from(i32::MAX)) as u32
        };
        let mut large: VideoOverlayRectangle = rectangle.copy();
        large.make_mut().set_render_rectangle(
            place(x, horizontal),
            place(y, vertical),
            length(x, width, horizontal),
            length(y, height, vertical),
        );
        large
    });
    // This fails only for a composition without rectangles.
    VideoOverlayComposition::new(rectangles.collect::<Vec<_>>().iter()).ok()
}
