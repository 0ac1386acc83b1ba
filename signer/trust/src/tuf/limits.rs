//! What a client takes from a repository that it does not trust yet.

/// Bounds of one update. The defaults are those of docs/formats.md, "TUF catalog".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a root file: its size is known from nowhere (step 5.3.3, "W").
    pub root_len: u64,
    /// Root versions followed in one update (step 5.3.3, "Y"): a longer chain goes on with the next update.
    pub root_versions: u32,
    /// Bytes of the timestamp: its size is known from nowhere (step 5.4.1, "X").
    pub timestamp_len: u64,
    /// Bytes of the snapshot, whatever the timestamp says.
    pub snapshot_len: u64,
    /// Bytes of targets and of each delegated role, whatever the snapshot says.
    pub targets_len: u64,
    /// Bytes of a file for which nobody signed a hash: it has to be parsed before it can be refused, and a parsed
    /// document may take thirty times its bytes.
    pub unhashed_len: u64,
    /// Delegations of the top-level targets role.
    pub delegations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root_len: 512 << 10,
            root_versions: 1024,
            timestamp_len: 16 << 10,
            snapshot_len: 2 << 20,
            targets_len: 64 << 20,
            unhashed_len: 2 << 20,
            delegations: 32,
        }
    }
}
