//! The parent of the server: it checks the folder, starts the server, and when that dies, takes the dead mount off and
//! mounts again, with a growing pause.
//!
//! A server that ends well was unmounted, by whomever: then this ends too. The server's stdin is a pipe from here, by
//! which it notices that its supervisor is gone.

use super::cli::{MountArgs, Role};
use super::log::say;
use super::place::{self, Manner};
use super::readiness;
use crate::target::Target;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_transfer::block_on;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// This program, even if its file was replaced meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Pause before the first new start.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that lived so long was well: the pauses begin anew.
const WELL: Duration = Duration::from_secs(60);
/// How long a server may go on after it was unmounted under people who are inside.
const GRACE: Duration = Duration::from_secs(5);

/// `pkg mount`: in the foreground, or by a process that stays when this one returns.
pub fn run(target: &Target, args: &MountArgs) -> Result<(), Failure> {
    if args.background {
        return start_detached(target, args);
    }
    supervise(target, args, |dir| {
        readiness::notify_systemd("READY=1");
        target.progress.step(&format!("{} shows {}.", dir.display(), target.path().display()));
    })
}

/// The process that stays.
pub fn run_detached(target: &Target, args: &MountArgs) -> Result<(), Failure> {
    // Without a terminal, and so without its signals. It fails only for who has none already.
    let _ = nix::unistd::setsid();
    let done = supervise(target, args, |_| readiness::tell(Ok(())));
    if let Err(failure) = &done {
        // Heard by who started this, if it was not ready yet.
        readiness::tell(Err(failure));
    }
    done
}

fn start_detached(target: &Target, args: &MountArgs) -> Result<(), Failure> {
    let log = match &args.log {
        Some(path) => {
            let opened = std::fs::File::options().create(true).append(true).open(path);
            Stdio::from(opened.or_fail(ExitCode::Failure, format_args!("opening {}", path.display()))?)
        }
        None => Stdio::null(),
    };
    let mut child = command(target, args, Role::Detached, &args.dir)?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .or_fail(ExitCode::Failure, "starting the process that stays")?;
    let heard = child.stdout.take().map_or(Ok(()), readiness::hear);
    if heard.is_err() {
        let _ = child.wait();
    }
    heard?;
    target.progress.step(&format!("{} shows {}.", args.dir.display(), target.path().display()));
    Ok(())
}

fn supervise(target: &Target, args: &MountArgs, ready: impl Fn(&Path)) -> Result<(), Failure> {
    let dir = place::prepare(&args.dir)?;
    block_on(async {
        let mut end = Ends::new()?;
        let (mut pause, mut is_first) = (FIRST_PAUSE, true);
        loop {
            let began = Instant::now();
            match start(target, args, &dir) {
                Ok(server) => {
                    if is_first {
                        ready(&dir);
                        is_first = false;
                    }
                    match end.of(server, &dir).await {
                        None => return Ok(()),
                        Some(status) => {
                            say(&format!("the server of {} ended ({status}); mounting again", dir.display()))
                        }
                    }
                }
                Err(failure) if is_first => return Err(failure),
                Err(failure) => say(&format!("mounting {} again: {failure}", dir.display())),
            }
            if began.elapsed() >= WELL {
                pause = FIRST_PAUSE;
            }
            // What the dead one left. There is nothing when it died before it had mounted.
            let _ = place::unmount(&dir, Manner::Lazy);
            if end.within(pause).await {
                return Ok(());
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    })
}

/// A server that answers the kernel already.
fn start(target: &Target, args: &MountArgs, dir: &Path) -> Result<Child, Failure> {
    let mut server = command(target, args, Role::Server, dir)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .or_fail(ExitCode::Failure, "starting the server of the mount")?;
    let heard = server.stdout.take().map_or(Ok(()), readiness::hear);
    if heard.is_err() {
        let _ = server.kill();
        let _ = server.wait();
    }
    heard.map(|()| server)
}

fn command(target: &Target, args: &MountArgs, role: Role, dir: &Path) -> Result<Command, Failure> {
    let absolute = |path: &Path| {
        std::path::absolute(path).or_fail(ExitCode::Usage, format_args!("finding {}", path.display()))
    };
    let mut command = Command::new(THIS_PROGRAM);
    command.arg("--store").arg(absolute(target.path())?).arg("mount").arg(absolute(dir)?);
    command.args(["--role", role.as_str(), "--cache", &args.cache.to_string()]);
    if args.allow_other {
        command.arg("--allow-other");
    }
    // systemd hears it from the supervisor, not from its children.
    command.env_remove("NOTIFY_SOCKET");
    Ok(command)
}

/// The signals by which this process is asked to end.
struct Ends {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Ends {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).or_fail(ExitCode::Failure, "listening to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Whether the end is asked for within this time.
    async fn within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.asked()).await.is_ok()
    }

    /// Waits for a server's end: `None` when it was unmounted, or this process is asked to end.
    async fn of(&mut self, mut server: Child, dir: &Path) -> Option<ExitStatus> {
        let (sender, mut ended) = mpsc::channel(1);
        let id = server.id();
        // The pipe stays open as long as this process waits: by its end the server knows of ours.
        let pipe = server.stdin.take();
        std::thread::spawn(move || {
            let status = server.wait();
            let _ = sender.blocking_send(status);
        });
        let status = tokio::select! {
            status = ended.recv() => status,
            () = self.asked() => {
                readiness::notify_systemd("STOPPING=1");
                let unmounted = place::unmount(dir, Manner::Whole).or_else(|_| place::unmount(dir, Manner::Lazy));
                if let Err(error) = unmounted {
                    say(&format!("unmounting {}: {error}", dir.display()));
                }
                drop(pipe);
                if tokio::time::timeout(GRACE, ended.recv()).await.is_err() {
                    say(&format!(
                        "{} is out of the tree; process {id} goes on until those who have something open there let go of it",
                        dir.display()
                    ));
                }
                return None;
            }
        };
        match status {
            Some(Ok(status)) if !status.success() => Some(status),
            _ => None,
        }
    }
}
