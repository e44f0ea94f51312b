//! What takes minutes, or promises a time that a busy machine may miss: `make test-long` runs it, `make test` does not. Most
//! of it has a short form, without the times, in `e2e/`.

mod faults;
mod hostile;
mod nodes;
mod openapi;
mod passwords;
mod real_time;
mod trouble;
