//! A wall clock of a process' own, which can be set while it runs.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Says real time, and so many seconds more; its file is removed when dropped.
pub struct WallClock {
    folder: TempDir,
}

impl WallClock {
    /// One that is right.
    ///
    /// # Panics
    /// If there is no temporary folder.
    #[must_use]
    pub fn right() -> Self {
        let clock = Self { folder: TempDir::new().expect("a temporary folder") };
        clock.set(0);
        clock
    }

    /// Sets it so many seconds ahead of real time, or behind. Processes under it read it each second.
    ///
    /// # Panics
    /// If its file cannot be written.
    pub fn set(&self, ahead: i64) {
        // Put in place whole: a process may read it at any moment.
        let next = self.folder.path().join("next");
        std::fs::write(&next, format!("{ahead:+}")).expect("it can be written");
        std::fs::rename(&next, self.file()).expect("it can be set");
    }

    /// What runs a program under it. Monotonic time stays as it is.
    ///
    /// # Panics
    /// If the library is not installed.
    #[must_use]
    pub fn under(&self) -> Vec<String> {
        let library = library().expect("libfaketime is not there: run `make test-setup`");
        let settings = [
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.file().display()),
            "FAKETIME_CACHE_DURATION=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        ["env".to_owned()].into_iter().chain(settings).collect()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }
}

fn library() -> Option<PathBuf> {
    let of_machine = Path::new("/usr/lib").read_dir().ok()?.flatten().map(|folder| folder.path());
    of_machine.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}
