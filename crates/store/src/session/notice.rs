//! What processes tell each other.

use postrider_core::lanes::LaneId;
use serde::{Deserialize, Serialize};

/// PostgreSQL takes less than 8,000 bytes; a lane takes up to 21.
const LANES_OF_ONE: usize = 350;

/// Lanes with something due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Who says so.
    pub(super) node: i64,
    pub(super) lanes: Vec<LaneId>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    node: i64,
    lanes: Vec<i64>,
}

impl Notice {
    /// As payloads of notifications.
    pub(super) fn written(&self) -> impl Iterator<Item = String> {
        self.lanes.chunks(LANES_OF_ONE).filter_map(|lanes| {
            let wire = Wire { node: self.node, lanes: lanes.iter().map(|lane| lane.0).collect() };
            serde_json::to_string(&wire).ok()
        })
    }

    /// `None` if it was written by a version that says other things.
    pub(super) fn read(payload: &str) -> Option<Self> {
        let Wire { node, lanes } = serde_json::from_str(payload).ok()?;
        Some(Self { node, lanes: lanes.into_iter().map(LaneId).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_arrives_in_parts_that_fit() {
        let lanes: Vec<LaneId> = (0..1000).map(|n| LaneId(i64::MIN + n)).collect();
        let notice = Notice { node: i64::MAX, lanes: lanes.clone() };
        let parts: Vec<String> = notice.written().collect();
        assert!(parts.iter().all(|part| part.len() < 8000), "{:?}", parts.iter().map(String::len).max());
        let read: Vec<LaneId> = parts.iter().flat_map(|part| Notice::read(part).expect("readable").lanes).collect();
        assert_eq!(read, lanes);
    }

    #[test]
    fn what_others_say_is_no_error() {
        assert_eq!(Notice::read("hello"), None);
    }
}
