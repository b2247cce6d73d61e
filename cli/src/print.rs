//! Output to the terminal that does not panic if nobody reads it or the disk is full.

use std::{
    fmt,
    io::{self, Write as _},
};

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("standard output could not be written: {0}")]
pub struct Error(#[from] io::Error);

impl Error {
    /// Whether the reader has closed the pipe, as `| head` does. That is not a failure.
    pub fn is_broken_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Implements `say!`.
///
/// # Errors
/// See [`Error`].
pub fn say(line: fmt::Arguments<'_>) -> Result<(), Error> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Implements `warn!`.
pub fn warn(line: fmt::Arguments<'_>) {
    // If standard error is closed too, there is nowhere left to report it.
    let _ = writeln!(io::stderr(), "gst-upscale: {line}");
}

/// Writes a line to standard output, like `println!`, and returns a `Result`.
macro_rules! say {
    ($($text:tt)*) => { $crate::print::say(format_args!($($text)*)) };
}

/// Writes a line to standard error, after the program's name.
macro_rules! warn {
    ($($text:tt)*) => { $crate::print::warn(format_args!($($text)*)) };
}
