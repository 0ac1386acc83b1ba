//! Offering a layer: its certificate, its target, and the file that is its manifest.

use std::path::PathBuf;

use plyos_ids::{Kind, LayerId};
use plyos_trust::{
    certificate::{Certificate, Statement},
    custom::{LayerCustom, Sizes},
    keyring,
    signatures::Signatures,
    tuf::{TargetFile, TargetName},
};
use serde_json::Value;

use super::{RepositoryError, Workspace};
use crate::Signer as _;

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
    /// The repository of an OCI registry where targets find the blob; `None`: it lies beside the catalog.
    pub registry: Option<String>,
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

/// What a certificate's key must be allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Powers<'a> {
    pub kind: Kind,
    pub name: &'a str,
    pub epoch: u32,
}

impl<'a> Powers<'a> {
    /// Those for a target at an epoch.
    pub fn of(target: &'a TargetName, epoch: u32) -> Result<Self, RepositoryError> {
        let mut parts = target.as_str().split('/');
        match (parts.next().and_then(Kind::parse), parts.next()) {
            (Some(kind), Some(name)) => Ok(Self { kind, name, epoch }),
            _ => Err(RepositoryError::Layer {
                name: target.to_string(),
                reason: "its name is not KIND/NAME/…",
            }),
        }
    }
}

/// A certificate that replaced another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certified {
    /// The layer, which is the same.
    pub layer: LayerId,
    /// Epoch of the certificate before.
    pub epoch_before: u32,
    /// Epoch of the new one.
    pub epoch: u32,
    /// How many keys signed it.
    pub signatures: u16,
}

impl Workspace {
    /// Certifies the layer by all layer keys at hand that the keyring lets sign it, and puts it into the offer;
    /// [`Workspace::publish`] then signs the catalog. A layer that is offered under the same name is replaced.
    ///
    /// # Errors
    /// As [`Workspace::add_layer_by`].
    pub fn add_layer(&mut self, target: LayerTarget, now: u64) -> Result<TargetName, RepositoryError> {
        self.add_layer_by(target, &[], now)
    }

    /// As [`Workspace::add_layer`], by the keys of the files `named`, or as there when none is named.
    ///
    /// # Errors
    /// When the name is impossible, no layer key can be used, clients would refuse the certificate, or the disk is full.
    pub fn add_layer_by(
        &mut self,
        target: LayerTarget,
        named: &[PathBuf],
        now: u64,
    ) -> Result<TargetName, RepositoryError> {
        let name = target.target_name()?;
        let custom = LayerCustom {
            certificate: self.certificate(&name, target.layer, target.epoch, named, now)?,
            descriptor: target.descriptor,
            layer: target.layer,
            channels: target.channels,
            size: target.sizes,
            registry: target.registry,
        };
        let file = TargetFile::of(&target.manifest, custom.emit());
        self.write_public(&name.consistent_path(&file.sha256), &target.manifest)?;
        self.offer(name.clone(), Some(file))?;
        Ok(name)
    }

    /// Gives a layer on offer a new certificate: layer, manifest and blob stay. Without `epoch` it keeps the one it has.
    ///
    /// # Errors
    /// As [`Workspace::add_layer`]; and when the layer is not on offer, or the epoch would fall.
    pub fn certify(
        &mut self,
        name: &TargetName,
        epoch: Option<u32>,
        named: &[PathBuf],
        now: u64,
    ) -> Result<Certified, RepositoryError> {
        let refused = |reason| RepositoryError::Layer { name: name.to_string(), reason };
        let mut file = self.offered().get(name).cloned().ok_or_else(|| refused("it is not on offer"))?;
        let mut custom = LayerCustom::parse(&file.custom)?;
        let epoch_before = custom.certificate.statement.epoch;
        let epoch = epoch.unwrap_or(epoch_before);
        if epoch < epoch_before {
            return Err(refused(
                "its security epoch would fall, and targets that have seen the higher one refuse it",
            ));
        }
        custom.certificate = self.certificate(name, custom.layer, epoch, named, now)?;
        let signatures = custom.certificate.signatures.count();
        file.custom = custom.emit();
        self.offer(name.clone(), Some(file))?;
        Ok(Certified { layer: custom.layer, epoch_before, epoch, signatures })
    }

    /// A certificate that clients accept by the newest keyring.
    fn certificate(
        &self,
        name: &TargetName,
        layer: LayerId,
        epoch: u32,
        named: &[PathBuf],
        now: u64,
    ) -> Result<Certificate, RepositoryError> {
        let powers = Powers::of(name, epoch)?;
        let statement = Statement { layer, issued_at: now, epoch };
        let message = statement.message();
        let keys = self.layer_signers(name, &powers, named)?;
        let signatures = keys.iter().map(|key| key.sign(&message)).collect::<Result<Vec<_>, _>>()?;
        let certificate = Certificate::new(statement, Signatures::new(signatures)?);
        let root = self.root()?;
        keyring::verify(self.keyring(), &root.root().keys(), root.root().threshold())?
            .accept(&certificate, layer, powers.kind, powers.name, 0)
            .map_err(|refusal| RepositoryError::LayerRefused { name: name.to_string(), refusal })?;
        Ok(certificate)
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
