//! What an input says of itself, and what comes of reading it.

use plyos_layer_build::Tree;

/// What a descriptor can take from the input. Texts are as the input has them and still to be checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it is in the words of [`plyos_ids::Kind`].
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Architecture in the words of a descriptor.
    pub arch: Option<String>,
    /// ABI of its programs.
    pub abi: Option<String>,
    /// One line for people.
    pub summary: Option<String>,
    /// Licence.
    pub license: Option<String>,
    /// Home page.
    pub homepage: Option<String>,
    /// What it needs, as relations of a descriptor; only where it was asked for.
    pub depends: Vec<String>,
}

/// An archive that was read.
#[derive(Debug)]
pub struct Imported {
    /// Its tree, ready to be built.
    pub tree: Tree,
    /// What it says of itself.
    pub facts: Facts,
    /// What was left out or should be known, one sentence each.
    pub notes: Vec<String>,
}
