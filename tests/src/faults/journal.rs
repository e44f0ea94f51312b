//! Lines that are on disk before anybody hears of them.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use tokio::sync::{mpsc, oneshot};

type Line = (String, oneshot::Sender<()>);

/// A file that lines are added to. Those that come together share a sync.
#[derive(Clone)]
pub(super) struct Journal(mpsc::UnboundedSender<Line>);

impl Journal {
    /// Begins a new file.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub(super) fn create(path: &Path) -> Self {
        let file = File::create(path).expect("a journal");
        let (lines, written) = mpsc::unbounded_channel();
        std::thread::spawn(move || write_all(file, written));
        Self(lines)
    }

    /// Adds a line, and returns when it is on disk.
    ///
    /// # Panics
    /// If it cannot be written: what is promised without a journal proves nothing.
    pub(super) async fn write(&self, line: String) {
        let (done, written) = oneshot::channel();
        self.0.send((line, done)).expect("the journal is open");
        written.await.expect("the line is on disk");
    }
}

fn write_all(mut file: File, mut lines: mpsc::UnboundedReceiver<Line>) {
    while let Some(first) = lines.blocking_recv() {
        let mut together = vec![first];
        while let Ok(more) = lines.try_recv() {
            together.push(more);
        }
        let text: String = together.iter().flat_map(|(line, _)| [line, "\n"]).collect();
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).expect("a disk with room");
        together.into_iter().for_each(|(_, done)| {
            // Who no longer waits does not promise it either.
            let _ = done.send(());
        });
    }
}
