//! Receivers that send informational answers (1xx, RFC 9110, section 15.2) and never get further.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Request;
use tokio::sync::Notify;

/// Most of them before the answer itself.
const MOST: u32 = 16;

/// Counts those that come for one request.
#[derive(Debug, Default)]
pub(crate) struct Informational {
    count: AtomicU32,
    too_many: Notify,
}

impl Informational {
    /// Counts from now on.
    pub(crate) fn count<B>(request: &mut Request<B>) -> Arc<Self> {
        let counted = Arc::new(Self::default());
        let counting = Arc::clone(&counted);
        hyper::ext::on_informational(request, move |_| {
            if counting.count.fetch_add(1, Ordering::Relaxed) >= MOST {
                counting.too_many.notify_one();
            }
        });
        counted
    }

    /// Ends when there were too many.
    pub(crate) async fn too_many(&self) {
        self.too_many.notified().await;
    }
}
