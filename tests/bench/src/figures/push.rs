//! Publishing: a tree to something that can be shipped, and its next version.

use super::{mebibytes, met, ratio, table_of, warm_up};
use crate::contest::{Contender, Outcome, Run, compete};
use crate::ours::{Layer, Plyos, Registry, number};
use crate::report::{Section, Table};
use crate::rivals;
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

const TAR: &str = "tar, zstd -3 -T2";
const CASYNC: &str = "casync make";
const RESTIC: &str = "restic backup";
const PUSH: &str = "plyos push --level 3";
const NEXT: &str = "plyos push --level 3, second version";

/// How many times as fast as each rival a push is to be.
const BARS: [(&str, f64); 3] = [(CASYNC, 4.0), (RESTIC, 2.0), (TAR, 0.8)];
/// How many times as fast as the first version a second one is to be.
const NEXT_BAR: f64 = 2.0;
/// Most memory, in bytes.
const MEMORY_BAR: u64 = 128 << 20;
/// Of the blob, the index as sent.
const INDEX_BAR: f64 = 0.01;

/// One tree with its next version.
struct Pair {
    name: &'static str,
    first: PathBuf,
    second: PathBuf,
}

/// `plyos push` into an empty registry beside archives and stores of chunks on the disk.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Push",
        "A tree into an empty registry over loopback, with an empty local cache: read, cut, hashed, compressed, \
         uploaded, stored and flushed. The rivals write to the local disk and flush nothing. A pipeline's memory is \
         that of its largest process. *second version*: the next version, by who has stored the first (plyos: in its frame cache and \
         in the registry).",
    );
    let mut bars = Table::new(["", "bar", "measured", ""].map(str::to_owned).to_vec());
    for name in ["base-min", "model"] {
        let (first, second) = (settings.tree(name, "v1"), settings.tree(name, "v2"));
        pair(settings, work, &Pair { name, first, second }, &mut section, &mut bars)?;
    }
    let sites = sites(settings, work)?;
    pair(settings, work, &sites, &mut section, &mut bars)?;
    section.add("Bars: how many times as fast".into(), bars);
    Ok(section)
}

/// All sites of the corpus in one tree.
fn sites(settings: &Settings, work: &Path) -> Result<Pair> {
    let (first, second) = (work.join("sites-v1"), work.join("sites-v2"));
    for (version, place) in [("v1", &first), ("v2", &second)] {
        rivals::empty(place)?;
        for name in settings.trees()?.iter().filter(|name| name.starts_with("site")) {
            let copy = "cp -a \"$1\" \"$2\"";
            let tree = settings.tree(name, version);
            crate::process::run(&mut crate::process::pipeline(copy, &[&tree, &place.join(name)]))?;
        }
    }
    Ok(Pair { name: "site-all", first, second })
}

fn pair(
    settings: &Settings,
    work: &Path,
    pair: &Pair,
    section: &mut Section,
    bars: &mut Table,
) -> Result<()> {
    let Pair { name, first, second } = pair;
    warm_up(first)?;
    warm_up(second)?;
    let plyos = Plyos::new(settings, work.join("push"))?;
    let (archive, index) = (work.join("push.tar.zst"), work.join("push.caidx"));
    let (store, repository, storage) =
        (work.join("push.castr"), work.join("push.restic"), work.join("push-registry"));
    let layer = |version, level| Layer { name, version, level };
    let share = std::cell::Cell::new(0.0);
    let push = |level| {
        let (plyos, storage, share) = (&plyos, &storage, &share);
        move || {
            plyos.forget_cache()?;
            let registry = Registry::start(settings, storage)?;
            let (own, report) = plyos.push_tree(&registry, layer("v1", level), first)?;
            share.set(number(&report, "/bytes/index")? as f64 / number(&report, "/bytes/blob")? as f64);
            Ok(Run { own, registry: Some(registry.end()?) })
        }
    };
    let push_next = || {
        plyos.forget_cache()?;
        let registry = Registry::start(settings, &storage)?;
        plyos.push_tree(&registry, layer("v1", Some(3)), first)?;
        let (own, _) = plyos.push_tree(&registry, layer("v2", Some(3)), second)?;
        // The registry has served both: what it took for the second alone is not known.
        Ok(Run { own, registry: None })
    };
    let contenders = vec![
        Contender::new(TAR, || rivals::tar_zstd(first, 3, &archive)),
        Contender::new("tar, zstd -9 -T2", || rivals::tar_zstd(first, 9, &archive)),
        Contender::new(CASYNC, || {
            rivals::remove(&store)?;
            rivals::casync_make(first, &store, &index)
        }),
        Contender::new("casync make, second version", || rivals::casync_make(second, &store, &index)),
        Contender::new(RESTIC, || {
            rivals::remove(&repository)?;
            rivals::restic_backup(first, &repository)
        }),
        Contender::new("restic backup, second version", || rivals::restic_backup(second, &repository)),
        Contender::new(PUSH, push(Some(3))),
        Contender::new(NEXT, push_next),
        Contender::new("plyos push (level 9)", push(None)),
    ];
    let outcomes = compete(settings.rounds, contenders)?;
    section.add(format!("{name}/v1"), table_of(&outcomes, [TAR, CASYNC]));
    judge(name, &outcomes, share.get(), bars)?;
    for place in [&store, &repository, &storage] {
        rivals::remove(place)?;
    }
    Ok(())
}

/// Adds the rows of one tree to the table of bars.
fn judge(name: &str, outcomes: &[Outcome], index: f64, bars: &mut Table) -> Result<()> {
    let find = |wanted: &str| outcomes.iter().find(|outcome| outcome.name == wanted);
    let wall =
        |wanted| find(wanted).map(|outcome| outcome.own.wall.as_secs_f64()).context("a contender is missing");
    let ours = wall(PUSH)?;
    let mut row = |what: String, bar: String, measured: String, kept: bool| {
        bars.add(vec![format!("{name}: {what}"), bar, measured, met(kept).to_owned()]);
    };
    for (rival, bar) in BARS {
        let theirs = wall(rival)?;
        row(format!("push as {rival}"), format!("≥ {bar}"), ratio(theirs, ours), theirs >= bar * ours);
    }
    let peak = outcomes
        .iter()
        .filter(|outcome| outcome.name.starts_with("plyos"))
        .map(|outcome| outcome.own.peak)
        .max()
        .unwrap_or_default();
    row("peak memory".into(), format!("< {}", mebibytes(MEMORY_BAR)), mebibytes(peak), peak < MEMORY_BAR);
    if name == "base-min" {
        let next = wall(NEXT)?;
        row(
            "second version as the first".into(),
            format!("≥ {NEXT_BAR}"),
            ratio(ours, next),
            ours >= NEXT_BAR * next,
        );
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        row(
            "index of the blob".into(),
            format!("≤ {}", percent(INDEX_BAR)),
            percent(index),
            index <= INDEX_BAR,
        );
    }
    Ok(())
}
