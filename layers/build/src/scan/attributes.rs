//! Which extended attributes of a file belong to the layer.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use plyos_layer_format::entry::Xattr;
use rustix::io::Errno;

/// Whether an extended attribute of this name belongs to a layer.
///
/// Those do that are part of what a file is. All others (labels of SELinux and the like, marks of integrity
/// measurement) are made by the machine the tree lies on: with them the same tree would be another layer elsewhere.
/// What belongs may still be refused (`trusted.overlay.*`).
pub fn belongs(name: &[u8]) -> bool {
    const EXACT: [&[u8]; 3] =
        [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];
    name.starts_with(b"user.") || name.starts_with(b"trusted.") || EXACT.contains(&name)
}

/// The attributes of `name` in `directory`, sorted, links not followed. A file system without attributes has none.
pub(super) fn read(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Xattr>> {
    // No system call reads the attributes of a symbolic link or a device below a directory handle; by way of /proc any
    // call that takes a path does, and the path is short however deep the tree.
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let path = PathBuf::from(OsString::from_vec(path));
    let names = match xattr::list(&path) {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in names {
        if belongs(name.as_bytes())
            && let Some(value) = xattr::get(&path, &name)?
        {
            found.push(Xattr { name: name.into_vec(), value });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::belongs;

    #[test]
    fn labels_of_the_machine_do_not_belong() {
        for name in ["user.x", "trusted.overlay.opaque", "security.capability", "system.posix_acl_default"] {
            assert!(belongs(name.as_bytes()), "{name}");
        }
        for name in
            ["security.selinux", "security.ima", "security.evm", "btrfs.compression", "system.nfs4_acl"]
        {
            assert!(!belongs(name.as_bytes()), "{name}");
        }
    }
}
