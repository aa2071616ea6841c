//! The invariants of ARCHITECTURE.md that can be read from the tree.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// The Rust files below a folder.
pub(crate) fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "{folder} should hold Rust files");
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn assert_no_mention(folder: &str, words: &[&str]) {
    for file in sources(folder) {
        let code: String = read(&file).lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for word in words {
            assert!(!code.contains(word), "{} should not mention {word}", file.display());
        }
    }
}

#[test]
fn actors_know_no_ffmpeg_candle_sql_or_http() {
    let foreign = [
        "ffmpeg",
        "candle",
        "postgres",
        "actix_web",
        "kinora_media",
        "kinora_models",
        "kinora_kernels",
        "kinora_rtsp",
    ];
    assert_no_mention("actors/src", &foreign);
    let manifest = read(&root().join("actors/Cargo.toml"));
    for dependency in manifest.lines().skip_while(|line| *line != "[dependencies]") {
        let named = |word: &&str| dependency.starts_with(&word.replace('_', "-"));
        assert!(!foreign.iter().any(named), "actors should not depend on {dependency}");
    }
}

#[test]
fn leaves_do_not_know_one_another() {
    assert_no_mention("media/src", &["kinora_actors", "kinora_models", "kinora_kernels", "actix", "candle"]);
    assert_no_mention("models/src", &["kinora_actors", "kinora_media", "actix", "ffmpeg_sys"]);
    assert_no_mention("models/kernels/src", &["kinora_actors", "kinora_media", "kinora_models", "candle"]);
    assert_no_mention("rtsp/src", &["kinora_actors", "kinora_media", "kinora_models", "actix", "ffmpeg_sys"]);
}

#[test]
fn unsafe_is_forbidden_outside_media_and_kernels() {
    for file in ["src/main.rs", "actors/src/lib.rs", "models/src/lib.rs", "rtsp/src/lib.rs"] {
        assert!(read(&root().join(file)).contains("#![forbid(unsafe_code)]"), "{file}");
    }
}

#[test]
fn every_file_opens_with_its_purpose() {
    for folder in ["src", "actors", "media", "models", "rtsp", "tests"] {
        for file in sources(folder) {
            assert!(read(&file).starts_with("//!"), "{} should open with what it is", file.display());
        }
    }
}

#[test]
fn only_config_reads_the_environment() {
    let config = root().join("src/config");
    // A unit test that runs itself as a child speaks to the child through its environment.
    let tests = |file: &PathBuf| file.iter().any(|part| part == "tests");
    for file in sources("src").into_iter().filter(|file| !file.starts_with(&config) && !tests(file)) {
        assert!(!read(&file).contains("env::var"), "{} should not read the environment", file.display());
    }
}
