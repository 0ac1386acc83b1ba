//! What is left out of a layer: patterns with the meaning that they have in a `.gitignore`.
//!
//! Paths are entry paths of the input, before anything is stripped. What lies below an excluded directory is excluded with it
//! and cannot be brought back by a later `!pattern`, as in git.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::BuildError;

/// Characters that make a text a pattern. Without any it is a path from the root.
const WILD: [char; 5] = ['*', '?', '[', '!', '\\'];

/// A list of patterns; the last one that fits a path decides.
#[derive(Debug, Clone)]
pub struct Exclusions(Gitignore);

impl Default for Exclusions {
    fn default() -> Self {
        Self(Gitignore::empty())
    }
}

impl Exclusions {
    /// The patterns of whole `files`, each as a `.gitignore` has them, then single `patterns`. A single one without any of
    /// `* ? [ ! \` is no pattern but the path of one entry, so `cache` leaves out the root's `cache` and no other.
    pub fn new<'a>(
        files: impl IntoIterator<Item = &'a str>,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, BuildError> {
        let mut builder = GitignoreBuilder::new("");
        let mut add = |pattern: &str| match builder.add_line(None, pattern) {
            Ok(_) => Ok(()),
            Err(error) => Err(BuildError::Pattern { pattern: pattern.to_owned(), reason: error.to_string() }),
        };
        for line in files.into_iter().flat_map(str::lines) {
            add(line)?;
        }
        for pattern in patterns {
            if pattern.contains(WILD) {
                add(pattern)?;
            } else {
                let path = from_root(pattern)
                    .ok_or_else(|| BuildError::Exclude { path: Path::new(pattern).to_owned() })?;
                add(&path)?;
            }
        }
        let built = builder.build();
        built.map(Self).map_err(|error| BuildError::Pattern {
            pattern: "the patterns as a whole".into(),
            reason: error.to_string(),
        })
    }

    /// Whether `path` is left out for its own sake, by a caller that does not look below what is left out.
    pub fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        !self.0.is_empty() && self.0.matched(OsStr::from_bytes(path), is_directory).is_ignore()
    }

    /// Whether `path` is left out, be it for the sake of a directory that it lies in.
    pub fn excludes(&self, path: &[u8], is_directory: bool) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut above = slashes.filter_map(|(at, _)| path.get(..at));
        above.any(|directory| self.matches(directory, true)) || self.matches(path, is_directory)
    }
}

/// A plain path as a pattern that fits this path alone; `None` when it names nothing inside.
fn from_root(given: &str) -> Option<String> {
    let mut pattern = String::new();
    for component in Path::new(given).components() {
        match component {
            Component::Normal(name) => {
                pattern.push('/');
                pattern.push_str(name.to_str()?);
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!pattern.is_empty()).then_some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(given: &[&str]) -> Exclusions {
        Exclusions::new([], given.iter().copied()).unwrap()
    }

    #[test]
    fn spellings_of_one_path_are_one() {
        for given in ["var/cache", "/var/cache/", "./var//cache", "var/./cache"] {
            let exclusions = patterns(&[given]);
            assert!(exclusions.matches(b"var/cache", true), "{given}");
            assert!(exclusions.excludes(b"var/cache/deep/file", false), "{given}");
            assert!(!exclusions.excludes(b"srv/var/cache", true), "{given}");
        }
    }

    #[test]
    fn what_names_nothing_inside_is_refused() {
        for given in ["", "/", ".", "..", "a/../b", "../a"] {
            let refused = Exclusions::new([], [given]);
            assert!(matches!(refused, Err(BuildError::Exclude { .. })), "{given}");
        }
        assert!(matches!(Exclusions::new([], ["a[z-a]"]), Err(BuildError::Pattern { .. })));
    }

    #[test]
    fn patterns_mean_what_they_mean_in_git() {
        let exclusions = patterns(&["*.o", "!keep.o", "/build*", "doc/*.txt", "logs[0-9]/", "**/cache"]);
        for (path, is_directory, out) in [
            (&b"a.o"[..], false, true),
            (b"deep/down/a.o", false, true),
            (b"deep/keep.o", false, false),
            (b"build-1/x", false, true),
            (b"sub/build-1", true, false),
            (b"doc/a.txt", false, true),
            (b"doc/sub/a.txt", false, false),
            (b"logs1", true, true),
            (b"logs1", false, false),
            (b"a/b/cache/c", false, true),
            (b"not utf-8 \xff.o", false, true),
        ] {
            assert_eq!(exclusions.excludes(path, is_directory), out, "{}", path.escape_ascii());
        }
    }

    #[test]
    fn a_file_of_patterns_is_a_gitignore_and_single_ones_come_after_it() {
        let file = "# comment\n\ncache\n*.tmp\n";
        let exclusions = Exclusions::new([file], ["!a.tmp", "#odd"]).unwrap();
        assert!(exclusions.excludes(b"deep/cache", true), "a word without a slash fits at any depth");
        assert!(exclusions.excludes(b"b.tmp", false) && !exclusions.excludes(b"a.tmp", false));
        assert!(exclusions.excludes(b"#odd", false) && !exclusions.excludes(b" comment", false));
    }

    #[test]
    fn nothing_is_left_out_by_default() {
        assert!(!Exclusions::default().excludes(b"any/path", false));
    }
}
