//! What a connection of HTTP/2 is busy with, and whether its client still wants any of it.
//!
//! On HTTP/1 the time of a head and the pace of the socket tell when a client has stopped. A connection of HTTP/2 moves bytes of its
//! own (pings, settings) whatever becomes of its requests, and a client may leave the window of an answer shut while the socket is
//! open. So a request is a [`Turn`] until its answer's body has gone out, and a [`Vigil`] looks now and then: an answer of which nothing
//! is taken for `response_idle` is let go, with the files that it holds, and a connection without a turn for `header_time` is over. What
//! the socket itself does not take is `guarded`'s.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::config::Limits;
use crate::metrics::Metrics;

/// Bytes on the socket that tell the end of an answer, which is still on its way, from answers to pings, of 17 bytes each.
const MORE_THAN_PINGS: u64 = 4096;

/// Watches over one connection.
pub(crate) struct Vigil {
    header_time: Duration,
    response_idle: Duration,
    metrics: Arc<Metrics>,
    /// Bytes that the socket took.
    sent: Arc<AtomicU64>,
    state: Mutex<State>,
}

struct State {
    turns: usize,
    /// When there last was a turn, or more than pings moved.
    busy: Instant,
    /// What had been sent by then.
    sent: u64,
    answers: Vec<Arc<Answer>>,
}

/// Gone once it is let go.
type Answer = Mutex<Option<Offered>>;

/// The body of an answer.
struct Offered {
    body: Body,
    /// Since when its next bytes wait for the client; none while they are waited for themselves.
    since: Option<Instant>,
    _turn: Turn,
}

/// A client takes nothing of an answer.
#[derive(Debug, thiserror::Error)]
#[error("nothing of it was taken for too long")]
struct LetGo;

impl Vigil {
    /// `sent` counts what the connection's socket takes.
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>, sent: Arc<AtomicU64>) -> Arc<Self> {
        let state = State { turns: 0, busy: Instant::now(), sent: 0, answers: Vec::new() };
        let (header_time, response_idle) = (limits.header_time, limits.response_idle);
        Arc::new(Self { header_time, response_idle, metrics, sent, state: Mutex::new(state) })
    }

    /// A request begins.
    pub(crate) fn turn(self: &Arc<Self>) -> Turn {
        lock(&self.state).turns += 1;
        Turn(Arc::clone(self))
    }

    /// Ready once the connection is over.
    pub(crate) async fn over(&self) {
        // Looking four times in the shortest time that matters is exact enough.
        let step = self.header_time.min(self.response_idle) / 4;
        let step = step.clamp(Duration::from_millis(10), Duration::from_secs(5));
        while !self.look(Instant::now()) {
            tokio::time::sleep(step).await;
        }
    }

    /// Lets go of answers that nobody takes; says whether the connection is over.
    fn look(&self, now: Instant) -> bool {
        let late = |since: Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= self.response_idle)
        };
        let let_go: Vec<Offered> = {
            let state = lock(&self.state);
            let take = |answer: &Arc<Answer>| lock(answer).take_if(|offered| late(offered.since));
            state.answers.iter().filter_map(take).collect()
        };
        if !let_go.is_empty() {
            tracing::debug!(answers = let_go.len(), "a client takes nothing of its answers");
            self.metrics.gave_up.inc_by(let_go.len() as u64);
        }
        // Ends their turns.
        drop(let_go);
        let mut state = lock(&self.state);
        let sent = self.sent.load(Ordering::Relaxed);
        if state.turns > 0 || sent.saturating_sub(state.sent) >= MORE_THAN_PINGS {
            (state.busy, state.sent) = (now, sent);
        }
        now.saturating_duration_since(state.busy) >= self.header_time
    }
}

/// A request, from its head until its answer has gone out.
pub(crate) struct Turn(Arc<Vigil>);

impl Turn {
    /// The turn lasts as long as the answer's body does.
    pub(crate) fn over(self, answer: Response) -> Response {
        let (head, body) = answer.into_parts();
        if body.is_end_stream() {
            return Response::from_parts(head, body);
        }
        let vigil = Arc::clone(&self.0);
        let offered = Offered { body, since: Some(Instant::now()), _turn: self };
        let answer = Arc::new(Mutex::new(Some(offered)));
        lock(&vigil.state).answers.push(Arc::clone(&answer));
        Response::from_parts(head, Body::new(Watched { vigil, answer }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.turns = state.turns.saturating_sub(1);
        state.busy = Instant::now();
    }
}

/// A body that may be let go before its end.
struct Watched {
    vigil: Arc<Vigil>,
    answer: Arc<Answer>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut offered = lock(&self.answer);
        let Some(offered) = offered.as_mut() else {
            return Poll::Ready(Some(Err(axum::Error::new(LetGo))));
        };
        let polled = Pin::new(&mut offered.body).poll_frame(context);
        // While the storage is waited for, the client is not.
        offered.since = polled.is_ready().then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.answer).as_ref().is_some_and(|offered| offered.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.answer).as_ref().map_or_else(SizeHint::default, |offered| offered.body.size_hint())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Dropped last: it ends a turn, which needs the lock.
        let _offered = lock(&self.answer).take();
        lock(&self.vigil.state).answers.retain(|answer| !Arc::ptr_eq(answer, &self.answer));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is whole after any panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::future::poll_fn;

    const HEADER: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(120);

    fn vigil() -> (Arc<Vigil>, Arc<AtomicU64>) {
        let limits = Limits { header_time: HEADER, response_idle: IDLE, ..Limits::default() };
        let sent = Arc::new(AtomicU64::new(0));
        (Vigil::new(&limits, Arc::new(Metrics::new()), Arc::clone(&sent)), sent)
    }

    async fn frame(body: &mut Body) -> Option<Result<Frame<Bytes>, axum::Error>> {
        poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
    }

    #[test]
    fn without_a_turn_the_time_of_a_head_counts_whatever_pings_move() {
        let (vigil, sent) = vigil();
        let start = Instant::now();
        sent.store(17 * 30, Ordering::Relaxed);
        assert!(!vigil.look(start + HEADER / 2));
        // The end of an answer is no ping.
        sent.store(64 * 1024, Ordering::Relaxed);
        assert!(!vigil.look(start + HEADER));
        assert!(!vigil.look(start + HEADER * 2 - Duration::from_secs(1)) && vigil.look(start + HEADER * 2));
        // A request that is being worked on may take its time.
        let turn = vigil.turn();
        assert!(!vigil.look(start + HEADER * 100));
        drop(turn);
        assert!(!vigil.look(Instant::now() + HEADER / 2));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_let_go_and_others_go_on() {
        let (vigil, _) = vigil();
        let pieces = || Body::from_stream(stream::iter([Ok::<_, std::io::Error>("one"), Ok("two")]));
        let watched = |body| vigil.turn().over(Response::new(body)).into_body();
        let (mut shut, mut taken) = (watched(pieces()), watched(pieces()));
        let mut waiting = watched(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()));
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut waiting).poll_frame(context))).await;
        assert!(polled.is_pending());
        assert!(frame(&mut shut).await.is_some_and(|frame| frame.is_ok()));
        let later = Instant::now() + IDLE;
        lock(&vigil.state).answers.iter().skip(1).for_each(|answer| {
            if let Some(since) = lock(answer).as_mut().and_then(|offered| offered.since.as_mut()) {
                *since = later;
            }
        });
        assert!(!vigil.look(later));
        assert_eq!(vigil.metrics.gave_up.get(), 1);
        assert_eq!(lock(&vigil.state).turns, 2, "what the storage is slow with is not the client's doing");
        assert!(frame(&mut shut).await.is_some_and(|frame| frame.is_err()));
        assert!(frame(&mut taken).await.is_some_and(|frame| frame.is_ok()));
        drop((shut, taken, waiting));
        let state = lock(&vigil.state);
        assert_eq!((state.turns, state.answers.len()), (0, 0));
    }
}
