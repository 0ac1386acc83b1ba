//! Canonical JSON as TUF signs it (the OLPC form of TUF 1.0.34, section 4.1).
//!
//! Keys sorted by code point, no white space, integers only, and strings with only `"` and `\` escaped: control
//! characters stand as themselves, so that the output is not always JSON. It is what is hashed and signed, never what is
//! stored.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde_json::Value;

/// Why a value has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number that is not an integer, or beyond 64 bits.
    #[error("canonical JSON has integers only, and there is another number")]
    Float,
}

/// The canonical form of `value`. Nesting is bounded by whoever made the value (`serde_json` stops at 128).
///
/// # Errors
/// [`CanonicalError::Float`] when a number is no 64-bit integer.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_u64() || number.is_i64() => {
            out.extend_from_slice(alloc::format!("{number}").as_bytes());
        }
        Value::Number(_) => return Err(CanonicalError::Float),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                separate(at, out);
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // Sorted here and not by the map: another crate of a build may ask serde_json to keep the order of input.
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            out.push(b'{');
            for (at, (name, member)) in sorted.into_iter().enumerate() {
                separate(at, out);
                string(name, out);
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn known_spellings() {
        let value = json!({"b": [1, -2, true, null], "a": "q\"\\\n\u{e9}", "": {}});
        assert_eq!(
            to_vec(&value).unwrap(),
            "{\"\":{},\"a\":\"q\\\"\\\\\n\u{e9}\",\"b\":[1,-2,true,null]}".as_bytes()
        );
    }

    #[test]
    fn floats_are_refused_wherever_they_stand() {
        for value in [json!(1.5), json!([{"a": 1.0}]), serde_json::from_str("1e2").unwrap()] {
            assert_eq!(to_vec(&value), Err(CanonicalError::Float));
        }
        let too_big: Value = serde_json::from_str("18446744073709551616").unwrap();
        assert_eq!(to_vec(&too_big), Err(CanonicalError::Float));
        assert_eq!(to_vec(&json!(u64::MAX)).unwrap(), u64::MAX.to_string().as_bytes());
    }

    proptest! {
        #[test]
        fn spelling_of_the_input_does_not_matter(keys in proptest::collection::btree_map("[a-zA-Z\u{e9}]{0,6}", any::<i64>(), 0..8)) {
            let forward: Vec<String> = keys.iter().map(|(k, v)| alloc::format!("{k:?}: {v}")).collect();
            let backward: Vec<String> = keys.iter().rev().map(|(k, v)| alloc::format!("\n{k:?} : {v} ")).collect();
            let parse = |members: Vec<String>| -> Value {
                serde_json::from_str(&alloc::format!("{{{}}}", members.join(","))).unwrap()
            };
            prop_assert_eq!(to_vec(&parse(forward)).unwrap(), to_vec(&parse(backward)).unwrap());
        }
    }
}
