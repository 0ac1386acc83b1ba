//! A network that misbehaves on command: an HTTP/1.1 proxy between target and registry.
//!
//! It carries one request a connection and knows just enough of HTTP to find path, range and length. Without rules it
//! changes nothing; it always notes what it carried, which is how tests count bytes without believing `pkg`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes that [`Fault::Endless`] sends at most: more than any limit of a client for metadata but the highest.
const ENDLESS: usize = 96 << 20;

/// What goes wrong with an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection breaks after so many bytes of the body.
    CutAfter(usize),
    /// Whole and well-formed, but so many bytes too short.
    Short(usize),
    /// Whole and well-formed, but with so many bytes too many.
    Long(usize),
    /// One bit of the body's byte at this offset is turned.
    Flip(usize),
    /// This status instead of the answer.
    Status(u16),
    /// The server gives everything, whatever the range.
    IgnoreRange,
    /// The server gives the range that begins so many bytes later, and says so.
    OtherRange(u64),
    /// The server says that it gives the range asked for, and gives one that begins so many bytes later.
    LyingRange(u64),
    /// A body without length that goes on and on.
    Endless,
    /// So many bytes, then a pause of so many milliseconds, and again.
    Slow(usize, u64),
    /// The connection is closed without a word.
    Silent,
    /// So many bytes of the body, then nothing more, though the connection stays.
    Hang(usize),
    /// The answer with another header, by name and value.
    Header(&'static str, String),
    /// 503, and to be asked again after so many seconds.
    Busy(u64),
    /// 302 to this address.
    Redirect(String),
    /// The connection breaks after so many bytes of the request's body.
    CutRequest(usize),
}

/// Which answers a fault befalls.
#[derive(Debug, Clone)]
pub struct Rule {
    method: Option<String>,
    part: String,
    skip: usize,
    times: usize,
    fault: Fault,
}

impl Rule {
    /// Every answer to a request whose path holds `part`.
    pub fn on(part: &str, fault: Fault) -> Self {
        Self { method: None, part: part.to_owned(), skip: 0, times: usize::MAX, fault }
    }

    /// But only to requests of this method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// But not the first `skip` of them.
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// And only so many.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// A request that was carried.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Method of the request.
    pub method: String,
    /// Path of the request.
    pub path: String,
    /// The range asked for, first and last byte.
    pub range: Option<(u64, u64)>,
    /// Status of the answer, 0 when there was none.
    pub status: u16,
    /// Bytes of the answer's body that were sent on.
    pub bytes: u64,
    /// Bytes that the client sent as a body, chunk heads included.
    pub sent: u64,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    rules: Mutex<Vec<Rule>>,
    carried: Mutex<Vec<Carried>>,
    ended: AtomicBool,
    /// Bytes of bodies that were sent on, those of requests that still run among them.
    bytes: AtomicU64,
}

/// The proxy, ended when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port and carries to `upstream`.
    pub fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            rules: Mutex::default(),
            carried: Mutex::default(),
            ended: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    if shared.ended.load(Ordering::SeqCst) {
                        break;
                    }
                    let shared = Arc::clone(&shared);
                    // A client that goes away, or a fault, ends a connection early; that is what it is for.
                    std::thread::spawn(move || client.and_then(|client| carry(&shared, &client)));
                }
            })
        };
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Carries to another server from now on.
    pub fn redirect(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock().unwrap() = upstream;
    }

    /// Adds a rule; the first that fits an answer counts.
    pub fn add(&self, rule: Rule) {
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// What was carried since the last call.
    pub fn take_carried(&self) -> Vec<Carried> {
        std::mem::take(&mut *self.shared.carried.lock().unwrap())
    }

    /// Bytes of bodies that were sent on since the proxy was made, to the moment.
    pub fn bytes_so_far(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// How many requests whose path holds `part` were carried since the last [`Proxy::take_carried`].
    pub fn carried_so_far(&self, part: &str) -> usize {
        self.shared.carried.lock().unwrap().iter().filter(|carried| carried.path.contains(part)).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    /// The fault for a request, counted.
    fn fault(&self, method: &str, path: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let fits = |rule: &Rule| {
            let is_method = rule.method.as_deref().is_none_or(|wanted| wanted == method);
            is_method && path.contains(&rule.part) && (rule.skip > 0 || rule.times > 0)
        };
        let rule = rules.iter_mut().find(|rule| fits(rule))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

/// Start line and headers of a request or an answer.
struct Head {
    first: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn read(from: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let first = lines.remove(0);
        let header = |line: String| {
            line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        };
        Ok(Some(Self { first, headers: lines.into_iter().filter_map(header).collect() }))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: Option<String>) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.extend(value.map(|value| (name.to_owned(), value)));
    }

    fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        to.write_all(text.as_bytes())
    }

    fn range(&self) -> Option<(u64, u64)> {
        let (first, last) = self.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

fn carry(shared: &Shared, client: &TcpStream) -> std::io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    client.set_write_timeout(Some(SILENCE))?;
    let mut from = BufReader::new(client);
    let Some(mut request) = Head::read(&mut from)? else { return Ok(()) };
    let mut words = request.first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let range = request.range();
    let fault = shared.fault(&method, &path);
    let mut carried = Carried { method, path, range, status: 0, bytes: 0, sent: 0 };
    if !matches!(fault, Some(Fault::Silent)) {
        change_request(&mut request, fault.as_ref());
        // The number of bytes is of interest although, and just because, the way broke.
        let _ = answer(shared, &mut request, fault.as_ref(), &mut from, &mut carried);
    }
    shared.carried.lock().unwrap().push(carried);
    client.shutdown(Shutdown::Both)
}

/// Carries a request's body, as long as there is some.
fn upload(from: &mut BufReader<&TcpStream>, mut server: &TcpStream, fault: Option<&Fault>, sent: &mut u64) {
    let mut left = if let Some(Fault::CutRequest(bytes)) = fault { *bytes } else { usize::MAX };
    let mut piece = [0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        let count = count.min(left);
        left -= count;
        *sent += count as u64;
        if server.write_all(&piece[..count]).is_err() || left == 0 {
            break;
        }
    }
    if left == 0 {
        // Both sides see it; the server has nothing to answer to any more.
        let _ = server.shutdown(Shutdown::Both).and(from.get_ref().shutdown(Shutdown::Both));
    }
}

fn change_request(request: &mut Head, fault: Option<&Fault>) {
    request.set("connection", Some("close".into()));
    let range = request.range();
    match (fault, range) {
        (Some(Fault::IgnoreRange), _) => request.set("range", None),
        (Some(Fault::OtherRange(by) | Fault::LyingRange(by)), Some((first, last))) => {
            request.set("range", Some(format!("bytes={}-{}", first + by, last + by)));
        }
        _ => {}
    }
}

fn answer(
    shared: &Shared,
    request: &mut Head,
    fault: Option<&Fault>,
    from: &mut BufReader<&TcpStream>,
    carried: &mut Carried,
) -> std::io::Result<()> {
    let mut client = *from.get_ref();
    if let Some(Fault::Status(status)) = fault {
        carried.status = *status;
        let body = "the proxy says no";
        return write!(
            client,
            "HTTP/1.1 {status} Fault\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    let instead = match fault {
        Some(Fault::Busy(seconds)) => Some((503, format!("retry-after: {seconds}"))),
        Some(Fault::Redirect(address)) => Some((302, format!("location: {address}"))),
        _ => None,
    };
    if let Some((status, header)) = instead {
        carried.status = status;
        return write!(
            client,
            "HTTP/1.1 {status} Instead\r\nconnection: close\r\n{header}\r\ncontent-length: 0\r\n\r\n"
        );
    }
    if let Some(Fault::Endless) = fault {
        carried.status = 200;
        client.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
        let piece = [b' '; 1 << 16];
        while carried.bytes < ENDLESS as u64 {
            client.write_all(&piece)?;
            carried.bytes += piece.len() as u64;
        }
        return Ok(());
    }
    let upstream = *shared.upstream.lock().unwrap();
    let server = TcpStream::connect(upstream)?;
    server.set_read_timeout(Some(SILENCE))?;
    request.write(&mut &server)?;
    let mut body = Vec::new();
    let head = std::thread::scope(|scope| {
        if request.get("transfer-encoding").is_some()
            || request.get("content-length").is_some_and(|n| n != "0")
        {
            scope.spawn(|| upload(from, &server, fault, &mut carried.sent));
        }
        let mut answer = BufReader::new(&server);
        let head = Head::read(&mut answer).and_then(|head| answer.read_to_end(&mut body).map(|_| head));
        // Wakes who still waits for the request's body; the answer can be sent all the same.
        client.shutdown(Shutdown::Read).and(head)
    });
    let Some(mut head) = head? else { return Ok(()) };
    carried.status = head.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let mut send = body.len();
    match fault {
        Some(Fault::CutAfter(bytes) | Fault::Hang(bytes)) => send = (*bytes).min(send),
        Some(Fault::Header(name, value)) => head.set(name, Some(value.clone())),
        Some(Fault::Short(bytes)) => {
            body.truncate(send.saturating_sub(*bytes));
            send = body.len();
        }
        Some(Fault::Long(bytes)) => {
            body.resize(send + bytes, b' ');
            send = body.len();
        }
        Some(Fault::Flip(offset)) => {
            if let Some(byte) = body.get_mut(*offset) {
                *byte ^= 1;
            }
        }
        Some(Fault::LyingRange(_)) => {
            let total = head.get("content-range").and_then(|range| range.split('/').nth(1)).unwrap_or("*");
            let (first, last) = carried.range.unwrap_or_default();
            let claimed = format!("bytes {first}-{last}/{total}");
            head.set("content-range", Some(claimed));
        }
        _ => {}
    }
    head.set("content-length", Some(body.len().to_string()));
    head.set("connection", Some("close".into()));
    head.write(&mut client)?;
    let (step, pause) = match fault {
        Some(Fault::Slow(step, pause)) => (*step, Duration::from_millis(*pause)),
        _ => (1 << 16, Duration::ZERO),
    };
    for piece in body[..send].chunks(step) {
        client.write_all(piece)?;
        carried.bytes += piece.len() as u64;
        shared.bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    if let Some(Fault::Hang(_)) = fault {
        // The client's end cannot be seen: its direction is shut.
        std::thread::sleep(SILENCE);
    }
    Ok(())
}
