//! A power cut: where it happens, and what it leaves of each write that was not flushed. It is a recipe that can be
//! applied, sampled, made smaller and printed.

use std::fmt;

use crate::device::{Image, Operation};

/// Bytes that reach the medium together or not at all, or are left as garbage.
const SECTOR: usize = 512;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// What becomes of a sector of a torn write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sector {
    New,
    Old,
    /// Neither: by the seed noise, zeroes, ones, the new bytes up to somewhere, or the new bytes with one bit changed.
    Garbage(u64),
}

/// What becomes of a write that was not flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Kept,
    Torn(Vec<Sector>),
}

/// A power cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// It comes after so many operations.
    pub at: usize,
    /// What becomes of each write in flight (its number in the log), in the order in which they reach the medium.
    pub fates: Vec<(usize, Fate)>,
}

impl Cut {
    /// None kept, all kept, each one kept alone, each one lost alone. `open` are the writes in flight.
    pub fn exhaustive(at: usize, open: &[usize]) -> Vec<Self> {
        let with = |fate: &dyn Fn(usize) -> Fate| Self {
            at,
            fates: open.iter().map(|number| (*number, fate(*number))).collect(),
        };
        let mut cuts = vec![with(&|_| Fate::Kept)];
        if !open.is_empty() {
            cuts.push(with(&|_| Fate::Lost));
        }
        if open.len() > 1 {
            for one in open {
                cuts.push(with(&|number| if number == *one { Fate::Lost } else { Fate::Kept }));
                cuts.push(with(&|number| if number == *one { Fate::Kept } else { Fate::Lost }));
            }
        }
        cuts
    }

    /// Any subset of the writes in flight, in any order, some of them torn.
    pub fn sample(at: usize, open: &[usize], log: &[Operation], random: &mut Random) -> Self {
        // So that "all but one" and "hardly any" come up among many writes too.
        let (kept, torn) = [(4, 4), (1, 3), (7, 2), (0, 8), (6, 8)][random.below(5)];
        let mut fates: Vec<_> = open
            .iter()
            .map(|number| {
                let fate = match random.below(12) {
                    n if n < kept => Fate::Kept,
                    n if n < kept + torn => Fate::Torn(tear(&log[*number], random)),
                    _ => Fate::Lost,
                };
                (*number, fate)
            })
            .collect();
        if random.below(2) == 0 {
            (1..fates.len()).for_each(|last| fates.swap(last, random.below(last + 1)));
        }
        Self { at, fates }
    }

    /// The medium afterwards. `flushed` is what was on it for certain.
    pub fn apply(&self, flushed: &Image, log: &[Operation]) -> Image {
        let mut image = flushed.clone();
        for (number, fate) in &self.fates {
            let Operation::Write { offset, bytes } = &log[*number] else { continue };
            match fate {
                Fate::Lost => {}
                Fate::Kept => image.write(*offset, bytes),
                Fate::Torn(sectors) => {
                    for (sector, left) in sectors_of(*offset, bytes.len()).zip(sectors) {
                        tear_sector(&mut image, (*offset, bytes), sector, *left);
                    }
                }
            }
        }
        image
    }

    /// Cuts that do less, the simplest first.
    fn simpler(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut sorted = self.clone();
        sorted.fates.sort_by_key(|(number, _)| *number);
        if sorted != *self {
            found.push(sorted);
        }
        let mut with = |at: usize, fate: Fate| {
            let mut simpler = self.clone();
            simpler.fates[at].1 = fate;
            found.push(simpler);
        };
        for (at, (_, fate)) in self.fates.iter().enumerate() {
            match fate {
                Fate::Lost => {}
                Fate::Kept => with(at, Fate::Lost),
                Fate::Torn(sectors) => {
                    with(at, Fate::Lost);
                    with(at, Fate::Kept);
                    for (number, _) in sectors.iter().enumerate().filter(|(_, left)| **left != Sector::New) {
                        let mut fewer = sectors.clone();
                        fewer[number] = Sector::New;
                        with(at, Fate::Torn(fewer));
                    }
                }
            }
        }
        found
    }

    /// The smallest cut found that still fails, with its failure.
    pub fn shrink(self, error: String, fails: impl Fn(&Self) -> Option<String>) -> (Self, String) {
        let mut smallest = (self, error);
        loop {
            let next = smallest.0.simpler().into_iter().find_map(|cut| fails(&cut).map(|error| (cut, error)));
            match next {
                Some(next) => smallest = next,
                None => return smallest,
            }
        }
    }

    /// The recipe for people.
    pub fn recipe<'a>(&'a self, log: &'a [Operation]) -> impl fmt::Display + 'a {
        Recipe(self, log)
    }
}

struct Recipe<'a>(&'a Cut, &'a [Operation]);

impl fmt::Display for Recipe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the power goes after operation {} of {}", self.0.at, self.1.len())?;
        for (number, fate) in &self.0.fates {
            let Operation::Write { offset, bytes } = &self.1[*number] else { continue };
            write!(f, "\n  write {number}, {} bytes at {offset}: ", bytes.len())?;
            match fate {
                Fate::Lost => write!(f, "lost")?,
                Fate::Kept => write!(f, "kept")?,
                Fate::Torn(sectors) => {
                    write!(f, "torn,")?;
                    for left in sectors {
                        match left {
                            Sector::New => write!(f, " new")?,
                            Sector::Old => write!(f, " old")?,
                            Sector::Garbage(seed) => write!(f, " garbage({seed})")?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// First byte of each sector that a write touches.
fn sectors_of(offset: usize, len: usize) -> impl Iterator<Item = usize> {
    (offset / SECTOR..(offset + len).div_ceil(SECTOR)).map(|sector| sector * SECTOR)
}

fn tear(write: &Operation, random: &mut Random) -> Vec<Sector> {
    let Operation::Write { offset, bytes } = write else { return Vec::new() };
    let garbage = random.below(3) == 0;
    let mut pick = |_| match random.below(if garbage { 3 } else { 2 }) {
        0 => Sector::New,
        1 => Sector::Old,
        _ => Sector::Garbage(random.next() >> 32),
    };
    sectors_of(*offset, bytes.len()).map(&mut pick).collect()
}

fn tear_sector(image: &mut Image, (offset, bytes): (usize, &[u8]), sector: usize, left: Sector) {
    let (first, last) = (sector.max(offset), (sector + SECTOR).min(offset + bytes.len()));
    let new = &bytes[first - offset..last - offset];
    match left {
        Sector::Old => {}
        Sector::New => image.write(first, new),
        // A device knows whole sectors only, so what else lies in this one is gone too.
        Sector::Garbage(seed) => {
            let mut old = [0; SECTOR];
            image.read(sector, &mut old);
            let mut out = old;
            out[first - sector..last - sector].copy_from_slice(new);
            let mut random = Random(seed);
            match random.below(5) {
                0 => out.iter_mut().for_each(|byte| *byte = random.next() as u8),
                1 => out.fill(0),
                2 => out.fill(0xff),
                3 => {
                    let at = random.below(SECTOR);
                    out[at..].copy_from_slice(&old[at..]);
                }
                _ => out[random.below(SECTOR)] ^= 1 << random.below(8),
            }
            image.write(sector, &out);
        }
    }
}

#[test]
fn a_cut_keeps_loses_tears_and_reorders() {
    let write = |offset, byte: u8, len| Operation::Write { offset, bytes: vec![byte; len].into() };
    let log = [write(100, 1, 1000), write(600, 2, 1000)];
    let read = |fates: &[(usize, Fate)], at: usize| {
        let image = Cut { at: 2, fates: fates.to_vec() }.apply(&Image::zeroes(8192), &log);
        let mut byte = [0];
        image.read(at, &mut byte);
        byte[0]
    };
    let torn = || Fate::Torn(vec![Sector::Old, Sector::New, Sector::Garbage(0)]);
    assert_eq!(read(&[(0, Fate::Kept), (1, Fate::Kept)], 700), 2);
    assert_eq!(read(&[(1, Fate::Kept), (0, Fate::Kept)], 700), 1, "overlapping writes in the other order");
    assert_eq!(read(&[(0, Fate::Lost), (1, Fate::Kept)], 599), 0);
    assert_eq!(read(&[(0, torn())], 511), 0);
    assert_eq!(read(&[(0, torn())], 512), 1);
    let garbage: Vec<u8> = (1024..1536).map(|at| read(&[(0, torn())], at)).collect();
    assert!(garbage.iter().any(|byte| *byte > 1), "garbage fills its sector: {garbage:?}");
}

#[test]
fn a_failing_cut_is_made_as_small_as_it_can_be() {
    let log: Vec<_> =
        (0..6).map(|n| Operation::Write { offset: n * 4096, bytes: vec![1; 4096].into() }).collect();
    let open: Vec<usize> = (0..6).collect();
    let mut random = Random(7);
    let fails = |cut: &Cut| {
        let old = |fate: &Fate| matches!(fate, Fate::Torn(sectors) if sectors[3] == Sector::Old);
        let hit = cut.fates.iter().any(|(number, fate)| *number == 4 && old(fate));
        hit.then(|| String::from("sector 3 of write 4 is old"))
    };
    let cut =
        std::iter::repeat_with(|| Cut::sample(6, &open, &log, &mut random)).find(|cut| fails(cut).is_some());
    let (cut, error) = cut.unwrap().shrink(String::new(), fails);
    let mut sectors = vec![Sector::New; 8];
    sectors[3] = Sector::Old;
    let fates = (0..6).map(|n| (n, if n == 4 { Fate::Torn(sectors.clone()) } else { Fate::Lost })).collect();
    assert_eq!(cut, Cut { at: 6, fates });
    assert!(error.contains("write 4"));
}
