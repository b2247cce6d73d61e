//! Which elements bring frames from other memory to system memory, and back.

/// Elements that download frames from the memory of a GPU, or from a DMABuf.
pub(super) const DOWNLOADS: &[&str] =
    &["gldownload", "cudadownload", "vapostproc", "d3d11download", "d3d12download"];
/// Elements that upload frames.
pub(super) const UPLOADS: &[&str] =
    &["glupload", "cudaupload", "vapostproc", "d3d11upload", "d3d12upload"];

/// Whether an element with these `caps` accepts frames in system memory.
pub(super) fn is_system(caps: &gst::Caps) -> bool {
    caps.can_intersect(&gst::Caps::new_empty_simple("video/x-raw"))
}

/// Caps with frames in any memory.
pub(super) fn any() -> gst::Caps {
    let structure = gst::Structure::new_empty("video/x-raw");
    gst::Caps::builder_full().structure_with_any_features(structure).build()
}

/// The first of the installed `candidates` between system memory and a neighbour that accepts or
/// gives `caps`. `None` if none is necessary, or none is installed.
pub(super) fn element(
    candidates: &[&str],
    caps: &gst::Caps,
    direction: gst::PadDirection,
) -> Option<gst::Element> {
    if is_system(caps) {
        return None;
    }
    let factories = candidates.iter().filter_map(|name| gst::ElementFactory::find(name));
    let mut fitting = factories.filter(|factory| match direction {
        gst::PadDirection::Sink => factory.can_sink_any_caps(caps),
        _ => factory.can_src_any_caps(caps),
    });
    fitting.find_map(|factory| factory.create().build().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_system_memory_need_no_element() {
        gst::init().unwrap();
        let raw = gst::Caps::new_empty_simple("video/x-raw");
        assert!(is_system(&raw) && is_system(&any()) && is_system(&gst::Caps::new_any()));
        assert!(element(DOWNLOADS, &raw, gst::PadDirection::Sink).is_none());
        let unknown = gst::Caps::builder("video/x-raw").features(["memory:Unknown"]).build();
        assert!(!is_system(&unknown) && any().can_intersect(&unknown));
        assert!(element(DOWNLOADS, &unknown, gst::PadDirection::Sink).is_none());
    }
}
