//! The published weight files: which they are, whether a directory has them, and reading them only if they
//! are the right ones.
//!
//! The files are kept verbatim as published, so that their SHA-256 is their provenance: it is compiled in
//! here, checked at each load, and told in each session's first event. How they get into the directory is
//! `import`'s concern.

mod import;

use std::path::Path;

use sha2::{Digest, Sha256};

pub use import::{Imported, import_wheel};

use crate::error::ModelError;

/// One weight file that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightFile {
    /// Name of the network it belongs to.
    pub name: &'static str,
    /// File name inside the weights directory.
    pub file: &'static str,
    /// SHA-256 of the whole file, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// Path inside the wheel of mediapipe 0.10.14.
    pub member_in_wheel: &'static str,
}

/// BlazePose's person detector: 224x224, float16 and partly sparse weights.
pub const POSE_DETECTION: WeightFile = WeightFile {
    name: "pose-detection",
    file: "pose_detection.tflite",
    sha256: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    member_in_wheel: "mediapipe/modules/pose_detection/pose_detection.tflite",
};

/// BlazePose's landmark network, "full": 256x256, float16 weights.
pub const POSE_LANDMARK_FULL: WeightFile = WeightFile {
    name: "pose-landmark-full",
    file: "pose_landmark_full.tflite",
    sha256: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    member_in_wheel: "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
};

/// All weight files of this version.
pub const WEIGHT_FILES: [WeightFile; 2] = [POSE_DETECTION, POSE_LANDMARK_FULL];

/// Largest weight file that is read, in bytes: a wrong file must not fill the memory. The largest known one
/// has 6.4 MB.
pub(crate) const MAX_WEIGHT_BYTES: u64 = 64 << 20;

/// What a weights directory has of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightState {
    /// No such file.
    Missing,
    /// A file of that name that is not the published one.
    WrongHash {
        /// Its SHA-256, in lower-case hexadecimal.
        found: String,
    },
    /// The published file.
    Ok,
}

/// The state of every known weight file in `dir`. Errors: only what the operating system refuses (not a
/// missing file).
pub fn status(dir: &Path) -> Result<Vec<(WeightFile, WeightState)>, ModelError> {
    WEIGHT_FILES
        .into_iter()
        .map(|weights| {
            let state = match read_verified(dir, &weights) {
                Ok(_) => WeightState::Ok,
                Err(ModelError::WeightsMissing { .. }) => WeightState::Missing,
                Err(ModelError::WeightsWrong { found, .. }) => WeightState::WrongHash { found },
                Err(other) => return Err(other),
            };
            Ok((weights, state))
        })
        .collect()
}

/// The bytes of a weight file of `dir`, hashed as they were read, so that what was checked is what is used.
///
/// Errors: `WeightsMissing`, `WeightsWrong` (also for a file over `MAX_WEIGHT_BYTES`), `Io`.
pub fn read_verified(dir: &Path, weights: &WeightFile) -> Result<Vec<u8>, ModelError> {
    let path = dir.join(weights.file);
    let wrong = |found| ModelError::WeightsWrong {
        name: weights.name,
        path: path.clone(),
        found,
        expected: weights.sha256,
    };
    let unreadable = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => ModelError::WeightsMissing { name: weights.name, path: path.clone() },
        _ => ModelError::Io { action: "read", path: path.clone(), source },
    };
    if std::fs::metadata(&path).map_err(unreadable)?.len() > MAX_WEIGHT_BYTES {
        return Err(wrong("unknown (the file is too large)".into()));
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    let found = sha256_hex(&bytes);
    if found == weights.sha256 { Ok(bytes) } else { Err(wrong(found)) }
}

/// SHA-256 in lower-case hexadecimal.
fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_standard_one() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn missing_and_wrong_files_are_told_apart_and_say_how_to_mend_them() {
        let dir = std::env::temp_dir().join(format!("kinora-weights-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(POSE_DETECTION.file), b"not a model").unwrap();

        let states = status(&dir).unwrap();
        assert!(
            matches!(&states[0], (w, WeightState::WrongHash { found }) if *w == POSE_DETECTION && found.len() == 64)
        );
        assert_eq!(states[1], (POSE_LANDMARK_FULL, WeightState::Missing));

        for weights in WEIGHT_FILES {
            let error = read_verified(&dir, &weights).unwrap_err();
            let message = error.to_string();
            assert!(error.needs_setup(), "{message}");
            assert!(message.contains(weights.file) && message.contains("make setup"), "{message}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
