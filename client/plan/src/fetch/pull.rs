//! The engine: blobs with missing pieces, lanes that bring them, and one budget over all.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::Range;

use super::head::{Body, Head};
use super::lane::{Lane, State, runs};
use super::policy::Policy;
use super::reason::{Fault, Reason};
use super::spans::{self, Piece, PieceError};

/// Names a request under way. No number is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(u64);

/// A range to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The request.
    pub lane: LaneId,
    /// Which blob.
    pub blob: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes, at least one.
    pub length: u64,
}

/// What to do after an answer's head, its end or a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Read the body and hand it over.
    Read,
    /// Drop the connection; ask this after so many milliseconds.
    Again {
        /// What to ask for.
        ask: Ask,
        /// How long to wait first.
        pause_ms: u64,
    },
    /// The lane has ended: drop the connection and take another one.
    Free,
}

/// What to do after bytes were handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Read on.
    Read,
    /// The budget is used up: wait until something was stored, then hand over the rest of these bytes again.
    Room,
    /// The promised body is over, though not all that was asked for came: call [`Pull::ended`].
    Over,
    /// The lane has ended, whatever else the body brings: drop the connection and take another one.
    Free,
}

/// How many of the bytes that were handed over are dealt with, and what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Bytes that need not be handed over again.
    pub bytes: usize,
    /// What to do.
    pub then: Then,
}

/// A frame all of whose bytes are there: to be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which blob.
    pub blob: usize,
    /// Which of the pieces of [`Pull::add`].
    pub piece: usize,
    /// Its chunk's number in the index.
    pub ordinal: u64,
    /// Its bytes, as they came.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
struct Blob {
    length: u64,
    pieces: Vec<Piece>,
    states: Vec<State>,
    queue: VecDeque<Range<usize>>,
    stored: usize,
}

/// A pull of the missing pieces of any number of blobs; see the [module](super).
#[derive(Debug)]
pub struct Pull {
    policy: Policy,
    blobs: Vec<Blob>,
    lanes: BTreeMap<LaneId, Lane>,
    next_lane: u64,
    held: u64,
    reason: Option<Reason>,
}

impl Pull {
    /// A pull of nothing.
    pub const fn new(policy: Policy) -> Self {
        Self { policy, blobs: Vec::new(), lanes: BTreeMap::new(), next_lane: 0, held: 0, reason: None }
    }

    /// Adds a blob of `length` bytes of which `pieces` are missing, sorted by offset. Gives its number: 0, 1 and so on.
    pub fn add(&mut self, length: u64, pieces: Vec<Piece>) -> Result<usize, PieceError> {
        spans::check(&pieces, length, &self.policy)?;
        let queue = spans::spans(&pieces, &self.policy).into_iter().map(|span| span.pieces).collect();
        let states = alloc::vec![State::Missing; pieces.len()];
        self.blobs.push(Blob { length, pieces, states, queue, stored: 0 });
        Ok(self.blobs.len() - 1)
    }

    /// The next request, if another one may run now: those of earlier blobs first. With `None` from the start of a pull or after
    /// [`Next::Free`], nothing is left that another lane could bring.
    pub fn next_ask(&mut self) -> Option<Ask> {
        if self.reason.is_some() || self.lanes.len() >= self.policy.parallel {
            return None;
        }
        let (number, pieces) =
            self.blobs.iter_mut().enumerate().find_map(|(at, blob)| Some((at, blob.queue.pop_front()?)))?;
        let id = LaneId(self.next_lane);
        self.next_lane += 1;
        let lane = Lane {
            blob: number,
            next: pieces.start,
            end: pieces.end,
            stream: false,
            partial: None,
            asked: (0, 0),
            at: None,
            body_end: 0,
            faults: 0,
        };
        self.lanes.insert(id, lane);
        self.ask(id)
    }

    /// Tells the head of the answer to what was asked last for `id`.
    pub fn answered(&mut self, id: LaneId, head: &Head) -> Next {
        let longest = self.policy.longest_pause_ms;
        let Some((lane, blob)) = self.lane(id) else { return Next::Free };
        let (offset, end) = lane.asked;
        let (number, length) = (lane.blob, blob.length);
        match head.judge(number, length, offset, end, longest) {
            Ok(Body::Part { end }) => {
                if let Some(lane) = self.lanes.get_mut(&id) {
                    (lane.at, lane.body_end) = (Some(offset), end);
                }
                Next::Read
            }
            Ok(Body::Whole) => {
                self.take_over(id, number, length);
                Next::Read
            }
            Ok(Body::Later { pause_ms }) => {
                self.again(id, Reason::Status { blob: number, status: head.status }, pause_ms)
            }
            Err(reason) => self.give_up(id, reason),
        }
    }

    /// Hands over bytes of the body. Frames that are whole now are added to `frames`.
    pub fn arrived(&mut self, id: LaneId, bytes: &[u8], frames: &mut Vec<Frame>) -> Taken {
        let mut rest = bytes;
        let then = self.take(id, &mut rest, frames);
        if then == Then::Free {
            self.free(id);
        }
        Taken { bytes: bytes.len() - rest.len(), then }
    }

    /// Tells that the body is over.
    pub fn ended(&mut self, id: LaneId) -> Next {
        match self.lane(id).map(|(lane, _)| lane.blob) {
            Some(blob) => self.again(id, Reason::Short { blob }, None),
            None => Next::Free,
        }
    }

    /// Tells that the request broke.
    pub fn failed(&mut self, id: LaneId, fault: Fault) -> Next {
        match self.lane(id).map(|(lane, _)| lane.blob) {
            Some(blob) => self.again(id, Reason::Lost { blob, fault }, None),
            None => Next::Free,
        }
    }

    /// Tells that a frame was verified and stored; its bytes need no room any more.
    pub fn stored(&mut self, blob: usize, piece: usize) {
        let Some(blob) = self.blobs.get_mut(blob) else { return };
        let (Some(state), Some(place)) = (blob.states.get_mut(piece), blob.pieces.get(piece)) else { return };
        if *state == State::Out {
            *state = State::Stored;
            blob.stored += 1;
            self.held = self.held.saturating_sub(charge(place));
        }
    }

    /// Tells that a frame is not what it should be: nothing more is asked for.
    pub fn refused(&mut self, blob: usize) {
        self.reason.get_or_insert(Reason::WrongBytes { blob });
    }

    /// Ends the pull: nothing more is asked for, and every lane is [`Next::Free`] when it next tells something.
    pub fn halt(&mut self) {
        self.reason.get_or_insert(Reason::Halted);
    }

    /// Why the pull ended early, if it did.
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether every piece of every blob is stored.
    pub fn is_complete(&self) -> bool {
        self.blobs.iter().all(|blob| blob.stored == blob.pieces.len())
    }

    /// Whether nothing is under way and nothing more will be asked for. Frames that were given out may still be stored.
    pub fn is_over(&self) -> bool {
        let nothing_left = || self.blobs.iter().all(|blob| blob.queue.is_empty());
        self.lanes.is_empty() && (self.reason.is_some() || nothing_left())
    }

    /// Requests under way, at most [`Policy::parallel`].
    pub fn under_way(&self) -> usize {
        self.lanes.len()
    }

    /// Bytes of the budget in use, at most [`Policy::budget`].
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// The lane and its blob, unless the pull has ended.
    fn lane(&mut self, id: LaneId) -> Option<(&mut Lane, &Blob)> {
        if self.reason.is_some() {
            self.free(id);
            return None;
        }
        let lane = self.lanes.get_mut(&id)?;
        let blob = self.blobs.get(lane.blob)?;
        Some((lane, blob))
    }

    fn take(&mut self, id: LaneId, rest: &mut &[u8], frames: &mut Vec<Frame>) -> Then {
        let (budget, mut held) = (self.policy.budget, self.held);
        let Some(lane) = self.lanes.get_mut(&id).filter(|_| self.reason.is_none()) else { return Then::Free };
        let (Some(blob), Some(mut at)) = (self.blobs.get_mut(lane.blob), lane.at) else { return Then::Free };
        let then = loop {
            let Some(piece) = lane.current(&blob.pieces, &blob.states).copied() else { break Then::Free };
            if at >= lane.body_end {
                break Then::Over;
            }
            if rest.is_empty() {
                break Then::Read;
            }
            // Gaps, and what an answer with all of the blob repeats.
            let missing = piece.offset.saturating_add(lane.have());
            let skip = missing.saturating_sub(at).min(lane.body_end - at);
            if skip > 0 {
                at += advance(rest, skip);
                continue;
            }
            let length = u64::from(piece.length);
            if lane.partial.is_none() {
                if held.saturating_add(charge(&piece)) > budget {
                    break Then::Room;
                }
                held = held.saturating_add(charge(&piece));
                lane.partial = Some(Vec::with_capacity(piece.length as usize));
            }
            let Some(partial) = &mut lane.partial else { break Then::Free };
            let all = *rest;
            at += advance(rest, (length - partial.len() as u64).min(lane.body_end - at));
            partial.extend_from_slice(all.get(..all.len() - rest.len()).unwrap_or_default());
            if partial.len() as u64 == length {
                let bytes = lane.partial.take().unwrap_or_default();
                frames.push(Frame { blob: lane.blob, piece: lane.next, ordinal: piece.ordinal, bytes });
                if let Some(state) = blob.states.get_mut(lane.next) {
                    *state = State::Out;
                }
                lane.next += 1;
                lane.faults = 0;
            }
        };
        lane.at = Some(at);
        self.held = held;
        then
    }

    /// The answer is all of the blob: this lane brings whatever is missing of it, the others that were asked for parts of it end.
    fn take_over(&mut self, id: LaneId, number: usize, length: u64) {
        let of_blob = self.lanes.iter().filter(|(_, lane)| lane.blob == number);
        // Faults without a frame count on, or a server that breaks each stream would be asked for ever.
        let faults = of_blob.clone().map(|(_, lane)| lane.faults).max().unwrap_or_default();
        let others: Vec<LaneId> = of_blob.map(|(other, _)| *other).filter(|other| *other != id).collect();
        others.into_iter().for_each(|other| self.free(other));
        let (Some(lane), Some(blob)) = (self.lanes.get_mut(&id), self.blobs.get_mut(number)) else { return };
        blob.queue.clear();
        let first = blob.states.iter().position(|state| *state == State::Missing).unwrap_or(lane.next);
        if first != lane.next && lane.partial.take().is_some() {
            // What was half there comes again on the way to it.
            let half = blob.pieces.get(lane.next).map_or(0, charge);
            self.held = self.held.saturating_sub(half);
        }
        (lane.next, lane.end) = (first, blob.pieces.len());
        (lane.stream, lane.at, lane.body_end, lane.faults) = (true, Some(0), length, faults);
    }

    /// Asks for the rest of a lane again, unless it has failed too often.
    fn again(&mut self, id: LaneId, reason: Reason, pause_ms: Option<u64>) -> Next {
        let policy = self.policy;
        let Some((lane, blob)) = self.lane(id) else { return Next::Free };
        if lane.current(&blob.pieces, &blob.states).is_none() {
            self.free(id);
            return Next::Free;
        }
        lane.faults += 1;
        let faults = lane.faults;
        if faults > policy.tries {
            return self.give_up(id, reason);
        }
        // A connection that broke is asked again at once, a server that is busy is given a moment.
        let at_once = u64::from(!matches!(reason, Reason::Status { .. }));
        let usual = policy.pause_ms.saturating_mul((1u64 << (faults - 1).min(16)) - at_once);
        let pause_ms = pause_ms.unwrap_or(usual).min(policy.longest_pause_ms);
        if lane.stream {
            self.split_stream(id);
        }
        self.ask(id).map_or(Next::Free, |ask| Next::Again { ask, pause_ms })
    }

    /// A stream that broke: perhaps the server gives ranges now. So the lane keeps the first range of what is missing, and the
    /// others are asked for on their own.
    fn split_stream(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(blob) = self.blobs.get_mut(lane.blob) else { return };
        let missing: Vec<(usize, Piece)> = (lane.next..lane.end)
            .filter(|at| blob.states.get(*at) == Some(&State::Missing))
            .filter_map(|at| Some((at, *blob.pieces.get(at)?)))
            .collect();
        let pieces: Vec<Piece> = missing.iter().map(|(_, piece)| *piece).collect();
        let mut ranges =
            spans::spans(&pieces, &self.policy).into_iter().flat_map(|span| runs(&span, &missing));
        let Some(first) = ranges.next() else { return };
        (lane.next, lane.end, lane.stream) = (first.start, first.end, false);
        blob.queue.extend(ranges);
    }

    /// What a lane has to ask for now.
    fn ask(&mut self, id: LaneId) -> Option<Ask> {
        let (lane, blob) = self.lane(id)?;
        let Some(piece) = lane.current(&blob.pieces, &blob.states) else {
            self.free(id);
            return None;
        };
        let offset = piece.offset.saturating_add(lane.have());
        let end = lane.end.checked_sub(1).and_then(|last| blob.pieces.get(last)).map_or(offset, Piece::end);
        lane.asked = (offset, end);
        lane.at = None;
        Some(Ask { lane: id, blob: lane.blob, offset, length: end.saturating_sub(offset) })
    }

    fn give_up(&mut self, id: LaneId, reason: Reason) -> Next {
        self.reason.get_or_insert(reason);
        self.free(id);
        Next::Free
    }

    /// Ends a lane and lets go of what is half there. What it has not brought is not asked for again.
    fn free(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.remove(&id) else { return };
        if lane.partial.is_some() {
            let piece = self.blobs.get(lane.blob).and_then(|blob| blob.pieces.get(lane.next));
            self.held = self.held.saturating_sub(piece.map_or(0, charge));
        }
    }
}

/// What a frame takes of the budget.
fn charge(piece: &Piece) -> u64 {
    u64::from(piece.length).saturating_add(Policy::FRAME_COST)
}

/// Drops up to `count` bytes from the front; gives how many.
fn advance(rest: &mut &[u8], count: u64) -> u64 {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(rest.len());
    *rest = rest.get(count..).unwrap_or_default();
    count as u64
}
