//! The program as a child process.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The command `gst-upscale` without arguments.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gst-upscale"))
}

/// `gst-upscale upscale INPUT OUTPUT` with more arguments. Enlarges by Lanczos only, so that tests
/// are fast.
pub fn upscale(input: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.arg("upscale").args([input, output]).args(["--blend", "0"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Standard output and standard error.
pub fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// The writing end of a pipe whose reading end is closed.
pub fn closed_pipe() -> Stdio {
    std::io::pipe().unwrap().1.into()
}
