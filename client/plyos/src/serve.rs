//! `plyos serve`: the registry and its catalogs in one process.

use crate::serve_options::Serve;
use plyos_registry::{Error, Loaded, LogConfig, Server};
use plyos_report::{ExitCode, Failure, OrFail, Verbosity, put, tell};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves until SIGTERM or SIGINT, then lets what is under way finish.
pub async fn run(args: &Serve, verbosity: Verbosity) -> Result<(), Failure> {
    let loaded = load(args, verbosity)?;
    if args.print_config {
        put!("{}", loaded.print());
        return Ok(());
    }
    let config = loaded.config;
    if config.storage.is_empty() {
        let message = "there is no storage to serve; give --storage FOLDER, or storage in the file";
        return Err(Failure::new(ExitCode::Usage, message.to_owned()));
    }
    log_to_stderr(&config.log)?;
    let listen = |kind, name| signal(kind).or_fail(ExitCode::Failure, format_args!("listening for {name}"));
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM")?;
    let mut interrupt = listen(SignalKind::interrupt(), "SIGINT")?;
    let hangup = listen(SignalKind::hangup(), "SIGHUP")?;
    let (listener, address) = bind(config.listen).await?;
    let metrics = match config.metrics.listen {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    let scheme = if config.tls.certificate.is_some() { "https" } else { "http" };
    let server = Server::open(config).await.map_err(failure)?;
    tell!("listening on {scheme}://{address}");
    if let Some((_, address)) = &metrics {
        tell!("metrics on http://{address}/metrics");
    }
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tell!("stopping");
    };
    let metrics = metrics.map(|(listener, _)| listener);
    tokio::select! {
        ended = server.run(listener, metrics, shutdown) => ended.map_err(failure),
        () = reload_when_asked(hangup, args, verbosity, &server) => Ok(()),
    }
}

fn load(args: &Serve, verbosity: Verbosity) -> Result<Loaded, Failure> {
    let file = match &args.config {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.or_fail(ExitCode::NotFound, format_args!("reading {}", path.display()))?;
            Some((path.clone(), text))
        }
    };
    let level = match verbosity {
        Verbosity::Quiet => Some("error"),
        Verbosity::Normal => None,
        Verbosity::Verbose => Some("debug"),
    };
    Loaded::load(&args.sources(file, level)).map_err(|error| Failure::new(ExitCode::Usage, error.to_string()))
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(address).await.or_fail(
        ExitCode::Network,
        format_args!("listening on {address}; is another server running there?"),
    )?;
    let address = listener.local_addr().or_fail(ExitCode::Network, "asking for the address")?;
    Ok((listener, address))
}

/// Takes over what can change while it runs, each time SIGHUP comes; never ends. What is wrong leaves all as it was.
async fn reload_when_asked(mut hangup: Signal, args: &Serve, verbosity: Verbosity, server: &Server) {
    while hangup.recv().await.is_some() {
        let reloaded =
            load(args, verbosity).and_then(|loaded| server.reload(&loaded.config).map_err(failure));
        match reloaded {
            Ok(()) => tracing::info!("read accounts, rules and certificate again"),
            Err(failure) => tracing::error!("nothing was taken over: {failure}"),
        }
    }
    std::future::pending().await
}

fn failure(error: Error) -> Failure {
    let code = match &error {
        Error::Storage { .. } => ExitCode::Store,
        Error::Access(_) | Error::Tls(_) => ExitCode::Usage,
        Error::Listen(_) => ExitCode::Network,
    };
    Failure::new(code, error.to_string())
}

fn log_to_stderr(log: &LogConfig) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&log.level).or_fail(
        ExitCode::Usage,
        format_args!("understanding log.level '{}'; write error, warn, info or debug", log.level),
    )?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if log.json {
        subscriber.json().init();
    } else {
        subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
    Ok(())
}
