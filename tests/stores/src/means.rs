//! What the image brings to the kernel, for the host: the `zstd` crate, and a log that is kept.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex};

use plyos_kernel_logic::{BadFrame, Decompress, Level, Log, Means};
use zstd::bulk::Decompressor;

thread_local! {
    static ZSTD: RefCell<Decompressor<'static>> = RefCell::new(Decompressor::new().unwrap());
}

/// Decompression by the `zstd` crate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Zstd;

impl Decompress for Zstd {
    fn decompress(&self, frame: &[u8], length: usize) -> Result<Vec<u8>, BadFrame> {
        let bytes = ZSTD.with_borrow_mut(|zstd| zstd.decompress(frame, length)).map_err(|_| BadFrame)?;
        if bytes.len() == length { Ok(bytes) } else { Err(BadFrame) }
    }
}

/// A log that is kept.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Vec<(Level, String)>>);

impl Log for Lines {
    fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        self.0.lock().unwrap().push((level, text.to_string()));
    }
}

impl Lines {
    /// The lines of this level so far.
    pub fn of(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(found, _)| *found == level).map(|(_, text)| text.clone()).collect()
    }
}

/// Zstd and a kept log.
pub fn means() -> (Means, Arc<Lines>) {
    let lines = Arc::new(Lines::default());
    (Means { decompress: Arc::new(Zstd), log: Arc::clone(&lines) as _ }, lines)
}
