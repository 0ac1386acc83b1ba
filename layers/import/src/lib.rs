//! Reading other people's archives as layer trees: tar in its dialects, OCI images, Debian packages, wheels.
//!
//! [`Source`] tells what a file is by its content and reads it; [`image`] reads layers that stand on top of each other. All go
//! into one staging tree of names, in which links are looked up and never followed, and their content into a
//! [`plyos_layer_build::Spool`]; what comes out is an [`Imported`] tree, under the same rules (exclusions, owners, times) as a
//! directory that was scanned. Everything read here is untrusted: [`Limits`] bounds it, and what two readers could take for
//! two different things is refused by name ([`Refusal`]).
#![forbid(unsafe_code)]

mod bounds;
mod debian;
mod decompress;
mod error;
mod facts;
pub mod image;
mod names;
mod source;
mod staging;
mod tar;
mod wheel;

pub use bounds::Limits;
pub use error::{ImportError, Refusal};
pub use facts::{Facts, Imported};
pub use names::Absolute;
pub use source::{Request, Source};
