//! Reuse on real footage with real models.

#[path = "../common/mod.rs"]
mod common;

mod exactness;
mod tolerance;
