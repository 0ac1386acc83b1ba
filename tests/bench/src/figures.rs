//! The tables of the report, one module each.

mod cleanup;
mod dedup;
mod export;
pub mod flip;
mod fragmentation;
mod install;
mod kernel;
mod live;
mod missing;
pub mod mount;
pub mod namespace;
mod push;
mod registry;
mod sizes;
pub mod solve;
pub mod verify;
mod written;

use crate::contest::{Outcome, median};
use crate::ours::number;
use crate::process::Usage;
use crate::report::{Section, Table};
use crate::settings::Settings;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// Measures one section of the report, in a folder that it may fill.
pub type Measure = fn(&Settings, &Path) -> Result<Section>;

/// All sections by the name that `BENCH` chooses them by, in the report's order.
pub const SECTIONS: [(&str, Measure); 17] = [
    ("push", push::measure),
    ("install", install::measure),
    ("sizes", sizes::measure),
    ("missing", missing::measure),
    ("flip", flip::measure),
    ("mount", mount::measure),
    ("live", live::measure),
    ("export", export::measure),
    ("namespace", namespace::measure),
    ("cleanup", cleanup::measure),
    ("verify", verify::measure),
    ("written", written::measure),
    ("fragmentation", fragmentation::measure),
    ("solve", solve::measure),
    ("registry", registry::measure),
    ("dedup", dedup::measure),
    ("kernel", kernel::measure),
];

/// The trees that are timed.
const TIMED: [&str; 2] = ["base-min", "model"];

/// A table of outcomes with their ratios to two of them, and the registries' own usage below.
fn table_of(outcomes: &[Outcome], references: [&str; 2]) -> Table {
    let find = |name: &str| outcomes.iter().find(|outcome| outcome.name == name).map(|outcome| outcome.own);
    let mut headings = ["", "wall", "CPU", "peak memory"].map(str::to_owned).to_vec();
    headings.extend(references.map(|name| format!("wall ÷ {name}")));
    headings.extend(references.map(|name| format!("CPU ÷ {name}")));
    let mut table = Table::new(headings);
    for outcome in outcomes {
        let mut row = own_figures(&outcome.name, &outcome.own);
        let seconds: [fn(&Usage) -> f64; 2] =
            [|usage| usage.wall.as_secs_f64(), |usage| usage.cpu.as_secs_f64()];
        for field in seconds {
            for reference in references {
                row.push(
                    find(reference)
                        .map_or_else(String::new, |usage| ratio(field(&outcome.own), field(&usage))),
                );
            }
        }
        table.add(row);
    }
    for outcome in outcomes {
        if let Some(registry) = &outcome.registry {
            let mut row = own_figures(&format!("(registry meanwhile, {})", outcome.name), registry);
            // How long it stood there says nothing.
            if let Some(wall) = row.get_mut(1) {
                wall.clear();
            }
            row.extend(std::iter::repeat_n(String::new(), 4));
            table.add(row);
        }
    }
    table
}

fn own_figures(name: &str, usage: &Usage) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("{:.2} s", usage.wall.as_secs_f64()),
        format!("{:.2} s", usage.cpu.as_secs_f64()),
        mebibytes(usage.peak),
    ]
}

/// Two decimals; nothing for a division by nothing.
fn ratio(value: f64, reference: f64) -> String {
    if reference > 0.0 { format!("{:.2}", value / reference) } else { String::new() }
}

fn ratio_of_bytes(value: u64, reference: u64) -> String {
    ratio(value as f64, reference as f64)
}

fn mebibytes(bytes: u64) -> String {
    let mebibytes = bytes as f64 / 1_048_576.0;
    if mebibytes < 10.0 { format!("{mebibytes:.2} MiB") } else { format!("{mebibytes:.1} MiB") }
}

fn milliseconds(time: std::time::Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1_000.0;
    if milliseconds < 10.0 { format!("{milliseconds:.2} ms") } else { format!("{milliseconds:.1} ms") }
}

fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The median of one field of rows of numbers.
fn medians(rows: &Value, field: usize) -> Result<u64> {
    let rows = rows.as_array().context("rows are missing in what the bench's own process printed")?;
    let values = rows.iter().map(|row| number(row, &format!("/{field}"))).collect::<Result<Vec<_>>>()?;
    median(values).context("no rows")
}

/// How a table says whether a figure keeps its bar.
const fn met(kept: bool) -> &'static str {
    if kept { "met" } else { "**missed**" }
}

/// Reads a tree once, so that the first contender does not pay for a cold page cache.
fn warm_up(tree: &Path) -> Result<()> {
    crate::process::run(&mut crate::process::pipeline("tar -c -C \"$1\" . | cat >/dev/null", &[tree]))
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn figures_for_people() {
        assert_eq!(ratio_of_bytes(3, 2), "1.50");
        assert_eq!(ratio_of_bytes(3, 0), "");
        assert_eq!(mebibytes(1_572_864), "1.50 MiB");
        assert_eq!(mebibytes(104_857_600), "100.0 MiB");
    }

    #[test]
    fn medians_of_a_field() {
        let rows = serde_json::json!([[1, 9], [3, 7], [2, 8]]);
        assert_eq!((medians(&rows, 0).unwrap(), medians(&rows, 1).unwrap()), (2, 8));
        assert!(medians(&rows, 2).is_err());
        assert!(medians(&serde_json::json!([]), 0).is_err());
    }

    #[test]
    fn ratios_stand_beside_their_figures() {
        let usage = |wall, cpu| Usage {
            wall: Duration::from_secs(wall),
            cpu: Duration::from_secs(cpu),
            peak: 2_097_152,
        };
        let outcome = |name: &str, own, registry| Outcome { name: name.to_owned(), own, registry };
        let outcomes = [
            outcome("tar", usage(2, 4), None),
            outcome("casync", usage(4, 4), None),
            outcome("push", usage(3, 6), Some(usage(1, 1))),
        ];
        let text = table_of(&outcomes, ["tar", "casync"]).markdown();
        let row = text.lines().find(|line| line.starts_with("| push")).unwrap();
        assert_eq!(row, "| push | 3.00 s | 6.00 s | 2.00 MiB | 1.50 | 0.75 | 1.50 | 1.50 |");
        assert!(text.contains("(registry meanwhile, push) |  | 1.00 s | 2.00 MiB |"), "{text}");
    }
}
