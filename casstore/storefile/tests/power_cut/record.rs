//! A workload as it goes without a cut, with the states that it passes through; and what must hold after a cut in it.

use std::collections::BTreeSet;

use crate::cut::Cut;
use crate::device::{Image, Medium, Operation};
use crate::mutation::Mutation;
use crate::verify::{Found, Snapshot, read_all};
use crate::workload::Workload;

/// A state between two commits.
struct State {
    /// `None`: there is no store yet.
    snapshot: Option<Snapshot>,
    sequence: u64,
    /// Number of the operation that flips to it.
    flip: usize,
    /// From this length of the log on it is there for certain.
    mark: usize,
    /// Which step is to be run next.
    resume: usize,
}

/// A workload, or what was left of it, as it went without a cut.
pub struct Recording {
    workload: &'static Workload,
    mutation: Option<Mutation>,
    pub log: Vec<Operation>,
    states: Vec<State>,
    /// Whether the first state had a valid older copy, and which.
    older: Option<(u64, Snapshot)>,
    /// The medium after each flush, with the length of the log then.
    flushed: Vec<(usize, Image)>,
}

impl Recording {
    /// Runs the steps from number `from` on, on a medium that holds `base`.
    pub fn make(
        workload: &'static Workload,
        base: Image,
        from: usize,
        mutation: Option<Mutation>,
    ) -> Result<Self, String> {
        let medium = Medium::new(base.clone(), mutation);
        let mut ends = Vec::new();
        for (name, step) in &workload.steps[from..] {
            step(&medium).map_err(|error| format!("[completes] \"{name}\": {error}"))?;
            ends.push(medium.log_len());
        }
        let found = read_all(&base, mutation, workload.damaged)?;
        let (sequence, older) =
            found.as_ref().map_or((0, None), |found| (found.sequence, found.older.clone()));
        let first =
            State { snapshot: found.map(|found| found.snapshot), sequence, flip: 0, mark: 0, resume: from };
        let (log, states, flushed) = (medium.log(), vec![first], vec![(0, base)]);
        let mut recording = Self { workload, mutation, log, states, older, flushed };
        recording.replay(&ends)?;
        recording.heals(from == 0)?;
        Ok(recording)
    }

    /// What the workload knows to be damaged is so in its first state, and nothing is in its last one.
    fn heals(&self, from_start: bool) -> Result<(), String> {
        let damaged =
            |state: &State| state.snapshot.iter().flat_map(|found| &found.damaged).copied().collect();
        let (first, last): (BTreeSet<_>, BTreeSet<_>) =
            (damaged(&self.states[0]), damaged(&self.states[self.states.len() - 1]));
        if !last.is_empty() {
            return Err(format!("[whole] damaged at the end: {last:?}"));
        }
        let known: BTreeSet<_> = self.workload.damaged.iter().copied().collect();
        if from_start && first != known {
            return Err(format!("[whole] damaged at the start: {first:?}"));
        }
        Ok(())
    }

    /// Looks at the store after each commit.
    fn replay(&mut self, ends: &[usize]) -> Result<(), String> {
        let (mut image, mut flip) = (self.flushed[0].1.clone(), None);
        let from = self.states[0].resume;
        for number in 0..self.log.len() {
            let end = number + 1;
            match &self.log[number] {
                Operation::Write { offset, bytes } => image.write(*offset, bytes),
                Operation::Flush => self.flushed.push((end, image.clone())),
            }
            if self.log[number].is_flip() {
                flip = Some(number);
            }
            let returned = ends.contains(&end);
            if (returned || matches!(self.log[number], Operation::Flush))
                && let Some(flip) = flip.take()
            {
                let found = read_all(&image, self.mutation, self.workload.damaged)?
                    .ok_or("[visible] no store after a commit")?;
                let resume = from + ends.iter().filter(|other| **other <= end).count();
                self.reach(found, flip, end, resume)?;
            }
        }
        Ok(())
    }

    /// The next state, and how it may differ from the last one.
    fn reach(&mut self, found: Found, flip: usize, mark: usize, resume: usize) -> Result<(), String> {
        let Found { snapshot, sequence, astray, .. } = found;
        if astray {
            return Err(String::from("[older copy] its directory is not there"));
        }
        let last = &self.states[self.states.len() - 1];
        if sequence <= last.sequence {
            return Err(format!("[visible] sequence {sequence} after {}", last.sequence));
        }
        if let Some(before) = &last.snapshot {
            let (former, history) = (before.history(), snapshot.history());
            if !history.entries().zip(former.entries()).all(|(new, old)| new == old)
                || history.entries().len() < former.entries().len()
            {
                return Err(String::from("[history] a commit took entries away"));
            }
            if before.next_generation > snapshot.next_generation {
                return Err(String::from("[history] a number may be given twice"));
            }
        }
        let cleans = self.workload.cleans;
        if let Some(number) = snapshot.cleaned.iter().find(|number| !cleans.contains(number)) {
            return Err(format!("[whole] generation {number} was cleaned away"));
        }
        self.states.push(State { snapshot: Some(snapshot), sequence, flip, mark, resume });
        Ok(())
    }

    /// The spans of the log between flushes: number of the first operation, number of the flush or the end.
    pub fn epochs(&self) -> impl Iterator<Item = (usize, usize)> {
        let ends = self.flushed[1..].iter().map(|(end, _)| end - 1).chain([self.log.len()]);
        self.flushed.iter().map(|(start, _)| *start).zip(ends)
    }

    /// What was on the medium for certain after `at` operations, and the writes that were in flight.
    pub fn in_flight(&self, at: usize) -> (&Image, Vec<usize>) {
        let after = self.flushed.partition_point(|(end, _)| *end <= at);
        let (start, image) = &self.flushed[after - 1];
        (image, (*start..at).filter(|number| matches!(self.log[*number], Operation::Write { .. })).collect())
    }

    /// The medium after a cut.
    pub fn image_after(&self, cut: &Cut) -> Image {
        cut.apply(self.in_flight(cut.at).0, &self.log)
    }

    /// How many states were there for certain after `at` operations.
    pub fn certain(&self, at: usize) -> usize {
        self.states.iter().filter(|state| state.mark <= at).count() - 1
    }

    /// The medium after a cut must hold the old state or the new one. The answer is the step to be run next.
    pub fn reached(&self, cut: &Cut, image: &Image) -> Result<usize, String> {
        let old = self.certain(cut.at);
        let flipping = self.states.get(old + 1).is_some_and(|new| new.flip < cut.at);
        let found = read_all(image, self.mutation, self.workload.damaged)?;
        let (snapshot, sequence, older, astray) = match found {
            Some(Found { snapshot, sequence, older, astray }) => (Some(snapshot), sequence, older, astray),
            None => (None, 0, None, false),
        };
        let is = |state: &State| state.snapshot == snapshot && state.sequence == sequence;
        let reached = if is(&self.states[old]) {
            old
        } else if flipping && is(&self.states[old + 1]) {
            old + 1
        } else {
            let what =
                if snapshot.is_some() { "[old or new] the state is neither" } else { "[opens] no store" };
            return Err(format!(
                "{what}: sequence {sequence}, where {} was there",
                self.states[old].sequence
            ));
        };
        let before = match reached.checked_sub(1).map(|before| &self.states[before]) {
            Some(State { snapshot: Some(snapshot), sequence, .. }) => Some((*sequence, snapshot)),
            Some(_) => None,
            None => self.older.as_ref().map(|(sequence, snapshot)| (*sequence, snapshot)),
        };
        if astray {
            return Err(String::from("[older copy] its directory is not there"));
        }
        match (&older, before) {
            (None, None) => {}
            (None, _) if flipping && reached == old => {}
            (Some((sequence, snapshot)), Some(before)) if before == (*sequence, snapshot) => {}
            _ => return Err(String::from("[older copy] it is not the state before")),
        }
        Ok(self.states[reached].resume)
    }

    /// Runs the rest of the workload after a cut, which must end in the same state.
    pub fn finish(&self, image: &Image, resume: usize) -> Result<(), String> {
        let medium = Medium::new(image.clone(), self.mutation);
        for (name, step) in &self.workload.steps[resume..] {
            step(&medium).map_err(|error| format!("[completes] \"{name}\" afterwards: {error}"))?;
        }
        let found = read_all(&medium.image(), self.mutation, self.workload.damaged)?;
        self.same_end(found.map(|found| found.snapshot))
    }

    /// The same, recorded, so that it can be cut in turn.
    pub fn finish_recorded(&self, image: &Image, resume: usize) -> Result<Self, String> {
        let rest = Self::make(self.workload, image.clone(), resume, self.mutation)?;
        self.same_end(rest.states[rest.states.len() - 1].snapshot.clone())?;
        Ok(rest)
    }

    fn same_end(&self, snapshot: Option<Snapshot>) -> Result<(), String> {
        if snapshot == self.states[self.states.len() - 1].snapshot {
            return Ok(());
        }
        Err(String::from("[completes] the rest of the workload ended in another state"))
    }
}
