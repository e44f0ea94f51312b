//! Places where a test can end the program, as a crash there would.
//!
//! A release build has none of them. In a build with debug assertions they do nothing until the process arms them, which
//! only the tests' own program does.

/// A place on the way of an event, named by what has just happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// Events are about to be committed.
    EventsWritten,
    /// Events are committed; nobody was answered.
    EventsCommitted,
    /// Outcomes are about to be committed.
    OutcomesWritten,
    /// Outcomes are committed; nobody was told.
    OutcomesCommitted,
    /// Claims are about to be committed.
    ClaimsWritten,
    /// Claims are committed; nothing was sent.
    ClaimsCommitted,
    /// A delivery is in the hands of whoever sends it.
    DeliveryClaimed,
    /// The name of an endpoint was resolved.
    NameResolved,
    /// The connection to an endpoint stands.
    Connected,
    /// The head of a response was read.
    HeadReceived,
    /// A response was read whole; its outcome is not recorded.
    ResponseReceived,
    /// The chunk of a fan-out is about to be committed.
    ChunkWritten,
    /// The chunk of a fan-out is committed; others follow.
    ChunkCommitted,
    /// The program was told to end, and claims nothing more.
    DrainBegun,
    /// What was in flight at the end is finished, or is to be given back.
    DrainWaited,
    /// Nothing is in flight any more; the store is not closed.
    DrainEnded,
}

impl FailPoint {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::EventsWritten,
        Self::EventsCommitted,
        Self::OutcomesWritten,
        Self::OutcomesCommitted,
        Self::ClaimsWritten,
        Self::ClaimsCommitted,
        Self::DeliveryClaimed,
        Self::NameResolved,
        Self::Connected,
        Self::HeadReceived,
        Self::ResponseReceived,
        Self::ChunkWritten,
        Self::ChunkCommitted,
        Self::DrainBegun,
        Self::DrainWaited,
        Self::DrainEnded,
    ];
}

#[cfg(not(debug_assertions))]
impl FailPoint {
    /// Nothing: a release build has no fail points.
    #[inline]
    pub const fn pass(self) {}

    /// Nothing: a release build has no fail points.
    #[inline]
    pub const fn send(_payload: &str) {}
}

#[cfg(debug_assertions)]
pub use armed::{arm, arm_payloads};

#[cfg(debug_assertions)]
mod armed {
    use std::process::abort;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::FailPoint;

    struct Armed {
        point: FailPoint,
        /// How often it is still passed unharmed.
        left: AtomicU32,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();
    static PAYLOADS: AtomicBool = AtomicBool::new(false);

    /// Lets the process abort when it has passed `point` `times` times. Only the first call counts.
    pub fn arm(point: FailPoint, times: u32) {
        ARMED.get_or_init(|| Armed { point, left: AtomicU32::new(times) });
    }

    /// Lets payloads end what sends them: see [`FailPoint::send`].
    pub fn arm_payloads() {
        PAYLOADS.store(true, Ordering::Relaxed);
    }

    impl FailPoint {
        /// Aborts the process if it was armed here and has passed often enough.
        pub fn pass(self) {
            let Some(armed) = ARMED.get().filter(|armed| armed.point == self) else { return };
            if armed.left.fetch_sub(1, Ordering::Relaxed) <= 1 {
                abort();
            }
        }

        /// In a process whose payloads are armed: panics over one that says `"fail_point":"panic"`, and aborts over one
        /// that says `"fail_point":"abort"`.
        ///
        /// # Panics
        /// As said.
        pub fn send(payload: &str) {
            if !PAYLOADS.load(Ordering::Relaxed) {
                return;
            }
            assert!(!payload.contains(r#""fail_point":"panic""#), "a payload that panics");
            if payload.contains(r#""fail_point":"abort""#) {
                abort();
            }
        }
    }
}
