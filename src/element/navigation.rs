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
///
/// `is_dragging`: whether the button is down, for the next event. Not every sink reports it with
/// the movements.
pub(super) fn split(
    structure: &gst::StructureRef,
    width: u32,
    is_dragging: &mut bool,
) -> Option<f64> {
    let is_first_button = structure.get::<i32>("button") == Ok(1);
    let moves = match structure.get::<&str>("event").ok()? {
        "mouse-button-press" if is_first_button => {
            *is_dragging = true;
            true
        }
        "mouse-button-release" if is_first_button => {
            *is_dragging = false;
            false
        }
        "mouse-move" => *is_dragging,
        _ => false,
    };
    let x = structure.get::<f64>("pointer_x").ok().filter(|_| moves)?;
    Some((x / f64::from(width.max(1))).clamp(0.01, 1.0))
}
