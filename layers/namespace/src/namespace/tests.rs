//! Tests over small indexes made by the format's own writer.

mod answers;
mod content;
mod model;
mod pages;

use alloc::{string::String, vec::Vec};

use plyos_ids::Kind;

use super::*;
use crate::samples::index::{Built, Memory, Node, build};

/// A layer with its files.
type Sample<'a> = (Kind, &'a str, &'a [(&'a str, Node)]);

fn namespace(layers: &[Sample<'_>]) -> Namespace<Memory> {
    let built: Vec<Built> =
        layers.iter().map(|(kind, name, nodes)| build(*kind, name, &[], nodes, 4096)).collect();
    Namespace::new(built.iter().map(Built::open).collect())
}

fn text_of(path: &[u8]) -> String {
    String::from_utf8(path.to_vec()).unwrap()
}

/// Name of the layer that something comes from.
fn owner(namespace: &Namespace<Memory>, found: &Found) -> Option<String> {
    found.source.map(|source| namespace.layers()[source.layer].info.name.clone())
}
