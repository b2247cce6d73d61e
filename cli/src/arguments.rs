//! Arguments that several subcommands have.

use std::path::PathBuf;

use gstupscale::engine::{Backend, EngineOptions, Precision};

use crate::machine;

/// Where and how models run, apart from the backend and the precision.
#[derive(Clone, Debug, clap::Args)]
pub struct EngineArguments {
    /// GPU to use, counted from 0.
    #[arg(long, default_value_t = 0)]
    pub device_id: u32,
    /// Number of CPU threads; 0: all available.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Directory for compiled models and benchmark results [default: ~/.cache/gst-upscale].
    #[arg(long)]
    pub cache_dir: Option<PathBuf>,
}

impl EngineArguments {
    /// The number of CPU threads, at least 1.
    pub fn threads(&self) -> usize {
        machine::threads(self.threads)
    }

    /// Options for an engine on this backend in this precision.
    pub fn options(&self, backend: Backend, precision: Precision) -> EngineOptions {
        EngineOptions {
            backend,
            precision,
            device_id: self.device_id,
            threads: self.threads(),
            cache_dir: self.cache_dir.clone().unwrap_or_else(EngineOptions::default_cache_dir),
        }
    }
}

/// The value of an argument is invalid.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(pub String);

impl Expected {
    /// One of these names.
    pub fn one_of(names: &[impl ToString]) -> Self {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        Self(format!("one of: {}", names.join(", ")))
    }
}

/// Parses `WIDTHxHEIGHT` in pixels.
pub fn size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_numbers() {
        assert_eq!(size("640x360"), Some((640, 360)));
        for text in ["", "640", "640x", "x360", "-1x2", "640X360"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
