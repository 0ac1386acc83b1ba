//! What goes wrong with one request, and why a pull ends early.

use super::head::ContentRange;

/// What befell a request on the way. It is asked again, for what is still missing, a bounded number of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection, or it broke.
    Broken,
    /// Nothing came for too long.
    Stalled,
}

/// Why a pull ended before everything was there. `blob` is the number that [`super::Pull::add`] gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The way broke as often as the policy allows, with no frame between.
    Lost {
        /// Which blob.
        blob: usize,
        /// What happened last.
        fault: Fault,
    },
    /// Answers ended too early as often as the policy allows, with no frame between.
    Short {
        /// Which blob.
        blob: usize,
    },
    /// The server has no such blob (404 or 410).
    NotFound {
        /// Which blob.
        blob: usize,
    },
    /// The server refused, or failed as often as the policy allows.
    Status {
        /// Which blob.
        blob: usize,
        /// HTTP status.
        status: u16,
    },
    /// The server asks for more patience than the policy has.
    Patience {
        /// Which blob.
        blob: usize,
        /// Seconds that it asks for.
        seconds: u64,
    },
    /// Another range came than the one that was asked for, or one without a place.
    OtherRange {
        /// Which blob.
        blob: usize,
        /// What the answer said of its place.
        stated: Option<ContentRange>,
    },
    /// The blob there has another length than its manifest says.
    OtherLength {
        /// Which blob.
        blob: usize,
        /// Its length there, where that was said.
        stated: Option<u64>,
    },
    /// The bytes came under a content coding that was not asked for.
    Coded {
        /// Which blob.
        blob: usize,
    },
    /// A frame is not what its chunk's identity says.
    WrongBytes {
        /// Which blob.
        blob: usize,
    },
    /// Whoever asked for the pull ended it.
    Halted,
}

impl Reason {
    /// Which blob it was about.
    pub const fn blob(&self) -> Option<usize> {
        match self {
            Self::Lost { blob, .. }
            | Self::Short { blob }
            | Self::NotFound { blob }
            | Self::Status { blob, .. }
            | Self::Patience { blob, .. }
            | Self::OtherRange { blob, .. }
            | Self::OtherLength { blob, .. }
            | Self::Coded { blob }
            | Self::WrongBytes { blob } => Some(*blob),
            Self::Halted => None,
        }
    }
}
