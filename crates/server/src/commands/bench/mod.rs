//! `postrider bench`: publishes to an installation, receives from it, and says what came of it.

mod installation;
mod show;

use std::time::Duration;

use postrider_bench::load::{Load, Sent, run as publish_all};
use postrider_bench::sink::{Sink, Stats};
use postrider_bench::stamp;
use tokio::net::TcpListener;

use super::Signals;
use crate::cli::BenchArgs;
use installation::Installation;
use show::show;

/// How long nothing new may come before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long cleaning up may take.
const CLEAN_UP: Duration = Duration::from_secs(10);
/// After the last, for what comes twice.
const SETTLE: Duration = Duration::from_millis(500);
/// Least connections of an open loop.
const CONNECTIONS: usize = 200;

pub(crate) async fn run(args: BenchArgs) -> Result<(), String> {
    let key = args.key();
    let (sink, receiver) = receive(&args).await?;
    let installation = Installation::new(&args.url, key, format!("bench.{:x}", stamp::now()))?;
    let mut signals = Signals::listen_at_terminal()?;
    let measured = tokio::select! {
        measured = measure(&args, &installation, &sink, &receiver) => measured,
        () = signals.next() => Err("stopped".to_owned()),
    };
    let trouble = match &measured {
        Ok((sent, stats)) if stats.unique < sent.accepted => installation.trouble().await,
        _ => None,
    };
    let cleaned_up = tokio::select! {
        cleaned_up = tokio::time::timeout(CLEAN_UP, installation.clean_up()) => {
            cleaned_up.unwrap_or_else(|_| Err("no answer while deleting what this run made".to_owned()))
        }
        () = signals.next() => Err("stopped before all was deleted that this run made".to_owned()),
    };
    let measured = measured.and_then(|(sent, stats)| {
        show(&sent, &stats, args.rate.map(f64::from), args.json);
        verdict(&sent, &stats, trouble.as_deref())
    });
    match (measured, cleaned_up) {
        (Err(error), Err(left)) => Err(format!("{error}; {left}")),
        (Err(error), Ok(())) | (Ok(()), Err(error)) => Err(error),
        (Ok(()), Ok(())) => Ok(()),
    }
}

/// Begins to receive. The sink, and where the installation finds it.
async fn receive(args: &BenchArgs) -> Result<(Sink, String), String> {
    if args.receiver_url.is_none() && args.listen.ip().is_unspecified() {
        return Err(format!("--receiver-url: say where the installation reaches what listens on {}", args.listen));
    }
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let sink = Sink::default();
    tokio::spawn(sink.clone().serve(listener));
    Ok((sink, args.receiver_url.clone().unwrap_or_else(|| format!("http://{address}/bench"))))
}

async fn measure(
    args: &BenchArgs,
    installation: &Installation,
    sink: &Sink,
    receiver: &str,
) -> Result<(Sent, Stats), String> {
    installation.subscribe(receiver).await?;
    let concurrency = if args.rate.is_some() { args.concurrency.max(CONNECTIONS) } else { args.concurrency };
    let load = Load { events: args.events, concurrency, rate: args.rate.map(f64::from), batch: args.batch, first: 0 };
    let sent = publish_all(load, || installation.publisher(args.batch > 1)).await;
    if sent.accepted == 0 {
        let reasons: Vec<&str> = sent.refused.keys().map(String::as_str).collect();
        return Err(format!("nothing was accepted: {}", reasons.join("; ")));
    }
    wait_for(sink, sent.accepted).await;
    Ok((sent, sink.stats("/bench")))
}

/// Waits until all came, or nothing comes any more.
async fn wait_for(sink: &Sink, count: u64) {
    let (mut seen, mut quiet) = (0, Duration::ZERO);
    let step = Duration::from_millis(50);
    while seen < count && quiet < PATIENCE {
        tokio::time::sleep(step).await;
        let now = sink.stats("/bench").unique;
        quiet = if now == seen { quiet + step } else { Duration::ZERO };
        seen = now;
    }
    tokio::time::sleep(SETTLE).await;
}

/// Whether every call was accepted and every event came once.
fn verdict(sent: &Sent, stats: &Stats, trouble: Option<&str>) -> Result<(), String> {
    if stats.unique < sent.accepted {
        let missing = sent.accepted - stats.unique;
        let trouble =
            trouble.map_or_else(String::new, |message| format!("; the last attempt of one of them: {message}"));
        return Err(format!("{missing} events did not arrive at /bench of the receiver{trouble}"));
    }
    if stats.doubled > 0 {
        return Err(format!("{} events came more than once", stats.doubled));
    }
    if sent.refused.is_empty() { Ok(()) } else { Err("some calls were refused".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(unique: u64, doubled: u64) -> Result<(), String> {
        let sent = Sent { accepted: 3, ..Sent::default() };
        verdict(&sent, &Stats { unique, doubled, ..Stats::default() }, Some("Connection refused"))
    }

    #[test]
    fn what_did_not_come_or_came_twice_is_told() {
        assert_eq!(came(3, 0), Ok(()));
        let missing =
            "1 events did not arrive at /bench of the receiver; the last attempt of one of them: Connection refused";
        assert_eq!(came(2, 0), Err(missing.to_owned()));
        assert_eq!(came(3, 1), Err("1 events came more than once".to_owned()));
        let refused = [("503".to_owned(), 1)].into();
        let sent = Sent { accepted: 3, refused, ..Sent::default() };
        assert!(verdict(&sent, &Stats { unique: 3, ..Stats::default() }, None).is_err());
    }
}
