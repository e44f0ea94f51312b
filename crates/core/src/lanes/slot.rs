//! The right to send.

use std::fmt;

use super::{Heard, LaneId, Lanes};

/// The right to have one request in flight. The lane's share is given back when its end is heard of, the
/// process's share when this is dropped: what came of the request is held until it is recorded.
pub struct Slot {
    pub(super) lanes: Lanes,
    pub(super) id: LaneId,
    pub(super) bytes: usize,
    pub(super) is_probe: bool,
    /// Whether the lane's share is still held.
    pub(super) in_lane: bool,
}

impl Slot {
    /// Says how many bytes of payload are held under it.
    #[must_use]
    pub fn holding(mut self, bytes: usize) -> Self {
        let mut state = self.lanes.0.lock();
        state.bytes = state.bytes - self.bytes + bytes;
        drop(state);
        self.bytes = bytes;
        self
    }

    /// Whether it is to find out if a dead endpoint lives again.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Says what came of the request.
    pub fn heard(&mut self, heard: Heard) {
        self.lanes.clone().leave_lane(self, Some(heard));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let lanes = self.lanes.clone();
        lanes.leave_lane(self, None);
        lanes.leave_process(self);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.id.0)
    }
}
