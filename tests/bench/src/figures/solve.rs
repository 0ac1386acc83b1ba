//! The solver on catalogs of 10,000 packages.

mod catalog;

use super::{met, milliseconds, nanoseconds};
use crate::aside;
use crate::contest::median;
use crate::report::{Section, Table};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use plyos_plan::dependency::Dependency;
use plyos_plan::resolve::{self, Change, Facts, Installed, Machine, NoPlan, Plan};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BAR: Duration = Duration::from_millis(100);
const MACHINE: Machine<'_> = Machine { arch: "amd64", abis: &[], compatible: &[] };
/// Runs of each case for each of `ROUNDS`.
const RUNS: usize = 5;
/// One package in so many is tried to find the one that needs most.
const STEP: usize = 40;

/// Requests against a catalog, from facts in memory to the plan or the sentences.
pub fn measure(settings: &Settings, _: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Solver",
        "10,000 packages in two versions each, so 20,000 offers. From the facts in memory to the plan, or to the sentences that \
         say why there is none; median. `Debian`: what `apt-cache dumpavail` tells, where it is there, the first of \
         alternatives; `made up`: generated. The package that needs most others is installed into nothing, upgraded with all \
         it brought, upgraded with one of these held, and asked for together with a conflict. Bar: 100 ms.",
    );
    let headings = ["", "layers changed", "time", "bar"];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    for (source, title) in [("debian", "Debian"), ("made-up", "made up")] {
        eprintln!("bench: solving on a catalog, {title}");
        let runs = (settings.rounds * RUNS).to_string();
        let rows = aside::start("solve", &[source.as_ref(), runs.as_ref()])?;
        for row in rows.as_array().into_iter().flatten() {
            let text = |field| row.get(field).and_then(Value::as_str).unwrap_or_default();
            let time = Duration::from_nanos(crate::ours::number(row, "/nanoseconds")?);
            let changes = crate::ours::number(row, "/changes")?;
            let bar = format!("{} {}", milliseconds(BAR), met(time < BAR));
            table.add(vec![
                format!("{title}: {}", text("case")),
                changes.to_string(),
                milliseconds(time),
                bar,
            ]);
        }
    }
    section.add(String::new(), table);
    Ok(section)
}

/// Solves all cases on a catalog, in this process: for each its name, the layers that change, the median's nanoseconds. No
/// rows where there is no such catalog.
pub fn cases(source: &str, runs: usize) -> Result<Value> {
    let offers = match source {
        "debian" => match debian() {
            Some(dump) => catalog::of_debian(&dump),
            None => return Ok(json!([])),
        },
        _ => catalog::made_up(),
    };
    let (name, first) = largest(&offers)?;
    let installed = as_installed(&offers, &first);
    let mut held = installed.clone();
    let middle = held.len() / 2;
    let one = held.get_mut(middle).context("the largest installation is empty")?;
    one.held = true;
    let mut more = offers.clone();
    more.push(contradiction(&offers, &name, &one.facts.name)?);
    let wanted = [name];
    let rows = [
        case("install", runs, || resolve::install(&offers, &[], MACHINE, &wanted))?,
        case("upgrade", runs, || resolve::upgrade(&offers, &installed, MACHINE, &[]))?,
        case("upgrade, one held", runs, || resolve::upgrade(&offers, &held, MACHINE, &[]))?,
        case("impossible, explained", runs, || {
            match resolve::install(&more, &[], MACHINE, &["contradiction".to_owned()]) {
                Err(NoPlan::Impossible { because, .. }) if !because.is_empty() => Ok(Plan::default()),
                other => other,
            }
        })?,
    ];
    Ok(Value::Array(rows.to_vec()))
}

fn debian() -> Option<String> {
    let output = Command::new("apt-cache").arg("dumpavail").stderr(Stdio::null()).output().ok()?;
    let dump = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(dump).filter(|dump| dump.contains("Package: "))
}

fn case(name: &str, runs: usize, solve: impl Fn() -> Result<Plan, NoPlan>) -> Result<Value> {
    let mut times = Vec::with_capacity(runs);
    let mut changes = 0;
    for _ in 0..runs {
        let begin = Instant::now();
        let plan = solve().with_context(|| format!("solving '{name}'"))?;
        times.push(nanoseconds(begin.elapsed()));
        changes = plan.changes.len();
    }
    Ok(json!({"case": name, "changes": changes, "nanoseconds": median(times).context("no runs")?}))
}

/// The package that brings most others, and its plan.
fn largest(offers: &[Facts]) -> Result<(String, Plan)> {
    let plans = offers.iter().step_by(STEP).filter_map(|offer| {
        let plan = resolve::install(offers, &[], MACHINE, std::slice::from_ref(&offer.name)).ok()?;
        Some((offer.name.clone(), plan))
    });
    plans.max_by_key(|(_, plan)| plan.changes.len()).context("nothing of the catalog can be installed")
}

/// What a plan installs, in the older versions.
fn as_installed(offers: &[Facts], plan: &Plan) -> Vec<Installed> {
    let added = plan.changes.iter().filter_map(|change| match change {
        Change::Add { offer, asked } => Some((offers.get(*offer)?, *asked)),
        _ => None,
    });
    added
        .filter_map(|(facts, asked)| {
            let older = offers.iter().find(|offer| offer.name == facts.name)?;
            Some(Installed { facts: older.clone(), asked, held: false })
        })
        .collect()
}

/// A package that needs one and cannot stand beside another which that one needs.
fn contradiction(offers: &[Facts], needs: &str, against: &str) -> Result<Facts> {
    let relation = |name: &str| Dependency { name: name.to_owned(), version: None };
    let Some(any) = offers.first() else { bail!("the catalog is empty") };
    Ok(Facts {
        name: "contradiction".to_owned(),
        depends: vec![relation(needs)],
        conflicts: vec![relation(against)],
        provides: Vec::new(),
        ..any.clone()
    })
}
