//! What a registry keeps, over any object store: a local directory or a bucket.
//!
//! | what | type | file |
//! | --- | --- | --- |
//! | content by digest: recipes | [`Blobs`], [`Recipe`] | `blobs.rs`, `recipe.rs`, `reader.rs` |
//! | immutable bytes that recipes point into | [`DataObjects`] | `data.rs` |
//! | what a repository holds: links, manifests, tags, referrers | [`Repositories`] | `repositories.rs`, `links.rs`, … |
//! | static files, as any web server could serve them | [`CatalogFiles`] | `catalog.rs` |
//! | bytes still arriving | [`Uploads`], [`Upload`] | `uploads.rs`, `register.rs`, `upload.rs` |
//! | sharing bytes between blobs | [`Packer`], [`PieceList`], [`PieceCutter`] | `pack.rs`, `pack_plan.rs`, `pieces.rs`, `cut.rs`, `frames.rs` |
//! | blobs that are told in ranges of others | [`Instructions`], [`Composer`] | `instructions.rs`, `compose.rs` |
//! | publishing under claims, and clean-up while pushes go on | [`Claims`], [`Policy`], [`Cleaned`] | `claims.rs`, `publish.rs`, `clean.rs`, `condemned.rs`, `garbage.rs` |
//! | whether all is whole | [`Depth`], [`Checked`] | `check.rs`, `repair.rs` |
//!
//! Under which keys all this lies is in `keys.rs` alone. [`Storage`] opens it.
//!
//! Bytes from outside are appended to an [`Upload`], hashed, and only then *land*: data, recipe, link, manifest, tag, in this order,
//! so that a crash or a power cut shows nobody a half blob. Everything that becomes part of a key is a type that only its grammar can
//! make: [`Digest`], [`RepositoryName`], [`Tag`], [`CatalogName`], [`CatalogPath`].
//!
//! Deliberately absent: who may read or write what, and HTTP. Both are the server's.

mod blobs;
mod bucket;
mod buffers;
mod candidates;
mod catalog;
mod catalog_path;
mod check;
mod claims;
mod clean;
mod compose;
mod condemned;
mod content;
mod cut;
mod data;
mod digest;
mod error;
mod footprint;
mod frames;
mod garbage;
mod hasher;
mod hot;
mod instructions;
mod keys;
mod landing;
mod links;
mod manifests;
mod marks;
mod named;
mod names;
mod objects;
mod ordered;
mod pace;
mod pack;
mod pack_plan;
mod pieces;
mod progress;
mod publish;
mod reader;
mod recipe;
mod referrers;
mod register;
mod repair;
mod repositories;
mod resident;
mod saved;
mod sharing;
mod staged_file;
mod staged_parts;
mod storage;
mod tags;
mod untagged;
mod upload;
mod uploads;

pub use blobs::{Blobs, Stat};
pub use catalog::{CatalogFile, CatalogFiles, LARGEST_EXCHANGE, Replace, Written};
pub use catalog_path::{CatalogName, CatalogPath};
pub use check::{Checked, Depth, Finding};
pub use claims::{Claim, Claims, Names, Outcome};
pub use clean::{Cleaned, Policy};
pub use compose::{ComposeError, Composer};
pub use content::Content;
pub use cut::PieceCutter;
pub use data::DataObjects;
pub use digest::{Algorithm, Digest, DigestError};
pub use error::{CommitError, StoreError, UploadError};
pub use footprint::Footprint;
pub use frames::{Frames, Step};
pub use hasher::Hasher;
pub use instructions::{BlobRange, Instruction, InstructionError, Instructions};
pub use keys::DataId;
pub use manifests::{Manifest, MediaType};
pub use names::{NameError, RepositoryName, Tag};
pub use pack::{Packer, Packing};
pub use pieces::{MOST_PIECES, PIECE_LAYOUTS, Piece, PieceId, PieceList, PieceListError};
pub use publish::ManifestPush;
pub use recipe::{Body, Extent, LAYOUTS, LONGEST_RECIPE, MOST_EXTENTS, MOST_INLINE, Recipe, RecipeError};
pub use referrers::ReferrersPage;
pub use repositories::Repositories;
pub use sharing::Sharing;
pub use storage::{Settings, Storage};
pub use tags::Expected;
pub use upload::{Sealed, Upload};
pub use uploads::{UploadId, Uploads};
