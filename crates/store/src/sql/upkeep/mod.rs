//! Work in the background on many rows.

mod paged;

pub(super) use paged::{Pages, PassedOver, Work, fitting};
