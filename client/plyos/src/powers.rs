//! Entries that give power to whoever can run or open them, in layers that have no business with them.
//!
//! What may hold what is decided by [`rules::power`], which targets ask too. An option lets such a layer be pushed all the same,
//! for those who pull it with other tools; `pkg` refuses it.

use plyos_ids::{Kind, MountType};
use plyos_layer_format::entry::Entry;
use plyos_namespace::rules::{self, Breach};
use plyos_report::{ExitCode, Failure};

/// What was allowed by option.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Device nodes.
    pub devices: bool,
    /// setuid and setgid files, capabilities.
    pub setuid: bool,
}

/// Refuses the first entry that a layer of this kind and mount type may not have.
pub fn check(entries: &[Entry], kind: Kind, mount_type: MountType, allowed: Allowed) -> Result<(), Failure> {
    let refused = entries.iter().find_map(|entry| match rules::power(mount_type, entry)? {
        Breach::Device if !allowed.devices => Some((
            entry,
            format!("a {kind} holds no device nodes, they are the machine's; exclude it (or --allow-devices, for others than pkg)"),
        )),
        Breach::Rights if !allowed.setuid => Some((
            entry,
            format!("it is setuid, setgid or has capabilities, and a {kind} is data; take that off or exclude it (or --allow-setuid, for others than pkg)"),
        )),
        Breach::Device | Breach::Rights | Breach::Place => None,
    });
    let Some((entry, refusal)) = refused else { return Ok(()) };
    let path = String::from_utf8_lossy(&entry.path);
    Err(Failure::new(ExitCode::Failure, format!("checking /{path}: {refusal}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_layer_format::entry::EntryKind;

    #[test]
    fn each_option_allows_what_it_names() {
        let file = EntryKind::File { size: 0, data_offset: 0, links: 1 };
        let entry = |kind, mode| Entry {
            path: b"x".to_vec(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        };
        let device = entry(EntryKind::CharDevice { major: 1, minor: 3 }, 0o666);
        let setuid = entry(file, 0o4755);
        let check = |entry: &Entry, devices, setuid| {
            let entries = std::slice::from_ref(entry);
            super::check(entries, Kind::Site, MountType::Subtree, Allowed { devices, setuid })
        };
        for (entry, option) in [(&device, "--allow-devices"), (&setuid, "--allow-setuid")] {
            let refusal = check(entry, false, false).unwrap_err().to_string();
            assert!(refusal.starts_with("checking /x: ") && refusal.contains(option), "{refusal}");
            assert!(check(entry, true, true).is_ok());
        }
        assert!(check(&device, false, true).is_err() && check(&setuid, true, false).is_err());
    }
}
