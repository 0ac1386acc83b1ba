//! Names in archives: from what is written there to the path of an entry.

use plyos_layer_format::stream::check_path;

use crate::error::Refusal;

/// What becomes of names with a leading `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Absolute {
    /// They are refused.
    #[default]
    Refuse,
    /// The `/` is taken off, as `tar -x` and container tools do.
    Strip,
}

/// The entry path that `name` means: without `.` and empty components, never upwards. Empty for the root.
pub(crate) fn entry_path(name: &[u8], absolute: Absolute) -> Result<Vec<u8>, Refusal> {
    let path = spelt(name, absolute)?;
    check_path(&path)?;
    Ok(path)
}

/// [`entry_path`] that does not ask whether a layer may have the name, so whiteouts pass.
pub(crate) fn spelt(name: &[u8], absolute: Absolute) -> Result<Vec<u8>, Refusal> {
    if name.contains(&0) {
        return Err(Refusal::Nul);
    }
    if name.first() == Some(&b'/') && absolute == Absolute::Refuse {
        return Err(Refusal::Absolute);
    }
    let mut path = Vec::with_capacity(name.len());
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(Refusal::Dots),
            component => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(component);
            }
        }
    }
    Ok(path)
}

/// The path of the directory that `path` lies in; `None` for the root.
pub(crate) fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    let slash = path.iter().rposition(|byte| *byte == b'/');
    Some(slash.and_then(|slash| path.get(..slash)).unwrap_or_default())
}

/// The last component of `path`.
pub(crate) fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use plyos_layer_format::stream::NameError;

    use super::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        for name in [&b"a/b"[..], b"./a/b", b"a//b/", b"a/./b/.", b"././a/b//"] {
            assert_eq!(entry_path(name, Absolute::Refuse).unwrap(), b"a/b", "{name:?}");
        }
        for name in [&b""[..], b".", b"./", b"./."] {
            assert_eq!(entry_path(name, Absolute::Refuse).unwrap(), b"", "{name:?}");
        }
        assert_eq!(entry_path(b"//a", Absolute::Strip).unwrap(), b"a");
    }

    #[test]
    fn each_bad_name_has_its_refusal() {
        for (name, refusal) in [
            (&b"/a"[..], Refusal::Absolute),
            (b"a/../b", Refusal::Dots),
            (b"..", Refusal::Dots),
            (b"a\0b", Refusal::Nul),
            (b"a/.wh.b", Refusal::Name(NameError::Whiteout)),
            (&[b'a'; 256], Refusal::Name(NameError::ComponentTooLong)),
        ] {
            assert_eq!(entry_path(name, Absolute::Refuse), Err(refusal), "{name:?}");
        }
        assert_eq!(entry_path(b"/../a", Absolute::Strip), Err(Refusal::Dots));
    }

    #[test]
    fn parents_and_last_components() {
        assert_eq!((parent(b""), parent(b"a"), parent(b"a/b/c")), (None, Some(&b""[..]), Some(&b"a/b"[..])));
        assert_eq!((last(b""), last(b"a"), last(b"a/b/c")), (&b""[..], &b"a"[..], &b"c"[..]));
    }
}
