//! Other people's servers on free ports of this machine: Debian's docker-registry and nginx.
//!
//! Both are set up to do no more than ours: no access log, no authentication, a folder as storage. nginx hands files to
//! the system (`sendfile`); all else is its default.

use crate::process::{self, Usage};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server, ended when dropped.
pub struct Server {
    child: Option<Child>,
    started: Instant,
    address: String,
}

impl Server {
    /// docker-registry (CNCF distribution) with its storage in an empty folder.
    pub fn docker_registry(folder: &Path) -> Result<Self> {
        crate::rivals::empty(folder)?;
        let address = free_address()?;
        let config = folder.join("config.yml");
        let storage = folder.join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            storage.display()
        );
        std::fs::write(&config, text).context("writing the configuration of docker-registry")?;
        let mut command = Command::new("docker-registry");
        Self::start(command.arg("serve").arg(config), address, folder)
    }

    /// nginx over the files of `root`, with its own files in an empty folder.
    pub fn nginx(folder: &Path, root: &Path) -> Result<Self> {
        crate::rivals::empty(folder)?;
        let address = free_address()?;
        let config = folder.join("nginx.conf");
        let own = folder.display();
        // Its workers would drop to a user who may not read the bench's folder; where it is not root, it says so and goes on.
        let text = format!(
            "user root;\ndaemon off;\nworker_processes auto;\npid {own}/nginx.pid;\nevents {{}}\n\
             http {{\n  access_log off;\n  sendfile on;\n  client_body_temp_path {own}/body;\n\
             \x20 server {{ listen {address}; root {}; }}\n}}\n",
            root.display()
        );
        std::fs::write(&config, text).context("writing the configuration of nginx")?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg(folder.join("server.log")).arg("-c").arg(config);
        Self::start(&mut command, address, folder)
    }

    fn start(command: &mut Command, address: String, folder: &Path) -> Result<Self> {
        let log = folder.join("server.log");
        let name = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).context("making a server's log")?)
            .spawn()
            .with_context(|| format!("starting {name}; `make bench` installs it"))?;
        let mut server = Self { child: Some(child), started, address };
        while TcpStream::connect(&server.address).is_err() {
            let ended = server.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || started.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("{name} does not listen on {}: {}", server.address, said.trim());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    /// `HOST:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends it; what it and its workers took in their whole life.
    pub fn end(mut self) -> Result<Usage> {
        let mut child = self.child.take().context("the server has ended already")?;
        process::end(&mut child, self.started)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = process::end(&mut child, self.started);
        }
    }
}

/// An address that was free a moment ago: neither server tells which port it got.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.to_string())
}
