//! The one spelling of a JSON value: keys sorted as bytes, no white space, least escaping.

use alloc::string::ToString;
use alloc::vec::Vec;

use serde_json::Value;

/// The canonical bytes. The value is a descriptor's, so it is nested at most four deep.
pub(super) fn emit(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    emit_into(value, &mut out);
    out
}

fn emit_into(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => emit_string(text, out),
        Value::Array(elements) => emit_list(b"[]", elements, out, emit_into),
        Value::Object(members) => {
            // serde_json may keep another order when some other crate asks it to.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_bytes());
            emit_list(b"{}", sorted, out, |(key, value), out| {
                emit_string(key, out);
                out.push(b':');
                emit_into(value, out);
            });
        }
    }
}

fn emit_list<T>(
    [open, close]: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    emit_item: impl Fn(T, &mut Vec<u8>),
) {
    out.push(*open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        emit_item(item, out);
    }
    out.push(*close);
}

fn emit_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => {
                out.extend_from_slice(alloc::format!("\\u{byte:04x}").as_bytes());
                continue;
            }
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_spelling() {
        let value = json!({"b": [1, "x"], "a": {"é": "\u{8}\u{c}\n\r\t\u{1f}\u{7f}\"\\/"}, "B": []});
        let expected = "{\"B\":[],\"a\":{\"é\":\"\\b\\f\\n\\r\\t\\u001f\u{7f}\\\"\\\\/\"},\"b\":[1,\"x\"]}";
        assert_eq!(core::str::from_utf8(&emit(&value)).unwrap(), expected);
    }

    #[test]
    fn keys_sort_as_bytes_not_as_utf_16() {
        let value = json!({"\u{10000}": 1, "\u{ffff}": 2});
        assert_eq!(emit(&value), "{\"\u{ffff}\":2,\"\u{10000}\":1}".as_bytes());
    }
}
