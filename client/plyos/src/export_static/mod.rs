//! `plyos export-static`: a catalog with its blobs as plain files, for any web server or bucket.
//!
//! `origin` says what there is to export and checks it, `destination` is where it goes, `blobs` carries the content over,
//! `forms` knows each file's type, lifetime and compressed forms, `nginx` writes the server's configuration. What is there is not
//! written again. The order is that of publishing: blobs, manifests, metadata, and the timestamp last, so a reader sees
//! the old catalog or the new one.

mod blobs;
mod destination;
mod forms;
mod nginx;
mod origin;

use clap::Args;
use plyos_report::{ExitCode, Failure, Progress, human, print_json};
use plyos_transfer::Http;
use serde_json::json;
use std::path::PathBuf;

use destination::{Destination, Wrote};
use origin::Origin;

/// `plyos export-static`
#[derive(Debug, Args)]
#[command(
    after_help = "Run it again after each `plyos publish`: only what is new is written. A bucket takes its keys and
endpoint from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT
and, for an endpoint without TLS, AWS_ALLOW_HTTP=true.
Examples:
  plyos export-static ./public --repo ./repo
  plyos export-static ./public --from https://registry.example/catalog/main --root ./1.root.json
  plyos export-static s3://bucket/catalog/main --repo ./repo
  plyos export-static ./public --repo ./repo --blobs http://127.0.0.1:5000/catalog/main --url-path /packages

Below DIR: metadata/ and targets/ with .gz and .zst beside what shrinks, blobs/sha256/HEX, and
nginx.conf to be included in a server block."
)]
pub struct ExportStatic {
    /// A folder, or s3://BUCKET/PREFIX
    #[arg(value_name = "DIR|URL")]
    pub destination: String,
    /// Take the catalog from this workspace, as it was signed last
    #[arg(long, value_name = "WORKSPACE", required_unless_present = "from")]
    pub repo: Option<PathBuf>,
    /// Take the catalog from this address
    #[arg(long, value_name = "CATALOG", conflicts_with = "repo", requires = "root")]
    pub from: Option<String>,
    /// The first root of that catalog, which must be trusted: a file, or its SHA-256
    #[arg(long, value_name = "FILE|SHA256", requires = "from")]
    pub root: Option<String>,
    /// Take blobs from beside this catalog, when they are not beside the one that is exported
    #[arg(long, value_name = "CATALOG")]
    pub blobs: Option<String>,
    /// Path that the files will have on the web server, for nginx.conf; else that of the catalog's address
    #[arg(long, value_name = "PATH")]
    pub url_path: Option<String>,
}

/// What was done with one kind of file.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    written: u64,
    bytes: u64,
    there: u64,
}

impl Tally {
    fn count(&mut self, wrote: Wrote) {
        match wrote {
            Wrote::New(bytes) => {
                self.written += 1;
                self.bytes += bytes;
            }
            Wrote::There => self.there += 1,
        }
    }
}

/// Exports.
pub async fn run(args: &ExportStatic, now: u64, progress: &Progress) -> Result<(), Failure> {
    let http = Http::new()?;
    let origin = match (&args.repo, &args.from, &args.root) {
        (Some(workspace), ..) => Origin::of_workspace(workspace, http.clone())?,
        (None, Some(url), Some(root)) => Origin::of_address(url, root, now, http.clone()).await?,
        _ => return Err(Failure::new(ExitCode::Usage, "give --repo, or --from with --root")),
    };
    let destination = Destination::open(&args.destination)?;
    let seen = destination.check(&origin).await?;

    let source = match &args.blobs {
        Some(url) => plyos_transfer::catalog::Catalog::new(http.clone(), url)?,
        None => origin.catalog.clone(),
    };
    let mut blobs = Tally::default();
    for blob in origin.blobs()? {
        blobs.count(blobs::carry(&source, &destination, &blob, progress).await?);
    }
    let mut files = Tally::default();
    for file in origin.immutable() {
        files.count(destination.put_forms(file).await?);
    }
    if destination.is_folder() {
        let path = args.url_path.clone().unwrap_or_else(|| origin.url_path());
        destination.put_configuration(&path).await?;
    }
    files.count(destination.put_timestamp(origin.timestamp(), seen).await?);

    if progress.json() {
        let tally = |t: Tally| json!({"written": t.written, "bytes": t.bytes, "there": t.there});
        print_json(&json!({"destination": args.destination, "blobs": tally(blobs), "files": tally(files)}));
        return Ok(());
    }
    let said = |what: &str, t: Tally| {
        format!("{} {what} written ({}), {} there already", t.written, human(t.bytes), t.there)
    };
    progress.step(&format!("{}: {}; {}", args.destination, said("files", files), said("blobs", blobs)));
    Ok(())
}
