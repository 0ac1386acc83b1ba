//! Cuts by the thousand: over all workloads and cores, reproducible from one seed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::cut::{Cut, Random};
use crate::device::{Image, Medium};
use crate::mutation::Mutation;
use crate::record::Recording;
use crate::workload::{MEDIUM_LEN, WORKLOADS, Workload};

/// When a campaign ends; a round is always the same for the same seed.
#[derive(Clone, Copy)]
pub enum Until {
    /// So many states were tried, at the end of a round.
    States(usize),
    Time(Instant),
}

/// Cuts sampled at each point in a round.
const SAMPLES: usize = 12;
/// One in so many states is cut again during its recovery,
const AGAIN: usize = 8;
/// at so many points.
const SECOND_CUTS: usize = 4;

/// What was tried. A state is a distinct content of the medium between two flushes of a workload.
#[derive(Default, Debug, Clone, Copy)]
pub struct Tried {
    pub cut_points: usize,
    pub states: usize,
    /// Of these, after a second cut.
    pub second: usize,
    pub rounds: usize,
}

/// What lies between two flushes of a workload.
struct Epoch {
    recording: Arc<Recording>,
    workload: &'static Workload,
    span: (usize, usize),
    /// What was tried.
    seen: Mutex<HashSet<(usize, [u8; 32])>>,
}

/// Cuts every workload until it is enough; the failure is a recipe.
pub fn run(seed: u64, until: Until, mutation: Option<Mutation>) -> Result<Tried, String> {
    let mut epochs = Vec::new();
    let mut tried = Tried::default();
    for workload in WORKLOADS {
        let recording = record(workload, mutation).map_err(|error| format!("{}: {error}", workload.name))?;
        tried.cut_points += recording.log.len() + 1;
        let recording = Arc::new(recording);
        epochs.extend(recording.epochs().map(|span| {
            let (recording, seen) = (Arc::clone(&recording), Mutex::default());
            Epoch { recording, workload, span, seen }
        }));
    }
    loop {
        let next = AtomicUsize::new(0);
        let done = Mutex::new((tried, None::<(usize, String)>));
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let late = matches!(until, Until::Time(end) if Instant::now() >= end);
                        let Some(epoch) = epochs.get(number).filter(|_| !late) else { break };
                        // Not when an earlier one failed; so the same seed gives the same failure.
                        if done.lock().unwrap().1.as_ref().is_some_and(|(first, _)| *first < number) {
                            break;
                        }
                        let mut random = Random(seed);
                        random.0 ^= Random((tried.rounds as u64) << 32 | number as u64).next();
                        let result = epoch.cut(tried.rounds, &mut random);
                        let mut done = done.lock().unwrap();
                        match result {
                            Ok((states, second)) => {
                                done.0.states += states;
                                done.0.second += second;
                            }
                            Err(error) if done.1.as_ref().is_none_or(|(first, _)| number < *first) => {
                                done.1 = Some((number, format!("{}: {error}", epoch.workload.name)));
                            }
                            Err(_) => {}
                        }
                    }
                });
            }
        });
        let (now, failure) = done.into_inner().unwrap();
        if let Some((_, error)) = failure {
            return Err(format!("PLYOS_CRASH_SEED={seed}, round {}: {error}", tried.rounds));
        }
        tried = Tried { rounds: tried.rounds + 1, ..now };
        let enough = match until {
            Until::States(count) => tried.states >= count,
            Until::Time(end) => Instant::now() >= end,
        };
        if enough {
            return Ok(tried);
        }
    }
}

/// What leads to the workload, then the workload itself.
fn record(workload: &'static Workload, mutation: Option<Mutation>) -> Result<Recording, String> {
    let medium = Medium::new(Image::zeroes(MEDIUM_LEN), mutation);
    for (name, step) in workload.before {
        step(&medium).map_err(|error| format!("[completes] \"{name}\": {error}"))?;
    }
    Recording::make(workload, medium.image(), 0, mutation)
}

impl Epoch {
    /// One round of cuts: how many states were new, and how many came of a second cut.
    fn cut(&self, round: usize, random: &mut Random) -> Result<(usize, usize), String> {
        let (mut states, mut second) = (0, 0);
        let mut seen = self.seen.lock().unwrap();
        for at in self.span.0..=self.span.1 {
            let (flushed, open) = self.recording.in_flight(at);
            let mut cuts = if round == 0 { Cut::exhaustive(at, &open) } else { Vec::new() };
            if !open.is_empty() {
                let sample = || Cut::sample(at, &open, &self.recording.log, random);
                cuts.extend(std::iter::repeat_with(sample).take(SAMPLES));
            }
            for cut in cuts {
                let image = self.recording.image_after(&cut);
                if !seen.insert((self.recording.certain(at), image.difference(flushed))) {
                    continue;
                }
                states += 1;
                let resume = check(&self.recording, &cut)?;
                if random.below(AGAIN) == 0 {
                    let more = cut_again(&self.recording, &cut, resume, random)?;
                    states += more;
                    second += more;
                }
            }
        }
        Ok((states, second))
    }
}

/// Checks the medium after a cut, and that the rest goes through. A failure is made small and written as a recipe.
fn check(recording: &Recording, cut: &Cut) -> Result<usize, String> {
    let holds = |cut: &Cut| {
        let image = recording.image_after(cut);
        let resume = recording.reached(cut, &image)?;
        recording.finish(&image, resume).map(|()| resume)
    };
    holds(cut).map_err(|error| {
        let (cut, error) = cut.clone().shrink(error, |cut| holds(cut).err());
        format!("{error}\n{}", cut.recipe(&recording.log))
    })
}

/// Cuts while the rest of the workload is run after a cut.
fn cut_again(first: &Recording, cut: &Cut, resume: usize, random: &mut Random) -> Result<usize, String> {
    let here = |error: String| format!("{error}\n...in the recovery from this: {}", cut.recipe(&first.log));
    let rest = first.finish_recorded(&first.image_after(cut), resume).map_err(here)?;
    let mut seen = HashSet::new();
    for _ in 0..SECOND_CUTS {
        let at = random.below(rest.log.len() + 1);
        let (flushed, open) = rest.in_flight(at);
        let second = Cut::sample(at, &open, &rest.log, random);
        if seen.insert((rest.certain(at), rest.image_after(&second).difference(flushed))) {
            check(&rest, &second).map_err(here)?;
        }
    }
    Ok(seen.len())
}
