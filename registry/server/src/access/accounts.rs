//! The htpasswd file: `NAME:HASH` lines with bcrypt hashes, as `htpasswd -B` and Docker's registry have them.
//!
//! The file is read again when it has changed. bcrypt is slow on purpose, so a password that was right is remembered for
//! a minute (as a keyed hash), checks run on other threads and no more at a time than there are processors, and an address
//! may cause only so many. A name that nobody has costs as much time as a wrong password.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::Semaphore;

use crate::limits::AddressRate;

/// How long a right password is remembered: how long one that was taken away may still work.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Passwords remembered at a time.
const MOST_REMEMBERED: usize = 4096;
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of the file that are read.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;
/// How long a check may wait for a processor.
const PATIENCE: Duration = Duration::from_secs(5);
/// One more check for an address that has used its burst.
const ANOTHER_CHECK: Duration = Duration::from_secs(2);
/// Salt and hash of no password.
const NO_PASSWORD: &str = "abcdefghijklmnopqrstuu0aHHoEmvgekL6BO8ssX6MmZi8RSzvN2";
/// What `htpasswd` and others take, for a file without accounts.
const USUAL_COST: u32 = 10;

/// What the file says.
struct Hashes {
    by_name: HashMap<String, String>,
    /// What a name that nobody has is checked against: of no password, and of the highest cost in the file, so that it takes as
    /// long as a name that somebody has.
    nobody: String,
}

/// The accounts of a server.
pub(super) struct Accounts {
    path: PathBuf,
    read: Mutex<Reading>,
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
    remembering: Hmac<Sha256>,
    rate: AddressRate,
    processors: Arc<Semaphore>,
}

struct Reading {
    hashes: Arc<Hashes>,
    stamp: Stamp,
    looked: Instant,
}

/// What tells that a file is another one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<SystemTime>, u64);

/// Why accounts cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {0} is not NAME:HASH with a bcrypt hash; write it with: htpasswd -B")]
    Line(usize),
    #[error(
        "line {0} gives a name that rules use otherwise (*, anonymous, @…), or one that was there before"
    )]
    Name(usize),
}

/// What became of a password check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// The address has caused too many checks.
    TooMany,
    /// No processor was free for long.
    Busy,
}

impl Accounts {
    /// Reads the file. `burst` checks may be caused by one address at once.
    pub(super) fn open(path: &Path, burst: u32) -> Result<Self, FileError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let stamp = stamp(path)?;
        let reading = Reading { hashes: Arc::new(parse(&read(path)?)?), stamp, looked: Instant::now() };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            path: path.to_owned(),
            read: Mutex::new(reading),
            remembered: Mutex::default(),
            // HMAC takes keys of any length.
            remembering: Hmac::new_from_slice(&key).map_err(io::Error::other)?,
            rate: AddressRate::new(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN), ANOTHER_CHECK),
            processors: Arc::new(Semaphore::new(processors)),
        })
    }

    /// Checks a password that came from an address.
    pub(super) async fn check(&self, name: &str, password: &str, from: IpAddr) -> Verdict {
        let hashes = self.hashes();
        let hash = hashes.by_name.get(name);
        // With the hash in it, a changed password is another one.
        let mark = self.mark(&[name, password, hash.map_or("", String::as_str)]);
        if hash.is_some() && lock(&self.remembered).get(&mark).is_some_and(|until| *until > Instant::now()) {
            return Verdict::Right;
        }
        if !self.rate.admits(from) {
            return Verdict::TooMany;
        }
        let processor = Arc::clone(&self.processors).acquire_owned();
        let Ok(Ok(processor)) = tokio::time::timeout(PATIENCE, processor).await else {
            return Verdict::Busy;
        };
        let (password, against) = (password.to_owned(), hash.unwrap_or(&hashes.nobody).to_owned());
        let check = move || {
            let matches = bcrypt::verify(password, &against).unwrap_or(false);
            // Only now: the check goes on when whoever asked goes away.
            drop(processor);
            matches
        };
        let matches = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        if hash.is_none() || !matches {
            return Verdict::Wrong;
        }
        self.remember(mark);
        Verdict::Right
    }

    /// A keyed hash of texts, which cannot be mistaken for each other: lengths go in too.
    fn mark(&self, texts: &[&str]) -> [u8; 32] {
        let mut mac = self.remembering.clone();
        for text in texts {
            mac.update(&(text.len() as u64).to_le_bytes());
            mac.update(text.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    fn remember(&self, mark: [u8; 32]) {
        let now = Instant::now();
        let mut remembered = lock(&self.remembered);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, until| *until > now);
        }
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(mark, now + REMEMBERED);
        }
    }

    /// What the file says, read again if it has changed. One that became unreadable leaves all as it was.
    fn hashes(&self) -> Arc<Hashes> {
        let mut reading = lock(&self.read);
        if reading.looked.elapsed() >= LOOK {
            reading.looked = Instant::now();
            let renew = |reading: &mut Reading| -> Result<(), FileError> {
                let stamp = stamp(&self.path)?;
                if stamp != reading.stamp {
                    reading.hashes = Arc::new(parse(&read(&self.path)?)?);
                    reading.stamp = stamp;
                    tracing::info!(path = %self.path.display(), accounts = reading.hashes.by_name.len(), "read the accounts again");
                }
                Ok(())
            };
            if let Err(error) = renew(&mut reading) {
                tracing::error!(path = %self.path.display(), %error, "the accounts stay as they were");
            }
        }
        Arc::clone(&reading.hashes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    Ok(Stamp(meta.modified().ok(), meta.len()))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> Result<Hashes, FileError> {
    let (mut by_name, mut highest) = (HashMap::new(), None);
    for (at, line) in text.lines().enumerate() {
        let (line, number) = (line.trim(), at + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, hash) = line.split_once(':').ok_or(FileError::Line(number))?;
        let parts = hash.parse::<bcrypt::HashParts>().map_err(|_| FileError::Line(number))?;
        if name.is_empty() {
            return Err(FileError::Line(number));
        }
        highest = highest.max(Some(parts.get_cost()));
        let taken = matches!(name, "*" | "anonymous") || name.starts_with('@');
        if taken || by_name.insert(name.to_owned(), hash.to_owned()).is_some() {
            return Err(FileError::Name(number));
        }
    }
    let nobody = format!("$2b${:02}${NO_PASSWORD}", highest.unwrap_or(USUAL_COST));
    Ok(Hashes { by_name, nobody })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::task::Poll;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn line(name: &str, password: &str) -> String {
        // The least cost that there is.
        format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
    }

    #[test]
    fn lines_are_checked() {
        let good = line("ann", "x");
        assert_eq!(parse(&format!("# people\n\n{good}")).unwrap().by_name.len(), 1);
        for bad in ["ann", "ann:", "ann:secret", ":$2b$", "ann:{SHA}x", "ann:$apr1$x$y", &good[3..]] {
            assert!(matches!(parse(bad).err(), Some(FileError::Line(1))), "{bad}");
        }
        for name in ["*", "anonymous", "@dev"] {
            assert!(matches!(parse(&line(name, "x")).err(), Some(FileError::Name(1))), "{name}");
        }
        assert!(matches!(parse(&(good.clone() + &good)).err(), Some(FileError::Name(2))));
    }

    #[test]
    fn an_unknown_name_costs_as_much_as_a_known_one() {
        let dear = format!("bob:{}\n", bcrypt::hash("x", 6).unwrap());
        for (file, cost) in [(String::new(), 10), (line("ann", "x"), 4), (line("ann", "x") + &dear, 6)] {
            let nobody = parse(&file).unwrap().nobody;
            assert_eq!(nobody.parse::<bcrypt::HashParts>().unwrap().get_cost(), cost, "{file}");
            assert!(matches!(bcrypt::verify("x", &nobody), Ok(false)));
        }
    }

    #[tokio::test]
    async fn a_check_keeps_its_processor_when_whoever_asked_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        // Dear enough to be still under way when it is looked for.
        fs::write(&path, format!("ann:{}\n", bcrypt::hash("right", 12).unwrap())).unwrap();
        let accounts = Accounts::open(&path, 4).unwrap();
        let all = accounts.processors.available_permits();
        {
            let mut check = std::pin::pin!(accounts.check("ann", "wrong", HERE));
            let begun = std::future::poll_fn(|context| Poll::Ready(check.as_mut().poll(context)));
            assert!(begun.await.is_pending());
        }
        assert_eq!(accounts.processors.available_permits(), all - 1);
        let back = accounts.processors.acquire_many(all as u32);
        assert!(tokio::time::timeout(Duration::from_secs(60), back).await.is_ok());
    }

    #[tokio::test]
    async fn passwords_are_checked_and_guessing_is_slowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        fs::write(&path, line("ann", "right") + &line("bob", "other")).unwrap();
        let accounts = Accounts::open(&path, 4).unwrap();
        assert_eq!(accounts.check("ann", "right", HERE).await, Verdict::Right);
        for (name, password) in [("ann", "other"), ("ann", ""), ("eve", "right")] {
            assert_eq!(accounts.check(name, password, HERE).await, Verdict::Wrong, "{name}");
        }
        // Four checks were made: another one is not, even of the right password ...
        assert_eq!(accounts.check("bob", "other", HERE).await, Verdict::TooMany);
        // ... but what is remembered needs none, and another address has its own.
        assert_eq!(accounts.check("ann", "right", HERE).await, Verdict::Right);
        assert_eq!(accounts.check("bob", "other", IpAddr::V4(Ipv4Addr::BROADCAST)).await, Verdict::Right);
    }

    #[tokio::test]
    async fn a_changed_file_counts_and_a_broken_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        fs::write(&path, line("ann", "right")).unwrap();
        let accounts = Accounts::open(&path, 100).unwrap();
        assert_eq!(accounts.check("ann", "right", HERE).await, Verdict::Right);
        let look_again = || lock(&accounts.read).looked -= LOOK;
        fs::write(&path, "nonsense\n").unwrap();
        look_again();
        assert_eq!(accounts.check("ann", "right", HERE).await, Verdict::Right);
        fs::write(&path, line("ann", "new") + "# changed\n").unwrap();
        look_again();
        assert_eq!(accounts.check("ann", "right", HERE).await, Verdict::Wrong);
        assert_eq!(accounts.check("ann", "new", HERE).await, Verdict::Right);
        fs::write(&path, line("bob", "new")).unwrap();
        look_again();
        assert_eq!(accounts.check("ann", "new", HERE).await, Verdict::Wrong);
    }
}
