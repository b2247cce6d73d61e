//! Pointer positions on the enlarged picture, converted for upstream.

/// Multiplies the coordinates of a navigation event by these factors.
pub(super) fn scale(structure: &mut gst::StructureRef, horizontal: f64, vertical: f64) {
    for (field, factor) in [
        ("pointer_x", horizontal),
        ("pointer_y", vertical),
        ("delta_pointer_x", horizontal),
        ("delta_pointer_y", vertical),
    ] {
        if let Ok(value) = structure.get::<f64>(field) {
            structure.set(field, value * factor);
        }
    }
}
