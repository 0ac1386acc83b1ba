//! Names, versions, and relations between layers. Which version is greater is the solver's matter, not the format's.

/// Longest name or version in bytes.
const MAX_WORD: usize = 64;

const OPERATORS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

/// Whether `text` is a layer's name: `[a-z0-9][a-z0-9+._-]{0,63}`.
pub fn is_name(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    is_word(text, first, |byte| first(byte) || b"+._-".contains(&byte))
}

/// Whether `text` is a version: `[0-9A-Za-z][0-9A-Za-z.+~:_-]{0,63}`.
pub fn is_version(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphanumeric();
    is_word(text, first, |byte| first(byte) || b".+~:_-".contains(&byte))
}

fn is_word(text: &str, first: impl Fn(u8) -> bool, other: impl Fn(u8) -> bool) -> bool {
    text.len() <= MAX_WORD
        && text
            .as_bytes()
            .split_first()
            .is_some_and(|(head, tail)| first(*head) && tail.iter().all(|b| other(*b)))
}

/// Whether `text` is a relation to other layers: `NAME` or `NAME OP VERSION`, parted by single spaces.
pub fn is_relation(text: &str) -> bool {
    let Some((name, rest)) = text.split_once(' ') else { return is_name(text) };
    let Some((operator, version)) = rest.split_once(' ') else { return false };
    is_name(name) && OPERATORS.contains(&operator) && is_version(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        for text in ["a", "lib.x+y_z-1", "a = 1", "a != 1:2~rc+3_x-y", "a < 1", "a <= 1", "a > 1", "0ad >= Z"]
        {
            assert!(is_relation(text), "{text}");
        }
        let long = "a".repeat(MAX_WORD + 1);
        for text in [
            "", " ", "A", "-a", "a ", "a =", "a = ", "a =1", "a  = 1", "a == 1", "a = 1 ", "a = .1", "é",
            &long,
        ] {
            assert!(!is_relation(text), "{text}");
        }
        assert!(is_relation(&long[1..]));
    }
}
