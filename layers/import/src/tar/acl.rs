//! POSIX access control lists as tar has them: text in a pax record, where the kernel has bytes in an attribute.

use plyos_layer_format::entry::Xattr;

use crate::error::Refusal;

/// Version of the attribute's form.
const VERSION: u32 = 2;
/// Id of an entry that has none.
const NO_ID: u32 = u32::MAX;

/// The attribute `name` for a list like `user::rw-,user:joe:r--:1000,group::r--,mask::r--,other::---`. Users and groups
/// need their number, as the field itself or after it: names mean nothing on another machine.
pub(super) fn attribute(name: &str, text: &[u8]) -> Result<Xattr, Refusal> {
    let bad = |part: &str| Refusal::Acl(part.to_owned());
    let text = std::str::from_utf8(text).map_err(|_| bad("not UTF-8"))?;
    let mut entries = Vec::new();
    let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
    for part in parts {
        let mut fields = part.split(':');
        let (Some(who), Some(qualifier), Some(rights)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(bad(part));
        };
        let number = fields.next().unwrap_or(qualifier);
        let id = if qualifier.is_empty() { None } else { Some(number.parse().map_err(|_| bad(part))?) };
        // Tags in the kernel's order of a list.
        let tag: u16 = match (who, id) {
            ("user" | "u", None) => 0x01,
            ("user" | "u", Some(_)) => 0x02,
            ("group" | "g", None) => 0x04,
            ("group" | "g", Some(_)) => 0x08,
            ("mask" | "m", None) => 0x10,
            ("other" | "o", None) => 0x20,
            _ => return Err(bad(part)),
        };
        entries.push((tag, id.unwrap_or(NO_ID), bits(rights).ok_or_else(|| bad(part))?));
    }
    entries.sort_unstable();
    let mut value = VERSION.to_le_bytes().to_vec();
    for (tag, id, rights) in entries {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&rights.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    Ok(Xattr { name: name.into(), value })
}

fn bits(rights: &str) -> Option<u16> {
    let mut bits = 0;
    for right in rights.chars() {
        bits |= match right {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            '-' => 0,
            _ => return None,
        };
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_what_the_kernel_has() {
        let expected = [
            &[2, 0, 0, 0][..],
            &[1, 0, 6, 0, 255, 255, 255, 255],
            &[2, 0, 4, 0, 0xd2, 4, 0, 0],
            &[4, 0, 4, 0, 255, 255, 255, 255],
            &[16, 0, 4, 0, 255, 255, 255, 255],
            &[32, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat();
        for text in [
            "user::rw-,user:1234:r--,group::r--,mask::r--,other::---",
            "other::---,user::rw-\nuser:joe:r--:1234\ngroup::r--,mask::r--\n",
        ] {
            let found = attribute("system.posix_acl_access", text.as_bytes()).unwrap();
            assert_eq!(found.value, expected, "{text}");
        }
        for bad in ["user:joe:r--", "who::r--", "user::rwz", "mask:5:r--", "user"] {
            let refused = attribute("a", bad.as_bytes());
            assert!(matches!(refused, Err(Refusal::Acl(_))), "{bad}: {refused:?}");
        }
    }
}
