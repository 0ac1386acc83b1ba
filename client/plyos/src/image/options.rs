//! The command line of `plyos image store`.

use crate::size_argument::parse_size;
use clap::{Args, ValueEnum};
use plyos_report::{ExitCode, Failure};
use std::path::PathBuf;

/// How an image lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Byte for byte, sparse where the store is empty: for dd and for any machine
    Raw,
    /// QEMU's own, short where the store is empty
    Qcow2,
}

impl Format {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// `plyos image store`
#[derive(Debug, Args)]
#[command(
    after_help = "Beside the image stands OUT.roots, the root keys of the repositories that the layers come from: give
it to the kernel as its boot module (QEMU: -initrd). Unsigned layers cannot go in, for the kernel
knows none, nor can those whose programs speak to another kernel.
Equal input gives equal bytes: times are those of the generations, or SOURCE_DATE_EPOCH.
Examples:
  plyos image store disk.img --from /var/lib/plyos/store
  plyos image store disk.img --from ./store --generation 4 --generation 3
  plyos image store disk.qcow2 --from ./store --format qcow2 --size 8G --leave-out jq
  plyos image store disk.img --repo http://127.0.0.1:5000/catalog/main --root 1.root.json docs"
)]
pub struct StoreImage {
    /// The image; a file that is not there yet
    pub out: PathBuf,
    /// With --repo: the layers to install, with what they depend on
    #[arg(requires = "repo")]
    pub names: Vec<String>,
    /// Take generations of this store, as `pkg` keeps it
    #[arg(long, value_name = "STORE", required_unless_present = "repo")]
    pub from: Option<PathBuf>,
    /// Make a first generation of what this catalog offers; `pkg` beside this program fetches it
    #[arg(long, value_name = "CATALOG", conflicts_with = "from", requires_all = ["root", "names"])]
    pub repo: Option<String>,
    /// Whom to trust: with --repo the catalog's root, a file or its SHA-256; with --from root files that count instead of
    /// those that the store keeps, may be repeated
    #[arg(long, value_name = "FILE")]
    pub root: Vec<String>,
    /// Generation to boot, else the active one; given twice, the second is the other good one
    #[arg(long = "generation", value_name = "NUMBER", conflicts_with = "repo")]
    pub generations: Vec<u64>,
    /// Boot the first generation on trial, with so many tries
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..))]
    pub tries: Option<u8>,
    /// A layer that stays out, by name; may be repeated. What needs it must stay out too
    #[arg(long, value_name = "NAME")]
    pub leave_out: Vec<String>,
    /// Bytes of the disk, as 512M or 8G; else as few as it can have, for a store can grow
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub size: Option<u64>,
    /// How the image lies in its file
    #[arg(long, value_enum, default_value_t = Format::Raw)]
    pub format: Format,
    /// Where the pinned roots go instead of OUT.roots
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
}

impl StoreImage {
    /// What clap cannot say.
    pub fn check(&self) -> Result<(), Failure> {
        let usage = |line| Err(Failure::new(ExitCode::Usage, line));
        match self.generations.as_slice() {
            [first, second] if first == second => return usage("the same --generation twice; give it once"),
            [_, _, _, ..] => return usage("more than two --generation: a store has two slots"),
            _ => {}
        }
        if self.repo.is_some() && self.root.len() > 1 {
            return usage("more than one --root with --repo: a catalog has one");
        }
        Ok(())
    }

    /// Where the pinned roots go.
    pub fn roots_path(&self) -> PathBuf {
        self.roots.clone().unwrap_or_else(|| {
            let mut name = self.out.clone().into_os_string();
            name.push(".roots");
            name.into()
        })
    }
}
