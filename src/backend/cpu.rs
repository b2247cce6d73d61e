//! The CPU of this machine: its identity for stored measurements, and its bf16 support.

use std::{fs, sync::LazyLock};

use crate::model::sha256_hex;

/// The CPU of this machine.
pub(super) struct Cpu {
    /// Differs between CPUs that may differ in speed or in results.
    pub identity: String,
    /// Whether it has bf16 instructions, so that bf16 is not emulated.
    pub bf16: bool,
}

impl Cpu {
    pub(crate) fn get() -> &'static Self {
        static CPU: LazyLock<Cpu> =
            LazyLock::new(|| Cpu::parse(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()));
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
        // Virtual machines give different CPUs the same name.
        let mut kind = sha256_hex([flags]);
        kind.truncate(8);
        let bf16 = flags.split(' ').any(|flag| matches!(flag, "avx512_bf16" | "amx_bf16"));
        Self { identity: format!("{model} ({kind})"), bf16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_support_is_read_from_the_flags() {
        let with = Cpu::parse("model name\t: Some CPU\nflags\t\t: fpu avx512f avx512_bf16\n");
        let without = Cpu::parse("model name\t: Some CPU\nflags\t\t: fpu avx512f\n");
        assert!(with.bf16 && !without.bf16);
        assert!(with.identity.starts_with("Some CPU ("));
        assert_ne!(with.identity, without.identity);
        assert!(!Cpu::parse("").bf16);
    }
}
