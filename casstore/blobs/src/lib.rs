//! What a registry keeps, over any object store.
//!
//! Three stores share one root and one way of taking bytes in:
//!
//! | path | what | type |
//! | --- | --- | --- |
//! | `blobs/sha256/HEX` | content, named by its digest | [`Blobs`] |
//! | `repositories/NAME/_manifests/sha256/HEX` | the media type of a manifest; its bytes are a blob | [`Repositories`] |
//! | `repositories/NAME/_tags/TAG` | the digest that a tag names | [`Repositories`] |
//! | `catalog/NAME/PATH` | static files, as any web server could serve them | [`CatalogFiles`] |
//! | `uploads/…` | bytes still arriving; on a local disk always | [`Uploads`] |
//!
//! Bytes from outside are appended to an [`Upload`], sealed (flushed and hashed), and only then *land* under
//! their final name. Everything that becomes part of a path is a type that only its grammar can make:
//! [`Digest`], [`RepositoryName`], [`Tag`], [`CatalogName`], [`CatalogPath`].
//!
//! Deliberately absent: who may read or write what, and HTTP. Both are the server's.

mod blobs;
mod catalog;
mod catalog_path;
mod content;
mod digest;
mod error;
mod names;
mod objects;
mod repositories;
mod storage;
mod upload;
mod uploads;

pub use blobs::Blobs;
pub use catalog::{CatalogFile, CatalogFiles, Replace, Written};
pub use catalog_path::{CatalogName, CatalogPath};
pub use content::Content;
pub use digest::{Digest, DigestError};
pub use error::{CommitError, StoreError, UploadError};
pub use names::{NameError, RepositoryName, Tag};
pub use repositories::{Manifest, MediaType, Repositories};
pub use storage::Storage;
pub use upload::{Sealed, Upload};
pub use uploads::{UploadId, Uploads};
