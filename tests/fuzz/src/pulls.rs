//! What servers answer to a pull: places of ranges, and whole conversations.

use plyos_plan::fetch::{Ask, ContentRange, Fault, Frame, Head, Next, Piece, Policy, Pull, Then};
use std::collections::HashSet;

/// Blobs of a conversation, and the longest piece of one.
const BLOBS: u8 = 3;
const LONGEST: u64 = 600;
/// What a server may answer with besides what it should.
const STATUSES: [u16; 8] = [200, 206, 404, 416, 429, 503, 302, 0];

fn policy() -> Policy {
    Policy {
        parallel: 3,
        budget: 2000,
        gap: 50,
        request: 1500,
        request_cost: 60,
        tries: 3,
        pause_ms: 10,
        longest_pause_ms: 5000,
    }
}

/// `Content-Range` is read or refused; what is read has its bytes in order, and is read again from how it is written.
pub fn content_range(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(range) = ContentRange::parse(text) else { return };
    let ContentRange { first, last, total } = range;
    assert!(first <= last && last < u64::MAX && total.is_none_or(|total| last < total));
    let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    assert_eq!(ContentRange::parse(&format!("bytes {first}-{last}/{total}")), Some(range));
}

/// Takes the input apart; zeroes when it is over.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        u64::from(self.byte()) << 8 | u64::from(self.byte())
    }
}

/// Whatever servers answer, and in whatever order it comes: a frame is given out once and has its length; bytes are asked for inside their blob
/// only; the budget holds; and when the servers behave at last, the pull ends, complete or with a reason.
pub fn pull(data: &[u8]) {
    let mut script = Script(data);
    let mut pull = Pull::new(policy());
    let mut blobs: Vec<(u64, Vec<Piece>)> = Vec::new();
    for _ in 0..=script.byte() % BLOBS {
        let (mut at, mut pieces) = (0, Vec::new());
        for ordinal in 0..u64::from(script.byte() % 16) {
            let offset = at + u64::from(script.byte());
            let length = script.number() % LONGEST + 1;
            pieces.push(Piece { offset, length: u32::try_from(length).unwrap_or(1), ordinal });
            at = offset + length;
        }
        let length = at + u64::from(script.byte());
        assert!(pull.add(length, pieces.clone()).is_ok(), "these pieces are in order and fit");
        blobs.push((length, pieces));
    }
    let mut shell = Shell { pull, blobs, flying: Vec::new(), given: HashSet::new(), out: Vec::new() };
    while !script.0.is_empty() {
        shell.step(&mut script);
    }
    shell.finish();
}

/// A request under way: what it asks for, and whether its body has begun.
#[derive(Clone, Copy)]
struct Flying {
    ask: Ask,
    reads: bool,
}

/// Does what the engine says; what comes is up to the script.
struct Shell {
    pull: Pull,
    blobs: Vec<(u64, Vec<Piece>)>,
    flying: Vec<Flying>,
    given: HashSet<(usize, usize)>,
    /// Given out and not stored yet.
    out: Vec<(usize, usize)>,
}

impl Shell {
    fn blob_len(&self, ask: &Ask) -> u64 {
        self.blobs.get(ask.blob).map_or(0, |(length, _)| *length)
    }

    fn launch(&mut self) {
        while let Some(ask) = self.pull.next_ask() {
            self.fly(None, ask);
        }
    }

    /// A request goes out, in the place of another of its lane.
    fn fly(&mut self, at: Option<usize>, ask: Ask) {
        let blob_len = self.blob_len(&ask);
        assert!(
            ask.length > 0 && ask.offset + ask.length <= blob_len,
            "{ask:?} is outside of {blob_len} bytes"
        );
        let flying = Flying { ask, reads: false };
        match at.and_then(|at| self.flying.get_mut(at)) {
            Some(place) => *place = flying,
            None => self.flying.push(flying),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        self.launch();
        let at = usize::from(script.byte()) % self.flying.len().max(1);
        let Some(Flying { ask, reads }) = self.flying.get(at).copied() else {
            script.byte();
            return self.store_one();
        };
        match script.byte() % 8 {
            0 if !reads => self.answered(at, &whole(self.blob_len(&ask))),
            1 if !reads => self.answered(at, &part(&ask, self.blob_len(&ask))),
            2 if !reads => {
                let stated = (script.number(), script.number());
                let range =
                    Some(ContentRange { first: stated.0, last: stated.1, total: Some(script.number()) });
                let status = STATUSES.get(usize::from(script.byte() % 8)).copied().unwrap_or_default();
                let (length, retry_after) = (Some(script.number()), Some(u64::from(script.byte())));
                let head = Head { status, range, length, coded: script.byte() > 250, retry_after };
                self.answered(at, &head);
            }
            3 => {
                let next = self.pull.ended(ask.lane);
                self.next(at, next);
            }
            4 => {
                let fault = if script.byte().is_multiple_of(2) { Fault::Broken } else { Fault::Stalled };
                let next = self.pull.failed(ask.lane, fault);
                self.next(at, next);
            }
            5 => self.store_one(),
            _ if reads => {
                let count = usize::try_from(script.number()).unwrap_or(1);
                self.arrived(at, count);
            }
            _ => self.answered(at, &part(&ask, self.blob_len(&ask))),
        }
        assert!(self.pull.held() <= policy().budget && self.pull.under_way() <= policy().parallel);
    }

    fn answered(&mut self, at: usize, head: &Head) {
        let Some(flying) = self.flying.get(at) else { return };
        let next = self.pull.answered(flying.ask.lane, head);
        self.next(at, next);
    }

    fn next(&mut self, at: usize, next: Next) {
        match next {
            Next::Read => {
                if let Some(flying) = self.flying.get_mut(at) {
                    flying.reads = true;
                }
            }
            Next::Again { ask, pause_ms } => {
                assert!(pause_ms <= policy().longest_pause_ms);
                self.fly(Some(at), ask);
            }
            Next::Free => drop(self.flying.remove(at)),
        }
    }

    /// Bytes come. Says whether there was room.
    fn arrived(&mut self, at: usize, count: usize) -> bool {
        let Some(Flying { ask, .. }) = self.flying.get(at).copied() else { return true };
        let (bytes, mut frames) = (vec![0; count], Vec::new());
        let taken = self.pull.arrived(ask.lane, &bytes, &mut frames);
        assert!(taken.bytes <= bytes.len());
        for Frame { blob, piece, bytes, .. } in frames {
            let place = self.blobs.get(blob).and_then(|(_, pieces)| pieces.get(piece));
            assert_eq!(place.map(|place| place.length as usize), Some(bytes.len()));
            assert!(self.given.insert((blob, piece)), "piece {piece} of blob {blob} was given out twice");
            self.out.push((blob, piece));
        }
        match taken.then {
            Then::Read => {}
            Then::Room => return false,
            Then::Over => {
                let next = self.pull.ended(ask.lane);
                self.next(at, next);
            }
            Then::Free => self.next(at, Next::Free),
        }
        true
    }

    fn store_one(&mut self) {
        if let Some((blob, piece)) = self.out.pop() {
            self.pull.stored(blob, piece);
        }
    }

    /// From now on every server gives what it is asked for, and the store keeps up.
    fn finish(mut self) {
        for round in 0.. {
            assert!(round < 100_000, "it does not end: {:?}", self.pull);
            while !self.out.is_empty() {
                self.store_one();
            }
            self.launch();
            let count = self.flying.len();
            let Some(Flying { ask, reads }) = self.flying.get(round % count.max(1)).copied() else { break };
            if reads {
                self.arrived(round % count, 1 << 10);
            } else {
                self.answered(round % count, &part(&ask, self.blob_len(&ask)));
            }
        }
        assert!(self.pull.is_over() && self.pull.held() == 0, "{:?}", self.pull);
        assert_eq!(self.pull.is_complete(), self.pull.reason().is_none(), "{:?}", self.pull);
    }
}

fn part(ask: &Ask, blob_len: u64) -> Head {
    let range = ContentRange { first: ask.offset, last: ask.offset + ask.length - 1, total: Some(blob_len) };
    Head { status: 206, range: Some(range), ..Head::default() }
}

fn whole(blob_len: u64) -> Head {
    Head { status: 200, length: Some(blob_len), ..Head::default() }
}
