//! Why a shader is not a network.

use crate::model::fault::Reason;

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ShaderError {
    #[error("it has no pass that starts with //!HOOK")]
    NoPass,
    #[error("it has more than {0} passes")]
    TooManyPasses(usize),
    #[error("its passes hook both {0} and {1}; they must hook one texture")]
    Hooks(String, String),
    #[error("no pass saves {0}, the texture that it hooks")]
    NoResult(String),
    #[error("the shader pass {pass:?} is not supported: {problem}")]
    Pass { pass: String, problem: Problem },
}

/// What is not supported in a pass.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("it hooks {0}; expected one of MAIN, RGB, LUMA")]
    Hook(String),
    #[error("it hooks more than one texture")]
    ManyHooks,
    #[error("it has the directive {0}")]
    Directive(String),
    #[error("it saves {0} with a number of components other than 4")]
    Components(String),
    #[error("its size {0:?} is not a multiple of the size of a texture")]
    Size(String),
    #[error("it enlarges the image more than {0} times")]
    Scale(u32),
    #[error("it reads {0}, which it does not bind or no pass before it saves")]
    Texture(String),
    #[error(
        "its code is neither a convolution nor a depth-to-space step: expected {expected}, found {found:?}"
    )]
    Code { expected: String, found: String },
    #[error("it reads {0} between two samples")]
    Fraction(String),
    #[error("it reads textures at different distances between samples")]
    Distances,
    #[error("it reads samples that are more than {0} away")]
    Distance(u32),
    #[error("it reads a texture that is larger than its result")]
    Smaller,
    #[error("it changes width and height by different factors")]
    Shape,
    #[error("it adds a texture with another number of channels")]
    Residual,
    #[error("its result is not twice as large as {0}")]
    DepthToSpace(String),
    #[error("it saves a depth-to-space step in a texture other than the hooked one")]
    Intermediate,
    #[error("its convolution is too large")]
    TooLarge,
}

impl Problem {
    /// The problem of this pass.
    pub(super) fn of(self, pass: &str) -> ShaderError {
        ShaderError::Pass { pass: pass.into(), problem: self }
    }
}

impl Reason for ShaderError {
    fn is_damage(&self) -> bool {
        false
    }
}
