//! The matrix between R′G′B′ and Y′CbCr. GStreamer 1.22 knows few of those in ITU-T H.273 and takes
//! another one for the rest without a word.

use super::{Error, input::Input};
use crate::header::Head;

/// Refuses a video with a matrix that GStreamer does not support. `track` is the number of its track in a
/// Matroska or MP4 file, whose head names the matrix: decoders do not.
///
/// # Errors
/// [`Error::Matrix`].
pub fn check(input: &Input, track: Option<u64>) -> Result<(), Error> {
    let Some(Ok(head)) = input.file().map(Head::read) else { return Ok(()) };
    let track = head.tracks.iter().find(|found| Some(found.number) == track);
    match track.and_then(|track| track.matrix).and_then(unsupported) {
        Some(matrix) => Err(Error::Matrix { input: input.name(), matrix }),
        None => Ok(()),
    }
}

/// The name of a matrix that is not supported, by its number in ITU-T H.273, table 4.
fn unsupported(matrix: u64) -> Option<&'static str> {
    Some(match matrix {
        8 => "YCgCo",
        10 => "BT.2020 with constant luminance",
        11 => "YDzDx",
        12 | 13 => "derived from the primaries",
        14 => "ICtCp",
        15 => "IPT",
        16 | 17 => "YCgCo-R",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gstreamer_converts_and_what_is_unknown_is_not_refused() {
        assert!([0, 1, 2, 4, 5, 6, 7, 9].map(unsupported).iter().all(Option::is_none));
        assert_eq!(unsupported(8), Some("YCgCo"));
    }
}
