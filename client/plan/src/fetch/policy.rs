//! How much at once, how often again. Each number says why it is what it is; the tests of the engine use smaller ones.

/// Bytes of gap that are fetched rather than asked for separately: measured, that halves the requests for 4 % more bytes.
pub const GAP: u64 = 32 * 1024;

/// Bytes after which a request ends at the next frame, so that several run side by side and the last ones end together.
pub const REQUEST: u64 = 4 * 1024 * 1024;

/// A blob of at most so many bytes is fetched whole, before its index is known: the two further requests that index and frames
/// would need cost as much as two gaps.
pub const SMALL_BLOB: u64 = 2 * GAP;

/// The choices of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Requests under way at a time, over all blobs.
    pub parallel: usize,
    /// Bytes of frames that are begun, verified or waiting for the store. At least the largest frame and [`Policy::FRAME_COST`].
    pub budget: u64,
    /// Longest gap in bytes that is fetched along.
    pub gap: u64,
    /// Bytes after which a request ends at the next frame.
    pub request: u64,
    /// What a request costs beside its bytes, in bytes: decides between many ranges and all of the blob.
    pub request_cost: u64,
    /// Requests in a row that may fail at one place before the pull is given up.
    pub tries: u32,
    /// Pause after the first of them in milliseconds; it doubles.
    pub pause_ms: u64,
    /// Longest pause in milliseconds that a server may ask for.
    pub longest_pause_ms: u64,
}

impl Policy {
    /// What a frame takes beside its bytes, so that many tiny ones are bounded too.
    pub const FRAME_COST: u64 = 256;
}

impl Default for Policy {
    /// 6 requests and 8 MiB: six connections are what browsers open to a host; with decoding and the network's own buffers the
    /// process stays below 64 MiB.
    fn default() -> Self {
        Self {
            parallel: 6,
            budget: 8 << 20,
            gap: GAP,
            request: REQUEST,
            request_cost: 2 * GAP,
            tries: 4,
            pause_ms: 250,
            longest_pause_ms: 60_000,
        }
    }
}
