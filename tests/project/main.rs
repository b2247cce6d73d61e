//! The checkout itself: its scripts, and the structure of its sources.

mod scripts;
mod structure;
