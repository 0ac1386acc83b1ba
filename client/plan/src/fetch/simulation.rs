//! The engine against servers that do whatever a script says: what the [module](super) promises holds for any of them.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use super::head::{ContentRange, Head};
use super::pull::{Ask, Frame, Next, Pull, Then};
use super::{Fault, Piece, Policy, Reason};
use proptest::prelude::*;

/// More steps than any pull of these sizes takes; reaching them is a pull that does not end.
const STEPS: usize = 200_000;

/// The byte of a blob at an offset: no two neighbouring places look the same.
fn byte(blob: usize, offset: u64) -> u8 {
    (offset.wrapping_mul(31).wrapping_add(offset >> 8).wrapping_add(blob as u64 * 77)) as u8
}

/// A request as the network sees it.
struct Flying {
    ask: Ask,
    /// Where the body stands and where it really ends; none before the head.
    body: Option<(u64, u64)>,
}

struct World {
    pull: Pull,
    policy: Policy,
    blobs: Vec<(u64, Vec<Piece>)>,
    flying: Vec<Flying>,
    /// Given out and not stored yet.
    out: VecDeque<(usize, usize)>,
    given: BTreeSet<(usize, usize)>,
}

impl World {
    fn new(policy: Policy, blobs: Vec<(u64, Vec<Piece>)>) -> Self {
        let mut pull = Pull::new(policy);
        for (number, (length, pieces)) in blobs.iter().enumerate() {
            assert_eq!(pull.add(*length, pieces.clone()), Ok(number));
        }
        let (flying, out, given) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        Self { pull, policy, blobs, flying, out, given }
    }

    /// Nothing that was given out is asked for again, and the budget holds.
    fn check(&self, ask: &Ask) {
        let (length, pieces) = &self.blobs[ask.blob];
        assert!(ask.length > 0 && ask.offset + ask.length <= *length, "{ask:?}");
        for (number, piece) in pieces.iter().enumerate() {
            let asked = piece.offset < ask.offset + ask.length && ask.offset < piece.end();
            assert!(!asked || !self.given.contains(&(ask.blob, number)), "{ask:?} brings {piece:?} again");
        }
    }

    fn launch(&mut self) {
        while let Some(ask) = self.pull.next_ask() {
            self.check(&ask);
            self.flying.push(Flying { ask, body: None });
        }
        assert!(self.pull.under_way() <= self.policy.parallel);
        assert!(self.pull.held() <= self.policy.budget);
    }

    fn next(&mut self, at: usize, next: Next) {
        match next {
            Next::Read => {}
            Next::Again { ask, pause_ms } => {
                assert!(pause_ms <= self.policy.longest_pause_ms);
                self.check(&ask);
                self.flying[at] = Flying { ask, body: None };
            }
            Next::Free => {
                self.flying.remove(at);
            }
        }
    }

    /// The server answers as a script's byte says; 0 is as it should be.
    fn answer(&mut self, at: usize, script: u8) {
        let Flying { ask, .. } = self.flying[at];
        let (length, _) = self.blobs[ask.blob];
        let end = ask.offset + ask.length;
        let part = |first: u64, last: u64| ContentRange { first, last, total: Some(length) };
        let (head, body) = match script % 16 {
            1..=4 => (Head { status: 200, length: Some(length), ..Head::default() }, (0, length)),
            5 => {
                let shorter = ask.offset + ask.length.div_ceil(2);
                let range = Some(part(ask.offset, shorter - 1));
                (Head { status: 206, range, ..Head::default() }, (ask.offset, shorter))
            }
            6 => (Head { status: 503, ..Head::default() }, (0, 0)),
            7 => (Head { status: 429, retry_after: Some(1), ..Head::default() }, (0, 0)),
            8 => {
                let next = self.pull.failed(ask.lane, Fault::Broken);
                return self.next(at, next);
            }
            9 if script == 9 => {
                let range = Some(part(ask.offset + 1, end));
                (Head { status: 206, range, ..Head::default() }, (ask.offset, end))
            }
            10 if script == 10 => (Head { status: 404, ..Head::default() }, (0, 0)),
            _ => {
                let range = Some(part(ask.offset, end - 1));
                (Head { status: 206, range, ..Head::default() }, (ask.offset, end))
            }
        };
        let next = self.pull.answered(ask.lane, &head);
        if next == Next::Read {
            self.flying[at].body = Some(body);
        }
        self.next(at, next);
    }

    /// Some bytes of a body come, or it ends.
    fn read(&mut self, at: usize, script: u8) {
        let Flying { ask, body: Some((from, end)) } = self.flying[at] else { return };
        match script {
            1 | 2 => {
                let next =
                    self.pull.failed(ask.lane, if script == 1 { Fault::Broken } else { Fault::Stalled });
                return self.next(at, next);
            }
            // It ends too early.
            3 => {
                let next = self.pull.ended(ask.lane);
                return self.next(at, next);
            }
            _ => {}
        }
        // Or it goes on behind its end, with something else.
        let until = (from + u64::from(script).max(16) * 8).min(end + u64::from(script == 4) * 100);
        let bytes: Vec<u8> = (from..until).map(|offset| byte(ask.blob, offset)).collect();
        let mut frames = Vec::new();
        let taken = self.pull.arrived(ask.lane, &bytes, &mut frames);
        assert!(taken.bytes <= bytes.len());
        for Frame { blob, piece, ordinal, bytes } in frames {
            let place = self.blobs[blob].1[piece];
            assert_eq!(ordinal, place.ordinal);
            assert_eq!(bytes.len(), place.length as usize);
            assert!((place.offset..).zip(&bytes).all(|(offset, found)| byte(blob, offset) == *found));
            assert!(self.given.insert((blob, piece)), "piece {piece} of blob {blob} was given out twice");
            self.out.push_back((blob, piece));
        }
        match taken.then {
            Then::Free => {
                self.flying.remove(at);
            }
            Then::Over => {
                let next = self.pull.ended(ask.lane);
                self.next(at, next);
            }
            Then::Read | Then::Room => {
                let from = from + taken.bytes as u64;
                self.flying[at].body = Some((from, end));
                if taken.then == Then::Read && from >= end {
                    let next = self.pull.ended(ask.lane);
                    self.next(at, next);
                }
            }
        }
    }

    fn store(&mut self) {
        if let Some((blob, piece)) = self.out.pop_front() {
            self.pull.stored(blob, piece);
        }
    }

    /// Lets it go on until it is over; after the script everything goes well.
    fn run(&mut self, script: &[u8]) {
        let mut script = script.iter().copied();
        for step in 0.. {
            assert!(step < STEPS, "it does not end: {:?}", self.pull);
            self.launch();
            if self.flying.is_empty() {
                break;
            }
            let (which, what) = (script.next(), script.next().unwrap_or_default());
            let at = usize::from(which.unwrap_or(step as u8)) % self.flying.len();
            match self.flying[at].body {
                None => self.answer(at, what),
                Some(_) => self.read(at, what),
            }
            // The store is slow as long as the script runs.
            if which.is_none_or(|which| which % 3 == 0) {
                self.store();
            }
        }
        while !self.out.is_empty() {
            self.store();
        }
        assert!(self.pull.is_over());
        assert_eq!(self.pull.held(), 0, "something is held for ever");
        assert_eq!(self.pull.is_complete(), self.pull.reason().is_none(), "{:?}", self.pull.reason());
        let all: usize = self.blobs.iter().map(|(_, pieces)| pieces.len()).sum();
        assert_eq!(self.given.len() == all, self.pull.is_complete());
    }
}

fn policy() -> Policy {
    Policy {
        parallel: 3,
        budget: 3000,
        gap: 50,
        request: 2000,
        request_cost: 60,
        tries: 3,
        pause_ms: 10,
        longest_pause_ms: 5000,
    }
}

/// Blobs with pieces and gaps.
fn blobs() -> impl Strategy<Value = Vec<(u64, Vec<Piece>)>> {
    let blob =
        (proptest::collection::vec((0u64..200, 1u32..1000), 0..12), 0u64..100).prop_map(|(sizes, rest)| {
            let mut at = 0;
            let pieces: Vec<Piece> = sizes
                .into_iter()
                .zip(7..)
                .map(|((gap, length), ordinal)| {
                    let piece = Piece { offset: at + gap, length, ordinal };
                    at = piece.end();
                    piece
                })
                .collect();
            (at + rest, pieces)
        });
    proptest::collection::vec(blob, 0..4)
}

fn large() -> Vec<(u64, Vec<Piece>)> {
    let pieces = (0..20).map(|at| Piece { offset: at * 600, length: 500, ordinal: at }).collect();
    vec![(12_000, pieces)]
}

#[test]
fn a_good_network_brings_everything() {
    let mut world = World::new(policy(), large());
    world.run(&[]);
    assert!(world.pull.is_complete());
}

#[test]
fn a_server_that_ignores_ranges_is_read_once() {
    let mut world = World::new(policy(), large());
    world.launch();
    assert_eq!(world.flying.len(), 3);
    world.answer(0, 1);
    // The others are told as soon as they have something to tell.
    world.answer(2, 0);
    world.answer(1, 0);
    assert_eq!(world.flying.len(), 1);
    assert!(world.pull.next_ask().is_none(), "nothing else is asked for");
    world.run(&[]);
    assert!(world.pull.is_complete());
}

#[test]
fn a_broken_connection_goes_on_at_the_next_byte() {
    let mut world = World::new(policy(), vec![(1000, vec![Piece { offset: 100, length: 800, ordinal: 0 }])]);
    world.launch();
    world.answer(0, 0);
    world.read(0, 20);
    world.read(0, 1);
    let Ask { offset, length, .. } = world.flying[0].ask;
    assert_eq!((offset, length), (260, 640));
    world.run(&[]);
    assert!(world.pull.is_complete());
}

#[test]
fn a_server_that_breaks_after_each_frame_is_asked_on() {
    let pieces = (0..20).map(|at| Piece { offset: at * 128, length: 128, ordinal: at }).collect();
    let mut world = World::new(policy(), vec![(20 * 128, pieces)]);
    for frame in 1..20 {
        world.launch();
        world.answer(0, 0);
        world.read(0, 16);
        assert_eq!(world.given.len(), frame);
        world.store();
        world.read(0, 1);
    }
    world.run(&[]);
    assert!(world.pull.is_complete());
}

#[test]
fn a_server_that_breaks_every_stream_is_given_up() {
    let mut world = World::new(policy(), large());
    for round in 0.. {
        assert!(round < 20, "it is asked for ever");
        world.launch();
        if world.pull.reason().is_some() {
            break;
        }
        // The newest request is the one that becomes the stream.
        let newest = world.flying.len() - 1;
        world.answer(newest, 1);
        world.read(newest, 1);
    }
    assert_eq!(world.pull.reason(), Some(Reason::Lost { blob: 0, fault: Fault::Broken }));
}

#[test]
fn the_absence_of_frames_ends_it() {
    let mut world = World::new(policy(), large());
    world.launch();
    for _ in 0..3 {
        world.answer(0, 8);
        assert!(world.pull.reason().is_none());
    }
    world.answer(0, 8);
    assert_eq!(world.pull.reason(), Some(Reason::Lost { blob: 0, fault: Fault::Broken }));
    world.run(&[]);
    assert!(!world.pull.is_complete());
}

#[test]
fn a_wrong_frame_ends_it() {
    let mut world = World::new(policy(), large());
    world.launch();
    world.answer(0, 0);
    world.pull.refused(0);
    world.run(&[]);
    assert_eq!(world.pull.reason(), Some(Reason::WrongBytes { blob: 0 }));
    assert!(world.pull.next_ask().is_none());
}

proptest! {
    #[test]
    fn any_network_ends_complete_or_with_a_reason(blobs in blobs(), script in proptest::collection::vec(any::<u8>(), 0..600)) {
        World::new(policy(), blobs).run(&script);
    }

    /// Faults alone, one after the other.
    #[test]
    fn any_sequence_of_faults_ends(blobs in blobs(), script in proptest::collection::vec(0u8..12, 0..3000)) {
        World::new(policy(), blobs).run(&script);
    }

    /// Calls that make no sense: of lanes that are not there, of heads and bytes in any order.
    #[test]
    fn hostile_calls_do_no_harm(blobs in blobs(), calls in proptest::collection::vec((0u8..8, 0usize..5, any::<u16>(), any::<u64>(), any::<u64>()), 0..200)) {
        let mut world = World::new(policy(), blobs);
        let mut asks = Vec::new();
        let mut given = BTreeSet::new();
        for (call, which, status, first, last) in calls {
            if asks.is_empty() || call == 0 {
                asks.extend(world.pull.next_ask());
            }
            let Some(ask): Option<Ask> = asks.get(which).or(asks.last()).copied() else { continue };
            let (near, status) = (first % 64, [status, 206, 200, 503][usize::from(status % 4)]);
            let stated = if call == 1 { (first, last) } else { (ask.offset, ask.offset + near) };
            let range = Some(ContentRange { first: stated.0, last: stated.1, total: (last % 2 == 0).then_some(first) });
            let head = Head { status, range, length: (last % 3 == 0).then_some(first), coded: false, retry_after: Some(near) };
            let next = match call {
                0..=2 => world.pull.answered(ask.lane, &head),
                3 => world.pull.ended(ask.lane),
                4 => world.pull.failed(ask.lane, Fault::Stalled),
                5 => {
                    world.pull.stored(which, near as usize);
                    Next::Read
                }
                _ => {
                    let mut frames = Vec::new();
                    let bytes = vec![0; (first % 4000) as usize];
                    let taken = world.pull.arrived(ask.lane, &bytes, &mut frames);
                    prop_assert!(taken.bytes <= bytes.len());
                    for frame in frames {
                        prop_assert!(given.insert((frame.blob, frame.piece)));
                    }
                    Next::Read
                }
            };
            if let Next::Again { ask, .. } = next {
                asks.push(ask);
            }
            prop_assert!(world.pull.held() <= policy().budget);
        }
    }
}
