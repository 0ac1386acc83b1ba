//! Requests against small catalogs.

use super::*;
use crate::dependency::Dependency;
use alloc::string::ToString;
use alloc::vec;
use plyos_ids::LayerId;

pub(super) const MACHINE: Machine<'_> =
    Machine { arch: "amd64", abis: &["linux", "plyos-0"], compatible: &[] };

pub(super) fn facts(name: &str, version: &str, depends: &[&str]) -> Facts {
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
        compatible: vec![],
        provides: vec![],
        depends: relations(depends),
        conflicts: vec![],
        replaces: vec![],
        upgrade_from: None,
        layer: LayerId::from_bytes(id),
    }
}

pub(super) fn relations(texts: &[&str]) -> Vec<Dependency> {
    texts.iter().map(|text| Dependency::parse(text).unwrap()).collect()
}

fn providing(facts: Facts, provides: &[&str]) -> Facts {
    Facts { provides: relations(provides), ..facts }
}

pub(super) fn against(facts: Facts, conflicts: &[&str]) -> Facts {
    Facts { conflicts: relations(conflicts), ..facts }
}

pub(super) fn installed(facts: Facts, asked: bool) -> Installed {
    Installed { facts, asked, held: false }
}

fn why(plan: Result<Plan, NoPlan>) -> String {
    plan.unwrap_err().to_string()
}

fn names(offers: &[Facts], plan: Result<Plan, NoPlan>) -> Vec<String> {
    plan.unwrap()
        .changes
        .into_iter()
        .map(|change| match change {
            Change::Add { offer, asked } => {
                alloc::format!("+{} {} {asked}", offers[offer].name, offers[offer].version)
            }
            Change::Replace { offer, from, asked } => {
                alloc::format!("~{} {from} {} {asked}", offers[offer].name, offers[offer].version)
            }
            Change::Ask { name, .. } => alloc::format!("={name}"),
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
    assert_eq!(install(&offers, &present, MACHINE, &["jq".into()]), Ok(Plan::default()));
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
fn upgrade_that_breaks_what_stays_is_kept_back() {
    let offers = [facts("lib", "2", &[]), facts("tool", "2", &[])];
    let present = [
        installed(facts("app", "1", &["lib < 2"]), true),
        installed(facts("lib", "1", &[]), false),
        installed(facts("tool", "1", &[]), true),
    ];
    let plan = upgrade(&offers, &present, MACHINE, &[]).unwrap();
    assert_eq!(
        plan.kept_back.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "lib 2 is kept back: app 1, which you asked for, needs lib < 2; only one version of lib can be there"
        ]
    );
    assert_eq!(names(&offers, Ok(plan)), ["~tool 1 2 true"]);
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
    assert_eq!(
        plan("needy").to_string(),
        "needy cannot be installed: needy 1 needs nothing, which nothing offers"
    );
    assert!(matches!(plan("curl=7"), NoPlan::NoVersion { offered, .. } if offered == ["8"]));
    assert!(matches!(plan("crul"), NoPlan::NotFound { similar, .. } if similar == ["curl"]));
    assert!(matches!(plan("zzzzzz"), NoPlan::NotFound { similar, .. } if similar.is_empty()));
    assert!(matches!(plan("site/curl"), NoPlan::NotFound { similar, .. } if similar == ["package/curl"]));
    let both = install(&offers, &[], MACHINE, &["site/docs".into(), "enemy".into()]);
    assert_eq!(why(both), "docs with enemy cannot be installed: enemy 1 conflicts with docs 1");
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
    assert_eq!(
        why(refused),
        "alpine cannot be installed: alpine 3 cannot stand beside debian, which you asked for: a system has one base; \
         `pkg remove base/debian` would make room"
    );
    assert!(install(&offers, &[], MACHINE, &["alpine".into(), "debian".into()]).is_err());
    let plan = install(&offers, &present, MACHINE, &["debian".into()]);
    assert_eq!(names(&offers, plan), ["~debian 12 13 true"]);
}

#[test]
fn the_reason_is_told_from_the_request_to_what_stands_against_it() {
    let offers = [
        facts("web", "2", &["tls >= 3"]),
        against(facts("tls", "3", &[]), &["legacy"]),
        facts("tls", "2", &[]),
    ];
    let present = [installed(facts("legacy", "1", &[]), true)];
    assert_eq!(
        why(install(&offers, &present, MACHINE, &["web".into()])),
        "web cannot be installed: web 2 needs tls >= 3; tls 3 conflicts with legacy 1, which you asked for; \
         `pkg remove legacy` would make room"
    );
    // What only came with others gives way.
    let present = [installed(facts("legacy", "1", &[]), false)];
    let plan = install(&offers, &present, MACHINE, &["web".into()]);
    assert_eq!(names(&offers, plan), ["-legacy", "+tls 3 false", "+web 2 true"]);
}

#[test]
fn many_versions_make_one_sentence() {
    let mut offers: Vec<Facts> = (1..=9).map(|n| facts("web", &n.to_string(), &["tls >= 3"])).collect();
    assert_eq!(
        why(install(&offers[..3], &[], MACHINE, &["web".into()])),
        "web cannot be installed: web 1, 2 and 3 need tls >= 3, which nothing offers"
    );
    offers.push(Facts { arch: "arm64".into(), ..facts("tls", "3", &[]) });
    assert_eq!(
        why(install(&offers, &[], MACHINE, &["web".into()])),
        "web cannot be installed: web in 9 versions (1 to 9) needs tls >= 3, which nothing offers that could be taken; \
         tls 3 is for arm64, and this machine is amd64"
    );
}

#[test]
fn an_older_version_is_taken_where_the_newest_cannot_be() {
    let offers = [facts("web", "1", &["tls"]), facts("web", "2", &["tls >= 3"]), facts("tls", "2", &[])];
    let plan = install(&offers, &[], MACHINE, &["web".into()]).unwrap();
    assert_eq!(
        plan.kept_back[0].to_string(),
        "web 2 is kept back: web 2 needs tls >= 3, which nothing offers"
    );
    assert_eq!(names(&offers, Ok(plan)), ["+tls 2 false", "+web 1 true"]);
}

#[test]
fn provided_names_have_versions() {
    let offers = [
        facts("cron", "1", &["mail >= 2"]),
        providing(facts("exim", "9", &[]), &["mail"]),
        providing(facts("postfix", "1", &[]), &["mail = 2"]),
        providing(facts("odd", "1", &[]), &["mail >= 7"]),
    ];
    assert_eq!(
        names(&offers, install(&offers, &[], MACHINE, &["cron".into()])),
        ["+cron 1 true", "+postfix 1 false"]
    );
    // A layer of that very name comes first, and what is there already before all.
    let with_own = [&offers[..], &[facts("mail", "3", &[])]].concat();
    let plan = install(&with_own, &[], MACHINE, &["cron".into()]);
    assert_eq!(names(&with_own, plan), ["+cron 1 true", "+mail 3 false"]);
    let present = [installed(offers[2].clone(), false)];
    assert_eq!(names(&with_own, install(&with_own, &present, MACHINE, &["cron".into()])), ["+cron 1 true"]);
}

#[test]
fn a_name_that_one_layer_provides_is_that_layers() {
    let offers = [providing(facts("postfix", "1", &[]), &["mail"]), facts("cron", "1", &[])];
    assert_eq!(names(&offers, install(&offers, &[], MACHINE, &["mail".into()])), ["+postfix 1 true"]);
    let two = [&offers[..], &[providing(facts("exim", "1", &[]), &["mail"])]].concat();
    let refused = install(&two, &[], MACHINE, &["mail".into()]);
    assert!(
        matches!(refused, Err(NoPlan::Ambiguous { choices, .. }) if choices == ["package/exim", "package/postfix"])
    );
}

#[test]
fn what_one_need_added_and_another_made_superfluous_is_left_out() {
    let offers = [
        facts("app", "1", &["mail", "postfix"]),
        providing(facts("exim", "1", &[]), &["mail"]),
        providing(facts("postfix", "1", &[]), &["mail"]),
    ];
    let plan = install(&offers, &[], MACHINE, &["app".into()]);
    assert_eq!(names(&offers, plan), ["+app 1 true", "+postfix 1 false"]);
}

#[test]
fn versions_go_back_on_request_only() {
    let offers = [facts("lib", "1", &[]), facts("app", "1", &["lib < 2"])];
    let present = [installed(facts("lib", "2", &[]), false)];
    assert_eq!(
        why(install(&offers, &present, MACHINE, &["app".into()])),
        "app cannot be installed: app 1 needs lib < 2, which nothing offers that could be taken; \
         going back from lib 2 to 1 has to be asked for (lib=1)"
    );
    let plan = install(&offers, &present, MACHINE, &["app".into(), "lib=1".into()]);
    assert_eq!(names(&offers, plan), ["+app 1 true", "~lib 2 1 true"]);
    assert_eq!(names(&offers, install(&offers, &present, MACHINE, &["lib".into()])), ["=lib"]);
    assert_eq!(names(&offers, upgrade(&offers, &present, MACHINE, &[])), Vec::<String>::new());
}

#[test]
fn upgrades_go_over_the_versions_that_allow_it() {
    let third = Facts { upgrade_from: Some("2".into()), ..facts("db", "3", &[]) };
    let offers = [facts("db", "2", &[]), third];
    let present = [installed(facts("db", "1", &[]), true)];
    let plan = upgrade(&offers, &present, MACHINE, &[]).unwrap();
    assert_eq!(
        plan.kept_back[0].to_string(),
        "db 3 is kept back: db 3 upgrades from 2 or newer only, and 1 is installed"
    );
    assert_eq!(names(&offers, Ok(plan)), ["~db 1 2 true"]);
    assert_eq!(
        why(install(&offers, &present, MACHINE, &["db=3".into()])),
        "db = 3 cannot be installed: db 3 upgrades from 2 or newer only, and 1 is installed"
    );
    // Where it is not installed there is nothing to take over.
    assert_eq!(names(&offers, install(&offers, &[], MACHINE, &["db".into()])), ["+db 3 true"]);
    let present = [installed(facts("db", "2", &[]), true)];
    assert_eq!(names(&offers, upgrade(&offers, &present, MACHINE, &[])), ["~db 2 3 true"]);
}

#[test]
fn what_is_held_stays() {
    let offers = [facts("lib", "2", &[]), facts("app", "1", &["lib >= 2"])];
    let present = [Installed { held: true, ..installed(facts("lib", "1", &[]), false) }];
    let plan = upgrade(&offers, &present, MACHINE, &[]).unwrap();
    assert!(plan.changes.is_empty());
    assert_eq!(
        plan.kept_back[0].to_string(),
        "lib 2 is kept back: lib 1 is held; only one version of lib can be there"
    );
    assert_eq!(
        why(install(&offers, &present, MACHINE, &["app".into()])),
        "app cannot be installed: app 1 needs lib >= 2; lib 1 is held; only one version of lib can be there; \
         `pkg unhold lib` would release it"
    );
}

#[test]
fn what_conflicts_with_a_layer_and_replaces_it_takes_its_place() {
    let next = Facts { replaces: relations(&["old"]), ..against(facts("next", "1", &[]), &["old"]) };
    let offers = [next.clone(), facts("old", "2", &[])];
    let present = [installed(facts("old", "1", &[]), true)];
    assert_eq!(
        names(&offers, install(&offers, &present, MACHINE, &["next".into()])),
        ["+next 1 true", "-old"]
    );
    // To hide files is not to take a place; and nobody is displaced without need.
    let beside = [Facts { conflicts: vec![], ..next }];
    assert_eq!(names(&beside, install(&beside, &present, MACHINE, &["next".into()])), ["+next 1 true"]);
    assert_eq!(names(&offers, upgrade(&offers, &present, MACHINE, &[])), ["~old 1 2 true"]);
}

#[test]
fn hardware_counts() {
    let board = Facts { compatible: vec!["acme,board".into()], ..facts("driver", "2", &[]) };
    let offers = [board, facts("driver", "1", &[])];
    assert_eq!(names(&offers, install(&offers, &[], MACHINE, &["driver".into()])), ["+driver 1 true"]);
    let refused = install(&offers[..1], &[], MACHINE, &["driver".into()]);
    assert!(
        matches!(refused, Err(NoPlan::WrongMachine { offered, .. }) if offered == ["amd64 on acme,board"])
    );
    let hardware = ["acme,board-2".to_string(), "acme,board".to_string()];
    let machine = Machine { compatible: &hardware, ..MACHINE };
    assert_eq!(names(&offers, install(&offers, &[], machine, &["driver".into()])), ["+driver 2 true"]);
}

#[test]
fn of_two_contradicting_requests_neither_is_taken() {
    let offers = [facts("jq", "1", &[]), facts("jq", "2", &[])];
    assert_eq!(
        why(install(&offers, &[], MACHINE, &["jq=1".into(), "jq=2".into()])),
        "jq = 1 with jq = 2 cannot be installed: only one version of jq can be there"
    );
    assert_eq!(names(&offers, install(&offers, &[], MACHINE, &["jq<2".into()])), ["+jq 1 true"]);
}

#[test]
fn a_version_that_was_published_again_is_fetched_when_asked_for() {
    let again = Facts { layer: LayerId::from_bytes([9; 32]), ..facts("jq", "1", &[]) };
    let offers = [again];
    let present = [installed(facts("jq", "1", &[]), true)];
    assert_eq!(names(&offers, install(&offers, &present, MACHINE, &["jq".into()])), ["~jq 1 1 true"]);
    assert_eq!(names(&offers, upgrade(&offers, &present, MACHINE, &[])), Vec::<String>::new());
}

#[test]
fn effort_is_bounded() {
    let offers = [facts("app", "1", &["lib"]), facts("lib", "1", &[])];
    let names = Names::new(&offers, &[]);
    let requests = [request::find(&names, MACHINE, "app").unwrap()];
    let planner = || Planner::new(&names, MACHINE, &requests, Goal::Install);
    assert_eq!(planner().plan(1), Err(NoPlan::TooHard));
    assert!(planner().plan(1000).is_ok());
    let cut = |room| universe::Universe::new(&names, MACHINE, &requests, room).is_cut();
    assert!(cut(2) && !cut(10));
}
