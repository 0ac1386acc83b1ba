//! `plyos login` and `plyos logout`: passwords of registries in the file that `plyos`, `pkg`, podman and skopeo read.

use clap::Args;
use plyos_report::{ExitCode, Failure, OrFail, Progress, print_json};
use plyos_transfer::auth_file::{AuthFile, Forgotten};
use plyos_transfer::{Credentials, Http, LoginState};
use serde_json::json;
use std::io::{IsTerminal, Read};

/// Longest password that is read.
const LONGEST: u64 = 4096;

/// `plyos login`
#[derive(Debug, Args)]
#[command(after_help = "The password is tried before it is kept, in REGISTRY_AUTH_FILE or else in
~/.config/plyos/auth.json, which nobody else can read. Without keeping anything:
PLYOS_REGISTRY_USER and PLYOS_REGISTRY_PASSWORD.
Examples:
  plyos login registry.example.org
  plyos login 127.0.0.1:5000 --username ci --password-stdin < password")]
pub struct Login {
    /// HOST or HOST:PORT
    pub registry: String,
    /// Account; asked for if missing
    #[arg(short, long, value_name = "NAME")]
    pub username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
}

/// `plyos logout`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plyos logout registry.example.org")]
pub struct Logout {
    /// HOST or HOST:PORT
    pub registry: String,
}

/// Tries a password and keeps it.
pub async fn login(args: &Login, progress: &Progress) -> Result<(), Failure> {
    let user = match &args.username {
        Some(user) => user.clone(),
        None => ask_user()?,
    };
    if user.is_empty() || user.contains(':') {
        let message = "an account's name is not empty and has no colon; give it with --username";
        return Err(Failure::new(ExitCode::Usage, message));
    }
    let credentials = Credentials { user, password: password(args)? };
    let state = Http::with_credentials(credentials.clone())?.login(&args.registry).await?;
    if state == LoginState::NotNeeded {
        let message = format!("{} asks for no login; nothing was kept", args.registry);
        return Err(Failure::new(ExitCode::Failure, message));
    }
    let file = AuthFile::ours().or_fail(ExitCode::Failure, "choosing a file for the password")?;
    file.keep(&args.registry, &credentials)
        .or_fail(ExitCode::Failure, format_args!("writing {}", file.path().display()))?;
    if progress.json() {
        print_json(&json!({"registry": args.registry, "user": credentials.user, "file": file.path()}));
    } else {
        progress.step(&format!(
            "logged in to {} as {}; kept in {}",
            args.registry,
            credentials.user,
            file.path().display()
        ));
    }
    Ok(())
}

/// Forgets a password.
pub fn logout(args: &Logout, progress: &Progress) -> Result<(), Failure> {
    let file = AuthFile::ours().or_fail(ExitCode::Failure, "choosing the file of passwords")?;
    let forgotten = file
        .forget(&args.registry)
        .or_fail(ExitCode::Failure, format_args!("changing {}", file.path().display()))?;
    match forgotten {
        Forgotten::NotThere => {
            let message = format!("{} holds no password of {}", file.path().display(), args.registry);
            Err(Failure::new(ExitCode::NotFound, message))
        }
        Forgotten::Gone if progress.json() => {
            print_json(&json!({"registry": args.registry, "file": file.path()}));
            Ok(())
        }
        Forgotten::Gone => {
            progress.step(&format!("logged out of {}", args.registry));
            Ok(())
        }
    }
}

fn ask_user() -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(ExitCode::Usage, "no account was named; give it with --username"));
    }
    plyos_report::prompt!("User name: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).or_fail(ExitCode::Failure, "reading the user name")?;
    Ok(line.trim().to_owned())
}

fn password(args: &Login) -> Result<String, Failure> {
    if args.password_stdin {
        let mut text = String::new();
        std::io::stdin()
            .take(LONGEST)
            .read_to_string(&mut text)
            .or_fail(ExitCode::Usage, "reading the password")?;
        let end = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(end);
        return Ok(text);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            ExitCode::Usage,
            "there is no terminal to ask for a password; use --password-stdin",
        ));
    }
    rpassword::prompt_password("Password: ").or_fail(ExitCode::Failure, "reading the password")
}
