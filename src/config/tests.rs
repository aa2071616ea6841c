//! Layers, errors, and that the shipped file equals the defaults.

use super::*;

pub(super) fn with_overrides(overrides: &[&str]) -> Result<Settings, ConfigErrors> {
    in_environment("local", overrides)
}

pub(super) fn in_environment(name: &str, overrides: &[&str]) -> Result<Settings, ConfigErrors> {
    let overrides = overrides.iter().map(ToString::to_string).collect();
    load(&Sources { file: None, environment: vec![("KINORA_ENVIRONMENT".into(), name.into())], overrides })
}

#[test]
fn the_shipped_file_equals_the_defaults() {
    assert_eq!(
        shipped_file(),
        include_str!("../../config.toml"),
        "`kinora config defaults > config.toml` writes it"
    );
}

#[test]
fn the_shipped_file_parses_to_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, shipped_file()).unwrap();
    let shipped =
        load(&Sources { file: Some(file), environment: Vec::new(), overrides: Vec::new() }).unwrap();
    assert_eq!(shipped.revision, with_overrides(&[]).unwrap().revision);
}

#[test]
fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[analysis]\nevery_nth = 2\nmax_fps = 20\n[decoder]\nthreads = 2\n").unwrap();
    std::fs::write(folder.path().join("config.staging.toml"), "[analysis]\nmax_fps = 30\n").unwrap();
    let sources = Sources {
        file: Some(file),
        environment: vec![
            ("KINORA_ENVIRONMENT".into(), "staging".into()),
            ("KINORA__DECODER__THREADS".into(), "3".into()),
        ],
        overrides: vec!["decoder.frames_ahead=7".into()],
    };
    let settings = load(&sources).unwrap();
    assert_eq!(settings.analysis.every_nth.get(), 2);
    assert_eq!(settings.analysis.max_fps.unwrap().get(), 30);
    assert_eq!(settings.decoder.threads, Some(3));
    assert_eq!(settings.decoder.frames_ahead, 7);
}

#[test]
fn all_errors_are_told_at_once_and_each_names_its_key() {
    let errors = with_overrides(&[
        "decoder.threads=-1",
        "decoder.open_timeout=soon",
        "analysis.tracking=maybe",
        "analysis.evry_nth=1",
        "nonsense",
    ])
    .unwrap_err();
    assert_eq!(errors.0.len(), 5, "{errors}");
    let text = errors.to_string();
    for word in
        ["decoder.threads", "decoder.open_timeout", "analysis.tracking", "analysis.every_nth", "nonsense"]
    {
        assert!(text.contains(word), "{text}");
    }
}

fn with_file(text: &str) -> Result<Settings, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    load(&Sources { file: Some(file), environment: Vec::new(), overrides: Vec::new() })
}

#[test]
fn streams_have_their_own_keys_and_defaults() {
    let settings = with_file("[[streams]]\nname = \"door\"\nsource = \"a.mp4\"\nloop = true\n").unwrap();
    let [stream] = &settings.streams[..] else { panic!("one stream should be read") };
    assert_eq!((stream.name.as_str(), stream.repeat, stream.enabled), ("door", true, true));
}

#[test]
fn wrong_streams_are_told_with_their_place() {
    let door = "[[streams]]\nname = \"door\"\nsource = \"a.mp4\"\n";
    let errors = with_file(&format!("{door}{door}colour = 1\n[[streams]]\nname = \"a b\"\n")).unwrap_err();
    let text = errors.to_string();
    for words in ["streams[1].name", "already", "streams[1].colour", "streams[2].name", "streams[2].source"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert_eq!(errors.0.len(), 4, "{text}");
}

#[test]
fn several_servers_need_a_database_that_all_reach() {
    let errors = with_overrides(&["cluster.servers=several"]).unwrap_err();
    assert!(errors.to_string().contains("cluster.servers: several servers need a database.url"), "{errors}");
    let shared = ["cluster.servers=several", "database.url=postgres://kinora@db/kinora"];
    let settings = with_overrides(&shared).unwrap();
    assert_eq!((settings.cluster.several, settings.cluster.lease.as_secs()), (true, 6));
}

#[test]
fn a_variable_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStringExt;
    let broken = std::ffi::OsString::from_vec(vec![0xFF]);
    let environment = vec![("KINORA__ANALYSIS__TRACKING".into(), broken)];
    let errors = load(&Sources { environment, ..Sources::default() }).unwrap_err();
    assert!(errors.to_string().contains("analysis.tracking") && errors.to_string().contains("UTF-8"));
}

#[test]
fn the_revision_changes_with_a_value_and_only_then() {
    let default = with_overrides(&[]).unwrap().revision;
    assert_eq!(with_overrides(&["analysis.every_nth=1"]).unwrap().revision, default);
    assert_ne!(with_overrides(&["analysis.every_nth=2"]).unwrap().revision, default);
}

#[test]
fn a_stream_has_what_is_said_for_all_unless_it_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let streams = "[[streams]]\nname = \"usual\"\nsource = \"a.mp4\"\n\
                   [[streams]]\nname = \"other\"\nsource = \"b.mp4\"\nmax_fps = 0\ntracking = \"on\"\n";
    std::fs::write(&file, format!("{streams}[analysis]\nmax_fps = 5\nsampling = \"antialiased\"\n")).unwrap();
    let sources = Sources {
        file: Some(file.clone()),
        overrides: vec!["analysis.tracking=off".into()],
        ..Sources::default()
    };
    let settings = load(&sources).unwrap();
    let told = |index: usize| {
        let Analysis { tracking, max_fps, sampling, .. } = settings.streams[index].analysis;
        (tracking, max_fps.map(NonZeroU32::get), sampling)
    };
    assert_eq!(told(0), (false, Some(5), Sampling::Antialiased));
    assert_eq!(told(1), (true, None, Sampling::Antialiased));
    let revision = |index: usize| settings.streams[index].revision(&settings.revision);
    assert_ne!(revision(0), revision(1), "sessions tell that they come from different settings");
    assert_eq!((settings.files, settings.environment.as_str()), (vec![file], "local"));
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place_and_without_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    for (text, place) in [
        (
            "[log]\nlevel = \"info\"\n[database]\nurl = \"postgres://kinora:s3cret@db/kinora\n",
            "config.toml:4:",
        ),
        ("[auth.oidc]\nclient_secret = 53535353535353\n", "auth.oidc.client_secret"),
        ("[[streams]]\nname = \"door\"\nsource = [\"rtsp://viewer:s3cret@camera/\"]\n", "streams[0].source"),
    ] {
        std::fs::write(&file, text).unwrap();
        let errors =
            load(&Sources { file: Some(file.clone()), ..Sources::default() }).unwrap_err().to_string();
        assert!(errors.contains(place), "{errors}");
        assert!(!errors.contains("s3cret") && !errors.contains("53535353535353"), "{errors}");
    }
}
