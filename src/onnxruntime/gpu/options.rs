//! The options of the GPU's execution providers, as keys and values.
//!
//! CUDA: <https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html>;
//! TensorRT: <https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html>.

use std::path::Path;

use super::profile::Profile;
use crate::engine::Precision;

pub(super) type Options = Vec<(&'static str, String)>;

/// The GPU and the stream that sessions run on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub device: i32,
    /// The driver's handle, a `CUstream`.
    pub stream: usize,
}

impl Target {
    fn options(self) -> Options {
        vec![
            ("device_id", self.device.to_string()),
            ("has_user_compute_stream", "1".into()),
            ("user_compute_stream", self.stream.to_string()),
        ]
    }
}

/// How the CUDA provider stores features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Features {
    /// Channel by channel. The bias is added in a pass of its own: with `fuse_conv_bias` the
    /// provider clears an operand on the default stream, and only when it plans.
    Planar,
    /// Pixel by pixel, with the bias in the convolution.
    Interleaved,
}

/// The options of the CUDA provider for a graph in this precision.
pub(super) fn cuda(target: Target, precision: Precision, features: Features) -> Options {
    // TF32 would reduce the precision of fp32. For other types, 0 would deselect the tensor cores
    // (`UpdateState` in onnxruntime/core/providers/cuda/nn/conv.cc).
    let use_tf32 = if precision == Precision::Fp32 { "0" } else { "1" };
    let mut options = target.options();
    options.extend([
        ("use_tf32", use_tf32.into()),
        // An exhaustive search takes seconds for every new shape, and regions have many shapes.
        ("cudnn_conv_algo_search", "HEURISTIC".into()),
        // The default doubles the arena and would use memory that frames need.
        ("arena_extend_strategy", "kSameAsRequested".into()),
    ]);
    if features == Features::Interleaved {
        options.extend([("prefer_nhwc", "1".into()), ("fuse_conv_bias", "1".into())]);
    }
    options
}

/// The options of the TensorRT provider for an fp16 graph whose input is named `input`. Engines and
/// timings are stored in `folder`.
pub(super) fn tensorrt(
    target: Target,
    profile: &Profile,
    input: &str,
    channels: usize,
    folder: &Path,
) -> Options {
    let [min, tuned, max] = profile.texts(input, channels);
    let folder = folder.to_string_lossy();
    let mut options = target.options();
    options.extend([
        // TensorRT 10 rejects a graph with fp16 types without it.
        ("trt_fp16_enable", "1".into()),
        // One engine covers all shapes of a profile. Without profiles every new shape would
        // compile another engine.
        ("trt_profile_min_shapes", min),
        ("trt_profile_opt_shapes", tuned),
        ("trt_profile_max_shapes", max),
        ("trt_engine_cache_enable", "1".into()),
        ("trt_engine_cache_path", folder.clone().into_owned()),
        ("trt_timing_cache_enable", "1".into()),
        ("trt_timing_cache_path", folder.into_owned()),
    ]);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target = Target { device: 1, stream: 0xabcd };

    fn value<'a>(options: &'a Options, key: &str) -> Option<&'a str> {
        options.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn both_providers_run_on_the_given_gpu_and_stream() {
        let profile = Profile {
            max_batch: 8,
            exact: false,
            sides: [(32, 32), (128, 128), (256, 256)],
            tuned_batch: 4,
        };
        let tensorrt = tensorrt(TARGET, &profile, "in put", 3, Path::new("/cache/x"));
        for options in [&cuda(TARGET, Precision::Fp16, Features::Planar), &tensorrt] {
            assert_eq!(value(options, "device_id"), Some("1"));
            assert_eq!(value(options, "has_user_compute_stream"), Some("1"));
            assert_eq!(value(options, "user_compute_stream"), Some("43981"));
        }
        assert_eq!(value(&tensorrt, "trt_profile_opt_shapes"), Some("in put:4x3x128x128"));
        assert_eq!(value(&tensorrt, "trt_engine_cache_path"), Some("/cache/x"));
        assert_eq!(value(&tensorrt, "trt_timing_cache_path"), Some("/cache/x"));
    }

    #[test]
    fn fp32_runs_without_tf32_and_fp16_keeps_the_tensor_cores() {
        assert_eq!(value(&cuda(TARGET, Precision::Fp32, Features::Planar), "use_tf32"), Some("0"));
        assert_eq!(value(&cuda(TARGET, Precision::Fp16, Features::Planar), "use_tf32"), Some("1"));
    }

    #[test]
    fn the_bias_is_fused_only_with_interleaved_features() {
        for precision in [Precision::Fp32, Precision::Fp16] {
            let options = cuda(TARGET, precision, Features::Interleaved);
            assert_eq!(value(&options, "prefer_nhwc"), Some("1"));
            assert_eq!(value(&options, "fuse_conv_bias"), Some("1"));
            let options = cuda(TARGET, precision, Features::Planar);
            assert_eq!(value(&options, "fuse_conv_bias"), None);
        }
    }
}
