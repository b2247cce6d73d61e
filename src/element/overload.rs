//! The message `upscale-overload`, which says what the element does about a model that is too slow.

use std::time::Duration;

/// The model that the advice names.
const FAST: &str = "builtin";

/// A change of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// To the lighter model.
    Down,
    /// Back to the model that the application asked for.
    Up,
}

/// The message: `model` needs the time `needed` for a whole frame, while the time `available` is
/// there, and this share of the picture (0..1) is resampled. Times are in nanoseconds.
pub(super) fn message(
    model: &str,
    needed: Duration,
    available: Duration,
    share: f64,
) -> gst::Structure {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    gst::Structure::builder("upscale-overload")
        .field("action", "resample")
        .field("model", model)
        .field("needed", nanoseconds(needed))
        .field("available", nanoseconds(available))
        .field("resampled-share", share)
        .field("text", sentence(model, needed, available, share))
        .build()
}

/// The message of a change from the model `from` to `to`. `whole` is the time of `from` for a whole
/// frame.
pub(super) fn step_message(
    change: Change,
    from: &str,
    to: &str,
    whole: Duration,
    available: Duration,
) -> gst::Structure {
    let (action, text) = match change {
        Change::Down => (
            "step-down",
            format!(
                "The model {from} needs about {} ms for a frame, and {} ms are available: changing \
                 to {to}.",
                whole.as_millis(),
                available.as_millis()
            ),
        ),
        Change::Up => {
            ("step-up", format!("There is time for the model {to} again: changing back to it."))
        }
    };
    gst::Structure::builder("upscale-overload")
        .field("action", action)
        .field("model", to)
        .field("text", text)
        .build()
}

fn sentence(model: &str, needed: Duration, available: Duration, share: f64) -> String {
    let advice = match model {
        FAST => "reduce the size or the rate of the frames",
        _ => "use a faster model (builtin), or smaller or fewer frames",
    };
    format!(
        "The model {model} needs about {} ms for a frame that changes everywhere, and {} ms are \
         available: {:.0} % of the picture are enlarged with Lanczos resampling; {advice}.",
        needed.as_millis(),
        available.as_millis(),
        share * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_is_done_and_why_and_what_helps() {
        gst::init().unwrap();
        let message = message("large", Duration::from_millis(240), Duration::from_millis(30), 0.25);
        assert_eq!(message.get::<u64>("needed"), Ok(240_000_000));
        assert_eq!(message.get::<f64>("resampled-share"), Ok(0.25));
        assert_eq!(
            message.get::<&str>("text").unwrap(),
            "The model large needs about 240 ms for a frame that changes everywhere, and 30 ms are \
             available: 25 % of the picture are enlarged with Lanczos resampling; use a faster \
             model (builtin), or smaller or fewer frames."
        );
    }

    #[test]
    fn the_fastest_model_is_not_recommended_instead_of_itself() {
        let text = sentence(FAST, Duration::from_millis(50), Duration::from_millis(30), 1.0);
        assert!(!text.contains("faster model"), "{text}");
    }
}
