//! `/healthz` (the process runs) and `/readyz` (it reaches its storage).

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use plyos_blobs::Storage;
use tokio::sync::Mutex;

/// How long an answer of the storage stands: whoever asks more often does not load it more.
const STANDS: Duration = Duration::from_secs(1);
/// How long the storage may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the storage now and then.
#[derive(Default)]
pub(crate) struct Health {
    last: Mutex<Option<(Instant, bool)>>,
}

impl Health {
    /// Whether the storage answers. Those who ask together get one answer.
    pub(crate) async fn ready(&self, storage: &Storage) -> Response {
        let mut last = self.last.lock().await;
        let ready = match *last {
            Some((asked, ready)) if asked.elapsed() < STANDS => ready,
            _ => {
                let asked = tokio::time::timeout(PATIENCE, storage.answers()).await;
                let ready = match asked {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "the storage does not answer");
                        false
                    }
                    Err(_) => {
                        tracing::warn!("the storage takes too long to answer");
                        false
                    }
                };
                *last = Some((Instant::now(), ready));
                ready
            }
        };
        if ready {
            "ready\n".into_response()
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the storage does not answer\n").into_response()
        }
    }
}
