//! The command line of `plyos push`.

use crate::cache::CacheOptions;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `plyos push`
#[derive(Debug, Args)]
#[command(after_help = "SRC is told by its content, not by its name:
  DIR                  a directory
  FILE                 a tar (plain, gzip, zstd or xz), a Debian package, a wheel
  -                    a tar on standard input
  oci:DIR[:TAG]        an image in an OCI layout; its layers are squashed
  oci-archive:FILE[:TAG]  the same in a tar
  docker://HOST:PORT/REPO:TAG  an image in a registry that lets anyone read

Examples:
  plyos push ./tree 127.0.0.1:5000/hello:1 --kind package --name hello --version 1
  plyos push ./site 127.0.0.1:5000/docs:3 --kind site --name docs --version 3 --exclude '*.bak'
  plyos push ./rootfs 127.0.0.1:5000/base:12 --kind base --name debian --version 12
  plyos push jq_1.6_amd64.deb 127.0.0.1:5000/jq:1.6 --exclude usr/share/doc
  plyos push - 127.0.0.1:5000/docs:4 --kind site --name docs --version 4 --strip 1 < docs-4.tar.gz
  plyos import oci:./layout:bookworm 127.0.0.1:5000/base:12 --kind base --name debian --version 12

What no option says is looked up in --manifest, else in SRC.plyos.toml beside SRC, else in what
SRC says of itself. A package's files lie below usr/ (and etc/pkg/defaults/); a site's or
model's root is its own folder.")]
pub struct Push {
    /// What to ship: DIR, FILE, `-`, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://HOST:PORT/REPO:TAG
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Where to push it: HOST:PORT/REPO:TAG (plain HTTP to this machine, TLS elsewhere)
    pub place: String,
    #[command(flatten)]
    pub description: Description,
    #[command(flatten)]
    pub entries: EntryRules,
    /// zstd level: 3 quick, 9 default, 19 for a release
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(i32).range(1..=22))]
    pub level: i32,
    /// Gzip members instead of zstd frames, for tools that know no zstd layers (umoci 0.4, docker before 23); larger
    #[arg(long)]
    pub gzip: bool,
    /// Make every frame anew, and keep none
    #[arg(long, conflicts_with = "cache")]
    pub no_cache: bool,
    #[command(flatten)]
    pub cache: CacheOptions,
}

/// What is said of the layer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Description")]
pub struct Description {
    /// What it is: base, package, model, site
    #[arg(long)]
    pub kind: Option<String>,
    /// Name
    #[arg(long)]
    pub name: Option<String>,
    /// Version
    #[arg(long = "version", value_name = "VERSION")]
    pub layer_version: Option<String>,
    /// Architecture: amd64, arm64, riscv64 or any; this machine's if nothing says another
    #[arg(long)]
    pub arch: Option<String>,
    /// ABI of its programs: linux or plyos-0
    #[arg(long)]
    pub abi: Option<String>,
    /// One line for people
    #[arg(long)]
    pub summary: Option<String>,
    /// Licence
    #[arg(long)]
    pub license: Option<String>,
    /// Home page
    #[arg(long)]
    pub homepage: Option<String>,
    /// What it needs: "NAME" or "NAME >= VERSION"; may be repeated
    #[arg(long, value_name = "NEED")]
    pub depends: Vec<String>,
    /// Another name it answers to; may be repeated
    #[arg(long, value_name = "NAME")]
    pub provides: Vec<String>,
    /// What it cannot stand beside; may be repeated
    #[arg(long, value_name = "NAME")]
    pub conflicts: Vec<String>,
    /// A layer whose files it may replace; may be repeated
    #[arg(long, value_name = "NAME")]
    pub replaces: Vec<String>,
    /// A TOML file with what options do not say: services, capabilities, compatible, upgrade-from, state-version …
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Take over a Debian package's dependencies
    #[arg(long)]
    pub take_depends: bool,
}

/// What becomes of the entries on the way.
#[derive(Debug, Args)]
#[command(next_help_heading = "Entries")]
pub struct EntryRules {
    /// Whose the files are: keep (as in SRC), root (0:0 for all), UID:GID, or a TOML file that maps numbers
    #[arg(long, default_value = "keep", value_name = "RULE")]
    pub owner: String,
    /// File times: from the content (a file's time changes exactly when its bytes do), or as in SRC
    #[arg(long, value_enum, default_value = "content")]
    pub mtime: MtimeChoice,
    /// Leave out a path, or what fits a pattern as in a .gitignore (`*.o`, `**/cache`, `!keep.o`); may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Leave out what fits the patterns of a file like a .gitignore; may be repeated
    #[arg(long, value_name = "FILE")]
    pub exclude_from: Vec<PathBuf>,
    /// Begin N directories down, as in archives whose files lie in NAME-VERSION/
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub strip: usize,
    /// Take the leading `/` off names in an archive
    #[arg(long)]
    pub strip_root: bool,
    /// Where a wheel's modules go
    #[arg(long, value_name = "PATH", default_value = "usr/lib/python3/dist-packages")]
    pub into: String,
    /// Ship device nodes in something that is no base: for other tools, `pkg` refuses the layer
    #[arg(long)]
    pub allow_devices: bool,
    /// Ship setuid and setgid files and capabilities in a model or site: for other tools, `pkg` refuses the layer
    #[arg(long)]
    pub allow_setuid: bool,
    /// Most entries of an archive
    #[arg(long, value_name = "N", default_value_t = plyos_layer_import::Limits::default().entries)]
    pub max_entries: u64,
    /// Most bytes that an archive may expand to [default: 200 times what is read, and 1 GiB in any case]
    #[arg(long, value_name = "BYTES")]
    pub max_size: Option<u64>,
}

/// Times in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MtimeChoice {
    /// A fixed epoch plus a hash of the content
    Content,
    /// The tree's own, whole seconds
    Keep,
}
