//! What a record is.

use core::fmt;

/// The type of a record. Numbers are frozen; a directory with another number is refused as too new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum RecordType {
    /// An activation manifest, under its generation id.
    Generation = 1,
    /// A layer's certificate, under its layer id.
    Certificate = 2,
    /// A repository's keyring, under the BLAKE3 of its name.
    Keyring = 3,
    /// A configured repository, under the BLAKE3 of its name.
    Repository = 4,
    /// A verified TUF file, under the BLAKE3 of `NAME/ROLE`.
    TufMetadata = 5,
    /// What became active, and when; key zeroes.
    History = 6,
    /// Sets of layers that turned out bad; key zeroes.
    BadSets = 7,
    /// Least security epochs; key zeroes.
    Floors = 8,
    /// What was done and refused beside activations; key zeroes.
    Audit = 9,
    /// A key enrolled on this machine, under its key id.
    EnrolledKey = 10,
    /// A generation kept from clean-up, under its id.
    Pin = 11,
    /// Another read-only device, under the BLAKE3 of its name.
    Source = 12,
    /// The OCI manifest of a layer, under its digest.
    Manifest = 13,
    /// What the operator set; key zeroes.
    Settings = 14,
}

impl RecordType {
    /// Every type, in order of number.
    pub const ALL: [Self; 14] = [
        Self::Generation,
        Self::Certificate,
        Self::Keyring,
        Self::Repository,
        Self::TufMetadata,
        Self::History,
        Self::BadSets,
        Self::Floors,
        Self::Audit,
        Self::EnrolledKey,
        Self::Pin,
        Self::Source,
        Self::Manifest,
        Self::Settings,
    ];

    /// The key of the types of which a store holds one record.
    pub const ONLY: [u8; 32] = [0; 32];

    /// The type of a number, if it is known here.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }

    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Certificate => "certificate",
            Self::Keyring => "keyring",
            Self::Repository => "repository",
            Self::TufMetadata => "TUF metadata",
            Self::History => "history",
            Self::BadSets => "bad layer sets",
            Self::Floors => "floors",
            Self::Audit => "audit",
            Self::EnrolledKey => "enrolled key",
            Self::Pin => "pin",
            Self::Source => "source",
            Self::Manifest => "manifest",
            Self::Settings => "settings",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_are_dense() {
        for (number, kind) in (1u16..).zip(RecordType::ALL) {
            assert_eq!(kind as u16, number);
            assert_eq!(RecordType::from_number(number), Some(kind));
        }
        assert_eq!(RecordType::from_number(0), None);
        assert_eq!(RecordType::from_number(15), None);
    }
}
