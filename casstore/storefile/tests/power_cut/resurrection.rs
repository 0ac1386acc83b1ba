//! Two cuts that between them complete a superblock: the first leaves garbage in a reserved sector of the copy that is being
//! replaced, the second, in another commit, puts only that sector right. The superblock of the first commit, which never
//! happened, is then valid, and the second commit has written over what it points to.

use plyos_storefile::Action;

use crate::cut::{Cut, Fate, Random, Sector};
use crate::device::{Image, Medium, Operation};
use crate::layers::{Activation, BASE, Done, MODEL, activate};
use crate::verify::read_all;
use crate::workload::{CREATE, INSTALL, MEDIUM_LEN, note};

/// Runs a program that commits once; all it writes is kept but for the superblock, which is torn.
fn tear_flip(base: &Image, step: fn(&Medium) -> Done, sectors: [Sector; 8]) -> Image {
    let medium = Medium::new(base.clone(), None);
    step(&medium).unwrap();
    let log = medium.log();
    let flip = log.iter().position(Operation::is_flip).unwrap();
    let kept = (0..flip).map(|number| (number, Fate::Kept));
    let fates = kept.chain([(flip, Fate::Torn(sectors.to_vec()))]).collect();
    Cut { at: flip + 1, fates }.apply(base, &log)
}

#[test]
fn a_superblock_torn_twice_does_not_rise_again() {
    let medium = Medium::new(Image::zeroes(MEDIUM_LEN), None);
    for (_, step) in [CREATE, INSTALL] {
        step(&medium).unwrap();
    }
    let base = medium.image();
    let mut first = [Sector::New; 8];
    first[4] = Sector::Garbage((0..).find(|seed| Random(*seed).below(5) == 0).unwrap());
    let upgrade = |m: &Medium| activate(m, &[&BASE, &MODEL], Activation::Live, Action::Upgrade);
    let once = tear_flip(&base, upgrade, first);
    let mut second = [Sector::New; 8];
    (second[0], second[7]) = (Sector::Old, Sector::Old);
    let twice = tear_flip(&once, |m| note(m, 9), second);
    let old = read_all(&base, None, &[]).unwrap().unwrap().snapshot;
    for image in [once, twice] {
        assert_eq!(read_all(&image, None, &[]).unwrap().unwrap().snapshot, old);
    }
}
