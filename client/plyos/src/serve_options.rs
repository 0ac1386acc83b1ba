//! The options of `plyos serve`. Each is a setting of the registry's configuration under a shorter name; `--set` reaches
//! all others.

use clap::Args;
use plyos_registry::Sources;
use std::path::PathBuf;

/// `plyos serve`
#[derive(Debug, Args)]
#[command(
    after_help = "A setting is taken from the command line, else from the environment (PLYOS_SERVE_… with the key in
capitals: PLYOS_SERVE_LIMITS_BLOB_BYTES), else from the file, else it is the default.
SIGTERM stops it once uploads under way have ended; SIGHUP reads accounts, rules, token key and
certificate again. docs/registry.md explains every setting.
Examples:
  plyos serve --storage ./registry --anonymous-push
  plyos serve --storage ./registry --listen 127.0.0.1:0        # a free port; the address is printed
  plyos serve --config /etc/plyos/registry.toml
  plyos serve --config /etc/plyos/registry.toml --set limits.blob-bytes=1GiB --print-config"
)]
pub struct Serve {
    /// Configuration, as TOML
    #[arg(long, value_name = "FILE", env = "PLYOS_SERVE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Folder that holds everything, or a bucket: s3://NAME/PREFIX
    #[arg(long, value_name = "PLACE")]
    storage: Option<String>,
    /// Let anyone who reaches the address push, publish and delete
    #[arg(long)]
    anonymous_push: bool,
    /// Accounts, as written by htpasswd -B
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<String>,
    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<String>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<String>,
    /// Serve metrics and health on an address of their own
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,
    /// Log one JSON object a line
    #[arg(long)]
    log_json: bool,
    /// Any setting; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Print the whole configuration, what each setting is for and where it came from, and serve nothing
    #[arg(long)]
    pub print_config: bool,
}

impl Serve {
    /// What the command line sets, `level` being what `--quiet` or `--verbose` say of the log.
    pub fn sources(&self, file: Option<(PathBuf, String)>, level: Option<&str>) -> Sources {
        let set = |key: &str, value: Option<&str>| value.map(|value| (key.to_owned(), value.to_owned()));
        let yes = |switch: bool| switch.then_some("true");
        let named = [
            set("listen", self.listen.as_deref()),
            set("storage", self.storage.as_deref()),
            set("anonymous-push", yes(self.anonymous_push)),
            set("access.htpasswd", self.htpasswd.as_deref()),
            set("tls.certificate", self.tls_certificate.as_deref()),
            set("tls.key", self.tls_key.as_deref()),
            set("metrics.listen", self.metrics_listen.as_deref()),
            set("log.json", yes(self.log_json)),
            set("log.level", level),
        ];
        let flags = named.into_iter().flatten().chain(self.set.iter().cloned()).collect();
        // What is not text is no setting of ours.
        let texts = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Sources { file, environment: std::env::vars_os().filter_map(texts).collect(), flags }
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, as in limits.tags=100")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
