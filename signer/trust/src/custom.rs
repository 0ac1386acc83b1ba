//! What a layer's target says in its TUF `custom` object: all that searching, solving and accepting need before a byte
//! of the layer is fetched.

use alloc::{string::String, vec::Vec};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plyos_ids::LayerId;
use serde_json::{Map, Value, json};

use crate::certificate::{Certificate, CertificateError};

/// Why a `custom` object is not that of a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomError {
    /// A member is absent or of another type.
    #[error("the catalog's entry for the layer has no valid {0:?}; tell its publisher")]
    Member(&'static str),
    /// The certificate cannot be read.
    #[error("the catalog's entry for the layer is of no use: {0}")]
    Certificate(#[from] CertificateError),
}

/// Bytes to be fetched and stored, for plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Bytes of the blob.
    pub blob: u64,
    /// Bytes of the index as it is stored in the blob.
    pub index: u64,
    /// Sum of the files' sizes.
    pub content: u64,
}

/// The `custom` object of a layer's target. See docs/formats.md, "TUF catalog".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCustom {
    /// The layer's descriptor, repeated. A client refuses the layer where the two differ.
    pub descriptor: Value,
    /// The layer's identity.
    pub layer: LayerId,
    /// The certificate, a claim until the keyring accepts it.
    pub certificate: Certificate,
    /// Lines that offer the layer.
    pub channels: Vec<String>,
    /// For plans.
    pub size: Sizes,
    /// The repository of an OCI registry that holds the blob, `HOST[:PORT]/REPO`; `None`: it lies beside the catalog.
    pub registry: Option<String>,
}

impl LayerCustom {
    /// Reads the object; members that are not known are ignored.
    ///
    /// # Errors
    /// When a member is absent, of another type, or the certificate cannot be read.
    pub fn parse(custom: &Value) -> Result<Self, CustomError> {
        let member = |name: &'static str| custom.get(name).ok_or(CustomError::Member(name));
        let text = |name: &'static str| member(name)?.as_str().ok_or(CustomError::Member(name));
        let descriptor = member("descriptor")?;
        if !descriptor.is_object() {
            return Err(CustomError::Member("descriptor"));
        }
        let layer = text("layer")?
            .strip_prefix(LayerId::PREFIX)
            .and_then(|digits| LayerId::parse(digits).ok())
            .ok_or(CustomError::Member("layer"))?;
        let certificate =
            STANDARD.decode(text("certificate")?).map_err(|_| CustomError::Member("certificate"))?;
        let channels = member("channels")?
            .as_array()
            .and_then(|list| list.iter().map(|item| item.as_str().map(String::from)).collect())
            .ok_or(CustomError::Member("channels"))?;
        let registry = match custom.get("registry") {
            Some(named) => Some(named.as_str().ok_or(CustomError::Member("registry"))?.into()),
            None => None,
        };
        let size = member("size")?;
        let bytes = |name| size.get(name).and_then(Value::as_u64).ok_or(CustomError::Member("size"));
        Ok(Self {
            descriptor: descriptor.clone(),
            layer,
            certificate: Certificate::parse(&certificate)?,
            channels,
            size: Sizes { blob: bytes("blob")?, index: bytes("index")?, content: bytes("content")? },
            registry,
        })
    }

    /// The object.
    pub fn emit(&self) -> Value {
        let Sizes { blob, index, content } = self.size;
        let members = [
            ("certificate", json!(STANDARD.encode(self.certificate.emit()))),
            ("channels", json!(self.channels)),
            ("descriptor", self.descriptor.clone()),
            ("layer", json!(alloc::format!("{}", self.layer))),
            ("size", json!({"blob": blob, "content": content, "index": index})),
        ];
        let registry = self.registry.as_ref().map(|named| ("registry", json!(named)));
        let members = members.into_iter().chain(registry);
        Value::Object(members.map(|(name, value)| (name.into(), value)).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{certificate::Statement, key::Signature, signatures::Signatures};
    use plyos_ids::KeyId;

    fn sample() -> LayerCustom {
        let layer = LayerId::from_bytes([3; 32]);
        let statement = Statement { layer, issued_at: 1, epoch: 2 };
        let signature = Signature { key_id: KeyId::default(), algorithm: 1, bytes: alloc::vec![0; 64] };
        let signatures = Signatures::new(alloc::vec![signature]).unwrap();
        LayerCustom {
            descriptor: json!({"kind": "site", "name": "docs"}),
            layer,
            certificate: Certificate::new(statement, signatures),
            channels: alloc::vec!["beta".into(), "stable".into()],
            size: Sizes { blob: 1, index: 2, content: 3 },
            registry: None,
        }
    }

    #[test]
    fn a_registry_is_named_or_not() {
        assert_eq!(sample().emit().get("registry"), None);
        let named = LayerCustom { registry: Some("registry.example/a/b".into()), ..sample() };
        assert_eq!(LayerCustom::parse(&named.emit()), Ok(named.clone()));
        let mut value = named.emit();
        value["registry"] = json!(["registry.example/a/b"]);
        assert_eq!(LayerCustom::parse(&value), Err(CustomError::Member("registry")));
    }

    #[test]
    fn round_trip_and_unknown_members_are_ignored() {
        let mut value = sample().emit();
        assert_eq!(LayerCustom::parse(&value), Ok(sample()));
        value["deltas"] = json!([1]);
        assert_eq!(LayerCustom::parse(&value), Ok(sample()));
    }

    #[test]
    fn each_member_that_is_missing_or_wrong_is_named() {
        for name in ["descriptor", "layer", "certificate", "channels", "size"] {
            let mut value = sample().emit();
            value[name] = json!(["other", 7]);
            assert_eq!(LayerCustom::parse(&value), Err(CustomError::Member(name)));
            value.as_object_mut().unwrap().remove(name);
            assert_eq!(LayerCustom::parse(&value), Err(CustomError::Member(name)));
        }
        let mut value = sample().emit();
        value["certificate"] = json!("AAAA");
        assert!(matches!(LayerCustom::parse(&value), Err(CustomError::Certificate(_))));
        value["layer"] = json!(sample().layer.to_hex());
        assert_eq!(LayerCustom::parse(&value), Err(CustomError::Member("layer")), "without its algorithm");
    }
}
