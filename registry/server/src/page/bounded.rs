//! JSON of bounded size in memory: two bytes of text can be a value of 32, and a catalog's files are whoever's who may publish.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads a document of at most `most` values; `None` if it has more, or is none.
pub(super) fn parse(bytes: &[u8], most: usize) -> Option<Value> {
    let left = Cell::new(most);
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let value = Node(&left).deserialize(&mut document).ok()?;
    document.end().ok()?;
    Some(value)
}

/// One value, and how many more there may be.
struct Node<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| D::Error::custom("it has more values than are looked at"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Node(self.0))? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            map.insert(name, members.next_value_seed(Node(self.0))?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_small_is_read_as_it_is() {
        let document =
            json!({ "a": [1, -2, 0.5, "x", null, true], "b": { "c": {} }, "d": "\u{e9}\n", "e": u64::MAX });
        let text = document.to_string();
        assert_eq!(parse(text.as_bytes(), 13), Some(document));
        for bad in ["", "{", "[1] 2", "{\"a\":}", "nul"] {
            assert_eq!(parse(bad.as_bytes(), 100), None, "{bad}");
        }
    }

    #[test]
    fn values_are_counted_wherever_they_stand() {
        for (text, values) in [("[0,0,0]", 4), ("[[],[[]]]", 4), (r#"{"a":{"b":1},"a":2}"#, 4)] {
            assert!(parse(text.as_bytes(), values).is_some(), "{text}");
            assert_eq!(parse(text.as_bytes(), values - 1), None, "{text}");
        }
    }
}
