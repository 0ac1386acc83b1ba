//! Whether the folder that services run from shows a generation.
//!
//! A mount shows the newest one by itself. The tree behind an exported link is of one generation, which `.gen-N.id` beside it names
//! (`crate::export`): until `pkg export` has run again it shows the one before, and a service started from there would be the old one.

use plyos_ids::GenerationId;
use std::io::Read;
use std::path::Path;

/// Longest identity with its line's end, and more.
const LONGEST: u64 = 128;

/// What is not known to be the tree of another generation counts as showing it.
pub fn shows(root: &Path, generation: &GenerationId) -> bool {
    let named = || {
        let tree = std::fs::canonicalize(root).ok()?;
        let id = tree.parent()?.join(format!(".{}.id", tree.file_name()?.to_str()?));
        let mut text = String::new();
        std::fs::File::open(id).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
        Some(text)
    };
    named().is_none_or(|text| text.trim_end() == generation.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_tree_is_of_one_generation_and_a_mount_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let [old, new] = [1, 2].map(|byte| GenerationId::from_bytes([byte; 32]));
        let link = dir.path().join("current");
        assert!(shows(&link, &new), "nothing is known of it");
        std::fs::create_dir(dir.path().join("gen-3")).unwrap();
        std::os::unix::fs::symlink("gen-3", &link).unwrap();
        assert!(shows(&link, &new), "a mount has no such file");
        std::fs::write(dir.path().join(".gen-3.id"), format!("{old}\n")).unwrap();
        assert_eq!((shows(&link, &old), shows(&link, &new)), (true, false));
    }
}
