//! The private cluster with real processes, which are killed, left behind and adopted.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::super::testing::{HINT, open_folder, text};
use super::super::{Store, StoreSettings, StoreTarget};
use super::*;

/// A folder for a cluster; whatever runs in it at the end of the test is ended.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: open_folder() }
    }

    fn settings(&self) -> EmbeddedSettings {
        EmbeddedSettings::new(self.folder.path().join("pg"))
    }

    fn start(&self) -> EmbeddedCluster {
        start_or_join(self.settings()).expect(HINT).1.expect("the cluster should be this process's")
    }

    fn open(&self, if_running: IfRunning) -> Result<Store, StoreError> {
        let embedded = EmbeddedSettings { if_running, ..self.settings() };
        Store::connect_blocking(StoreSettings::new(StoreTarget::Embedded(embedded)))
    }

    fn folders(&self) -> Folders {
        Folders::prepare(&self.settings().directory).unwrap()
    }

    fn signal(&self, pid: u32, name: &str) {
        let programs = Programs::find(&self.settings(), None).expect(HINT);
        postmaster::signal(pid, name, &self.folders(), &programs);
    }

    /// Every process that works in the cluster's folder, PostgreSQL's children included.
    fn processes(&self) -> Vec<u32> {
        let data = self.folders().data();
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|folder| folder == data))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (folders, programs) = (self.folders(), Programs::find(&self.settings(), None).expect(HINT));
        if let Some(mut left) = postmaster::find(&folders) {
            left.end(&folders, &programs, Duration::from_secs(3));
        }
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_store_starts_its_cluster_and_leaves_no_process() {
    let place = Place::new();
    let store = place.open(IfRunning::Refuse).expect(HINT);
    let status = store.embedded_status().unwrap();
    assert_eq!((status.restarts, status.adopted), (0, false));
    assert!(place.processes().len() > 3);
    let mode = std::fs::metadata(place.folders().socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "only the account reaches the socket");
    assert_eq!(text(&store, "show listen_addresses"), "");
    assert_eq!(text(&store, "show fsync"), "on");

    // A statement that would take a minute does not hold up the end.
    let busy = store.clone();
    let sleeper = std::thread::spawn(move || {
        busy.wait(busy.run(|client| async move { Ok(client.batch_execute("select pg_sleep(60)").await?) }))
    });
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    store.wait(store.close());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(place.processes(), [0_u32; 0]);
    assert!(sleeper.join().unwrap().unwrap_err().is_transient());
    assert_eq!(store.embedded_status(), None);
}

#[test]
fn a_killed_postgres_comes_back_by_itself_with_its_rows() {
    let place = Place::new();
    let store = place.open(IfRunning::Refuse).expect(HINT);
    text(&store, "create table kept as select 42 as answer");
    let pid = store.embedded_status().unwrap().pid.unwrap();
    place.signal(pid, "KILL");
    eventually("the restart is counted", || store.embedded_status().unwrap().restarts == 1);
    eventually("queries succeed again", || store.wait(store.ping()).is_ok());
    assert_eq!(text(&store, "select answer from kept"), "42");
    assert_ne!(store.embedded_status().unwrap().pid, Some(pid));
}

#[test]
fn the_next_owner_adopts_what_a_killed_one_left_and_watches_over_it() {
    let place = Place::new();
    let first = place.start();
    let pid = first.status().pid.unwrap();
    first.abandon();
    assert!(postmaster::runs_cluster(pid, &place.folders().data()), "PostgreSQL outlives its owner");

    let second = place.start();
    assert_eq!((second.status().pid, second.status().adopted), (Some(pid), true));
    place.signal(pid, "KILL");
    eventually("an adopted one is restarted too", || second.status().restarts == 1);
    eventually("it comes up", || second.status().pid.is_some_and(|new| new != pid));
    drop(second);
    assert_eq!(place.processes(), [0_u32; 0]);
}

#[test]
fn a_folder_has_one_owner_and_may_have_guests() {
    let place = Place::new();
    let owner = place.open(IfRunning::Refuse).expect(HINT);
    let refused = place.open(IfRunning::Refuse).unwrap_err();
    assert!(matches!(refused, StoreError::DataDirectory { .. }), "{refused}");
    assert!(refused.to_string().contains("another running Kinora"), "{refused}");
    let guest = place.open(IfRunning::Join).unwrap();
    assert_eq!(guest.embedded_status(), None);
    drop(guest);
    owner.wait(owner.ping()).expect("a guest's end is not the cluster's");
}

#[test]
fn what_an_interrupted_start_left_is_no_obstacle() {
    let place = Place::new();
    let folders = place.folders();
    let half = folders.base().join("data.new-1-1");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    drop(place.start());
    assert!(!half.exists());
    // A process id that now belongs to somebody else, as after a container's restart.
    let stale =
        format!("{}\n{}\n1\n5432\n/run\n\n 1 1\nready\n", std::process::id(), folders.data().display());
    std::fs::write(folders.data().join("postmaster.pid"), stale).unwrap();
    assert!(!place.start().status().adopted);
}

#[test]
fn missing_programs_are_named_with_where_they_were_looked_for() {
    let place = Place::new();
    let nowhere = place.folder.path().join("nowhere");
    let settings = EmbeddedSettings { bin_dir: Some(nowhere.clone()), ..place.settings() };
    let error = start_or_join(settings).err().unwrap();
    assert!(
        matches!(&error, StoreError::ProgramsMissing { looked_in } if *looked_in == [nowhere]),
        "{error}"
    );
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_used_is_named_with_the_reason() {
    let folder = open_folder();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let below_a_file = EmbeddedSettings::new(folder.path().join("file/pg"));
    let strange = folder.path().join("pg");
    Folders::prepare(&strange).unwrap();
    std::fs::create_dir(strange.join("data")).unwrap();
    for settings in [below_a_file, EmbeddedSettings::new(strange)] {
        let error = start_or_join(settings).err().unwrap();
        assert!(matches!(error, StoreError::DataDirectory { .. }), "{error}");
    }
}

#[test]
fn a_link_in_place_of_a_folder_is_refused() {
    let folder = open_folder();
    std::os::unix::fs::symlink("/tmp", folder.path().join("pg")).unwrap();
    let error = Folders::prepare(&folder.path().join("pg")).err().unwrap();
    assert!(error.to_string().contains("not a folder"), "{error}");
    assert!(Path::new("/tmp").metadata().unwrap().permissions().mode() & 0o777 == 0o777, "it was left alone");
}

#[test]
fn a_start_that_fails_tells_in_postgresqls_words() {
    let place = Place::new();
    drop(place.start());
    let data = place.folders().data();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o777)).unwrap();
    let settings = EmbeddedSettings { start_timeout: Duration::from_secs(3), ..place.settings() };
    let error = start_or_join(settings).err().unwrap();
    assert!(error.to_string().contains("invalid permissions"), "{error}");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    drop(place.start());
}
