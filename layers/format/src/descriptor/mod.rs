//! The descriptor: what the publisher says of a layer, inside the index and so committed by the layer's identity.
//!
//! A JSON object with one canonical spelling: `emit(parse(x)) == x`. A [`Descriptor`] is valid by
//! construction: every setter refuses what the format refuses.

mod canonical;
mod error;
mod json;
mod members;
mod relation;

pub use error::DescriptorError;
pub use members::{ABIS, ARCHES, Service};
pub use relation::{is_name, is_relation, is_version};

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use plyos_ids::Kind;
use serde_json::Value;

use crate::index::MAX_DESCRIPTOR;
use members::{check_array, check_string};

/// Most elements of an array, and members of an object.
pub const MAX_ARRAY: usize = 1_024;
/// Longest string in bytes.
pub const MAX_STRING: usize = 1_024;
/// Numbers are below this, so that any JSON reader holds them exactly: 2^53.
pub const NUMBER_LIMIT: u64 = 1 << 53;

/// What a publisher says of a layer. See `docs/formats.md`, "Descriptor".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    kind: Kind,
    name: String,
    version: String,
    arch: String,
    abi: Option<String>,
    summary: String,
    license: String,
    homepage: String,
    compatible: Vec<String>,
    provides: Vec<String>,
    depends: Vec<String>,
    conflicts: Vec<String>,
    replaces: Vec<String>,
    upgrade_from: Option<String>,
    state_version: Option<u64>,
    state_version_min: Option<u64>,
    capabilities: Vec<String>,
    services: Vec<Service>,
    reads: BTreeMap<String, u64>,
    extensions: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor with the required members alone.
    pub fn new(kind: Kind, name: &str, version: &str, arch: &str) -> Result<Self, DescriptorError> {
        if !is_name(name) {
            return Err(DescriptorError::value("name", "[a-z0-9][a-z0-9+._-]{0,63}"));
        }
        if !is_version(version) {
            return Err(DescriptorError::value("version", "[0-9A-Za-z][0-9A-Za-z.+~:_-]{0,63}"));
        }
        members::check_arch(arch)?;
        Ok(Self {
            kind,
            name: name.to_string(),
            version: version.to_string(),
            arch: arch.to_string(),
            abi: None,
            summary: String::new(),
            license: String::new(),
            homepage: String::new(),
            compatible: Vec::new(),
            provides: Vec::new(),
            depends: Vec::new(),
            conflicts: Vec::new(),
            replaces: Vec::new(),
            upgrade_from: None,
            state_version: None,
            state_version_min: None,
            capabilities: Vec::new(),
            services: Vec::new(),
            reads: BTreeMap::new(),
            extensions: BTreeMap::new(),
        })
    }

    /// Parses the canonical spelling and no other.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptorError> {
        if bytes.len() > MAX_DESCRIPTOR {
            return Err(DescriptorError::TooLong);
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|_| DescriptorError::Json)?;
        let descriptor = Self::from_json(&value)?;
        if descriptor.emit() != bytes {
            return Err(DescriptorError::NotCanonical);
        }
        Ok(descriptor)
    }

    /// The canonical spelling: what stands in an index.
    pub fn emit(&self) -> Vec<u8> {
        canonical::emit(&self.to_json())
    }

    /// The descriptor as a JSON value, for a catalog.
    pub fn to_json(&self) -> Value {
        json::to_json(self)
    }

    /// The descriptor in a JSON value, whatever its spelling was; the members must be those of the format.
    pub fn from_json(value: &Value) -> Result<Self, DescriptorError> {
        json::from_json(value)
    }

    /// What the layer is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Name of the layer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the layer.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Architecture of its programs, in the words of OCI.
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// Which system calls its programs use; `None`: no programs inside.
    pub fn abi(&self) -> Option<&str> {
        self.abi.as_deref()
    }

    /// One line for people, empty when absent.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// License for people, empty when absent.
    pub fn license(&self) -> &str {
        &self.license
    }

    /// Home page for people, empty when absent.
    pub fn homepage(&self) -> &str {
        &self.homepage
    }

    /// Hardware it is for; empty: all.
    pub fn compatible(&self) -> &[String] {
        &self.compatible
    }

    /// What it provides besides its name.
    pub fn provides(&self) -> &[String] {
        &self.provides
    }

    /// What must be installed with it.
    pub fn depends(&self) -> &[String] {
        &self.depends
    }

    /// What must not be installed with it.
    pub fn conflicts(&self) -> &[String] {
        &self.conflicts
    }

    /// Whose files it may stand in the place of.
    pub fn replaces(&self) -> &[String] {
        &self.replaces
    }

    /// Least version from which an upgrade may start.
    pub fn upgrade_from(&self) -> Option<&str> {
        self.upgrade_from.as_deref()
    }

    /// Highest version of the machine's state that it reads.
    pub const fn state_version(&self) -> Option<u64> {
        self.state_version
    }

    /// Lowest version of the machine's state that it reads.
    pub const fn state_version_min(&self) -> Option<u64> {
        self.state_version_min
    }

    /// Versions of the machine's state that it reads; `None` when it keeps none. Without a lowest one it reads one alone.
    pub fn state_versions(&self) -> Option<RangeInclusive<u64>> {
        let newest = self.state_version?;
        Some(self.state_version_min.unwrap_or(newest)..=newest)
    }

    /// What its services need.
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }

    /// Its services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Formats that a kernel or loader reads, with the mask of incompatible features of each.
    pub const fn reads(&self) -> &BTreeMap<String, u64> {
        &self.reads
    }

    /// Members whose key starts with `x-`.
    pub const fn extensions(&self) -> &BTreeMap<String, String> {
        &self.extensions
    }

    /// Sets the ABI of its programs.
    pub fn set_abi(&mut self, abi: Option<&str>) -> Result<(), DescriptorError> {
        abi.map_or(Ok(()), members::check_abi)?;
        self.change(|new| new.abi = abi.map(ToString::to_string))
    }

    /// Sets the line for people; empty removes it.
    pub fn set_summary(&mut self, summary: &str) -> Result<(), DescriptorError> {
        check_string("summary", summary)?;
        self.change(|new| new.summary = summary.to_string())
    }

    /// Sets the license; empty removes it.
    pub fn set_license(&mut self, license: &str) -> Result<(), DescriptorError> {
        check_string("license", license)?;
        self.change(|new| new.license = license.to_string())
    }

    /// Sets the home page; empty removes it.
    pub fn set_homepage(&mut self, homepage: &str) -> Result<(), DescriptorError> {
        check_string("homepage", homepage)?;
        self.change(|new| new.homepage = homepage.to_string())
    }

    /// Sets the hardware it is for; empty: all.
    pub fn set_compatible(&mut self, compatible: Vec<String>) -> Result<(), DescriptorError> {
        members::check_strings("compatible", &compatible)?;
        self.change(|new| new.compatible = compatible)
    }

    /// Sets what it provides.
    pub fn set_provides(&mut self, provides: Vec<String>) -> Result<(), DescriptorError> {
        members::check_relations("provides", &provides)?;
        self.change(|new| new.provides = provides)
    }

    /// Sets what it needs.
    pub fn set_depends(&mut self, depends: Vec<String>) -> Result<(), DescriptorError> {
        members::check_relations("depends", &depends)?;
        self.change(|new| new.depends = depends)
    }

    /// Sets what it excludes.
    pub fn set_conflicts(&mut self, conflicts: Vec<String>) -> Result<(), DescriptorError> {
        members::check_relations("conflicts", &conflicts)?;
        self.change(|new| new.conflicts = conflicts)
    }

    /// Sets whose files it may stand in the place of.
    pub fn set_replaces(&mut self, replaces: Vec<String>) -> Result<(), DescriptorError> {
        members::check_relations("replaces", &replaces)?;
        self.change(|new| new.replaces = replaces)
    }

    /// Sets the least version from which an upgrade may start.
    pub fn set_upgrade_from(&mut self, version: Option<&str>) -> Result<(), DescriptorError> {
        if version.is_some_and(|version| !is_version(version)) {
            return Err(DescriptorError::value("upgrade-from", "a version"));
        }
        self.change(|new| new.upgrade_from = version.map(ToString::to_string))
    }

    /// Sets the lowest and highest version of the machine's state that it reads.
    pub fn set_state_versions(
        &mut self,
        lowest: Option<u64>,
        highest: Option<u64>,
    ) -> Result<(), DescriptorError> {
        let is_number = |number: Option<u64>| number.is_none_or(|number| number < NUMBER_LIMIT);
        if !is_number(highest) {
            return Err(DescriptorError::value("state-version", "a number below 2^53"));
        }
        let in_order = lowest.zip(highest).is_none_or(|(lowest, highest)| lowest <= highest);
        if !is_number(lowest) || !in_order {
            return Err(DescriptorError::value("state-version-min", "a number of at most state-version"));
        }
        self.change(|new| (new.state_version_min, new.state_version) = (lowest, highest))
    }

    /// Sets what its services need.
    pub fn set_capabilities(&mut self, capabilities: Vec<String>) -> Result<(), DescriptorError> {
        members::check_strings("capabilities", &capabilities)?;
        self.change(|new| new.capabilities = capabilities)
    }

    /// Sets its services; no name twice.
    pub fn set_services(&mut self, services: Vec<Service>) -> Result<(), DescriptorError> {
        members::check_services(&services)?;
        self.change(|new| new.services = services)
    }

    /// Sets the formats that it reads.
    pub fn set_reads(&mut self, reads: BTreeMap<String, u64>) -> Result<(), DescriptorError> {
        check_array("reads", reads.len())?;
        for (format, mask) in &reads {
            if format.is_empty() || format.len() > MAX_STRING || *mask >= NUMBER_LIMIT {
                return Err(DescriptorError::value("reads", "format names with masks below 2^53"));
            }
        }
        self.change(|new| new.reads = reads)
    }

    /// Sets a member whose key starts with `x-`; an empty value removes it.
    pub fn set_extension(&mut self, key: &str, value: &str) -> Result<(), DescriptorError> {
        members::check_extension(key, value)?;
        self.change(|new| {
            if value.is_empty() {
                new.extensions.remove(key);
            } else {
                new.extensions.insert(key.to_string(), value.to_string());
            }
        })
    }

    /// Makes a change unless the descriptor would become too long.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), DescriptorError> {
        let mut new = self.clone();
        change(&mut new);
        if new.emit().len() > MAX_DESCRIPTOR {
            return Err(DescriptorError::TooLong);
        }
        *self = new;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
