//! The one HTTP client: TLS in Rust with its own roots, time-outs, bounded bodies, one error type.

use crate::authorities::Authorities;
use crate::authorize::Authorizer;
use crate::coding;
use crate::credentials::{Credentials, Source};
use crate::limit::Limit;
use crate::pace::Pace;
use crate::spool::Room;
use crate::{proxies, redirects};
use bytes::{Bytes, BytesMut};
use reqwest::{RequestBuilder, Response, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(15);
/// Seconds without a byte after which a transfer counts as lost, unless [`STALLED_VARIABLE`] says otherwise.
const STALLED: u64 = 30;
/// Names another number of seconds, from 1 to 3600.
const STALLED_VARIABLE: &str = "PLYOS_STALL_SECONDS";
/// Bytes of one stream that an HTTP/2 server may send ahead of the reader.
const WINDOW: u32 = 1 << 20;
/// The same of a whole connection: so many that streams which wait for the store never hold up one that does not.
const WINDOW_OF_ALL: u32 = 32 << 20;
/// Instead of rustls' word for it.
const UNKNOWN_AUTHORITY: &str = "the server's certificate is of an authority that is not known here; name it by `pkg repo set NAME --ca FILE`, \
                                 or by PLYOS_CA_FILE=FILE";
/// Attempts of a request that fails on the way; a retry waits longer each time.
const ATTEMPTS: u32 = 3;

/// What went wrong between here and a server.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// No connection, or it broke.
    #[error("{what}: {cause}; check the address and the network, then run the command again")]
    Network {
        /// What was being done.
        what: String,
        /// Innermost cause.
        cause: String,
    },
    /// The server has no such thing.
    #[error("{what}: the server has it not (404)")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The server refused.
    #[error("{what}: the server answered {status}{detail}")]
    Refused {
        /// What was being done.
        what: String,
        /// HTTP status.
        status: u16,
        /// What it said, shortened.
        detail: String,
    },
    /// More bytes than allowed or stated, or fewer.
    #[error("{what}: {why}; the server or something between is at fault, nothing was changed")]
    Length {
        /// What was being fetched.
        what: String,
        /// How the length is wrong.
        why: String,
    },
    /// Bytes that do not match their digest.
    #[error("{what}: the bytes received do not match {expected}; nothing was changed")]
    Digest {
        /// What was being fetched.
        what: String,
        /// The digest asked for.
        expected: String,
    },
    /// A local file could not be read.
    #[error("reading {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl TransferError {
    pub(crate) fn network(what: &str, error: &reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let cause = match cause.to_string() {
            _ if error.is_timeout() => "timed out".to_owned(),
            said if said.ends_with("UnknownIssuer") => UNKNOWN_AUTHORITY.to_owned(),
            said => said,
        };
        Self::Network { what: what.to_owned(), cause }
    }
}

/// A client with its connection pool; cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    /// For long bodies: without the time-out of the other, which counts from the request's first byte to the answer's.
    patient: reqwest::Client,
    authorizer: Arc<Authorizer>,
    /// What whole blobs may take that were not asked for whole.
    room: Arc<Room>,
    limit: Option<Limit>,
}

/// Whether a registry wants to know who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginState {
    /// It does, and took the password.
    Good,
    /// It asks nobody.
    NotNeeded,
}

/// Why a request was not answered at all.
enum Lost {
    /// On the way.
    Way(reqwest::Error),
    /// In asking for a token.
    Login(TransferError),
}

impl Lost {
    fn error(self, what: &str) -> TransferError {
        match self {
            Self::Way(error) => TransferError::network(what, &error),
            Self::Login(error) => error,
        }
    }
}

/// Tells whether a long body moves: whoever sends it counts, whoever waits for the answer looks.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beats: AtomicU64,
    whole: AtomicBool,
}

impl Pulse {
    /// Of a body that is there from the start.
    pub(crate) fn ended() -> Self {
        Self { whole: AtomicBool::new(true), ..Self::default() }
    }

    /// A piece was asked for.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// All of the body is there: from now on it moves, or the other side is at fault.
    pub(crate) fn end(&self) {
        self.beat();
        self.whole.store(true, Ordering::Relaxed);
    }
}

impl Http {
    /// A client. Redirects are followed five times, never from TLS to plain HTTP and never from elsewhere to this machine.
    ///
    /// Passwords come from the environment and the user's files (see [`crate::auth_file`]), and go only where they are asked for.
    pub fn new() -> Result<Self, TransferError> {
        Self::trusting(&Authorities::default())
    }

    /// The same, which believes these authorities beside the public ones.
    pub fn trusting(authorities: &Authorities) -> Result<Self, TransferError> {
        Self::with_source(Source::User, authorities)
    }

    /// A client that answers every server that asks with these.
    pub fn with_credentials(credentials: Credentials) -> Result<Self, TransferError> {
        Self::with_source(Source::Given(credentials), &Authorities::default())
    }

    fn with_source(source: Source, authorities: &Authorities) -> Result<Self, TransferError> {
        let roots = authorities.store()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TransferError::Network {
                what: "setting up TLS".into(),
                cause: error.to_string(),
            })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let build = |limits: fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder| {
            let client = proxies::behind(reqwest::Client::builder())?
                .tls_backend_preconfigured(tls.clone())
                .redirect(redirects::policy())
                .referer(false)
                .connect_timeout(CONNECT)
                .http2_initial_stream_window_size(WINDOW)
                .http2_initial_connection_window_size(WINDOW_OF_ALL)
                .user_agent(concat!("plyos/", env!("CARGO_PKG_VERSION")));
            limits(client).build().map_err(|error| TransferError::network("setting up HTTP", &error))
        };
        Ok(Self {
            client: build(|client| client.read_timeout(stalled()))?,
            patient: build(|client| client)?,
            authorizer: Arc::new(Authorizer::new(source)),
            room: Arc::default(),
            limit: None,
        })
    }

    /// The same, with a limit on how fast content comes. Small things, such as catalogs, do not count.
    #[must_use]
    pub fn limited(self, limit: Option<Limit>) -> Self {
        Self { limit, ..self }
    }

    pub(crate) const fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    pub(crate) const fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// A request with a long body, to be sent by [`Http::send_long`].
    pub(crate) fn long_request(&self, method: reqwest::Method, url: &reqwest::Url) -> RequestBuilder {
        self.patient.request(method, url.clone())
    }

    /// Sends a request once. It counts as lost when its body is there and for `patience` nothing of it was asked for and no answer
    /// came. As long as the body is still being made, its maker sees to it that it is taken.
    pub(crate) async fn send_long(
        &self,
        what: &str,
        request: RequestBuilder,
        pulse: &Pulse,
        patience: Duration,
    ) -> Result<Response, TransferError> {
        let answer = self.execute(request);
        tokio::pin!(answer);
        let mut seen = None;
        loop {
            if let Ok(answer) = tokio::time::timeout(patience, &mut answer).await {
                return answer.map_err(|lost| lost.error(what));
            }
            let beats = pulse.beats.load(Ordering::Relaxed);
            if pulse.whole.load(Ordering::Relaxed) && seen == Some(beats) {
                return Err(TransferError::Network { what: what.to_owned(), cause: "timed out".into() });
            }
            seen = Some(beats);
        }
    }

    /// Sends a request with the credentials for its place; when they are missing or no longer good, gets them and sends it again. A body
    /// that is made as it is sent cannot be sent again: its session has been begun with good ones.
    async fn execute(&self, request: RequestBuilder) -> Result<Response, Lost> {
        let (client, request) = request.build_split();
        let mut request = request.map_err(Lost::Way)?;
        self.authorizer.authorize(&self.client, &mut request).await.map_err(Lost::Login)?;
        let (again, url) = (request.try_clone(), request.url().clone());
        let response = client.execute(request).await.map_err(Lost::Way)?;
        let (StatusCode::UNAUTHORIZED, Some(mut again)) = (response.status(), again) else {
            return Ok(response);
        };
        // Where a redirect led to may not say where the password of the one that was asked goes.
        if response.url().origin() != url.origin() {
            return Ok(response);
        }
        if !self.authorizer.meet(&self.client, &url, response.headers()).await.map_err(Lost::Login)? {
            return Ok(response);
        }
        self.authorizer.authorize(&self.client, &mut again).await.map_err(Lost::Login)?;
        client.execute(again).await.map_err(Lost::Way)
    }

    /// Tries the credentials on a registry (`HOST` or `HOST:PORT`).
    pub async fn login(&self, host: &str) -> Result<LoginState, TransferError> {
        let what = format!("logging in to {host}");
        let url = format!("{}://{host}/v2/", crate::reference::scheme(host));
        let asked =
            self.client.get(&url).send().await.map_err(|error| TransferError::network(&what, &error))?;
        if asked.status() != StatusCode::UNAUTHORIZED {
            accept(&what, asked).await?;
            return Ok(LoginState::NotNeeded);
        }
        accept(&what, self.send(&what, self.client.get(&url)).await?).await?;
        Ok(LoginState::Good)
    }

    /// A request to be filled in.
    pub fn request(&self, method: reqwest::Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request that can be sent again, with retries when the way failed; an answer of any status is returned.
    pub async fn send(&self, what: &str, request: RequestBuilder) -> Result<Response, TransferError> {
        let mut attempt = 1;
        loop {
            let Some(copy) = request.try_clone() else {
                return self.execute(request).await.map_err(|lost| lost.error(what));
            };
            match self.execute(copy).await {
                Ok(response) if response.status().is_server_error() && attempt < ATTEMPTS => {}
                Ok(response) => return Ok(response),
                Err(Lost::Way(error)) if attempt < ATTEMPTS && !error.is_builder() => {}
                Err(lost) => return Err(lost.error(what)),
            }
            tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
            attempt += 1;
        }
    }

    /// Sends a request a single time; an answer of any status is returned.
    pub(crate) async fn once(&self, what: &str, request: RequestBuilder) -> Result<Response, TransferError> {
        self.execute(request).await.map_err(|lost| lost.error(what))
    }

    /// GET of a whole small thing of at most `limit` bytes; `None` when the server has it not.
    pub async fn get_bounded(
        &self,
        what: &str,
        url: &str,
        limit: u64,
    ) -> Result<Option<Bytes>, TransferError> {
        let request = self.request(reqwest::Method::GET, url);
        let request = request.header(reqwest::header::ACCEPT_ENCODING, coding::ACCEPTED);
        let response = self.send(what, request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = accept(what, response).await?;
        coding::read_decoded(what, response, limit).await.map(Some)
    }
}

/// How long a server may be silent.
pub(crate) fn stalled() -> Duration {
    let named = std::env::var(STALLED_VARIABLE).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(named.filter(|seconds| (1..=3600).contains(seconds)).unwrap_or(STALLED))
}

/// Turns a refusing status into an error that quotes the server, shortened.
pub async fn accept(what: &str, response: Response) -> Result<Response, TransferError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::NOT_FOUND {
        return Err(TransferError::NotFound { what: what.to_owned() });
    }
    let body = read_bounded(what, response, 4096).await.unwrap_or_default();
    let said: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(300).collect();
    let mut detail = if said.is_empty() { String::new() } else { format!(": {said}") };
    if status == StatusCode::UNAUTHORIZED {
        detail += "; log in with `plyos login`, or set PLYOS_REGISTRY_USER and PLYOS_REGISTRY_PASSWORD";
    }
    Err(TransferError::Refused { what: what.to_owned(), status: status.as_u16(), detail })
}

/// Reads a body of at most `limit` bytes.
pub async fn read_bounded(what: &str, mut response: Response, limit: u64) -> Result<Bytes, TransferError> {
    let too_long =
        || TransferError::Length { what: what.to_owned(), why: format!("more than {limit} bytes came") };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let (mut body, mut pace) = (BytesMut::new(), Pace::new());
    while let Some(part) = pace.next(what, &mut response).await? {
        if (body.len() + part.len()) as u64 > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}
