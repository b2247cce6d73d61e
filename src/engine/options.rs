//! Backends, precisions, and the options of an engine.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, glib::Enum)]
#[enum_type(name = "GstUpscaleBackend")]
#[non_exhaustive]
pub enum Backend {
    /// The fastest backend that works on this machine.
    #[default]
    #[enum_value(name = "Fastest backend that works on this machine", nick = "auto")]
    Auto,
    /// TensorRT on an NVIDIA GPU, through ONNX Runtime.
    #[enum_value(name = "NVIDIA TensorRT", nick = "tensorrt")]
    TensorRt,
    /// cuDNN on an NVIDIA GPU, through ONNX Runtime.
    #[enum_value(name = "NVIDIA CUDA", nick = "cuda")]
    Cuda,
    /// Any GPU with a Vulkan driver, through ONNX Runtime's WebGPU provider.
    #[enum_value(name = "WebGPU on any GPU with Vulkan", nick = "webgpu")]
    WebGpu,
    /// The project's own engine on the CPU, for networks of convolutions.
    #[enum_value(name = "Built-in engine on the CPU", nick = "native")]
    Native,
    /// OpenVINO on the CPU, through ONNX Runtime.
    #[enum_value(name = "Intel OpenVINO", nick = "openvino")]
    OpenVino,
    /// ONNX Runtime's own kernels on the CPU.
    #[enum_value(name = "ONNX Runtime on the CPU", nick = "cpu")]
    Cpu,
}

/// The arithmetic of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, glib::Enum)]
#[enum_type(name = "GstUpscalePrecision")]
#[non_exhaustive]
pub enum Precision {
    /// The fastest precision without a visible difference from fp32.
    #[default]
    #[enum_value(name = "Fastest precision without a visible difference from fp32", nick = "auto")]
    Auto,
    /// 32-bit floating point.
    #[enum_value(name = "32-bit floating point", nick = "fp32")]
    Fp32,
    /// 16-bit floating point (IEEE 754 binary16).
    #[enum_value(name = "16-bit floating point", nick = "fp16")]
    Fp16,
    /// 16-bit brain floating point: fp32's exponent with an 8-bit significand.
    #[enum_value(name = "16-bit brain floating point", nick = "bf16")]
    Bf16,
    /// 16-bit fixed point, for convolutions of the native engine.
    #[enum_value(name = "16-bit fixed point", nick = "int16")]
    Int16,
}

impl Backend {
    /// All backends, as the property lists them.
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::TensorRt,
        Self::Cuda,
        Self::WebGpu,
        Self::Native,
        Self::OpenVino,
        Self::Cpu,
    ];

    /// The value's name in the property `backend` and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::WebGpu => "webgpu",
            Self::Native => "native",
            Self::OpenVino => "openvino",
            Self::Cpu => "cpu",
        }
    }
}

impl Precision {
    /// All precisions, as the property lists them.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Fp32, Self::Fp16, Self::Bf16, Self::Int16];

    /// The value's name in the property `precision` and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Int16 => "int16",
        }
    }
}

/// A name that no [`Backend`] or [`Precision`] has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {}", .expected.join(", "))]
pub struct UnknownName {
    /// The names that exist.
    pub expected: Vec<&'static str>,
}

impl FromStr for Backend {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName { expected: Self::ALL.map(Self::name).into() };
        Self::ALL.into_iter().find(|backend| backend.name() == name).ok_or_else(unknown)
    }
}

impl FromStr for Precision {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName { expected: Self::ALL.map(Self::name).into() };
        Self::ALL.into_iter().find(|precision| precision.name() == name).ok_or_else(unknown)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How to build an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// The backend to use.
    pub backend: Backend,
    /// The precision to use.
    pub precision: Precision,
    /// Index of the GPU, from 0, as the CUDA driver counts. Ignored on the CPU.
    pub device_id: u32,
    /// CPU threads, at least 1.
    pub threads: usize,
    /// Directory for compiled models and measurements. It is created when needed.
    pub cache_dir: PathBuf,
}

impl EngineOptions {
    /// The usual [`EngineOptions::cache_dir`]: `gst-upscale` in the user's cache directory
    /// (`$XDG_CACHE_HOME` or `~/.cache`), or in the user's runtime directory if there is no home.
    /// Without either it is a path that cannot exist, so that nothing is stored: what lies in a
    /// directory for all users could be anyone's.
    #[must_use]
    pub fn default_cache_dir() -> PathBuf {
        cache_dir_of(dirs::cache_dir(), dirs::runtime_dir())
    }
}

/// The cache directory of a user with these directories.
fn cache_dir_of(cache: Option<PathBuf>, runtime: Option<PathBuf>) -> PathBuf {
    cache.or(runtime).unwrap_or_else(|| PathBuf::from("/dev/null")).join("gst-upscale")
}

/// One backend in one precision; neither is `Auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub backend: Backend,
    pub precision: Precision,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.backend, self.precision)
    }
}

#[cfg(test)]
mod tests {
    use glib::prelude::*;

    use super::*;

    /// The nicks of a GLib enumeration, in order of value.
    fn nicks(kind: glib::Type) -> Vec<String> {
        let class = glib::EnumClass::with_type(kind).unwrap();
        class.values().iter().map(|value| value.nick().to_owned()).collect()
    }

    #[test]
    fn without_a_home_the_cache_is_in_the_users_runtime_directory_or_nowhere() {
        let own = |path: &str| Some(PathBuf::from(path));
        let cases = [
            (own("/home/a/.cache"), own("/run/user/1"), "/home/a/.cache/gst-upscale"),
            (None, own("/run/user/1"), "/run/user/1/gst-upscale"),
            (None, None, "/dev/null/gst-upscale"),
        ];
        for (cache, runtime, expected) in cases {
            assert_eq!(cache_dir_of(cache, runtime), PathBuf::from(expected));
        }
    }

    #[test]
    fn names_parse_to_the_values_that_print_them() {
        for backend in Backend::ALL {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
    }

    #[test]
    fn names_are_the_nicks_of_the_properties() {
        assert_eq!(nicks(Backend::static_type()), Backend::ALL.map(Backend::name));
        assert_eq!(nicks(Precision::static_type()), Precision::ALL.map(Precision::name));
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = "abacus".parse::<Backend>().unwrap_err().to_string();
        assert_eq!(error, "expected one of: auto, tensorrt, cuda, webgpu, native, openvino, cpu");
        let error = "int8".parse::<Precision>().unwrap_err().to_string();
        assert_eq!(error, "expected one of: auto, fp32, fp16, bf16, int16");
    }
}
