//! Which lane a URL belongs to.

use sha2::{Digest, Sha256};

use crate::TenantId;
use crate::target_url::TargetUrl;

/// Names a lane; the queue is indexed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub i64);

impl LaneId {
    /// The lane of `url` for this tenant: a hash, the same on every node.
    #[must_use]
    pub fn of(tenant_id: TenantId, url: &TargetUrl) -> Self {
        let digest = Sha256::new().chain_update(tenant_id.uuid()).chain_update(url.endpoint()).finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(i64::from_be_bytes(first))
    }
}
