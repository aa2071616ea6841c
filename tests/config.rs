//! `kinora config`: every error at once, the shipped file, layers.

use crate::support::{kinora, root, scratch_file, text};

#[test]
fn an_unknown_key_and_five_wrong_values_are_told_at_once() {
    let file = scratch_file("wrong.toml");
    std::fs::write(
        &file,
        "[models]\ndirectory = \"\"\n[analysis]\ntracking = \"perhaps\"\nevery_nth = 0\n\
         [decoder]\nthreads = \"many\"\nopen_timeout = \"ten\"\nframes_ahaed = 4\n",
    )
    .unwrap();
    for command in [&["config", "check"][..], &["analyze", "none.mp4"][..]] {
        let run = kinora(&[command, &["--config", text(&file)]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (64, ""), "{}", run.stderr);
        for words in [
            "6 configuration errors",
            "models.directory",
            "analysis.tracking",
            "one of on, off",
            "analysis.every_nth",
            "from 1 to 10000",
            "decoder.threads",
            "decoder.open_timeout",
            "such as 500ms",
            "did you mean decoder.frames_ahead?",
        ] {
            assert!(run.stderr.contains(words), "{words} should be in: {}", run.stderr);
        }
    }
}

#[test]
fn the_shipped_file_is_what_the_binary_prints() {
    let shipped = std::fs::read_to_string(root().join("config.toml")).unwrap();
    assert_eq!(kinora(&["config", "defaults"]).stdout, shipped);
    assert_eq!(kinora(&["config", "check"]).code, 0);
}

#[test]
fn a_file_that_is_named_and_missing_or_broken_is_an_error() {
    let missing = kinora(&["config", "check", "--config", "no-such.toml"]);
    assert_eq!(missing.code, 64);
    assert!(missing.stderr.contains("no-such.toml"), "{}", missing.stderr);
    let file = scratch_file("broken.toml");
    std::fs::write(&file, "[decoder\nthreads = 1\n").unwrap();
    let broken = kinora(&["config", "check", "--config", text(&file)]);
    assert_eq!(broken.code, 64);
    assert!(broken.stderr.contains("broken.toml:1:"), "{}", broken.stderr);
}
