//! What becomes of the metas of a buffer when its frame is enlarged.

use gst_video::{
    VideoInfo, VideoOverlayComposition, VideoOverlayCompositionMeta, VideoOverlayCompositionRef,
    VideoOverlayRectangle, video_meta::VideoMetaTransformScale,
};

/// What a meta's picture of the frame goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It means the same for the large frame.
    Copied,
    /// It has been added to the large frame's buffer, in its measures.
    Transformed,
    /// It means nothing for the large frame, or no one here can tell.
    Unknown,
}

/// Takes `meta` over to `outbuf`, or says that it is to be copied.
pub(super) fn take_over(
    meta: &gst::MetaRef<'_, gst::Meta>,
    outbuf: &mut gst::BufferRef,
    input: &VideoInfo,
    output: &VideoInfo,
) -> Fate {
    if let Some(meta) = meta.downcast_ref::<VideoOverlayCompositionMeta>() {
        if let Some(composition) = scaled_composition(meta.overlay(), input, output) {
            VideoOverlayCompositionMeta::add(outbuf, &composition);
        }
        return Fate::Transformed;
    }
    if meta.tags().is_empty() {
        return Fate::Copied;
    }
    // Colour and orientation do not change.
    if !meta.tags_contain_only(&["video", "size", "orientation", "colorspace"]) {
        return Fate::Unknown;
    }
    if meta.has_tag::<gst_video::video_meta::tags::Size>() {
        let change = VideoMetaTransformScale::new(input, output);
        // One that cannot be transformed is dropped.
        let _ = meta.clone().transform(outbuf, &change);
        return Fate::Transformed;
    }
    Fate::Copied
}

/// `composition` with its rectangles where they belong in the large frame. The pixels stay
/// shared: whoever draws them scales them.
fn scaled_composition(
    composition: &VideoOverlayCompositionRef,
    input: &VideoInfo,
    output: &VideoInfo,
) -> Option<VideoOverlayComposition> {
    let across = f64::from(output.width()) / f64::from(input.width().max(1));
    let down = f64::from(output.height()) / f64::from(input.height().max(1));
    let rectangles = composition.iter().map(|rectangle| {
        let (x, y, width, height) = rectangle.render_rectangle();
        // Edges are scaled, not sizes, so that rectangles that touch still do.
        let place = |at: i32, scale: f64| (f64::from(at) * scale).round() as i32;
        let length = |at: i32, length: u32, scale: f64| {
            let end = (f64::from(at) + f64::from(length)) * scale;
            (end.round() as i64 - i64::from(place(at, scale))).clamp(1, i64::from(i32::MAX)) as u32
        };
        let mut large: VideoOverlayRectangle = rectangle.copy();
        large.make_mut().set_render_rectangle(
            place(x, across),
            place(y, down),
            length(x, width, across),
            length(y, height, down),
        );
        large
    });
    // None but an empty one fails.
    VideoOverlayComposition::new(rectangles.collect::<Vec<_>>().iter()).ok()
}
