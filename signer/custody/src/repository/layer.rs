//! Offering a layer: its certificate, its target, and the file that is its manifest.

use plyos_ids::{Kind, LayerId};
use plyos_trust::{
    certificate::{Certificate, Statement},
    custom::{LayerCustom, Sizes},
    signatures::Signatures,
    tuf::{TargetFile, TargetName},
};
use serde_json::Value;

use super::{RepositoryError, Workspace};
use crate::{Signer as _, keys::Role};

/// A layer to be offered.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTarget {
    /// The layer's descriptor; the caller has checked it.
    pub descriptor: Value,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `any`.
    pub arch: String,
    /// Its identity.
    pub layer: LayerId,
    /// The OCI manifest that describes it to a registry, exact bytes.
    pub manifest: Vec<u8>,
    /// For plans.
    pub sizes: Sizes,
    /// Lines that offer it.
    pub channels: Vec<String>,
    /// Its security epoch.
    pub epoch: u32,
}

impl LayerTarget {
    /// `KIND/NAME/VERSION/ARCH`.
    ///
    /// # Errors
    /// When one of the four has a `/` or another character that names cannot have, or the descriptor says otherwise.
    pub fn target_name(&self) -> Result<TargetName, RepositoryError> {
        let kind = self.kind.as_str();
        let parts = [("kind", kind), ("name", &self.name), ("version", &self.version), ("arch", &self.arch)];
        let text = parts.map(|(_, part)| part).join("/");
        for (member, part) in parts {
            if self.descriptor.get(member).and_then(Value::as_str) != Some(part) {
                let reason = "its descriptor names another kind, name, version or architecture";
                return Err(RepositoryError::Layer { name: text, reason });
            }
        }
        let name = TargetName::parse(&text)?;
        if name.as_str().split('/').count() != parts.len() {
            return Err(RepositoryError::Layer { name: text, reason: "its name or version has a `/` in it" });
        }
        Ok(name)
    }
}

impl Workspace {
    /// Certifies the layer with the layer key and puts it into the offer; [`Workspace::publish`] then signs the catalog.
    /// A layer that is offered under the same name is replaced.
    ///
    /// # Errors
    /// When the name is impossible, the layer key cannot be used, or the disk is full.
    pub fn add_layer(&mut self, target: LayerTarget, now: u64) -> Result<TargetName, RepositoryError> {
        let name = target.target_name()?;
        let statement = Statement { layer: target.layer, issued_at: now, epoch: target.epoch };
        let signature = self.key(Role::Layer, "layer")?.sign(&statement.message())?;
        let custom = LayerCustom {
            descriptor: target.descriptor,
            layer: target.layer,
            certificate: Certificate::new(statement, Signatures::new(vec![signature])?),
            channels: target.channels,
            size: target.sizes,
        };
        let file = TargetFile::of(&target.manifest, custom.emit());
        self.write_public(&name.consistent_path(&file.sha256), &target.manifest)?;
        self.offer(name.clone(), Some(file))?;
        Ok(name)
    }

    /// Takes a layer out of the offer; it is gone from the catalog with the next [`Workspace::publish`]. Says whether it
    /// was there.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub fn remove_target(&mut self, name: &TargetName) -> Result<bool, RepositoryError> {
        let there = self.offered().contains_key(name);
        if there {
            self.offer(name.clone(), None)?;
        }
        Ok(there)
    }
}
