//! How much memory inference may take, and how much it needs.
//!
//! Linux grants memory that it does not have, and kills later: the need is estimated before
//! anything is allocated.

use crate::model::ModelInfo;

/// Share of the free memory that inference may take unless told otherwise: the rest of the
/// process and the machine want some too.
const SHARE: f64 = 0.5;

/// Bytes that may be used: `limit`, or half of what the machine and the control group that
/// this process is in have free.
pub fn allowance(limit: Option<u64>) -> u64 {
    limit.unwrap_or_else(|| (free() as f64 * SHARE) as u64)
}

/// The most pixels that may be given to the model at once within `bytes`.
pub fn pixels_within(bytes: u64, info: &ModelInfo) -> u64 {
    let per_pixel = info.peak_floats_per_pixel.max(1.0) * size_of::<f32>() as f64;
    (bytes as f64 / per_pixel) as u64
}

/// Bytes that the machine and the control group have left.
pub fn free() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    left(system.available_memory(), system.cgroup_limits())
}

/// What is left of `available` under the `limits` of a control group. Files that it caches make
/// room when memory is wanted, so only what its processes hold counts.
fn left(available: u64, limits: Option<sysinfo::CGroupLimits>) -> u64 {
    match limits {
        Some(limits) if limits.total_memory > 0 => {
            available.min(limits.total_memory.saturating_sub(limits.rss))
        }
        _ => available,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_automatic_allowance_is_some_but_not_all_of_what_is_free() {
        let automatic = allowance(None);
        assert!(automatic > 1 << 20, "{automatic}");
        assert!(automatic < free(), "{automatic}");
    }

    #[test]
    fn files_that_a_control_group_caches_count_as_free() {
        let limits = sysinfo::CGroupLimits {
            total_memory: 8 << 30,
            free_memory: 0,
            free_swap: 0,
            rss: 1 << 30,
        };
        assert_eq!(left(20 << 30, Some(limits.clone())), 7 << 30);
        assert_eq!(left(2 << 30, Some(limits)), 2 << 30);
        assert_eq!(left(20 << 30, None), 20 << 30);
    }

    #[test]
    fn an_asked_limit_is_kept() {
        assert_eq!(allowance(Some(12345)), 12345);
    }
}
