//! Writes the golden files as raw bytes into a folder, as seeds for libFuzzer: `seeds DIR`.
// A tool of the tests may end by panicking.
#![allow(clippy::expect_used)]

fn main() {
    let folder = std::path::PathBuf::from(std::env::args_os().nth(1).expect("give a folder"));
    std::fs::create_dir_all(&folder).expect("making the folder");
    for golden in plyos_test_golden::all() {
        let bytes = (golden.make)().expect("making a golden file");
        std::fs::write(folder.join(golden.name), bytes).expect("writing a seed");
    }
}
