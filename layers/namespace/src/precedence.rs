//! Whose file is seen where several layers have one path.
//!
//! Directories merge and the base's mode and owner are seen. Of anything else the base's is seen, unless a layer
//! declares that it replaces the base; of two other layers, the one that replaces the other. Everything that this
//! leaves open is a conflict ([`crate::conflicts`]), refused before a flip; an answer is given nevertheless, always the same, so
//! that a tree that nobody checked is still one tree.

use crate::layer::LayerInfo;

/// Whether `a`'s file is seen where `b` has one, too. Never true both ways.
pub(crate) fn beats(a: &LayerInfo, b: &LayerInfo) -> bool {
    match (a.is_base(), b.is_base()) {
        (false, true) => a.replaces(b),
        (true, false) => !b.replaces(a),
        _ => a.replaces(b) && !b.replaces(a),
    }
}

/// What a layer has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    /// A directory.
    Directory,
    /// A directory that it does not describe, on the way to its mount point.
    ImpliedDirectory,
    /// Anything else.
    Other,
}

/// Position of the claim that is seen; `claims` are one path's layers in generation order.
pub(crate) fn seen<'a>(claims: impl Iterator<Item = (&'a LayerInfo, Has)> + Clone) -> usize {
    if claims.clone().all(|(_, has)| has != Has::Other) {
        let of_base = claims.clone().position(|(info, _)| info.is_base());
        return of_base.or_else(|| claims.clone().position(|(_, has)| has == Has::Directory)).unwrap_or(0);
    }
    let mut best: Option<(usize, &LayerInfo)> = None;
    for (at, (info, _)) in claims.enumerate() {
        if best.is_none_or(|(_, held)| beats(info, held)) {
            best = Some((at, info));
        }
    }
    best.map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{base, package};

    #[test]
    fn base_is_seen_unless_replaced() {
        let (base, plain, taking) = (base(), package("a", &[]), package("b", &["base"]));
        assert!(beats(&base, &plain) && !beats(&plain, &base));
        assert!(beats(&taking, &base) && !beats(&base, &taking));
    }

    #[test]
    fn of_two_packages_the_one_that_replaces_the_other() {
        let (a, b) = (package("a", &["b"]), package("b", &[]));
        assert!(beats(&a, &b) && !beats(&b, &a));
        let mutual = package("b", &["a"]);
        assert!(!beats(&a, &mutual) && !beats(&mutual, &a));
    }

    #[test]
    fn who_is_seen_does_not_depend_on_where_the_best_stands() {
        let (base, b, c) = (base(), package("b", &["base", "c"]), package("c", &[]));
        let seen_of =
            |order: [&LayerInfo; 3]| order[seen(order.iter().map(|info| (*info, Has::Other)))].name.clone();
        for order in [[&base, &b, &c], [&c, &b, &base], [&b, &c, &base], [&c, &base, &b]] {
            assert_eq!(seen_of(order), "b");
        }
    }

    #[test]
    fn of_directories_the_bases_then_the_first_that_is_described() {
        let (base, a, b) = (base(), package("a", &[]), package("b", &["base"]));
        assert_eq!(seen([(&b, Has::Directory), (&base, Has::Directory)].into_iter()), 1, "replaced or not");
        let all = [(&a, Has::ImpliedDirectory), (&a, Has::Directory), (&b, Has::Directory)];
        assert_eq!(seen(all.into_iter()), 1);
        assert_eq!(seen([(&a, Has::ImpliedDirectory); 2].into_iter()), 0);
    }
}
