//! Values of single members.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{DescriptorError, MAX_ARRAY, MAX_STRING, is_name, is_relation};

/// Words of `arch`: those of OCI, and `any` for layers without programs of one architecture.
pub const ARCHES: [&str; 4] = ["amd64", "arm64", "riscv64", "any"];

/// Words of `abi`: our kernel's own system calls (such programs run on Linux, too) and those of Linux.
pub const ABIS: [&str; 2] = ["plyos-0", "linux"];

/// A service that init starts. Checked by [`super::Descriptor::set_services`]; empty members are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Name, of the form of a layer's name.
    pub name: String,
    /// Absolute path of its program.
    pub exec: String,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// As whom it runs.
    pub principal: String,
    /// What it needs, of the layer's capabilities.
    pub capabilities: Vec<String>,
    /// When it is started again.
    pub restart: String,
}

pub(super) fn check_string(member: &str, text: &str) -> Result<(), DescriptorError> {
    if text.len() > MAX_STRING {
        return Err(DescriptorError::value(member, "a string of at most 1024 bytes"));
    }
    Ok(())
}

pub(super) fn check_array(member: &str, length: usize) -> Result<(), DescriptorError> {
    if length > MAX_ARRAY {
        return Err(DescriptorError::value(member, "at most 1024 elements"));
    }
    Ok(())
}

pub(super) fn check_strings(member: &str, list: &[String]) -> Result<(), DescriptorError> {
    check_array(member, list.len())?;
    list.iter().try_for_each(|text| check_string(member, text))
}

pub(super) fn check_arch(arch: &str) -> Result<(), DescriptorError> {
    if !ARCHES.contains(&arch) {
        return Err(DescriptorError::value("arch", "`amd64`, `arm64`, `riscv64` or `any`"));
    }
    Ok(())
}

pub(super) fn check_abi(abi: &str) -> Result<(), DescriptorError> {
    if !ABIS.contains(&abi) {
        return Err(DescriptorError::value("abi", "`plyos-0` or `linux`"));
    }
    Ok(())
}

pub(super) fn check_relations(member: &str, list: &[String]) -> Result<(), DescriptorError> {
    check_array(member, list.len())?;
    if !list.iter().all(|text| is_relation(text)) {
        return Err(DescriptorError::value(member, "`NAME` or `NAME OP VERSION`, OP one of = != < <= > >="));
    }
    Ok(())
}

pub(super) fn check_extension(key: &str, value: &str) -> Result<(), DescriptorError> {
    if !key.starts_with("x-") {
        return Err(DescriptorError::Unknown(key.to_string()));
    }
    check_string(key, key)?;
    check_string(key, value)
}

pub(super) fn check_services(services: &[Service]) -> Result<(), DescriptorError> {
    check_array("services", services.len())?;
    for service in services {
        if !is_name(&service.name) {
            return Err(DescriptorError::value("services.name", "[a-z0-9][a-z0-9+._-]{0,63}"));
        }
        if !service.exec.starts_with('/') || service.exec.contains('\0') {
            return Err(DescriptorError::value("services.exec", "an absolute path"));
        }
        check_string("services.exec", &service.exec)?;
        check_strings("services.args", &service.args)?;
        check_string("services.principal", &service.principal)?;
        check_strings("services.capabilities", &service.capabilities)?;
        check_string("services.restart", &service.restart)?;
    }
    let mut names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(DescriptorError::value("services", "services of different names"));
    }
    Ok(())
}
