//! From the first disk to a system: roots, limits, the boot of `logic`.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use plyos_kernel_logic::command_line::CommandLine;
use plyos_kernel_logic::{BadFrame, Decompress, Limits, Means, NoneGood, Options, Roots, RootsError, boot};
use plyos_kernel_machine::zstd::Zstd;
use plyos_kernel_machine::{clock, memory};
use spin::Mutex;

use crate::host::{Mounted, StoreDisk};
use crate::log::{Journaled, told};

/// Of the heap, what the cache may have at most, and has when the command line says nothing.
const CACHE_SHARE: u64 = 2;

/// Pinned roots that this kernel was built with (the build script's `PLYOS_ROOTS`); no bytes for none.
static BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/roots"));

/// Spent on decompression, and what came out.
static NANOSECONDS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Time spent on decompression since the start, and the bytes that came out.
pub fn decompressed() -> (Duration, u64) {
    (Duration::from_nanos(NANOSECONDS.load(Ordering::Relaxed)), BYTES.load(Ordering::Relaxed))
}

/// C's zstd. One decompression at a time, as there is one processor.
struct Frames(Mutex<Zstd>);

impl Decompress for Frames {
    fn decompress(&self, frame: &[u8], length: usize) -> Result<Vec<u8>, BadFrame> {
        let begun = clock::uptime();
        let result = self.0.lock().decompress(frame, length).map_err(|_| BadFrame);
        let took = clock::uptime().saturating_sub(begun);
        NANOSECONDS.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        BYTES.fetch_add(length as u64, Ordering::Relaxed);
        result
    }
}

/// Whom to trust, told in the log.
pub fn roots(module: Option<&[u8]>) -> Result<Roots, RootsError> {
    let roots = Roots::choose(BUILT_IN, module)?;
    told!(Info, "trusted: {}", roots.trusted);
    if roots.passed_over {
        told!(
            Warning,
            "the boot module was passed over: this kernel trusts the roots that it was built with"
        );
    }
    Ok(roots)
}

/// Mounts the store of the first disk, trusting these roots.
pub fn mount(disk: Option<StoreDisk>, roots: Result<Roots, RootsError>, words: &CommandLine) -> Mounted {
    match try_mount(disk, roots, words) {
        Ok(mounted) => mounted,
        Err(reasons) => {
            for reason in &reasons {
                told!(Error, "{reason}");
            }
            Mounted::Nothing(reasons)
        }
    }
}

fn try_mount(
    disk: Option<StoreDisk>,
    roots: Result<Roots, RootsError>,
    words: &CommandLine,
) -> Result<Mounted, Vec<String>> {
    let reason = |text: &str| Vec::from([String::from(text)]);
    let Some(disk) = disk else {
        return Err(reason("there is no disk; the store belongs on the first virtio disk"));
    };
    let pins = roots.map_err(|error| reason(&error.to_string()))?.pins;
    let Some(zstd) = Zstd::new() else {
        return Err(reason("zstd finds its workspace too small; this is a defect of the kernel"));
    };
    let means = Means { decompress: Arc::new(Frames(Mutex::new(zstd))), log: Arc::new(Journaled) };
    let most = memory::heap::counts().total / CACHE_SHARE;
    let cache = words.cache.unwrap_or(most).min(most);
    if let Some(asked) = words.cache.filter(|asked| *asked > most) {
        told!(Warning, "cache={asked} is more than half of the heap; it is {most} bytes");
    }
    let options = Options {
        slot: words.slot,
        read_only: words.read_only,
        limits: Limits { cache, ..Limits::default() },
        ..Options::default()
    };
    let begun = clock::uptime();
    match boot(disk, pins, means, options, clock::now().unwrap_or_default()) {
        Ok(system) => {
            told!(Info, "mounted in {} us", clock::uptime().saturating_sub(begun).as_micros());
            Ok(Mounted::System(system))
        }
        Err(NoneGood::Slots(passed)) if !passed.is_empty() => {
            Err(passed.iter().map(|passed| passed.to_string()).collect())
        }
        Err(other) => Err(Vec::from([other.to_string()])),
    }
}
