//! What changed since each place was computed, and which regions to compute again.
