//! Every target on every golden file, on mutations of them, and on every input that a fuzzer once found.
// A test may fail by panicking.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// Mutations of each seed for each target.
const MUTATIONS: u64 = 300;
/// Seeds longer than this are mutated less.
const LONG: usize = 64 << 10;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A small generator: the same mutations in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }
}

fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.next(3) {
        let at = random.next(bytes.len() as u64) as usize;
        match random.next(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.next(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 0xff, 0x7f, 0x80][random.next(4) as usize],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next(256) as u8),
            4 if bytes.len() >= at + 8 => {
                let huge = [u64::MAX, 1 << 63, 1 << 32, 1 << 20][random.next(4) as usize];
                bytes[at..at + 8].copy_from_slice(&huge.to_le_bytes());
            }
            _ => {
                let from = random.next(bytes.len() as u64) as usize;
                let piece: Vec<u8> = bytes[from..].iter().take(16).copied().collect();
                for (to, byte) in bytes[at..].iter_mut().zip(piece) {
                    *to = byte;
                }
            }
        }
    }
    bytes
}

#[test]
fn golden_files_and_their_mutations() {
    let seeds: Vec<Vec<u8>> =
        plyos_test_golden::all().iter().map(|golden| (golden.make)().unwrap()).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut runs = 0u64;
    for (_, target) in plyos_test_fuzz::TARGETS {
        target(&[]);
        for seed in &seeds {
            target(seed);
            let count = if seed.len() > LONG { MUTATIONS / 30 } else { MUTATIONS };
            for _ in 0..count {
                target(&mutate(seed, &mut random));
                runs += 1;
            }
        }
    }
    println!("{runs} mutations");
}

#[test]
fn inputs_that_were_found() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    for path in files(&found).into_iter().filter(|path| !path.ends_with("README.md")) {
        let name = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap();
        plyos_test_fuzz::run(name, &fs::read(&path).unwrap());
    }
}
