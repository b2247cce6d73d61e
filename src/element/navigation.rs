//! Pointer positions on the large picture, as seen from upstream.

/// Scales the coordinates of a navigation event by what the picture shrinks on the way up.
pub(super) fn scale(structure: &mut gst::StructureRef, across: f64, down: f64) {
    for (field, factor) in [
        ("pointer_x", across),
        ("pointer_y", down),
        ("delta_pointer_x", across),
        ("delta_pointer_y", down),
    ] {
        if let Ok(value) = structure.get::<f64>(field) {
            structure.set(field, value * factor);
        }
    }
}
