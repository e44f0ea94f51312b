//! A disk that fills up.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// A disk of a few megabytes in a folder; only root can have one.
pub struct SmallDisk(String);

impl SmallDisk {
    /// Mounts one on `folder`; `None` without the right to.
    pub async fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        let folder = folder.display().to_string();
        let size = format!("size={megabytes}m");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &folder]).await.then_some(Self(folder))
    }

    /// Makes it larger.
    ///
    /// # Panics
    /// If it cannot be.
    pub async fn resize(&self, megabytes: u32) {
        assert!(run("mount", &["-o", &format!("remount,size={megabytes}m"), &self.0]).await);
    }

    /// Fills what room it has with a file of its own.
    pub async fn fill_up(&self) {
        let file = format!("of={}/filling", self.0);
        // It ends with a failure: that the disk is full.
        run("dd", &["if=/dev/zero", &file, "bs=64k", "oflag=append", "conv=notrunc"]).await;
    }

    /// Lets go of it.
    ///
    /// # Panics
    /// If it cannot be let go of.
    pub async fn unmount(self) {
        assert!(run("umount", &["--lazy", &self.0]).await);
    }
}

async fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}
