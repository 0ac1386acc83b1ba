//! Requests against small catalogs.

use super::*;
use alloc::vec;

const MACHINE: Machine<'_> = Machine { arch: "amd64", abis: &["linux", "plyos-0"] };

fn facts(name: &str, version: &str, depends: &[&str]) -> Facts {
    let mut id = [0u8; 32];
    id[0] = name.len() as u8;
    for (at, byte) in name.bytes().chain(version.bytes()).enumerate() {
        id[1 + at % 31] ^= byte.wrapping_mul(at as u8 + 1);
    }
    Facts {
        kind: Kind::Package,
        name: name.into(),
        version: version.into(),
        arch: "amd64".into(),
        abi: None,
        provides: vec![],
        depends: depends.iter().map(|text| Dependency::parse(text).unwrap()).collect(),
        conflicts: vec![],
        layer: LayerId::from_bytes(id),
    }
}

fn installed(facts: Facts, asked: bool) -> Installed {
    Installed { facts, asked }
}

fn names(offers: &[Facts], plan: Result<Vec<Change>, NoPlan>) -> Vec<String> {
    plan.unwrap()
        .into_iter()
        .map(|change| match change {
            Change::Add { offer, asked } => {
                alloc::format!("+{} {} {asked}", offers[offer].name, offers[offer].version)
            }
            Change::Replace { offer, from, asked } => {
                alloc::format!("~{} {from} {} {asked}", offers[offer].name, offers[offer].version)
            }
            Change::Remove { name, .. } => alloc::format!("-{name}"),
        })
        .collect()
}

#[test]
fn newest_is_chosen_with_all_it_needs() {
    let offers = [
        facts("jq", "1.6", &[]),
        facts("jq", "1.10", &["libjq >= 1.10"]),
        facts("libjq", "1.9", &[]),
        facts("libjq", "1.10", &["oniguruma"]),
        facts("oniguruma", "6", &[]),
    ];
    let plan = install(&offers, &[], MACHINE, &["jq".into()]);
    assert_eq!(names(&offers, plan), ["+jq 1.10 true", "+libjq 1.10 false", "+oniguruma 6 false"]);
    let plan = install(&offers, &[], MACHINE, &["jq=1.6".into()]);
    assert_eq!(names(&offers, plan), ["+jq 1.6 true"]);
}

#[test]
fn dependency_that_is_there_and_good_enough_stays() {
    let offers = [facts("jq", "2", &["libjq >= 1"]), facts("libjq", "3", &[])];
    let present = [installed(facts("libjq", "1", &[]), false)];
    assert_eq!(names(&offers, install(&offers, &present, MACHINE, &["jq".into()])), ["+jq 2 true"]);
}

#[test]
fn installing_what_is_there_changes_nothing() {
    let offers = [facts("jq", "2", &[])];
    let present = [installed(offers[0].clone(), true)];
    assert_eq!(install(&offers, &present, MACHINE, &["jq".into()]), Ok(vec![]));
}

#[test]
fn upgrade_takes_newer_versions_only() {
    let offers = [facts("jq", "2", &[]), facts("tree", "1", &[]), facts("hello", "0.9", &[])];
    let present = [
        installed(facts("jq", "1", &[]), false),
        installed(facts("tree", "1", &[]), true),
        installed(facts("hello", "1", &[]), true),
    ];
    assert_eq!(names(&offers, upgrade(&offers, &present, MACHINE, &[])), ["~jq 1 2 false"]);
    assert_eq!(names(&offers, upgrade(&offers, &present, MACHINE, &["tree".into()])), Vec::<String>::new());
    assert!(matches!(upgrade(&offers, &present, MACHINE, &["jqq".into()]), Err(NoPlan::NotFound { .. })));
}

#[test]
fn upgrade_that_breaks_what_stays_is_refused() {
    let offers = [facts("lib", "2", &[])];
    let present =
        [installed(facts("app", "1", &["lib < 2"]), true), installed(facts("lib", "1", &[]), false)];
    assert_eq!(
        upgrade(&offers, &present, MACHINE, &[]),
        Err(NoPlan::Unmet { needed_by: "app".into(), need: "lib < 2".into() })
    );
}

#[test]
fn each_reason_is_named() {
    let mut arm = facts("fast", "1", &[]);
    arm.arch = "arm64".into();
    let mut other_abi = facts("odd", "1", &[]);
    other_abi.abi = Some("win32".into());
    let mut site = facts("docs", "1", &[]);
    site.kind = Kind::Site;
    let mut enemy = facts("enemy", "1", &[]);
    enemy.conflicts = vec![Dependency::parse("docs").unwrap()];
    let offers = [
        arm,
        other_abi,
        site,
        facts("docs", "1", &[]),
        enemy,
        facts("needy", "1", &["nothing"]),
        facts("curl", "8", &[]),
    ];
    let plan = |name: &str| install(&offers, &[], MACHINE, &[name.into()]).unwrap_err();
    assert!(matches!(plan("fast"), NoPlan::WrongMachine { offered, .. } if offered == ["arm64"]));
    assert!(matches!(plan("odd"), NoPlan::WrongMachine { .. }));
    assert!(
        matches!(plan("docs"), NoPlan::Ambiguous { choices, .. } if choices == ["package/docs", "site/docs"])
    );
    assert!(matches!(plan("needy"), NoPlan::Unmet { need, .. } if need == "nothing"));
    assert!(matches!(plan("crul"), NoPlan::NotFound { similar, .. } if similar == ["curl"]));
    assert!(matches!(plan("zzzzzz"), NoPlan::NotFound { similar, .. } if similar.is_empty()));
    let both = install(&offers, &[], MACHINE, &["site/docs".into(), "enemy".into()]);
    assert_eq!(both, Err(NoPlan::Conflict { first: "enemy".into(), second: "docs".into() }));
}

#[test]
fn removal_keeps_what_others_need() {
    let present = [installed(facts("app", "1", &["lib"]), true), installed(facts("lib", "1", &[]), false)];
    assert_eq!(
        remove(&present, &["lib".into()]),
        Err(NoPlan::StillNeeded { name: "lib".into(), needed_by: "app".into() })
    );
    assert_eq!(remove(&present, &["lib".into(), "app".into()]).map(|plan| plan.len()), Ok(2));
    assert!(
        matches!(remove(&present, &["ap".into()]), Err(NoPlan::NotFound { similar, .. }) if similar == ["app"])
    );
}

#[test]
fn a_second_base_is_refused_before_anything_is_fetched() {
    let base = |name: &str, version: &str| Facts { kind: Kind::Base, ..facts(name, version, &[]) };
    let offers = [base("debian", "12"), base("alpine", "3"), base("debian", "13")];
    let present = [installed(base("debian", "12"), true)];
    let refused = install(&offers, &present, MACHINE, &["alpine".into()]);
    assert_eq!(refused, Err(NoPlan::Conflict { first: "debian".into(), second: "alpine".into() }));
    assert!(install(&offers, &[], MACHINE, &["alpine".into(), "debian".into()]).is_err());
    let plan = install(&offers, &present, MACHINE, &["debian".into()]);
    assert_eq!(names(&offers, plan), ["~debian 12 13 true"]);
}
