//! Model files as users have them, with pictures that other programs computed.

use std::path::PathBuf;

use gstupscale::model::Model;

use crate::{
    common,
    common::engine::{read_png, run},
    weights::{difference, eight_bits},
};

fn field(name: &str) -> Option<PathBuf> {
    Some(common::test_data()?.join("field").join(name))
}

/// Runs the file `model` on the picture `input`, and compares with the picture `expected`.
#[track_caller]
fn assert_picture(model: &str, input: &str, expected: &str, steps: f32) {
    let Some(folder) = field("") else { return };
    let (_, output) = run(&folder.join(model), &read_png(&folder.join(input)));
    let worst = difference(&eight_bits(output), &read_png(&folder.join(expected))) * 255.0;
    assert!(worst <= steps + 0.01, "{model}: {worst} steps of 8 bits");
}

#[test]
fn files_with_float16_ends_give_the_picture_of_float16() {
    for name in [
        "SCUMBAG0LEE__quality_espcn_x2_fp16",
        "SCUMBAG0LEE__performance_espcn_x2_fp16",
        "gaoxing64__xinntao_realesrV3_animevideo_x4_fp16_op14",
    ] {
        let expected = format!("{name}.expected.png");
        assert_picture(&format!("{name}.onnx"), "in72.png", &expected, 2.0);
    }
}

#[test]
fn espcn_of_three_layers_is_not_taken_for_srcnn() {
    let expected = "SCUMBAG0LEE__quality_espcn_x2.expected.png";
    assert_picture("SCUMBAG0LEE__quality_espcn_x2.pth", "in72.png", expected, 2.0);
}

#[test]
fn merged_span_networks_give_pytorchs_pictures() {
    for name in [
        "NTIRE2024_ESR__team38_span_ch28_slim",
        "NTIRE2025_ESR__team23_DSCF",
        "NTIRE2026_ESR__team00_SPAN",
    ] {
        let expected = format!("{name}.expected.png");
        assert_picture(&format!("{name}.pth"), "in72.png", &expected, 1.0);
    }
}

#[test]
fn an_archive_with_a_folder_of_21_letters_opens_like_any_other() {
    let Some(input) = field("in72.png") else { return };
    let input = read_png(&input);
    let picture = |name: &str| run(&field(name).unwrap(), &input).1;
    assert_eq!(picture("2x_Some_Compact_Model.pth"), picture("2x_Some_Compact_Mode.pth"));
}

#[test]
fn a_network_with_a_fourth_channel_gets_an_opaque_alpha() {
    assert_picture("made_esr_4ch.pth", "in72.png", "made_esr_4ch.expected.png", 1.0);
}

#[test]
fn relatives_of_a_known_network_are_named_with_what_differs() {
    for (name, words) in [
        ("NTIRE2025_ESR__team38_ESRNet.pth", ["the nearest is SPAN", "but"]),
        ("eduardzamfir__rt4ksr_x2.pth", ["is not supported", "export the model as .onnx"]),
        ("NTIRE2024_ESR__team21_slimrlfn_prune.pth", ["is not", "export the model as .onnx"]),
    ] {
        let Some(path) = field(name) else { return };
        let error = Model::open(&path.display().to_string()).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}
