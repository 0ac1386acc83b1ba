//! The order of tags as people count: 1.9 comes before 1.10, and what has no digits goes by its letters.

use std::cmp::Ordering;

/// Compares two tags; equal only if they are the same.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (first, second) = match (left.chars().next(), right.chars().next()) {
            (None, None) => return a.cmp(b),
            (first, second) if first.is_none() || second.is_none() => return first.cmp(&second),
            (first, second) => (first.unwrap_or_default(), second.unwrap_or_default()),
        };
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (one, other);
            (one, left) = digits(left);
            (other, right) = digits(right);
            // Without leading zeroes the longer number is the larger one.
            one.len().cmp(&other.len()).then_with(|| one.cmp(other))
        } else {
            left = left.get(first.len_utf8()..).unwrap_or_default();
            right = right.get(second.len_utf8()..).unwrap_or_default();
            first.cmp(&second)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The number that a text begins with, without leading zeroes, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let mut tags = ["v1.10", "latest", "v1.9", "2", "10", "1", "v1.9-rc2", "01", "v1.9-rc10", ""];
        tags.sort_by(|a, b| natural(a, b));
        assert_eq!(tags, ["", "01", "1", "2", "10", "latest", "v1.9", "v1.9-rc2", "v1.9-rc10", "v1.10"]);
    }
}
