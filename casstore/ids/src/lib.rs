//! The small identity types through which the cores meet.
//!
//! No raw `[u8; 32]` or `String` crosses a crate boundary as an identity: a [`ChunkId`] cannot be passed where a
//! [`LayerId`] is meant. This crate holds identities, the [`Kind`] of a layer and the numbers of algorithms and codecs
//! that every format names; it parses nothing but hexadecimal.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod algorithm;
mod digest;
mod kind;

pub use algorithm::{Codec, HashAlgorithm, SignatureAlgorithm};
pub use digest::{
    BlobDigest, ChunkId, GenerationId, HexError, KeyId, LayerId, LayerSetId, ManifestDigest, ObjectHash,
    decode_hex,
};
pub use kind::{Kind, KindSet, Mount, MountType};
