//! Measuring on a real tree, by hand:
//! `PLYOS_MEASURE=DIR cargo test --release -p plyos-layer-build measure -- --ignored --nocapture`.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::descriptor;
use crate::{BuildOptions, ScanOptions, build, scan};

/// Kilobytes of the most memory this process had, as Linux counts them.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

#[test]
#[ignore = "measures; needs PLYOS_MEASURE"]
fn measure() {
    let dir = PathBuf::from(std::env::var_os("PLYOS_MEASURE").expect("PLYOS_MEASURE names a directory"));
    let levels = std::env::var("PLYOS_LEVELS").unwrap_or("3 9".into());
    for level in levels.split(' ') {
        let level = level.parse().unwrap();
        let start = Instant::now();
        let tree = scan(&dir, &ScanOptions::default()).unwrap();
        let scanned = start.elapsed();
        let options = BuildOptions { level, threads: 0, ..BuildOptions::default() };
        let built = build(&tree, &descriptor(), &options, &mut io::sink(), &|_| {}).unwrap();
        let took = start.elapsed();
        println!(
            "level {level}: {} entries, stream {}, blob {}, index {} ({} stored), {} chunks, scan {scanned:.2?}, all {took:.2?}, {:.0} MB/s, {}",
            built.entries,
            built.stream_len,
            built.blob_len,
            built.index.len(),
            built.index_place.stored,
            built.chunks,
            built.stream_len as f64 / 1e6 / took.as_secs_f64(),
            peak_memory(),
        );
    }
}
