//! A socket that counts what goes through it and ends when its client does not take what it asked for.
//!
//! Only writing is watched: what is read is a head, which has its own time, or a body, which `paced_body` watches.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::{Demand, Watch};
use crate::config::Limits;
use crate::metrics::Metrics;

/// A watched socket.
pub(crate) struct Guarded<S> {
    inner: S,
    metrics: Arc<Metrics>,
    sent: Arc<AtomicU64>,
    watch: Watch,
}

impl<S> Guarded<S> {
    pub(crate) fn new(inner: S, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let demand =
            Demand { idle: limits.response_idle, rate: limits.minimum_rate, grace: limits.rate_grace };
        Self { inner, metrics, sent: Arc::default(), watch: Watch::new(demand) }
    }

    /// A count of the bytes that it takes.
    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => {
                self.metrics.sent(*bytes as u64);
                self.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
                self.watch.moved(*bytes as u64);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending if self.watch.poll_too_slow(context).is_ready() => {
                self.metrics.gave_up.inc();
                tracing::debug!("a client takes its answer too slowly");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending => {}
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.metrics.received(buffer.filled().len().saturating_sub(before) as u64);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.wrote(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.wrote(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
