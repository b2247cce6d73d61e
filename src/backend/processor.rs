//! The processor at hand: what measurements are filed under, and whether it computes in bf16.

use std::{fs, sync::LazyLock};

use sha2::{Digest as _, Sha256};

pub(super) struct Processor {
    /// Tells processors apart that may differ in speed or in results.
    pub identity: String,
    /// Whether bf16 is arithmetic here and not an emulation.
    pub bf16: bool,
}

impl Processor {
    /// The one that this runs on.
    pub fn get() -> &'static Self {
        static CPU: LazyLock<Processor> = LazyLock::new(|| {
            Processor::parse(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
        });
        &CPU
    }

    /// Reads Linux's `/proc/cpuinfo`.
    fn parse(cpuinfo: &str) -> Self {
        let field = |names: &[&str]| {
            cpuinfo
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| names.contains(&name.trim()))
                .map_or("", |(_, value)| value.trim())
        };
        let model = field(&["model name", "CPU part"]);
        let flags = field(&["flags", "Features"]);
        // Virtual machines give processors of many kinds one name.
        let kind: String =
            Sha256::digest(flags).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let bf16 = flags.split(' ').any(|flag| matches!(flag, "avx512_bf16" | "amx_bf16"));
        Self { identity: format!("{model} ({kind})"), bf16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_read_from_the_flags() {
        let with = Processor::parse("model name\t: Some CPU\nflags\t\t: fpu avx512f avx512_bf16\n");
        let without = Processor::parse("model name\t: Some CPU\nflags\t\t: fpu avx512f\n");
        assert!(with.bf16 && !without.bf16);
        assert!(with.identity.starts_with("Some CPU ("));
        assert_ne!(with.identity, without.identity);
        assert!(!Processor::parse("").bf16);
    }
}
