//! The operator's page explains every setting with the default that it has.

use plyos_registry::Loaded;

#[test]
fn every_setting_is_explained_with_its_default() {
    let page = include_str!("../../../../docs/registry.md");
    for (key, default) in Loaded::defaults() {
        let row = format!("| `{key}` | `{default}` |");
        assert!(page.contains(&row), "docs/registry.md lacks a row that starts with\n{row}");
    }
    let known: Vec<_> = Loaded::defaults().into_iter().map(|(key, _)| key).collect();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    for (key, _) in rows.filter(|(key, rest)| key.contains('.') && !rest.is_empty()) {
        assert!(known.contains(&key), "docs/registry.md explains {key}, which is no setting");
    }
}
