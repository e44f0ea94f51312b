//! Measures the release binary on this machine, and shows the figures beside their targets.

mod ceiling;
mod charts;
mod figures;
mod installation;
mod process;
mod publisher;
mod scenarios;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use postrider_bench::hostile::{Hostile, Kind};
use postrider_bench::sink::Sink;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures everything and prints the table.
    Run(RunArguments),
    /// A receiver that counts.
    Sink {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
    },
    /// A receiver that means ill.
    Hostile {
        /// In which way.
        #[arg(long)]
        kind: String,
    },
    /// What a bare client reaches: signs and posts, and keeps nothing.
    Ceiling(ceiling::CeilingArguments),
}

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct RunArguments {
    /// The release binary.
    #[arg(long)]
    binary: PathBuf,
    /// A PostgreSQL for databases of its own, without a database in the URL.
    #[arg(long)]
    postgres: Option<String>,
    /// Its first process, whose processor time is to be known.
    #[arg(long)]
    postgres_pid: Option<u32>,
    /// Where figures and charts go.
    #[arg(long)]
    out: PathBuf,
    /// How often each figure is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The states that take long to make too: a million pending, ten million finished.
    #[arg(long)]
    full: bool,
    /// Only scenarios whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let runtime = |threads: usize| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime")
    };
    let done = match Arguments::parse().command {
        Command::Run(arguments) => runtime(2).block_on(scenarios::run(&arguments)),
        Command::Sink { listen } => runtime(1).block_on(serve_sink(&listen)),
        Command::Hostile { kind } => runtime(1).block_on(serve_hostile(&kind)),
        Command::Ceiling(arguments) => runtime(2).block_on(ceiling::run(&arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_sink(listen: &str) -> Result<(), String> {
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("http://{address}");
    Sink::default().serve(listener).await.map_err(|error| error.to_string())
}

async fn serve_hostile(kind: &str) -> Result<(), String> {
    let kind = Kind::named(kind).ok_or_else(|| format!("there is no kind {kind:?}"))?;
    let hostile = Hostile::start(kind.ill).await;
    println!("http://{}", hostile.address());
    std::future::pending().await
}
