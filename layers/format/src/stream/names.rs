//! Which names and paths a layer may hold.

use super::{MAX_COMPONENT, MAX_DEPTH, MAX_PATH};

/// Why a name or path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An empty component: a doubled, leading or trailing `/`.
    #[error("it has an empty component or is absolute")]
    Empty,
    /// `.` or `..`.
    #[error("it has a component `.` or `..`")]
    Dots,
    /// A NUL byte.
    #[error("it has a NUL byte")]
    Nul,
    /// A name with `/` where one component was expected.
    #[error("a component has a `/`")]
    Slash,
    /// A component of more than 255 bytes.
    #[error("a component has more than {MAX_COMPONENT} bytes")]
    ComponentTooLong,
    /// A path of more than 4,095 bytes.
    #[error("it has more than {MAX_PATH} bytes")]
    PathTooLong,
    /// More than 255 components.
    #[error("it has more than {MAX_DEPTH} components")]
    TooDeep,
    /// A name that container tools take for a whiteout.
    #[error("a component starts with `.wh.`, which container tools take for a deletion; rename it")]
    Whiteout,
}

/// Checks one component of a path.
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    if name.contains(&b'/') {
        return Err(NameError::Slash);
    }
    check_component(name)
}

/// Checks a whole path (no leading or trailing `/`; empty for the root).
pub fn check_path(path: &[u8]) -> Result<(), NameError> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > MAX_PATH {
        return Err(NameError::PathTooLong);
    }
    check_tail(path, 0)?;
    if path.iter().filter(|byte| **byte == b'/').count() >= MAX_DEPTH {
        return Err(NameError::TooDeep);
    }
    Ok(())
}

/// Checks the components of `path` that are not wholly within its first `known` bytes, which belong to a path that was
/// checked. Costs the new bytes and at most one component.
pub(crate) fn check_tail(path: &[u8], known: usize) -> Result<(), NameError> {
    let head = path.get(..known).unwrap_or(path);
    let start = head.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    path.get(start..).unwrap_or_default().split(|byte| *byte == b'/').try_for_each(check_component)
}

fn check_component(name: &[u8]) -> Result<(), NameError> {
    match name {
        b"" => Err(NameError::Empty),
        b"." | b".." => Err(NameError::Dots),
        _ if name.len() > MAX_COMPONENT => Err(NameError::ComponentTooLong),
        _ if name.contains(&0) => Err(NameError::Nul),
        _ if name.starts_with(b".wh.") => Err(NameError::Whiteout),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn each_bad_name_has_its_error() {
        let long = [b'a'; MAX_COMPONENT + 1];
        for (name, error) in [
            (&b""[..], NameError::Empty),
            (b".", NameError::Dots),
            (b"..", NameError::Dots),
            (b"a\0b", NameError::Nul),
            (b"a/b", NameError::Slash),
            (&long, NameError::ComponentTooLong),
            (b".wh.x", NameError::Whiteout),
            (b".wh..wh..opq", NameError::Whiteout),
        ] {
            assert_eq!(check_name(name), Err(error), "{name:?}");
        }
        for name in [&b"a"[..], b"...", b".whx", b"\xff", &long[1..]] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn each_bad_path_has_its_error() {
        let deep = b"a/".repeat(MAX_DEPTH);
        let wide: Vec<u8> = [&[b'a'; 200][..], b"/"].concat().repeat(21);
        for (path, error) in [
            (&b"/etc"[..], NameError::Empty),
            (b"etc/", NameError::Empty),
            (b"a//b", NameError::Empty),
            (b"a/../b", NameError::Dots),
            (b"./a", NameError::Dots),
            (b"a/.wh.b", NameError::Whiteout),
            (&deep[..deep.len()], NameError::Empty),
            (&[&deep[..], b"a"].concat(), NameError::TooDeep),
            (&wide, NameError::PathTooLong),
        ] {
            assert_eq!(check_path(path), Err(error), "{path:?}");
        }
        for path in [&b""[..], b"a", b"a/b.c/d", &deep[..deep.len() - 1], &wide[..MAX_PATH]] {
            assert_eq!(check_path(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn a_tail_is_checked_from_the_component_that_the_known_part_cuts() {
        assert_eq!(check_tail(b"a/..", 3), Err(NameError::Dots));
        assert_eq!(check_tail(b"a/.", 2), Err(NameError::Dots));
        assert_eq!(check_tail(b"a/b", 1), Ok(()));
        assert_eq!(check_tail(b"a/", 1), Err(NameError::Empty));
    }
}
