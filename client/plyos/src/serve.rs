//! `plyos serve`: the registry and its catalogs in one process.

use crate::cli::Serve;
use plyos_registry::Config;
use plyos_report::{ExitCode, Failure, OrFail, Verbosity};
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or SIGINT, then lets what is under way finish.
pub async fn run(args: &Serve, verbosity: Verbosity) -> Result<(), Failure> {
    log_to_stderr(verbosity);
    let mut terminate =
        signal(SignalKind::terminate()).or_fail(ExitCode::Failure, "listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).or_fail(ExitCode::Failure, "listening for SIGINT")?;
    let listener = tokio::net::TcpListener::bind(args.listen).await.or_fail(
        ExitCode::Network,
        format_args!("listening on {}; is another server running there?", args.listen),
    )?;
    let address = listener.local_addr().or_fail(ExitCode::Network, "asking for the address")?;
    let mut config = Config::new(&args.storage);
    config.anonymous_push = args.anonymous_push;
    eprintln!("listening on http://{address}");
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("stopping");
    };
    plyos_registry::serve(listener, config, shutdown).await.or_fail(ExitCode::Failure, "serving")
}

fn log_to_stderr(verbosity: Verbosity) {
    let usual = match verbosity {
        Verbosity::Quiet => "error",
        Verbosity::Normal => "warn",
        Verbosity::Verbose => "info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}
