//! `--crop auto`: black borders.

use crate::{
    ffmpeg::{make, picture, stream},
    program::{text, upscale},
};

#[test]
fn black_borders_are_removed_only_if_asked_for_in_one_piece_and_in_segments() {
    let folder = tempfile::tempdir().unwrap();
    // It begins in black.
    let padded = "-f lavfi -i testsrc2=s=160x96:r=10 -t 3 -vf fade=in:0:8,pad=192:160:16:32 \
                  -c:v libx264 -qp 0 -g 10 -pix_fmt yuv420p";
    let Some(input) = make(folder.path(), "in.mkv", padded) else { return };
    let output = folder.path().join("out.mkv");
    let lossless = ["--scale", "1", "--codec", "ffv1", "--force"];
    for segment in ["20", "1"] {
        for (crop, size) in [("off", (192, 160)), ("auto", (160, 96))] {
            let options = [&lossless[..], &["--segment", segment, "--crop", crop]].concat();
            let done = upscale(&input, &output, &options).output().unwrap();
            let case = format!("--crop {crop}, segments of {segment} s");
            assert!(done.status.success(), "{case}: {}", text(&done));
            assert_eq!(stream(&output, "video").size, size, "{case}");
            let expected = if crop == "auto" { "): removed" } else { "--crop auto removes them" };
            let said = text(&done);
            assert!(said.contains("black borders (") && said.contains(expected), "{case}: {said}");
        }
        // The picture within the borders is what the file had there.
        let cut = format!("-i {} -vf crop=160:96:16:32 -c:v ffv1", input.display());
        let Some(expected) = make(folder.path(), "cut.mkv", &cut) else { return };
        let last = |path: &std::path::Path| {
            let late = format!("-ss 2 -i {} -c:v ffv1", path.display());
            picture(&make(folder.path(), "late.mkv", &late).unwrap(), Some(("smpte170m", "tv")))
        };
        assert!(last(&output) == last(&expected), "segments of {segment} s");
    }
}
