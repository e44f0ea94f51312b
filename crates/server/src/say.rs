//! Printing for people and pipes.

use std::fmt::Arguments;
use std::io::Write;

/// Prints a line, as `println!` does; but a reader who has seen enough is no reason to panic.
macro_rules! say {
    () => { $crate::say::line(format_args!("")) };
    ($($arguments:tt)+) => { $crate::say::line(format_args!($($arguments)+)) };
}

pub(crate) fn line(line: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
