//! What the run is told by its environment.

use crate::figures::SECTIONS;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Where things are, and how often to measure.
pub struct Settings {
    /// Folder with a folder for each tree, and in it the versions `v1` and `v2`: `PLYOS_CORPUS`.
    pub corpus: PathBuf,
    /// Folder of `plyos` and `pkg`: `PLYOS_BIN`, by default `target/release` of this checkout.
    pub programs: PathBuf,
    /// Runs of each contender: `ROUNDS`, 3 by default. Medians are reported.
    pub rounds: usize,
    /// The sections to measure: `BENCH`, names with commas; all without it.
    pub sections: Vec<String>,
    /// The report.
    pub output: PathBuf,
}

impl Settings {
    /// Reads the environment and sees that the programs and the corpus are there.
    pub fn from_environment() -> Result<Self> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let checkout = checkout.canonicalize().context("finding the checkout")?;
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let corpus = variable("PLYOS_CORPUS").context("PLYOS_CORPUS is not set: `make bench` sets it")?;
        let programs = variable("PLYOS_BIN").unwrap_or_else(|| checkout.join("target/release"));
        let rounds = match std::env::var("ROUNDS") {
            Ok(text) if !text.is_empty() => parse_rounds(&text)?,
            _ => 3,
        };
        let sections = parse_sections(&std::env::var("BENCH").unwrap_or_default())?;
        for program in ["plyos", "pkg"] {
            if !programs.join(program).is_file() {
                bail!("there is no {}: run `make build` first", programs.join(program).display());
            }
        }
        if !corpus.join("base-min/v1").is_dir() {
            bail!("{} is no corpus: it has no base-min/v1", corpus.display());
        }
        let output = checkout.join("target/bench/performance.md");
        Ok(Self { corpus, programs, rounds, sections, output })
    }

    /// Whether a section is to be measured.
    pub fn is_wanted(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|name| name == section)
    }

    /// One version of a tree of the corpus.
    pub fn tree(&self, name: &str, version: &str) -> PathBuf {
        self.corpus.join(name).join(version)
    }

    /// All trees of the corpus that have two versions, by name.
    pub fn trees(&self) -> Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.corpus)
            .with_context(|| format!("listing the corpus {}", self.corpus.display()))?;
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if self.tree(&name, "v1").is_dir() && self.tree(&name, "v2").is_dir() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

fn parse_rounds(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(rounds @ 1..=99) => Ok(rounds),
        _ => bail!("ROUNDS is '{text}': it wants a number from 1 to 99"),
    }
}

fn parse_sections(text: &str) -> Result<Vec<String>> {
    let known = SECTIONS.map(|(name, _)| name);
    let names: Vec<String> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!("BENCH has '{name}', which is no section; there are {}", known.join(", ")),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_chosen_by_name() {
        assert!(parse_sections("").unwrap().is_empty());
        assert_eq!(parse_sections("flip, mount,").unwrap(), ["flip", "mount"]);
        assert!(parse_sections("flip,flop").unwrap_err().to_string().contains("flop"));
    }

    #[test]
    fn rounds_are_bounded() {
        assert_eq!(parse_rounds("5").unwrap(), 5);
        for bad in ["0", "100", "-1", "three", ""] {
            assert!(parse_rounds(bad).is_err(), "{bad}");
        }
    }
}
