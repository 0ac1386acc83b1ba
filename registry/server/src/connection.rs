//! One connection: the handshake, the protocol, and the bounds on both.

use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::config::Limits;
use crate::limits::{Guarded, Vigil, paced};
use crate::metrics::Metrics;
use crate::tls::{H2, Tls};

/// Bytes that are read from a connection at a time at most; also the hardest bound on a head of HTTP/1.
const READ_BUFFER: usize = 256 * 1024;
/// Requests that one HTTP/2 connection may have under way.
const STREAMS: u32 = 64;
/// How often a silent HTTP/2 connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Bytes of one HTTP/2 stream, and of a connection, that a client may send before we have read them.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Who is at the other end, in the extensions of each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tls: Option<Tls>,
    builder: Builder<TokioExecutor>,
}

impl Shared {
    pub(crate) fn new(router: Router, limits: Limits, metrics: Arc<Metrics>, tls: Option<Tls>) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_buf_size(READ_BUFFER.max(limits.head_bytes));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(limits.header_time);
        Self { router, limits, metrics, tls, builder }
    }

    /// Serves a connection to its end. Nothing that goes wrong on it matters to others.
    pub(crate) async fn serve(self: &Arc<Self>, stream: TcpStream, peer: Peer, watcher: Watcher) {
        // A refusal only costs time.
        let _ = stream.set_nodelay(true);
        let stream = Guarded::new(stream, &self.limits, Arc::clone(&self.metrics));
        let Some(tls) = &self.tls else {
            return self.speak(stream, peer, self.builder.clone().http1_only(), None, watcher).await;
        };
        let sent = stream.sent();
        match tokio::time::timeout(self.limits.header_time, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                let builder = self.builder.clone();
                let h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
                let (builder, vigil) = match h2 {
                    true => {
                        let vigil = Vigil::new(&self.limits, Arc::clone(&self.metrics), sent);
                        (builder.http2_only(), Some(vigil))
                    }
                    false => (builder.http1_only(), None),
                };
                self.speak(stream, peer, builder, vigil, watcher).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %peer.address, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %peer.address, "a TLS handshake took too long"),
        }
    }

    async fn speak(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        builder: Builder<TokioExecutor>,
        vigil: Option<Arc<Vigil>>,
        watcher: Watcher,
    ) {
        let (shared, watching) = (Arc::clone(self), vigil.clone());
        let service = service_fn(move |request| {
            let (shared, turn) = (Arc::clone(&shared), watching.as_ref().map(Vigil::turn));
            async move {
                let answer = shared.answer(request, peer).await;
                Ok::<_, Infallible>(match turn {
                    Some(turn) => turn.over(answer),
                    None => answer,
                })
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let over = async {
            match &vigil {
                Some(vigil) => vigil.over().await,
                None => pending().await,
            }
        };
        tokio::select! {
            ended = watcher.watch(connection) => if let Err(error) = ended {
                tracing::debug!(peer = %peer.address, %error, "a connection ended early");
            },
            () = over => tracing::debug!(peer = %peer.address, "a connection asks for nothing"),
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response {
        let mut request: Request<Body> = request.map(|body| paced(body, &self.limits));
        request.extensions_mut().insert(peer);
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
