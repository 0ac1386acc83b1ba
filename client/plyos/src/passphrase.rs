//! Passphrases of encrypted keys: from `--passphrase-file`, from `PLYOS_PASSPHRASE`, or asked for on the terminal.

use plyos_custody::keys::{Passphrase, Passphrases};
use plyos_report::{ExitCode, Failure};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The environment variable that may hold it.
const VARIABLE: &str = "PLYOS_PASSPHRASE";
/// Bytes of a passphrase file that are read: bounds what is named by mistake.
const MAX_LEN: u64 = 4096;

/// Where this run gets its passphrases from.
#[derive(Debug, Clone)]
pub struct Source {
    file: Option<PathBuf>,
}

impl Source {
    /// Of the command line's option.
    pub fn new(file: Option<&Path>) -> Self {
        Self { file: file.map(Path::to_owned) }
    }

    /// The passphrase for a key that is to be encrypted; on a terminal it is asked for twice.
    pub fn for_new(&self, what: &str) -> Result<Passphrase, Failure> {
        let failed = |reason: String| Failure::new(ExitCode::Usage, format!("encrypting {what}: {reason}"));
        if let Some(passphrase) = self.given().map_err(failed)? {
            return Ok(passphrase);
        }
        let first = ask(&format!("New passphrase for {what}: ")).map_err(failed)?;
        if *ask("The same again: ").map_err(failed)? != *first {
            return Err(failed("the two passphrases differ; nothing was written".into()));
        }
        Passphrase::new(first).ok_or_else(|| failed("the passphrase is empty".into()))
    }

    /// From file or environment, if one is given.
    fn given(&self) -> Result<Option<Passphrase>, String> {
        let text = match (&self.file, std::env::var(VARIABLE)) {
            (Some(path), _) => read(path)?,
            (None, Ok(text)) => Zeroizing::new(text),
            (None, Err(_)) => return Ok(None),
        };
        Passphrase::new(text).map(Some).ok_or_else(|| "the passphrase that was given is empty".into())
    }
}

impl Passphrases for Source {
    fn of(&self, path: &Path) -> Result<Passphrase, String> {
        if let Some(passphrase) = self.given()? {
            return Ok(passphrase);
        }
        let text = ask(&format!("Passphrase of {}: ", path.display()))?;
        Passphrase::new(text).ok_or_else(|| "the passphrase is empty".into())
    }
}

/// The first line of a file.
fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let failed = |error: std::io::Error| format!("reading the passphrase file {}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    // Room for all of it at once: growing would leave copies behind that are not cleared.
    let mut text = Zeroizing::new(String::with_capacity(MAX_LEN as usize));
    file.take(MAX_LEN).read_to_string(&mut text).map_err(failed)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, String> {
    if !std::io::stdin().is_terminal() {
        return Err(format!("a passphrase is needed; give --passphrase-file FILE or set {VARIABLE}"));
    }
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| format!("reading the passphrase: {error}"))
}
