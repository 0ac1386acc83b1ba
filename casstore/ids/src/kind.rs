//! What a layer is and where it is mounted.

use core::fmt;

/// The kind of a layer. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A kernel; read by the loader, not mounted.
    Kernel = 1,
    /// A base image, mounted at `/`.
    Base = 2,
    /// A package, below `/usr` and `/etc/pkg/defaults`.
    Package = 3,
    /// An AI model, at `/models/NAME`.
    Model = 4,
    /// A web site, at `/www/NAME`.
    Site = 5,
    /// Configuration, below `/etc`; signed by a key enrolled on the machine. Its life comes later.
    Config = 6,
}

impl Kind {
    /// Every kind, in order of number.
    pub const ALL: [Self; 6] =
        [Self::Kernel, Self::Base, Self::Package, Self::Model, Self::Site, Self::Config];

    /// The kind of a number, if it is known here.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The word used in descriptors, TUF target names and command lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Base => "base",
            Self::Package => "package",
            Self::Model => "model",
            Self::Site => "site",
            Self::Config => "config",
        }
    }

    /// The kind of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of kinds as a bit mask: bit `n` stands for kind number `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KindSet(pub u16);

impl KindSet {
    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// The set with `kind` in it.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    /// Whether a bit is set that stands for no known kind.
    pub fn has_unknown(self) -> bool {
        let known = Kind::ALL.into_iter().fold(Self::default(), Self::with);
        self.0 & !known.0 != 0
    }
}

/// Where in the namespace a layer's tree stands. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MountType {
    /// Not mounted (kernels).
    None = 0,
    /// The layer's root is `/`; it may hold any path.
    Root = 1,
    /// The layer's root is `/`; it holds paths below `usr` and `etc/pkg/defaults` only.
    Overlay = 2,
    /// The layer's root is the mount path (`/models/NAME`, `/www/NAME`).
    Subtree = 3,
    /// The layer's root is `/`; it holds paths below `etc` only. Its life comes later.
    Config = 4,
    /// Writable state with a state-version (`/var`, `/data`), no layer. Its life comes later.
    State = 5,
}

impl MountType {
    /// The mount type of a number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Root),
            2 => Some(Self::Overlay),
            3 => Some(Self::Subtree),
            4 => Some(Self::Config),
            5 => Some(Self::State),
            _ => None,
        }
    }
}

/// A mount type with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// How the layer's tree is placed.
    pub mount_type: MountType,
    /// Absolute path of the layer's root.
    pub path: alloc::string::String,
}

impl Mount {
    /// The mount that the design gives to a layer of `kind` called `name`.
    pub fn of(kind: Kind, name: &str) -> Self {
        let (mount_type, path) = match kind {
            Kind::Kernel => (MountType::None, alloc::string::String::from("/")),
            Kind::Base => (MountType::Root, alloc::string::String::from("/")),
            Kind::Package => (MountType::Overlay, alloc::string::String::from("/")),
            Kind::Model => (MountType::Subtree, alloc::format!("/models/{name}")),
            Kind::Site => (MountType::Subtree, alloc::format!("/www/{name}")),
            Kind::Config => (MountType::Config, alloc::string::String::from("/")),
        };
        Self { mount_type, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
        }
        assert_eq!(Kind::parse("driver"), None);
        assert_eq!(Kind::from_number(7), None);
    }

    #[test]
    fn kind_sets() {
        let set = KindSet::default().with(Kind::Site);
        assert!(set.contains(Kind::Site) && !set.contains(Kind::Base) && !set.has_unknown());
        assert!(KindSet(1).has_unknown() && KindSet(1 << 7).has_unknown());
    }
}
