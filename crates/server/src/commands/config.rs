//! `postrider config`.

use crate::cli::{ConfigArgs, ConfigCommand};
use crate::config::{example_file, reference_page};

pub(crate) fn run(args: &ConfigArgs) {
    let text = match args.command {
        ConfigCommand::Example => example_file(),
        ConfigCommand::Reference => reference_page(),
    };
    say!("{}", text.trim_end());
}
