//! One of the requests that run side by side: asks, reads, hands over, asks again, until nothing is left for it.

use super::answer;
use super::source::{Answer, Place};
use crate::http::{TransferError, accept};
use crate::spool::{Spool, Spooling};
use bytes::Buf;
use plyos_plan::fetch::{Ask, Fault, Frame, Next, Pull, Reason, Then};
use plyos_report::Failure;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What lanes, verifiers and the storing side share.
pub(super) struct Shared {
    pull: Mutex<Pull>,
    parts: Vec<PartState>,
    /// Something was stored, or the pull has ended.
    changed: Notify,
    /// What a verifier said of a wrong frame.
    refused: Mutex<Option<Failure>>,
    /// Bytes of the one blob that is to be kept whole if it comes whole.
    keep: Option<u64>,
    kept: Mutex<Option<Spool>>,
}

struct PartState {
    place: Place,
    received: AtomicU64,
    /// The last that went wrong.
    noted: Mutex<Option<TransferError>>,
}

impl Shared {
    pub(super) fn new(pull: Pull, places: Vec<Place>) -> Self {
        let part = |place| PartState { place, received: AtomicU64::new(0), noted: Mutex::default() };
        let parts = places.into_iter().map(part).collect();
        let (refused, kept) = (Mutex::default(), Mutex::default());
        Self { pull: Mutex::new(pull), parts, changed: Notify::new(), refused, keep: None, kept }
    }

    /// Keeps all of the blob, which has `blob_len` bytes, if the server gives all of it.
    pub(super) fn keeping(self, blob_len: u64) -> Self {
        Self { keep: Some(blob_len), ..self }
    }

    /// The blob, if it was kept.
    pub(super) fn take_kept(&self) -> Option<Spool> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn pull(&self) -> MutexGuard<'_, Pull> {
        self.pull.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stored(&self, part: usize, piece: usize) {
        self.pull().stored(part, piece);
        self.changed.notify_waiters();
    }

    pub(super) fn refuse(&self, part: usize, failure: Failure) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.pull().refused(part);
        self.changed.notify_waiters();
    }

    pub(super) fn halt(&self) {
        self.pull().halt();
        self.changed.notify_waiters();
    }

    pub(super) fn take_received(&self, part: usize) -> u64 {
        self.parts.get(part).map_or(0, |part| part.received.swap(0, Ordering::Relaxed))
    }

    /// Why it ended early, if it did.
    pub(super) fn error(&self) -> Option<TransferError> {
        let reason = self.pull().reason()?;
        let part = reason.blob().and_then(|blob| self.parts.get(blob));
        let noted = part.and_then(|part| part.noted.lock().unwrap_or_else(PoisonError::into_inner).take());
        let what = part.map_or_else(|| "fetching".to_owned(), |part| part.place.what());
        Some(answer::error(what, reason, noted))
    }

    pub(super) fn outcome(&self) -> Result<(), Failure> {
        if matches!(self.pull().reason(), Some(Reason::WrongBytes { .. }))
            && let Some(refused) = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Err(refused);
        }
        self.error().map_or(Ok(()), |error| Err(error.into()))
    }

    fn note(&self, part: usize, error: TransferError) {
        if let Some(part) = self.parts.get(part) {
            *part.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn has_ended(&self) -> bool {
        self.pull().reason().is_some()
    }

    /// Waits until the pull has ended early.
    async fn end(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.has_ended() {
                return;
            }
            changed.await;
        }
    }
}

/// Brings what the engine asks for until it asks for nothing more. `sink` takes each frame at once and never waits.
pub(super) async fn run(shared: &Shared, sink: &(impl Fn(Frame) + Sync)) {
    loop {
        let next = shared.pull().next_ask();
        let Some(mut ask) = next else { return };
        loop {
            let attempt = attempt(shared, ask, sink);
            let next = tokio::select! {
                next = attempt => next,
                () = shared.end() => shared.pull().ended(ask.lane),
            };
            let Next::Again { ask: again, pause_ms } = next else {
                // It may have been given up, which ends the others too.
                shared.changed.notify_waiters();
                break;
            };
            ask = again;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
                () = shared.end() => {}
            }
        }
    }
}

/// One request, from its asking to the end of its answer.
async fn attempt(shared: &Shared, ask: Ask, sink: &(impl Fn(Frame) + Sync)) -> Next {
    let Some(part) = shared.parts.get(ask.blob) else { return shared.pull().ended(ask.lane) };
    let mut answer = match part.place.ask(ask.offset, ask.length).await {
        Ok(answer) => answer,
        Err(error) => return broken(shared, ask, error),
    };
    let head = answer.head();
    let next = shared.pull().answered(ask.lane, &head);
    if next != Next::Read {
        // Its words are for the message.
        if let Answer::Http(response, _) = answer
            && let Err(error) = accept(&part.place.what(), response).await
        {
            shared.note(ask.blob, error);
        }
        return next;
    }
    let mut keeping = match (head.status, shared.keep, part.place.room()) {
        (200, Some(blob_len), Some(room)) => Spooling::begin(room, blob_len),
        _ => None,
    };
    let mut frames = Vec::new();
    // Whether something is still wanted of this answer but what is kept.
    let mut wanted = true;
    while wanted || keeping.is_some() {
        let mut bytes = match answer.next(&part.place).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let whole = keeping.and_then(|keeping| keeping.finish(part.place.shown()));
                *shared.kept.lock().unwrap_or_else(PoisonError::into_inner) = whole;
                return if wanted { shared.pull().ended(ask.lane) } else { Next::Free };
            }
            Err(error) if wanted => return broken(shared, ask, error),
            Err(_) => break,
        };
        let came = bytes.len() as u64;
        part.received.fetch_add(came, Ordering::Relaxed);
        keeping = keeping.and_then(|mut keeping| keeping.write(&bytes).is_ok().then_some(keeping));
        while wanted {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let taken = shared.pull().arrived(ask.lane, &bytes, &mut frames);
            bytes.advance(taken.bytes.min(bytes.len()));
            frames.drain(..).for_each(sink);
            match taken.then {
                Then::Read => break,
                Then::Room => changed.await,
                Then::Over => return shared.pull().ended(ask.lane),
                Then::Free => wanted = false,
            }
        }
        if let Some(limit) = part.place.limit() {
            limit.came(came).await;
        }
    }
    Next::Free
}

fn broken(shared: &Shared, ask: Ask, error: TransferError) -> Next {
    let stalled = matches!(&error, TransferError::Network { cause, .. } if cause.starts_with("timed out"));
    shared.note(ask.blob, error);
    shared.pull().failed(ask.lane, if stalled { Fault::Stalled } else { Fault::Broken })
}
