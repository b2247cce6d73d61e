//! Machines that lack almost everything: an error that says what to do, and never a crash.

use std::process::{Command, Output};

use crate::program::{program, text};

/// Runs `models check builtin` in a shell after `setup`.
fn check_after(setup: &str) -> Output {
    let own = program();
    let mut shell = Command::new("sh");
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let command = format!("{setup} && exec \"$0\" models check --threads 1 --tile 16 builtin");
    shell.args(["-c", &command]).arg(own.get_program()).output().unwrap()
}

#[track_caller]
fn fails_with_a_message(done: &Output) {
    let text = text(done);
    assert!(done.status.code().is_some(), "a signal ended it: {:?}: {text}", done.status);
    assert!(!text.contains("panicked"), "{text}");
    assert!(done.status.success() || !text.trim().is_empty());
}

#[test]
fn few_file_descriptors_are_an_error_and_not_a_crash() {
    for descriptors in [8, 10, 12, 14, 16, 24] {
        let done = check_after(&format!("ulimit -n {descriptors}"));
        fails_with_a_message(&done);
        if descriptors == 24 {
            assert!(
                done.status.success() || text(&done).contains("ONNX Runtime"),
                "{}",
                text(&done)
            );
        }
    }
}

#[test]
fn an_address_space_that_is_too_small_is_an_error_and_not_a_crash() {
    for kilobytes in [200_000, 400_000, 1_000_000] {
        fails_with_a_message(&check_after(&format!("ulimit -v {kilobytes}")));
    }
}

#[test]
fn without_proc_models_still_run() {
    // A mount namespace of its own.
    let unshare = ["-rm", "sh", "-c"];
    let hidden = Command::new("unshare").args(unshare).arg("mount -t tmpfs none /proc").output();
    if !hidden.is_ok_and(|done| done.status.success()) {
        return eprintln!("skipped: /proc cannot be hidden here");
    }
    let own = program();
    let done = Command::new("unshare")
        .args(unshare)
        .arg("mount -t tmpfs none /proc && exec \"$0\" models check --threads 1 --tile 16 builtin")
        .arg(own.get_program())
        .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .unwrap();
    fails_with_a_message(&done);
    assert!(done.status.success() || text(&done).contains("ONNX Runtime"), "{}", text(&done));
}

#[test]
fn a_model_that_takes_longer_than_its_time_limit_is_given_up() {
    let done = program()
        .args(["models", "check", "--threads", "1", "--tile", "1024", "--time-limit", "1"])
        .arg("builtin-quality")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done).contains("raise --time-limit"), "{}", text(&done));
}
