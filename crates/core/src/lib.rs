//! Postrider's vocabulary and decisions.
//!
//! Everything here is pure: no runtime, no database, no HTTP client. Time and chance come in as
//! arguments ([`World`]), so that every rule can be tested by a table or a property.

pub mod address;
pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod callback;
pub mod catalogue;
pub mod cursor;
pub mod delivery;
pub mod event;
pub mod event_type;
pub mod explain;
pub mod fail_point;
pub mod failing;
pub mod filter;
pub mod headers;
pub mod id;
pub mod inspection;
pub mod json;
pub mod lanes;
pub mod lifecycle;
pub mod notice;
pub mod password;
pub mod profile;
pub mod redaction;
pub mod replay;
pub mod role;
pub mod schedule;
pub mod secret;
pub mod signature;
pub mod spelling;
pub mod standing;
pub mod subscription;
pub mod tally;
pub mod target;
pub mod target_url;
pub mod tenant;
pub mod test_send;
pub mod time;
pub mod trace_context;
pub mod user;
pub mod vault;
pub mod world;

pub use id::{
    ApiKeyId, AuditId, CallbackId, DeliveryId, EventId, LogId, PortalLinkId, ReplayId, SubscriptionId, TenantId, UserId,
};
pub use time::{Clock, Timestamp};
pub use world::World;
