//! A generation with a layer of each kind and a health check.

use anyhow::Result;
use plyos_ids::{Kind, LayerId, Mount};
use plyos_namespace::generation::{Generation, GenerationLayer, GenerationParts, Health, HealthKind};

use crate::fixed::{NOW, hash};
use crate::{Again, Golden};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "generation.bin",
        section: "Generation",
        what: "a layer of each kind, on trial with an HTTP health check",
        make: || Ok(full()?.emit()),
        again: Again::Emit(again),
    },
    Golden {
        name: "generation-empty.bin",
        section: "Generation",
        what: "the least that a generation can be: no layer, no check, no text",
        make: || Ok(Generation::new(parts(1, Vec::new()))?.emit()),
        again: Again::Emit(again),
    },
];

fn again(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(Generation::parse(bytes)?.emit())
}

/// A generation without trial, check and text.
pub fn parts(number: u64, layers: Vec<GenerationLayer>) -> GenerationParts {
    GenerationParts {
        number,
        parent: 0,
        created_at: NOW,
        state_version: 0,
        tries: 0,
        health: None,
        created_by: String::new(),
        layers,
    }
}

/// A layer of a repository that was asked for.
pub fn listed(kind: Kind, name: &str, id: LayerId) -> GenerationLayer {
    GenerationLayer {
        id,
        kind,
        mount: Mount::of(kind, name),
        asked: true,
        unsigned: false,
        epoch: 0,
        name: name.into(),
        version: "1.0".into(),
        arch: "amd64".into(),
        repo: "main".into(),
    }
}

/// The generation of `generation.bin`.
pub fn full() -> Result<Generation> {
    let layer = |kind: Kind, name: &str| listed(kind, name, LayerId::from_bytes(hash(name)));
    let local = GenerationLayer {
        asked: false,
        unsigned: true,
        arch: "any".into(),
        repo: String::new(),
        ..layer(Kind::Site, "docs")
    };
    let layers = vec![
        local,
        GenerationLayer { epoch: 9, ..layer(Kind::Kernel, "plyos-kernel") },
        layer(Kind::Base, "plyos-base"),
        layer(Kind::Package, "zsh"),
        GenerationLayer { epoch: u32::MAX, version: "2:1.0~rc1".into(), ..layer(Kind::Package, "bash") },
        layer(Kind::Model, "tiny-llm"),
        layer(Kind::Config, "machine"),
    ];
    let health =
        Health { kind: HealthKind::Http, spec: "http://127.0.0.1/health".into(), timeout: 120, hold: 0 };
    Ok(Generation::new(GenerationParts {
        parent: 41,
        state_version: 6,
        tries: 3,
        health: Some(health),
        created_by: "pkg install zsh # caf\u{e9}".into(),
        ..parts(42, layers)
    })?)
}
