//! Which digests a manifest names, in whatever form it is.
//!
//! A clean-up must not depend on knowing every type of manifest, so any string in the document that is a digest counts, wherever it stands; in what
//! is no JSON, any run of bytes that looks like one. Where a known type says what it is made of, that is told apart, for the check.
//! Pure; memory does not grow with the document.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::digest::{Algorithm, Digest};

/// How a manifest names a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As its config or one of its layers, without which it is of no use.
    Part,
    /// As one of the manifests of an index, which may be missing.
    Child,
    /// In any other way: as its subject, in an annotation, in a document of unknown type.
    Mention,
}

/// Tells every digest that `document` names, perhaps several times.
pub(crate) fn digests(document: &[u8], mut tell: impl FnMut(Manner, Digest)) {
    let mut found = serde_json::Deserializer::from_slice(document);
    let walk = Walk { field: Field::Top, tell: &mut tell };
    if walk.deserialize(&mut found).and_then(|()| found.end()).is_err() {
        looks_like_digests(document, &mut |digest| tell(Manner::Mention, digest));
    }
}

/// Where in the document a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Top,
    /// The value of a field of the top: a descriptor, or a list of them.
    Parts,
    Children,
    /// The digest of such a descriptor.
    PartDigest,
    ChildDigest,
    Other,
}

impl Field {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "config" | "layers" | "blobs") => Self::Parts,
            (Self::Top, "manifests") => Self::Children,
            (Self::Parts, "digest") => Self::PartDigest,
            (Self::Children, "digest") => Self::ChildDigest,
            _ => Self::Other,
        }
    }
}

/// Goes through a JSON value, whose depth `serde_json` bounds.
struct Walk<'a, F> {
    field: Field,
    tell: &'a mut F,
}

impl<'de, F: FnMut(Manner, Digest)> DeserializeSeed<'de> for Walk<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Manner, Digest)> Visitor<'de> for Walk<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if let Ok(digest) = text.parse() {
            let manner = match self.field {
                Field::PartDigest => Manner::Part,
                Field::ChildDigest => Manner::Child,
                _ => Manner::Mention,
            };
            (self.tell)(manner, digest);
        }
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

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let field = self.field;
        while list.next_element_seed(Walk { field, tell: &mut *self.tell })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            // A key may be a digest too.
            if let Ok(digest) = key.parse() {
                (self.tell)(Manner::Mention, digest);
            }
            let field = self.field.below(&key);
            map.next_value_seed(Walk { field, tell: &mut *self.tell })?;
        }
        Ok(())
    }
}

/// What looks like a digest in any bytes.
fn looks_like_digests(bytes: &[u8], tell: &mut impl FnMut(Digest)) {
    for algorithm in Algorithm::ALL {
        let name = algorithm.name().as_bytes();
        let digits = algorithm.digest(b"").hex().len();
        for window in bytes.windows(name.len() + 1 + digits) {
            let Some((head, hex)) = window.split_at_checked(name.len() + 1) else { continue };
            if head.strip_suffix(b":") != Some(name) {
                continue;
            }
            let hex = std::str::from_utf8(hex).ok();
            if let Some(digest) = hex.and_then(|hex| Digest::from_hex(algorithm, hex).ok()) {
                tell(digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &str) -> Vec<(Manner, Digest)> {
        let mut told = Vec::new();
        digests(document.as_bytes(), |manner, digest| told.push((manner, digest)));
        told
    }

    fn named(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn each_digest_is_found_and_told_apart() {
        let (config, layer, child, subject) = (named("c"), named("l"), named("i"), named("s"));
        let long = Algorithm::Sha512.digest(b"long");
        let document = format!(
            r#"{{"config":{{"digest":"{config}","size":3}},"layers":[{{"size":null,"digest":"{layer}"}}],
                "manifests":[{{"digest":"{child}","platform":{{"os":"linux"}}}}],"subject":{{"digest":"{subject}"}},
                "annotations":{{"base":"{long}","other":"sha256:short","{layer}":true}},"n":[1,-1,1.5]}}"#
        );
        let expected = [
            (Manner::Part, config),
            (Manner::Part, layer),
            (Manner::Child, child),
            (Manner::Mention, subject),
            (Manner::Mention, long),
            (Manner::Mention, layer),
        ];
        assert_eq!(told(&document), expected);
    }

    #[test]
    fn escapes_do_not_hide_a_digest() {
        let layer = named("l");
        let escaped = layer.to_string().replace(':', "\\u003a");
        assert_eq!(told(&format!(r#"{{"layers":[{{"digest":"{escaped}"}}]}}"#)), [(Manner::Part, layer)]);
    }

    #[test]
    fn a_digest_deeper_in_a_descriptor_is_only_mentioned() {
        let other = named("o");
        let document = format!(r#"{{"layers":[{{"annotations":{{"digest":"{other}"}}}}]}}"#);
        assert_eq!(told(&document), [(Manner::Mention, other)]);
    }

    #[test]
    fn what_is_no_json_is_searched() {
        let (one, long) = (named("1"), Algorithm::Sha512.digest(b"2"));
        let text = format!("not json: {one}, sha256:{long}x {long} sha256:");
        assert_eq!(told(&text), [(Manner::Mention, one), (Manner::Mention, long), (Manner::Mention, long)]);
        assert_eq!(told(&format!("{{\"a\":\"{one}\"")), [(Manner::Mention, one), (Manner::Mention, one)]);
    }
}
