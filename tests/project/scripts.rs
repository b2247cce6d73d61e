//! The scripts in a checkout where nothing is set up yet. Skipped if Python has no pip.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// `scripts/kernels.sh check` in a checkout of its own, with this environment.
fn check_kernels(environment: &[(&str, &str)]) -> Option<Output> {
    let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !pip.is_ok_and(|pip| pip.status.success()) || !cfg!(target_arch = "x86_64") {
        eprintln!("skipped: there is no pip, or no NVRTC for this machine");
        return None;
    }
    let checkout = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let to = checkout.path().join("scripts");
    fs::create_dir(&to).unwrap();
    for script in fs::read_dir(from).unwrap() {
        let script = script.unwrap().path();
        if script.is_file() {
            fs::copy(&script, to.join(script.file_name().unwrap())).unwrap();
        }
    }
    let output = Command::new("sh")
        .arg(to.join("kernels.sh"))
        .arg("check")
        .env("PIP_CONFIG_FILE", "/dev/null")
        .envs(environment.iter().copied())
        .output();
    let build = checkout.path().join("build");
    assert_eq!(fs::read_dir(build).unwrap().count(), 0, "nothing is left behind");
    Some(output.unwrap())
}

#[test]
fn every_script_is_valid_in_its_language() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["scripts", "scripts/bundle", "models/train", "tests/data", "benches/throughput"]
    {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let parse = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
            let (program, arguments): (_, &[&str]) =
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some("py") => ("python3", &["-c", parse]),
                    Some("sh") => ("bash", &["-n"]),
                    _ => continue,
                };
            let output = Command::new(program).args(arguments).arg(&path).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {errors}", path.display());
        }
    }
}

#[test]
fn figures_of_the_documents_show_their_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("python3");
    let done = command.args(["scripts/figures.py", "--check"]).current_dir(root).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn providers_that_make_is_not_given_are_left_to_the_bundle_script() {
    let show = "show:;@echo \"[$${PROVIDERS-those there are}]\"";
    for (given, expected) in [
        (None, "[those there are]"),
        (Some("PROVIDERS="), "[]"),
        (Some("PROVIDERS=cuda"), "[cuda]"),
    ] {
        let mut make = Command::new("make");
        make.current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("PROVIDERS")
            .env_remove("MAKEFLAGS");
        let output = make.args(["--silent", "--eval", show, "show"]).args(given).output();
        let output = output.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{output:?}");
    }
}

#[test]
fn a_compiler_whose_hash_is_another_fails_the_check_of_the_kernels() {
    let wheels = tempfile::tempdir().unwrap();
    let name = "nvidia_cuda_nvrtc_cu12-12.0.140-py3-none-manylinux1_x86_64.whl";
    fs::write(wheels.path().join(name), "not what it says").unwrap();
    let folder = wheels.path().to_str().unwrap();
    let environment = [("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", folder)];
    let Some(output) = check_kernels(&environment) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("HASHES") && !said.contains("not checked"), "{said}");
}

#[test]
fn without_a_network_the_kernels_count_as_not_checked() {
    // Nothing listens on the port of "discard".
    let index = "http://127.0.0.1:9/simple";
    let environment = [
        ("PIP_INDEX_URL", index),
        ("PIP_EXTRA_INDEX_URL", ""),
        ("PIP_FIND_LINKS", ""),
        ("PIP_RETRIES", "1"),
        ("PIP_TIMEOUT", "2"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let Some(output) = check_kernels(&environment) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("not checked"), "{said}");
}
