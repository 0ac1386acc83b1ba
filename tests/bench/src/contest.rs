//! Contenders that do the like, taking turns.

use crate::process::{self, Usage};
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Duration;

/// What one run of a contender took; for ours, what the registry took meanwhile as well.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The contender itself.
    pub own: Usage,
    /// The registry it talked to, in the registry's whole life.
    pub registry: Option<Usage>,
}

/// One contender: makes its start state, runs measured, cleans up.
pub struct Contender<'a> {
    /// How the table names it.
    pub name: String,
    run: Box<dyn FnMut() -> Result<Run> + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender whose every run is `run`.
    pub fn new(name: impl Into<String>, run: impl FnMut() -> Result<Run> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The medians of a contender's runs.
pub struct Outcome {
    /// The contender's name.
    pub name: String,
    /// Field by field.
    pub own: Usage,
    /// Field by field.
    pub registry: Option<Usage>,
}

/// Lets the contenders take turns for some rounds. Before each run, what earlier ones wrote is flushed to the disk.
pub fn compete(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Result<Vec<Outcome>> {
    let mut runs: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (contender, runs) in contenders.iter_mut().zip(&mut runs) {
            process::run(&mut Command::new("sync"))?;
            let run = (contender.run)().with_context(|| format!("round {round} of {}", contender.name))?;
            eprintln!("bench: round {round}: {}: {:.2} s", contender.name, run.own.wall.as_secs_f64());
            runs.push(run);
        }
    }
    contenders
        .iter()
        .zip(&runs)
        .map(|(contender, runs)| {
            let own: Vec<Usage> = runs.iter().map(|run| run.own).collect();
            let registry: Vec<Usage> = runs.iter().filter_map(|run| run.registry).collect();
            Ok(Outcome {
                name: contender.name.clone(),
                own: medians(&own).context("no rounds")?,
                registry: medians(&registry),
            })
        })
        .collect()
}

/// The median of each field; none of nothing.
fn medians(usages: &[Usage]) -> Option<Usage> {
    let duration = |field: fn(&Usage) -> Duration| median(usages.iter().map(field).collect());
    Some(Usage {
        wall: duration(|usage| usage.wall)?,
        cpu: duration(|usage| usage.cpu)?,
        peak: median(usages.iter().map(|usage| usage.peak).collect())?,
    })
}

/// The middle value; of an even number of values, the lower of the two.
pub fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(wall: u64, cpu: u64, peak: u64) -> Usage {
        Usage { wall: Duration::from_secs(wall), cpu: Duration::from_secs(cpu), peak }
    }

    #[test]
    fn middle_values() {
        assert_eq!(median(vec![9, 1, 5]), Some(5));
        assert_eq!(median(vec![4, 1, 3, 2]), Some(2));
        assert_eq!(median::<u8>(vec![]), None);
    }

    #[test]
    fn fields_are_independent() {
        let of = [usage(1, 9, 5), usage(2, 8, 7), usage(3, 7, 6)];
        assert_eq!(medians(&of), Some(usage(2, 8, 6)));
        assert_eq!(medians(&[]), None);
    }

    #[test]
    fn contenders_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let contender = |name: &'static str| {
            let order = &order;
            Contender::new(name, move || {
                order.borrow_mut().push(name);
                Ok(Run { own: usage(1, 1, 1), registry: None })
            })
        };
        let outcomes = compete(2, vec![contender("a"), contender("b")]).unwrap();
        assert_eq!(*order.borrow(), ["a", "b", "a", "b"]);
        assert!(outcomes.iter().all(|outcome| outcome.registry.is_none()));
    }
}
