//! What `plyos push` is given to ship, by its spelling, and the tree that comes of it.

use crate::docker;
use crate::push_options::Push;
use plyos_layer_build::{ScanOptions, Tree, scan};
use plyos_layer_import::{Absolute, Facts, ImportError, Imported, Limits, Refusal, Request, Source};
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What to ship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A directory or a file.
    Path(PathBuf),
    /// A tar on standard input.
    Stdin,
    /// An image in a folder.
    Layout {
        /// The folder.
        folder: PathBuf,
        /// Which image.
        tag: Option<String>,
    },
    /// An image in a tar.
    LayoutArchive {
        /// The tar.
        file: PathBuf,
        /// Which image.
        tag: Option<String>,
    },
    /// An image in a registry.
    Docker(String),
}

impl Input {
    /// Reads a spelling.
    pub fn parse(text: &str) -> Self {
        // The last colon, unless what follows it goes on as a path, parts the tag.
        let with_tag = |rest: &str| match rest.rsplit_once(':') {
            Some((path, tag)) if !path.is_empty() && !tag.contains('/') => {
                (path.into(), Some(tag.to_owned()))
            }
            _ => (rest.into(), None),
        };
        if text == "-" {
            Self::Stdin
        } else if let Some(rest) = text.strip_prefix("oci:") {
            let (folder, tag) = with_tag(rest);
            Self::Layout { folder, tag }
        } else if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (file, tag) = with_tag(rest);
            Self::LayoutArchive { file, tag }
        } else if text.starts_with("docker://") {
            Self::Docker(text.to_owned())
        } else {
            Self::Path(text.into())
        }
    }

    /// The path of what it is, where that has one of its own.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Its tree, what it says of itself, and what should be known.
    pub async fn read(
        self,
        args: &Push,
        rules: &ScanOptions,
        arch: &str,
        progress: &Progress,
    ) -> Result<(Tree, Facts), Failure> {
        let doing = format!("reading {}", args.source);
        let open = |path: &Path| File::open(path).or_fail(ExitCode::Failure, &doing);
        // Lives until all is read.
        let mut fetched = None;
        let source = match self {
            Self::Path(path) if !path.is_file() => {
                let tree = scan(&path, rules).or_fail(ExitCode::Failure, &doing)?;
                return Ok((tree, Facts::default()));
            }
            Self::Path(path) => Source::File { file: open(&path)?, what: args.source.clone() },
            Self::Stdin => {
                Source::Stream { input: Box::new(std::io::stdin().lock()), what: "standard input".into() }
            }
            Self::Layout { folder, tag } => Source::Layout { folder, tag },
            Self::LayoutArchive { file, tag } => {
                Source::LayoutArchive { file: open(&file)?, what: args.source.clone(), tag }
            }
            Self::Docker(place) => {
                let folder = fetched.insert(docker::fetch(&place, arch, progress).await?);
                Source::Layout { folder: folder.path().to_owned(), tag: None }
            }
        };
        let into = args.entries.into.trim_matches('/');
        let request = Request {
            rules,
            limits: Limits { entries: args.entries.max_entries, expanded: args.entries.max_size },
            absolute: if args.entries.strip_root { Absolute::Strip } else { Absolute::Refuse },
            arch,
            python: into,
            depends: args.description.take_depends,
        };
        let Imported { tree, facts, notes } = source
            .read(&request)
            .map_err(|error| Failure::new(exit_code(&error), format!("{doing}: {error}")))?;
        for note in notes {
            progress.warn(&note);
        }
        Ok((tree, facts))
    }
}

fn exit_code(error: &ImportError) -> ExitCode {
    match error {
        ImportError::Entry { refusal: Refusal::Digest(_), .. }
        | ImportError::Archive { refusal: Refusal::Digest(_), .. } => ExitCode::Signature,
        _ => ExitCode::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling() {
        let layout = |folder: &str, tag: Option<&str>| Input::Layout {
            folder: folder.into(),
            tag: tag.map(str::to_owned),
        };
        assert_eq!(Input::parse("-"), Input::Stdin);
        assert_eq!(Input::parse("./a:b"), Input::Path("./a:b".into()));
        assert_eq!(Input::parse("oci:/x/y"), layout("/x/y", None));
        assert_eq!(Input::parse("oci:/x/y:1.2"), layout("/x/y", Some("1.2")));
        assert_eq!(Input::parse("oci:/x:2/y"), layout("/x:2/y", None));
        assert_eq!(
            Input::parse("oci-archive:a.tar:t"),
            Input::LayoutArchive { file: "a.tar".into(), tag: Some("t".into()) }
        );
        assert_eq!(Input::parse("docker://h/x:1"), Input::Docker("docker://h/x:1".into()));
    }
}
