//! Recording the workload, and cutting the power anywhere in it.

use plyos_storefile::{Operation, RecordingDevice};

use crate::verify::{Snapshot, read_all};
use crate::workload::{STEPS, STORE_LEN};

/// Bytes that reach the medium together or not at all.
const SECTOR: u64 = 512;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// The workload as it went without a cut.
pub struct Recording {
    pub log: Vec<Operation>,
    /// Length of the log after each step.
    marks: Vec<usize>,
    /// What the store held before the first step and after each.
    states: Vec<Option<Snapshot>>,
}

/// What becomes of a write that was not flushed.
enum Fate {
    Kept,
    Lost,
    Torn,
}

impl Recording {
    pub fn make() -> Self {
        let device = RecordingDevice::new(STORE_LEN);
        let (mut marks, mut states) = (Vec::new(), vec![None]);
        for (name, step) in STEPS {
            step(device.clone());
            marks.push(device.log_len());
            let state = read_all(&device).unwrap_or_else(|error| panic!("{name}, without any cut: {error}"));
            assert_ne!(states.last(), Some(&Some(state.clone())), "{name} changes something");
            states.push(Some(state));
        }
        Self { log: device.log(), marks, states }
    }

    /// Takes one operation out of the log, as if the program had not done it.
    pub fn forget(&mut self, at: usize) {
        self.log.remove(at);
        self.marks.iter_mut().filter(|mark| **mark > at).for_each(|mark| *mark -= 1);
    }

    /// Cuts after each operation; gives the number of images tried, or what went wrong.
    pub fn cut_everywhere(&self, random: &mut Random, samples: usize) -> Result<usize, String> {
        let mut tried = 0;
        for cut in 0..=self.log.len() {
            let done = &self.log[..cut];
            let flushed =
                done.iter().rposition(|operation| *operation == Operation::Flush).map_or(0, |at| at + 1);
            let open = cut - flushed;
            for sample in 0..samples + 2 {
                if open == 0 && sample > 0 {
                    break;
                }
                let image = rebuild(
                    done,
                    flushed,
                    |random| match (sample, random.next() % 3) {
                        (0, _) => Fate::Kept,
                        (1, _) => Fate::Lost,
                        (_, 0) => Fate::Kept,
                        (_, 1) => Fate::Lost,
                        _ => Fate::Torn,
                    },
                    random,
                );
                self.check(cut, image).map_err(|error| {
                    format!("cut after operation {cut} of {}, sample {sample}: {error}", self.log.len())
                })?;
                tried += 1;
            }
        }
        Ok(tried)
    }

    /// The state must be the one before or after the step that was cut, and the rest of the workload must go through.
    fn check(&self, cut: usize, image: Vec<u8>) -> Result<(), String> {
        let finished = self.marks.iter().filter(|mark| **mark <= cut).count();
        let device = RecordingDevice::from_image(image);
        let state = match read_all(&device) {
            // A store that was not finished is none. A file appears by its rename, when it is finished.
            Err(_) if finished == 0 => None,
            state => Some(state?),
        };
        let between = finished > 0 && self.marks[finished - 1] == cut;
        let reached = if state == self.states[finished] {
            finished
        } else if !between && self.states.get(finished + 1) == Some(&state) {
            finished + 1
        } else {
            let last = finished.checked_sub(1).map_or("nothing", |last| STEPS[last].0);
            return Err(format!("after \"{last}\" the state is neither the old nor the new one: {state:?}"));
        };
        for (name, step) in &STEPS[reached..] {
            let device = device.clone();
            let went = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| step(device)));
            went.map_err(|_| format!("\"{name}\" did not go through afterwards"))?;
        }
        if Some(read_all(&device)?) != *self.states.last().unwrap() {
            return Err(String::from("the rest of the workload ended in another state"));
        }
        Ok(())
    }
}

/// The medium after a cut: all that was flushed, and of the rest what fate leaves.
fn rebuild(
    done: &[Operation],
    flushed: usize,
    mut fate: impl FnMut(&mut Random) -> Fate,
    random: &mut Random,
) -> Vec<u8> {
    let mut image = vec![0; STORE_LEN];
    for (at, operation) in done.iter().enumerate() {
        let Operation::Write { offset, bytes } = operation else { continue };
        let fate = if at < flushed { Fate::Kept } else { fate(random) };
        let start = *offset as usize;
        match fate {
            Fate::Lost => {}
            Fate::Kept => image[start..start + bytes.len()].copy_from_slice(bytes),
            Fate::Torn => {
                let end = offset + bytes.len() as u64;
                for sector in offset / SECTOR..end.div_ceil(SECTOR) {
                    let first = (sector * SECTOR).max(*offset);
                    let last = ((sector + 1) * SECTOR).min(end);
                    if random.coin() {
                        let from = (first - offset) as usize..(last - offset) as usize;
                        image[first as usize..last as usize].copy_from_slice(&bytes[from]);
                    }
                }
            }
        }
    }
    image
}
