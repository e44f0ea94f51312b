//! Load on one side, a receiver that counts on the other, and what lies between them measured: every event
//! carries a number and the time it was sent at, so that the receiver alone knows what was lost, what
//! came twice and how long it took.

pub mod hostile;
pub mod latency;
pub mod load;
pub mod sink;
pub mod stamp;
