//! WebGPU on SwiftShader, a Vulkan driver that runs on the CPU. `scripts/setup.sh webgpu` gets
//! both; without them the tests are skipped.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use gstupscale::{
    backend::{self, CpuEngine},
    engine::{Backend, EngineOptions, Infer as _, Precision, Silent, distance},
    frame::Image,
    model::Model,
};

fn options(backend: Backend, precision: Precision) -> EngineOptions {
    let cache_dir = env::temp_dir().join("gst-upscale-webgpu-test");
    EngineOptions { backend, precision, device_id: 0, threads: 2, cache_dir }
}

/// Runs an ignored test of this file in a process that uses the library with WebGPU and the Vulkan
/// driver `driver`. `None` if they are not there.
fn in_child(test: &str, driver: Option<&str>) -> Option<Output> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/webgpu");
    let library = folder.join("libonnxruntime.so.1");
    if !library.exists() {
        eprintln!("skipped: no {}; run scripts/setup.sh webgpu", library.display());
        return None;
    }
    let driver = driver.map_or(PathBuf::from("/nowhere.json"), |name| folder.join(name));
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("webgpu::{test}"), "--ignored", "--nocapture"])
        .env("ORT_DYLIB_PATH", library)
        .env("VK_ICD_FILENAMES", &driver)
        .env("VK_DRIVER_FILES", &driver)
        .env("XDG_RUNTIME_DIR", scratch.path())
        .output()
        .unwrap();
    Some(output)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn small_pictures_are_within_a_step_of_the_built_in_engine() {
    let driver = Some("vk_swiftshader_icd.json");
    let Some(output) = in_child("child_compares_pictures", driver) else { return };
    assert!(output.status.success(), "{}", text(&output));
    eprint!("{}", text(&output));
}

#[test]
#[ignore = "run in a process of its own"]
fn child_compares_pictures() {
    // Others take minutes on this driver.
    let model = Model::open("builtin").unwrap();
    let channels = model.info.channels.count();
    let webgpu = options(Backend::WebGpu, Precision::Fp32);
    let mut on_gpu: CpuEngine = backend::fastest_on_cpu(&model, &webgpu, &Silent).unwrap();
    assert_eq!(on_gpu.backend(), Backend::WebGpu);
    let native = options(Backend::Native, Precision::Fp32);
    let mut on_cpu: CpuEngine = backend::fastest_on_cpu(&model, &native, &Silent).unwrap();
    for (width, height) in [(48, 32), (34, 18)] {
        let mut input = Image::new(channels, width, height);
        for (index, sample) in input.data_mut().iter_mut().enumerate() {
            *sample = ((index * 7919) % 251) as f32 / 250.0;
        }
        let (mut actual, mut expected) = (Image::default(), Image::default());
        on_gpu.run(&input, &mut actual).unwrap();
        on_cpu.run(&input, &mut expected).unwrap();
        let (psnr, largest) = distance(&actual, &expected);
        eprintln!("{width}x{height}: {psnr:.0} dB, at most {:.4}/255", largest * 255.0);
        assert!(largest <= 1.0 / 255.0, "{largest}");
    }
}

#[test]
fn without_a_vulkan_driver_the_error_says_what_to_install() {
    let Some(output) = in_child("child_reports_the_error", None) else { return };
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("mesa-vulkan-drivers"), "{}", text(&output));
}

#[test]
#[ignore = "run in a process of its own"]
fn child_reports_the_error() {
    let model = Model::open("builtin").unwrap();
    let error = backend::load(&model, &options(Backend::WebGpu, Precision::Fp32), &Silent);
    eprintln!("{}", error.err().expect("no GPU"));
    // Without a request nothing changes.
    let loaded = backend::load(&model, &options(Backend::Auto, Precision::Fp32), &Silent).unwrap();
    assert_eq!((loaded.backend, loaded.note), (Backend::Native, None));
}

#[test]
fn a_vulkan_driver_on_the_cpu_is_not_chosen_automatically() {
    let driver = Some("vk_swiftshader_icd.json");
    let Some(output) = in_child("child_loads_automatically", driver) else { return };
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
#[ignore = "run in a process of its own"]
fn child_loads_automatically() {
    let model = Model::open("builtin").unwrap();
    let loaded = backend::load(&model, &options(Backend::Auto, Precision::Fp32), &Silent).unwrap();
    assert_eq!((loaded.backend, loaded.note), (Backend::Native, None));
}
