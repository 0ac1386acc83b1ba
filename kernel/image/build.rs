//! Link arguments for the kernel alone: freestanding, static, at its own addresses.

fn main() {
    println!("cargo:rerun-if-changed=kernel.ld");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    for wanted in ["no-redzone=yes", "force-frame-pointers=yes"] {
        if !flags.contains(wanted) {
            println!(
                "cargo:error=the kernel needs -C {wanted}, which .cargo/config.toml sets: unset RUSTFLAGS, build inside the checkout"
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
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
