//! Pointer positions on the enlarged picture.

/// Multiplies the coordinates of a navigation event by these factors, for upstream.
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

/// Where a navigation event moves the line of a split picture of this width: the first button is
/// pressed, or the pointer moves while it is down. Never 0, which would remove the line.
pub(super) fn split(structure: &gst::StructureRef, width: u32) -> Option<f64> {
    let event = structure.get::<&str>("event").ok()?;
    let moves = match event {
        "mouse-button-press" => structure.get::<i32>("button") == Ok(1),
        "mouse-move" => {
            const BUTTON_1: u32 = 1 << 8;
            let state = structure
                .get_optional::<gst_video::NavigationModifierType>("state")
                .ok()
                .flatten()
                .map_or(0, |state| state.bits());
            structure.get::<i32>("button") == Ok(1) || state & BUTTON_1 != 0
        }
        _ => false,
    };
    let x = structure.get::<f64>("pointer_x").ok().filter(|_| moves)?;
    Some((x / f64::from(width.max(1))).clamp(0.01, 1.0))
}
