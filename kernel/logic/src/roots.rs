//! Whom this kernel trusts: the roots it was built with, or else those of the boot module.
//!
//! Built-in roots win, and a module beside them is passed over. Who signs or measures a kernel vouches for those roots with it; a
//! module that nobody measured must neither add a publisher to them nor take the place of one. Key types: [`Roots`], and
//! [`Trusted`], what is told of them. The pins themselves are `plyos_trust::pins`.

use core::fmt;

use plyos_trust::pins::{Pins, PinsError};

/// Where roots came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They are part of the kernel.
    BuiltIn,
    /// The loader gave them.
    Module,
}

/// What is told of the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trusted {
    /// Where they came from.
    pub origin: Origin,
    /// Sets of keys.
    pub sets: usize,
    /// BLAKE3 of their file, as `b3sum` shows it.
    pub digest: [u8; 32],
}

impl fmt::Display for Trusted {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = match self.origin {
            Origin::BuiltIn => "built in",
            Origin::Module => "of the boot module",
        };
        let (sets, s) = (self.sets, if self.sets == 1 { "" } else { "s" });
        write!(
            to,
            "{sets} set{s} of keys, {origin}, BLAKE3 {}",
            blake3::Hash::from_bytes(self.digest).to_hex()
        )
    }
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// The sets of keys.
    pub pins: Pins,
    /// What is told of them.
    pub trusted: Trusted,
    /// Whether there was a boot module that says otherwise and was passed over.
    pub passed_over: bool,
}

/// Why nobody is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// There are none.
    #[error(
        "no roots were given: the boot module (QEMU: -initrd) must be the image's file of pinned roots, for this kernel was built without"
    )]
    None,
    /// The module is something else.
    #[error("the boot module is no file of pinned roots: {0}")]
    Module(PinsError),
    /// What the kernel was built with is damaged: the build has read it.
    #[error("the roots that this kernel was built with cannot be read: {0}; build it anew")]
    BuiltIn(PinsError),
}

impl Roots {
    /// Chooses between what was built in (no bytes: nothing) and the boot module.
    ///
    /// # Errors
    /// [`RootsError`]. Built-in roots that cannot be read are no reason to take the module's.
    pub fn choose(built_in: &[u8], module: Option<&[u8]>) -> Result<Self, RootsError> {
        let (bytes, origin) = match module {
            _ if !built_in.is_empty() => (built_in, Origin::BuiltIn),
            Some(module) => (module, Origin::Module),
            None => return Err(RootsError::None),
        };
        let pins = Pins::parse(bytes).map_err(match origin {
            Origin::BuiltIn => RootsError::BuiltIn,
            Origin::Module => RootsError::Module,
        })?;
        let digest = *blake3::hash(bytes).as_bytes();
        let trusted = Trusted { origin, sets: pins.sets().len(), digest };
        Ok(Self { pins, trusted, passed_over: module.is_some_and(|module| module != bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_trust::key::PublicKey;
    use plyos_trust::pins::PinnedSet;
    use std::string::ToString as _;
    use std::vec::Vec;

    /// Pins of a key: the curve's base point, or the first test key of RFC 8032.
    fn pins(number: usize) -> Pins {
        let mut base = [0x66; 32];
        base[0] = 0x58;
        let other: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| &"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"[at..at + 2])
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let key = PublicKey::ed25519(if number == 0 { &base } else { &other }).unwrap();
        Pins::new([PinnedSet::new(1, [key]).unwrap()]).unwrap()
    }

    #[test]
    fn built_in_roots_are_neither_replaced_nor_added_to() {
        let (own, given) = (pins(0), pins(1));
        for module in [given.emit(), b"no roots".to_vec(), Vec::new()] {
            let found = Roots::choose(&own.emit(), Some(&module)).unwrap();
            assert_eq!((found.pins, found.trusted.origin), (own.clone(), Origin::BuiltIn));
            assert!(found.passed_over);
        }
        // The same once more says nothing new.
        assert!(!Roots::choose(&own.emit(), Some(&own.emit())).unwrap().passed_over);
        assert!(!Roots::choose(&own.emit(), None).unwrap().passed_over);
    }

    #[test]
    fn damaged_built_in_roots_open_no_door_to_the_module() {
        let found = Roots::choose(b"damaged", Some(&pins(1).emit()));
        assert!(matches!(found, Err(RootsError::BuiltIn(_))), "{found:?}");
    }

    #[test]
    fn a_kernel_without_roots_takes_those_of_the_module() {
        let found = Roots::choose(&[], Some(&pins(1).emit())).unwrap();
        assert_eq!((&found.pins, found.trusted.origin, found.passed_over), (&pins(1), Origin::Module, false));
        let digest = blake3::hash(&pins(1).emit()).to_hex();
        let told = alloc::format!("1 set of keys, of the boot module, BLAKE3 {digest}");
        assert_eq!(found.trusted.to_string(), told);
        assert_eq!(Roots::choose(&[], None), Err(RootsError::None));
        assert!(matches!(Roots::choose(&[], Some(b"x")), Err(RootsError::Module(_))));
    }
}
