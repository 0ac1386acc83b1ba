//! Refuses JSON that two readers could take for different things.
//!
//! A manifest is judged here and acted on elsewhere, by parsers that take the first of two equal keys, or the last,
//! or do not look at case. So a key may stand once in an object, the fields that decide have one spelling, and
//! nesting is bounded (by the parser, at 128).

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Top-level fields that decide what a manifest is and needs.
const DECIDING: [&str; 10] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "blobs",
    "subject",
    "annotations",
    "fsLayers",
];

/// Checks a document, which is an object.
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Document>(bytes).map(|_| ())
}

/// The document itself.
struct Document;

/// Anything inside it.
struct Inside;

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Walk { top: true })?;
        Ok(Self)
    }
}

impl<'de> Deserialize<'de> for Inside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk { top: false })?;
        Ok(Self)
    }
}

struct Walk {
    top: bool,
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.top { "an object" } else { "JSON" })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let variant = |field: &&&str| key != **field && key.eq_ignore_ascii_case(field);
            if let Some(field) = DECIDING.iter().find(|field| self.top && variant(field)) {
                return Err(A::Error::custom(format_args!("the field {field} is written {key}")));
            }
            if let Some(twice) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("the key {twice} stands twice in one object")));
            }
            map.next_value::<Inside>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<Inside>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_documents_pass() {
        for text in [
            "{}",
            r#"{"a":1,"b":-1,"c":1.5,"d":"x","e":null,"f":true,"g":[],"h":{}}"#,
            r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#,
            r#"{"annotations":{"Config":"x","config":"y"}}"#,
            " {\n} ",
        ] {
            assert!(check(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "[]",
            "null",
            "1",
            "{} {}",
            r#"{"config":1,"config":2}"#,
            r#"{"config":1,"\u0063onfig":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            r#"{"Config":1}"#,
            r#"{"MANIFESTS":[]}"#,
            "{\"a\":\"\u{1}\"}",
        ] {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(nested(100).as_bytes()).is_ok());
        assert!(check(nested(200).as_bytes()).is_err());
        assert!(check("[".repeat(4 * 1024 * 1024).as_bytes()).is_err());
        assert!(check("{\"a\":".repeat(800_000).as_bytes()).is_err());
    }
}
