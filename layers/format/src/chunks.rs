//! Constants of chunks that readers and writers share; the cutting itself is a shell's work.

/// Longest chunk in bytes that any reader accepts: what a reader buffers for one chunk. Changing it is a format break.
pub const MAX_CHUNK: u32 = 1 << 20;

/// Content of a file of at least this many bytes is a run of its own (cut rule 1). Frozen with the cut rule.
pub const LARGE_FILE: u64 = 65_536;

/// Number of the cut rule that today's writers follow.
pub const CUT_RULE: u8 = 1;

/// Minimum, average and maximum of FastCDC inside large files, in bytes (cut rule 1).
pub const LARGE_FILE_CUTS: Cuts = Cuts { minimum: 16 << 10, average: 64 << 10, maximum: 256 << 10 };

/// Minimum, average and maximum of FastCDC over runs of headers and small files, in bytes (cut rule 1).
pub const RUN_CUTS: Cuts = Cuts { minimum: 64 << 10, average: 256 << 10, maximum: 1 << 20 };

/// Parameters of FastCDC 2020, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cuts {
    /// No chunk is shorter but the last of a run.
    pub minimum: u32,
    /// The length that the masks aim at.
    pub average: u32,
    /// No chunk is longer.
    pub maximum: u32,
}

const _: () = assert!(RUN_CUTS.maximum <= MAX_CHUNK && LARGE_FILE_CUTS.maximum <= MAX_CHUNK);
