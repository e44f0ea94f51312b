//! The `postrider` program: command line, configuration, wiring, lifecycle, telemetry.
//!
//! A library, so that tests can run the whole program under a clock of their own.

#[macro_use]
mod say;

mod cli;
mod clock;
mod commands;
mod config;
mod demo;
mod hidden;
mod metrics;
mod node;
mod profiles;
mod telemetry;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use postrider_core::World;
use postrider_core::world::SystemRandom;

use cli::{Cli, Command};
pub use clock::SystemClock;
pub use config::{ConfigError, Settings};
pub use node::{Node, NodeOptions, StartError};

/// Runs the program as its command line says: 0 done, 1 failed, 2 wrong usage.
#[must_use]
pub fn run() -> ExitCode {
    run_in(World::new(Arc::new(SystemClock::start()), Arc::new(SystemRandom)))
}

/// Runs the program in a world of the caller's.
#[must_use]
pub fn run_in(world: World) -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => commands::serve::run(options, world).await,
            Command::Demo => demo::run(world).await,
            Command::Migrate(options) => commands::migrate::run(options, world).await,
            Command::Openapi => {
                say!("{}", postrider_api::openapi_json().trim_end());
                Ok(())
            }
            Command::Config(args) => {
                commands::config::run(&args);
                Ok(())
            }
            Command::Backup(args) => commands::backup::run(args).await,
            Command::Move(args) => commands::move_database::run(args).await,
            Command::RotateMasterKey(args) => commands::rotate_master_key::run(args, world).await,
            Command::Listen(args) => commands::listen::run(args, world).await,
            Command::Verify(args) => commands::verify::run(args, &world),
            Command::Trigger(args) => commands::trigger::run(args, world).await,
            Command::Bench(args) => commands::bench::run(args).await,
            Command::Keys(keys) => commands::keys::run(keys, world).await,
            Command::Users(users) => commands::users::run(users, world).await,
        }
    });
    // What still sleeps in the background holds nothing that matters.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => failed(&message),
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("postrider: {message}");
    ExitCode::FAILURE
}
