//! What a plan knows of layers and of the machine.

use crate::dependency::{Dependency, Operator};
use alloc::string::String;
use alloc::vec::Vec;
use plyos_ids::{Kind, LayerId};

/// Kinds of which a generation holds at most one layer (docs/formats.md, "Generation").
pub(super) const SINGLE: [Kind; 2] = [Kind::Kernel, Kind::Base];

/// What a layer says that matters to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Kind; with the name it is what a generation holds at most once.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture, or `any`.
    pub arch: String,
    /// ABI of the programs inside, if any.
    pub abi: Option<String>,
    /// Hardware it is for; none: all.
    pub compatible: Vec<String>,
    /// Other names it answers to. With `= VERSION` also to a need of such a version; another operator tells no version.
    pub provides: Vec<Dependency>,
    /// What it needs.
    pub depends: Vec<Dependency>,
    /// What it cannot stand beside.
    pub conflicts: Vec<Dependency>,
    /// Whose files it may hide; what it conflicts with besides, it may displace.
    pub replaces: Vec<Dependency>,
    /// Least version that it takes over from.
    pub upgrade_from: Option<String>,
    /// Identity.
    pub layer: LayerId,
}

/// Kind and name: what a generation holds at most once.
pub(super) type Key<'a> = (Kind, &'a str);

impl Facts {
    pub(super) fn key(&self) -> Key<'_> {
        (self.kind, &self.name)
    }

    /// Whether it is what `need` names, by its own name or by one that it provides.
    pub fn answers(&self, need: &Dependency) -> bool {
        self.is_named(need) || self.provides.iter().any(|provided| provides(provided, need))
    }

    /// Whether it is what `need` names, by its own name.
    pub(super) fn is_named(&self, need: &Dependency) -> bool {
        self.name == need.name && need.accepts(&self.version)
    }
}

fn provides(provided: &Dependency, need: &Dependency) -> bool {
    provided.name == need.name
        && match (&need.version, &provided.version) {
            (None, _) => true,
            (Some(_), Some((Operator::Equal, version))) => need.accepts(version),
            (Some(_), _) => false,
        }
}

/// A layer of the present generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its facts.
    pub facts: Facts,
    /// Whether it was asked for by name.
    pub asked: bool,
    /// Whether it must stay in this very version.
    pub held: bool,
}

/// What the machine can use.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// Architecture in OCI's names.
    pub arch: &'a str,
    /// ABIs that it runs.
    pub abis: &'a [&'a str],
    /// Names of its hardware.
    pub compatible: &'a [String],
}

impl Machine<'_> {
    pub(super) fn takes(&self, offer: &Facts) -> bool {
        let hardware = &offer.compatible;
        (offer.arch == "any" || offer.arch == self.arch)
            && offer.abi.as_deref().is_none_or(|abi| self.abis.contains(&abi))
            && (hardware.is_empty() || hardware.iter().any(|name| self.compatible.contains(name)))
    }
}

/// What a layer is for, for people: `arm64`, `amd64 (plyos-0)`, `arm64 on acme,board`.
pub(super) fn made_for(offer: &Facts) -> String {
    let mut text = offer.arch.clone();
    if let Some(abi) = &offer.abi {
        text.push_str(&alloc::format!(" ({abi})"));
    }
    if !offer.compatible.is_empty() {
        text.push_str(&alloc::format!(" on {}", offer.compatible.join(" or ")));
    }
    text
}
