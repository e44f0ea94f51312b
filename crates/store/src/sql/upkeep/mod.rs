//! Work in the background on many rows.

mod paged;

pub(crate) use paged::{Pages, Work};
pub(super) use paged::{PassedOver, fitting};
