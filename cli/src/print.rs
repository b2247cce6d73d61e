//! What the program says. Whatever reads it may be gone, or the disk full that it goes to.

use std::{
    fmt,
    io::{self, Write as _},
};

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("standard output could not be written: {0}")]
pub struct Error(#[from] io::Error);

impl Error {
    /// Whether nobody reads it any more, as after `| head`: no failure, but there is nothing
    /// more to do.
    pub fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// [`say!`] is shorter.
///
/// # Errors
/// See [`Error`].
pub fn say(line: fmt::Arguments<'_>) -> Result<(), Error> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// [`warn!`] is shorter.
pub fn warn(line: fmt::Arguments<'_>) {
    // There is no other place to say that it failed.
    let _ = writeln!(io::stderr(), "gst-upscale: {line}");
}

/// A line of results, to standard output, as `println!`; gives a `Result`.
macro_rules! say {
    ($($text:tt)*) => { $crate::print::say(format_args!($($text)*)) };
}

/// A line to standard error, after the program's name.
macro_rules! warn {
    ($($text:tt)*) => { $crate::print::warn(format_args!($($text)*)) };
}
