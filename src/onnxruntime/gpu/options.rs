//! What the providers of the GPU are told, as their own keys and values.
//!
//! CUDA: <https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html>;
//! TensorRT: <https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html>.

use std::path::Path;

use super::profile::Profile;

pub(super) type Options = Vec<(&'static str, String)>;

/// The GPU, and the stream that sessions work on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub device: i32,
    /// The driver's handle.
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

/// The CUDA provider's.
pub(super) fn cuda(target: Target) -> Options {
    let mut options = target.options();
    options.extend([
        // fp32 is to be fp32, and an fp16 graph has no use for it.
        ("use_tf32", "0".into()),
        // Trying each algorithm would take seconds for each new shape, and regions have many.
        ("cudnn_conv_algo_search", "HEURISTIC".into()),
        // Doubling instead would take memory that the frames need.
        ("arena_extend_strategy", "kSameAsRequested".into()),
    ]);
    options
}

/// The TensorRT provider's, for an fp16 graph whose input is called `input`; engines and timings
/// are kept in `folder`.
pub(super) fn tensorrt(
    target: Target,
    profile: &Profile,
    input: &str,
    channels: usize,
    folder: &Path,
) -> Options {
    let [least, tuned, most] = profile.texts(input, channels);
    let folder = folder.to_string_lossy();
    let mut options = target.options();
    options.extend([
        // Without it TensorRT 10 refuses a graph whose types say fp16.
        ("trt_fp16_enable", "1".into()),
        // Shapes within are one engine; without profiles each new one would build another.
        ("trt_profile_min_shapes", least),
        ("trt_profile_opt_shapes", tuned),
        ("trt_profile_max_shapes", most),
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
    fn both_work_on_the_streams_of_the_gpu_that_was_asked_for() {
        let profile = Profile { most: 8, sides: [(32, 32), (128, 128), (256, 256)], tuned: 4 };
        let tensorrt = tensorrt(TARGET, &profile, "in put", 3, Path::new("/cache/x"));
        for options in [&cuda(TARGET), &tensorrt] {
            assert_eq!(value(options, "device_id"), Some("1"));
            assert_eq!(value(options, "has_user_compute_stream"), Some("1"));
            assert_eq!(value(options, "user_compute_stream"), Some("43981"));
        }
        assert_eq!(value(&tensorrt, "trt_profile_opt_shapes"), Some("in put:4x3x128x128"));
        assert_eq!(value(&tensorrt, "trt_engine_cache_path"), Some("/cache/x"));
        assert_eq!(value(&tensorrt, "trt_timing_cache_path"), Some("/cache/x"));
    }

    #[test]
    fn cuda_never_computes_in_tf32() {
        assert_eq!(value(&cuda(TARGET), "use_tf32"), Some("0"));
    }
}
