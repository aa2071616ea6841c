//! Kinora: real-time video analysis.
#![forbid(unsafe_code)]

fn main() {}
