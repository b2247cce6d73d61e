//! What the output's codec does not keep of the pictures.

use gst_video::VideoInfo;

use super::{codec::Codec, lane::Decoded, y4m};

/// Sentences about what is lost between the decoder and the encoder's caps.
pub fn all(decoded: &Decoded, encoded: Option<&gst::Caps>, codec: Codec) -> Vec<String> {
    let info = |caps: Option<&gst::Caps>| caps.and_then(|caps| VideoInfo::from_caps(caps).ok());
    let mut losses = Vec::new();
    if let (Some(from), Some(to)) = (info(decoded.caps.as_ref()), info(encoded)) {
        let [alpha, depth_hint] = match codec {
            Codec::Raw => ["write a .png file", "write a .png file"],
            Codec::H264 => ["use --codec ffv1 and a .mkv file", "use --codec h265 or ffv1"],
            _ => ["use --codec ffv1 and a .mkv file", "use --codec ffv1 and a .mkv file"],
        };
        if decoded.has_alpha() && !to.has_alpha() {
            losses.push(format!(
                "the alpha channel is not in the output: {codec} does not keep it here; \
                 {alpha} to keep it"
            ));
        }
        let depth = |info: &VideoInfo| info.format_info().depth().first().copied().unwrap_or(8);
        if depth(&from) > depth(&to) {
            losses.push(format!(
                "the pictures have {} bits per sample in the input and {} in the output; \
                 {depth_hint} to keep more",
                depth(&from),
                depth(&to)
            ));
        }
    }
    if let Some(to) = info(encoded).filter(|to| codec == Codec::Raw && y4m::loses_matrix(to)) {
        losses.push(format!(
            "Y4M does not store the colour matrix, which is {}; name it to the program that reads \
             the file",
            to.colorimetry()
        ));
    }
    if decoded.has_captions && !codec.has_captions() {
        losses.push(
            "the closed captions are not in the output; use --codec h264 or h265 to keep them"
                .into(),
        );
    }
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(from: &str, to: &str, codec: Codec) -> Vec<String> {
        gst::init().unwrap();
        let caps = |format: &str| {
            let caps = format!("video/x-raw,format={format},width=64,height=48");
            caps.parse::<gst::Caps>().unwrap()
        };
        let decoded = Decoded { caps: Some(caps(from)), has_captions: true };
        all(&decoded, Some(&caps(to)), codec)
    }

    #[test]
    fn lost_alpha_depth_and_captions_are_named() {
        let text = losses("A444_10LE", "I420", Codec::Vp9).join("\n");
        assert!(text.contains("alpha") && text.contains("10 bits") && text.contains("captions"));
        assert_eq!(losses("I420", "I420", Codec::H264), [""; 0]);
        assert_eq!(losses("A444_10LE", "A444_10LE", Codec::Ffv1).len(), 1);
    }
}
