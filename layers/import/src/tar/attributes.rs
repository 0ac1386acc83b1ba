//! Extended attributes in pax records: `SCHILY.xattr.NAME` (the value as it is; all writers), `LIBARCHIVE.xattr.NAME` (name
//! percent-encoded, value in base64; bsdtar, beside the other), and access control lists as text.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use plyos_layer_format::entry::Xattr;

use super::acl;
use super::pax::Records;
use crate::error::Refusal;

/// bsdtar writes no padding, others might.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The attributes of an entry, sorted. One that is said in two ways must be the same in both.
pub(super) fn read(records: &Records) -> Result<Vec<Xattr>, Refusal> {
    let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut add = |name: Vec<u8>, value: Vec<u8>| match found.insert(name, value.clone()) {
        Some(other) if other != value => Err(Refusal::SaidTwice("extended attribute")),
        _ => Ok(()),
    };
    for (name, value) in records.with_prefix("SCHILY.xattr.") {
        add(name.to_vec(), value.to_vec())?;
    }
    for (name, value) in records.with_prefix("LIBARCHIVE.xattr.") {
        let name = percent_encoding::percent_decode(name).collect();
        add(name, BASE64.decode(value).map_err(|_| Refusal::Pax("an attribute that is not base64"))?)?;
    }
    for (key, name) in
        [("SCHILY.acl.access", "system.posix_acl_access"), ("SCHILY.acl.default", "system.posix_acl_default")]
    {
        if let Some(text) = records.get(key).filter(|text| !text.is_empty()) {
            let attribute = acl::attribute(name, text)?;
            add(attribute.name, attribute.value)?;
        }
    }
    Ok(found.into_iter().map(|(name, value)| Xattr { name, value }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(&str, &[u8])]) -> Records {
        let mut body = Vec::new();
        for (key, value) in list {
            let rest = key.len() + value.len() + 3;
            let length = (rest..).find(|length| length - length.to_string().len() == rest).unwrap();
            body.extend_from_slice(format!("{length} {key}=").as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        Records::parse(&body).unwrap()
    }

    #[test]
    fn both_spellings_of_one_attribute_are_one() {
        let found = read(&records(&[
            ("SCHILY.xattr.user.b", b"\0\n=\xff"),
            ("LIBARCHIVE.xattr.user.b", b"AAo9/w"),
            ("LIBARCHIVE.xattr.user.a%20c", b"eA=="),
        ]))
        .unwrap();
        let xattr = |name: &str, value: &[u8]| Xattr { name: name.into(), value: value.into() };
        assert_eq!(found, [xattr("user.a c", b"x"), xattr("user.b", b"\0\n=\xff")]);
    }

    #[test]
    fn two_values_of_one_attribute_are_refused() {
        let found = read(&records(&[("SCHILY.xattr.user.b", b"1"), ("LIBARCHIVE.xattr.user.b", b"Mg")]));
        assert_eq!(found, Err(Refusal::SaidTwice("extended attribute")));
    }
}
