//! Link arguments for the kernel alone (freestanding, static, at its own addresses), and the roots that are built in.

use std::path::{Path, PathBuf};

use plyos_trust::pins::Pins;

/// Names the file of pinned roots that becomes part of the kernel.
const ROOTS: &str = "PLYOS_ROOTS";

fn main() {
    if let Err(why) = build_roots_in() {
        println!("cargo::error={why}");
    }
    println!("cargo::rerun-if-changed=kernel.ld");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    for wanted in ["no-redzone=yes", "force-frame-pointers=yes"] {
        if !flags.contains(wanted) {
            println!(
                "cargo::error=the kernel needs -C {wanted}, which .cargo/config.toml sets: unset RUSTFLAGS, build inside the checkout"
            );
        }
    }
    let script = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default() + "/kernel.ld";
    let linker = format!("-Wl,-T,{script}");
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,norelro",
        "-Wl,-z,noexecstack",
        "-Wl,-z,max-page-size=4096",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,--gc-sections",
        &linker,
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

/// Writes the file `roots` of the output folder: what was named, or nothing.
fn build_roots_in() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed={ROOTS}");
    let named = std::env::var_os(ROOTS).filter(|named| !named.is_empty()).map(PathBuf::from);
    let bytes = named.as_deref().map(read_roots).transpose()?.unwrap_or_default();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("roots");
    std::fs::write(&out, bytes).map_err(|error| format!("writing {}: {error}", out.display()))
}

fn read_roots(path: &Path) -> Result<Vec<u8>, String> {
    let doing = |why: &dyn std::fmt::Display| {
        let hint = "it must name a file of pinned roots, as `plyos image store DISK` writes beside the disk (DISK.roots)";
        format!("{ROOTS}={}: {why}; {hint}", path.display())
    };
    // Build scripts run in the crate's folder, and nobody means that one.
    if !path.is_absolute() {
        return Err(doing(&"this is no absolute path"));
    }
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = std::fs::read(path).map_err(|error| doing(&error))?;
    Pins::parse(&bytes).map_err(|error| doing(&error))?;
    Ok(bytes)
}
