//! Writes the golden files and their list anew: `make golden`. Says what changed; whoever runs it looks at the difference.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use plyos_test_golden::{all, committed, folder, readme};

fn main() -> Result<()> {
    let goldens = all();
    let files = folder().join("files");
    fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
    let mut before = committed()?;
    for golden in &goldens {
        let made = golden.made()?;
        if before.remove(golden.name).as_ref() != Some(&made) {
            write(&files.join(golden.name), &made)?;
        }
    }
    for name in before.keys() {
        println!("removed {name}: nothing makes it");
        fs::remove_file(files.join(name)).with_context(|| format!("removing {name}"))?;
    }
    let page = folder().join("README.md");
    let text = readme::text(&goldens);
    if fs::read_to_string(&page).ok().as_ref() != Some(&text) {
        write(&page, text.as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    println!("written {}", path.file_name().unwrap_or_default().to_string_lossy());
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
