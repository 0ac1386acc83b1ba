//! Between a descriptor and a JSON value.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use plyos_ids::Kind;
use serde_json::{Map, Value};

use super::members::check_extension;
use super::{Descriptor, DescriptorError, NUMBER_LIMIT, Service};

/// The members that are there; absent and empty ones are left out.
pub(super) fn to_json(descriptor: &Descriptor) -> Value {
    let mut out = Members::default();
    out.text("kind", descriptor.kind.as_str());
    out.text("name", &descriptor.name);
    out.text("version", &descriptor.version);
    out.text("arch", &descriptor.arch);
    out.text("abi", descriptor.abi.as_deref().unwrap_or_default());
    out.text("summary", &descriptor.summary);
    out.text("license", &descriptor.license);
    out.text("homepage", &descriptor.homepage);
    out.list("compatible", &descriptor.compatible);
    out.list("provides", &descriptor.provides);
    out.list("depends", &descriptor.depends);
    out.list("conflicts", &descriptor.conflicts);
    out.list("replaces", &descriptor.replaces);
    out.text("upgrade-from", descriptor.upgrade_from.as_deref().unwrap_or_default());
    out.number("state-version", descriptor.state_version);
    out.number("state-version-min", descriptor.state_version_min);
    out.list("capabilities", &descriptor.capabilities);
    if !descriptor.services.is_empty() {
        let services = descriptor.services.iter().map(service_to_json).collect();
        out.0.insert("services".to_string(), Value::Array(services));
    }
    if !descriptor.reads.is_empty() {
        let reads = descriptor.reads.iter().map(|(format, mask)| (format.clone(), Value::from(*mask)));
        out.0.insert("reads".to_string(), Value::Object(reads.collect()));
    }
    for (key, value) in &descriptor.extensions {
        out.text(key, value);
    }
    Value::Object(out.0)
}

fn service_to_json(service: &Service) -> Value {
    let mut out = Members::default();
    out.text("name", &service.name);
    out.text("exec", &service.exec);
    out.list("args", &service.args);
    out.text("principal", &service.principal);
    out.list("capabilities", &service.capabilities);
    out.text("restart", &service.restart);
    Value::Object(out.0)
}

#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.0.insert(key.to_string(), Value::from(value));
        }
    }

    fn number(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.0.insert(key.to_string(), Value::from(value));
        }
    }

    fn list(&mut self, key: &str, list: &[String]) {
        if !list.is_empty() {
            let elements = list.iter().map(|element| Value::from(element.as_str())).collect();
            self.0.insert(key.to_string(), Value::Array(elements));
        }
    }
}

pub(super) fn from_json(value: &Value) -> Result<Descriptor, DescriptorError> {
    let members = value.as_object().ok_or(DescriptorError::Json)?;
    let required = |key: &'static str| text(key, members.get(key).ok_or(DescriptorError::Missing(key))?);
    let kind = Kind::parse(required("kind")?);
    let kind = kind.ok_or_else(|| DescriptorError::value("kind", "a kind that is known here"))?;
    let mut out = Descriptor::new(kind, required("name")?, required("version")?, required("arch")?)?;
    let (mut lowest, mut highest) = (None, None);
    for (key, value) in members {
        match key.as_str() {
            "kind" | "name" | "version" | "arch" => {}
            "abi" => out.set_abi(Some(text(key, value)?))?,
            "summary" => out.set_summary(text(key, value)?)?,
            "license" => out.set_license(text(key, value)?)?,
            "homepage" => out.set_homepage(text(key, value)?)?,
            "compatible" => out.set_compatible(strings(key, value)?)?,
            "provides" => out.set_provides(strings(key, value)?)?,
            "depends" => out.set_depends(strings(key, value)?)?,
            "conflicts" => out.set_conflicts(strings(key, value)?)?,
            "replaces" => out.set_replaces(strings(key, value)?)?,
            "upgrade-from" => out.set_upgrade_from(Some(text(key, value)?))?,
            "state-version" => highest = Some(number(key, value)?),
            "state-version-min" => lowest = Some(number(key, value)?),
            "capabilities" => out.set_capabilities(strings(key, value)?)?,
            "services" => {
                let services = array(key, value)?.iter().map(service).collect::<Result<_, _>>()?;
                out.set_services(services)?;
            }
            "reads" => out.set_reads(reads(key, value)?)?,
            // Not by the setter, which measures the whole descriptor each time: there may be thousands.
            _ if key.starts_with("x-") => {
                let value = text(key, value)?;
                check_extension(key, value)?;
                out.extensions.insert(key.clone(), value.to_string());
            }
            _ => return Err(DescriptorError::Unknown(key.clone())),
        }
    }
    // The last setter, always called: it also refuses what is too long as a whole.
    out.set_state_versions(lowest, highest)?;
    Ok(out)
}

fn service(value: &Value) -> Result<Service, DescriptorError> {
    let expected = || DescriptorError::value("services", "objects");
    let mut out = Service::default();
    for (key, value) in value.as_object().ok_or_else(expected)? {
        match key.as_str() {
            "name" => out.name = text("services.name", value)?.to_string(),
            "exec" => out.exec = text("services.exec", value)?.to_string(),
            "args" => out.args = strings("services.args", value)?,
            "principal" => out.principal = text("services.principal", value)?.to_string(),
            "capabilities" => out.capabilities = strings("services.capabilities", value)?,
            "restart" => out.restart = text("services.restart", value)?.to_string(),
            _ => return Err(DescriptorError::Unknown(alloc::format!("services.{key}"))),
        }
    }
    Ok(out)
}

/// A string that is not empty: an empty member must be left out.
fn text<'a>(member: &str, value: &'a Value) -> Result<&'a str, DescriptorError> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| DescriptorError::value(member, "a string that is not empty"))
}

fn number(member: &str, value: &Value) -> Result<u64, DescriptorError> {
    let number = value.as_u64().filter(|number| *number < NUMBER_LIMIT);
    number.ok_or_else(|| DescriptorError::value(member, "a whole number below 2^53"))
}

fn array<'a>(member: &str, value: &'a Value) -> Result<&'a [Value], DescriptorError> {
    let array = value.as_array().filter(|array| !array.is_empty());
    array.map(Vec::as_slice).ok_or_else(|| DescriptorError::value(member, "an array that is not empty"))
}

fn strings(member: &str, value: &Value) -> Result<Vec<String>, DescriptorError> {
    let one = |element: &Value| element.as_str().map(ToString::to_string);
    let strings: Option<Vec<String>> = array(member, value)?.iter().map(one).collect();
    strings.ok_or_else(|| DescriptorError::value(member, "an array of strings"))
}

fn reads(member: &str, value: &Value) -> Result<BTreeMap<String, u64>, DescriptorError> {
    let object = value.as_object().filter(|object| !object.is_empty());
    let object = object.ok_or_else(|| DescriptorError::value(member, "an object that is not empty"))?;
    object.iter().map(|(format, mask)| Ok((format.clone(), number(member, mask)?))).collect()
}
