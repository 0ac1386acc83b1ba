//! A request's body that fails when its client sends too slowly.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

use super::pace::{Demand, Watch};
use crate::config::Limits;

/// How long a body is given that sends nothing: whoever reads it has the say, with an answer in words.
const NEVER: Duration = Duration::from_secs(24 * 3600);

struct Paced {
    inner: Incoming,
    watch: Watch,
}

/// Why the body ended.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("it came too slowly")]
    TooSlow,
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
}

/// Watches a body, if there is one.
pub(crate) fn paced(body: Incoming, limits: &Limits) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let demand = Demand { idle: NEVER, rate: limits.minimum_rate, grace: limits.rate_grace };
    Body::new(Paced { inner: body, watch: Watch::new(demand) })
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(frame) => {
                let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
                self.watch.moved(bytes.unwrap_or(0) as u64);
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Hyper)))
            }
            Poll::Pending => self.watch.poll_too_slow(context).map(|()| Some(Err(BodyError::TooSlow))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
