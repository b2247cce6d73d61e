//! mpv user shaders that are convolutional networks, such as those of Anime4K.
//!
//! Each pass of such a `.glsl` file is a convolution, with its weights in `mat4` and `vec4`
//! literals, or a depth-to-space step. The format is that of mpv's `--glsl-shaders`; the passes must
//! have the form that Anime4K's generator writes (`tensorflow/Gen_Shader.py` of its repository).
//! `//!WHEN` is ignored: a chosen model always runs.

mod code;
mod error;
mod hook;
mod network;
mod pass;

use std::path::Path;

use self::error::ShaderError;
use super::{Error, Graph, bounded_file, fault::Fault};

/// The largest file in bytes. The largest of Anime4K has a tenth of it.
const MAX_SIZE: u64 = 10 << 20;

/// Whether the name of a file is that of a shader.
pub(super) fn matches(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|end| ["glsl", "hook"].iter().any(|own| end.eq_ignore_ascii_case(own)))
}

/// Reads the shader at `path`, a regular file.
///
/// # Errors
/// [`Error::Unsuitable`] if a pass is neither a convolution nor a depth-to-space step;
/// [`Error::Damaged`] if the file is not text.
pub(super) fn read(path: &Path) -> Result<Graph, Error> {
    let bytes = bounded_file::read(path, MAX_SIZE)?;
    let text = str::from_utf8(&bytes).map_err(|_| Fault::damaged("it is not text").at(path))?;
    parse(text).map_err(|error| Fault::from(error).at(path))
}

/// The network of a shader. The graph follows the contract of [`crate::model`].
///
/// # Errors
/// An error if a pass is neither a convolution nor a depth-to-space step.
pub fn parse(text: &str) -> Result<Graph, ShaderError> {
    network::build(&pass::split(text)?)
}
