//! How far a verification has come, in a small text file, so that the next one goes on there.
//!
//! It only ever says what was found clean: from each layer the chunks before the first one that is damaged or not yet
//! looked at. So what was damaged is found again, and a file that is lost or old costs time and nothing else.

use plyos_ids::{LayerId, decode_hex};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{LayerEntry, Store};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const TITLE: &str = "plyos-verify 1";
/// How often the file is written.
const EVERY: Duration = Duration::from_secs(2);

/// The chunks of each layer that were found clean.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    store: String,
    /// By layer: the hash of its map, and how many chunks from the first on.
    clean: BTreeMap<LayerId, ([u8; 32], u64)>,
    written: Instant,
}

impl Cursor {
    /// Reads the file, if there is one.
    pub fn open(path: &Path, store: &Store) -> Result<Self, Failure> {
        let uuid = store.superblock().store_uuid.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let mut cursor =
            Self { path: path.to_owned(), store: uuid, clean: BTreeMap::new(), written: Instant::now() };
        match std::fs::read_to_string(path) {
            Ok(text) => cursor.parse(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            error @ Err(_) => {
                error.or_fail(ExitCode::Failure, format_args!("reading {}", path.display()))?;
            }
        }
        Ok(cursor)
    }

    fn parse(&mut self, text: &str) -> Result<(), Failure> {
        let refuse = |why: &str| {
            let line = format!("{} {why}; remove it, or name another with --resume", self.path.display());
            Failure::new(ExitCode::Usage, line)
        };
        let mut lines = text.lines();
        match lines.next().and_then(|title| title.strip_prefix(TITLE)) {
            Some(store) if store.trim() == self.store => {}
            Some(_) => return Err(refuse("belongs to another store")),
            None => return Err(refuse("was not written by `pkg verify --resume`")),
        }
        let mut clean = BTreeMap::new();
        for line in lines {
            let mut words = line.split(' ');
            let found = (|| {
                let layer = LayerId::parse(words.next()?).ok()?;
                let map = decode_hex(words.next()?).ok()?;
                Some((layer, (map, words.next()?.parse().ok()?)))
            })();
            let (layer, position) = found.ok_or_else(|| refuse("is damaged"))?;
            clean.insert(layer, position);
        }
        self.clean = clean;
        Ok(())
    }

    /// How many chunks of a layer, from the first on, need not be looked at again.
    pub fn clean(&self, entry: &LayerEntry) -> u64 {
        match self.clean.get(&entry.id) {
            Some((map, chunks)) if map == entry.map_hash.as_bytes() => *chunks,
            _ => 0,
        }
    }

    /// Notes that the first `chunks` chunks of a layer are clean; writes the file now and then.
    pub fn advance(&mut self, entry: &LayerEntry, chunks: u64) -> Result<(), Failure> {
        self.clean.insert(entry.id, (*entry.map_hash.as_bytes(), chunks));
        if self.written.elapsed() < EVERY {
            return Ok(());
        }
        self.written = Instant::now();
        self.write()
    }

    /// Writes the file; it is replaced as a whole.
    fn write(&self) -> Result<(), Failure> {
        let mut text = format!("{TITLE} {}\n", self.store);
        for (layer, (map, chunks)) in &self.clean {
            let _ = writeln!(text, "{} {} {chunks}", layer.to_hex(), LayerId::from_bytes(*map).to_hex());
        }
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(".new");
        let new = self.path.with_file_name(name);
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &self.path))
            .or_fail(ExitCode::Failure, format_args!("writing {}", self.path.display()))
    }

    /// Everything was looked at: the file has done its work.
    pub fn finish(self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).or_fail(ExitCode::Failure, format_args!("removing {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(path: &Path) -> Cursor {
        Cursor { path: path.into(), store: "00ff".into(), clean: BTreeMap::new(), written: Instant::now() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let path = std::env::temp_dir().join(format!("plyos-cursor-{}", std::process::id()));
        let mut one = cursor(&path);
        one.clean.insert(LayerId::from_bytes([7; 32]), ([9; 32], 12));
        one.write().unwrap();
        let mut two = cursor(&path);
        two.parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(two.clean, one.clean);
        one.finish().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn files_of_others_and_of_other_stores_are_refused() {
        let mut cursor = cursor(Path::new("x"));
        for (text, why) in [
            ("", "not written"),
            ("hello\n", "not written"),
            ("plyos-verify 1 11aa\n", "another store"),
            ("plyos-verify 1 00ff\n00 00 1\n", "damaged"),
        ] {
            let failure = cursor.parse(text).unwrap_err();
            assert!(failure.message.contains(why) && failure.code == ExitCode::Usage, "{failure}");
        }
        cursor.parse("plyos-verify 1 00ff\n").unwrap();
    }
}
