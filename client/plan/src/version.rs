//! The order of versions: Debian's, because it is total, documented and known.
//!
//! A version is `[EPOCH:]UPSTREAM[-REVISION]`. Epochs compare as numbers; upstream and then revision compare by
//! alternating runs of non-digits and digits: in non-digits `~` sorts before the end, the end before letters, letters
//! before all else; digits compare as numbers of any length. Source: deb-version(7).

use core::cmp::Ordering;

/// Compares two versions.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    compare_digits(left.epoch, right.epoch)
        .then_with(|| compare_runs(left.upstream, right.upstream))
        .then_with(|| compare_runs(left.revision, right.revision))
}

struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => {
                (epoch, rest)
            }
            _ => ("", text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch: epoch.as_bytes(), upstream: upstream.as_bytes(), revision: revision.as_bytes() }
    }
}

fn compare_runs(mut left: &[u8], mut right: &[u8]) -> Ordering {
    loop {
        let (l, l_rest) = split_run(left, |b| !b.is_ascii_digit());
        let (r, r_rest) = split_run(right, |b| !b.is_ascii_digit());
        let (ld, l_next) = split_run(l_rest, |b| b.is_ascii_digit());
        let (rd, r_next) = split_run(r_rest, |b| b.is_ascii_digit());
        let order = compare_words(l, r).then_with(|| compare_digits(ld, rd));
        if order != Ordering::Equal || (l_next.is_empty() && r_next.is_empty()) {
            return order;
        }
        (left, right) = (l_next, r_next);
    }
}

fn split_run(text: &[u8], inside: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !inside(*byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// Rank of a character: `~`, then the end, then letters, then the rest.
fn rank(byte: Option<&u8>) -> (u8, u8) {
    match byte {
        Some(b'~') => (0, 0),
        None => (1, 0),
        Some(byte) if byte.is_ascii_alphabetic() => (2, *byte),
        Some(byte) => (3, *byte),
    }
}

fn compare_words(left: &[u8], right: &[u8]) -> Ordering {
    (0..left.len().max(right.len()))
        .map(|at| rank(left.get(at)).cmp(&rank(right.get(at))))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

fn compare_digits(left: &[u8], right: &[u8]) -> Ordering {
    let trim = |text: &'_ [u8]| text.iter().position(|b| *b != b'0').unwrap_or(text.len());
    let left = left.get(trim(left)..).unwrap_or(&[]);
    let right = right.get(trim(right)..).unwrap_or(&[]);
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_deb_version() {
        let ascending = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0-2",
            "1.0-10",
            "1.0a",
            "1.0+x",
            "1.0.1",
            "1.9",
            "1.10",
            "2",
            "1:0.1",
        ];
        for (i, left) in ascending.iter().enumerate() {
            for (j, right) in ascending.iter().enumerate() {
                assert_eq!(compare(left, right), i.cmp(&j), "{left} against {right}");
            }
        }
    }

    #[test]
    fn zeroes_in_front_do_not_count() {
        assert_eq!(compare("1.01", "1.1"), Ordering::Equal);
        assert_eq!(compare("0:1", "1"), Ordering::Equal);
    }

    /// Versions, of which many differ in little.
    fn versions() -> impl Strategy<Value = alloc::string::String> {
        proptest::prop_oneof!["[0-9a-c.~+:-]{0,8}", "[01~a]{0,3}", "[01]:[01.]{0,2}-[01~]{0,2}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn total_order(a in versions(), b in versions(), c in versions()) {
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b) != Ordering::Greater && compare(&b, &c) != Ordering::Greater {
                prop_assert_ne!(compare(&a, &c), Ordering::Greater);
                if compare(&a, &b) == Ordering::Less || compare(&b, &c) == Ordering::Less {
                    prop_assert_eq!(compare(&a, &c), Ordering::Less);
                }
            }
        }

        #[test]
        fn sorting_is_the_same_from_any_beginning(mut all in proptest::collection::vec(versions(), 0..12)) {
            let order = |left: &alloc::string::String, right: &alloc::string::String| compare(left, right);
            let mut reversed = all.clone();
            reversed.reverse();
            all.sort_by(order);
            reversed.sort_by(order);
            prop_assert!(all.iter().zip(&reversed).all(|(a, b)| compare(a, b).is_eq()));
        }
    }
}
