//! Why there is no plan, in sentences.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlan {
    /// Nothing has this name.
    NotFound {
        /// The name as given.
        name: String,
        /// Names that look like it.
        similar: Vec<String>,
    },
    /// It is offered, but in no version that was asked for.
    NoVersion {
        /// The request as given.
        name: String,
        /// Versions on offer, the newest first.
        offered: Vec<String>,
    },
    /// Several have the name.
    Ambiguous {
        /// The name as given.
        name: String,
        /// `KIND/NAME` of each.
        choices: Vec<String>,
    },
    /// It is offered, but not for this machine.
    WrongMachine {
        /// The name.
        name: String,
        /// What it is offered for.
        offered: Vec<String>,
        /// What this machine is.
        machine: String,
    },
    /// What was asked for cannot be, together with what is there.
    Impossible {
        /// What was asked for.
        wanted: Vec<String>,
        /// Sentences; none of them can be left out.
        because: Vec<String>,
        /// What would help.
        advice: Option<String>,
    },
    /// The search was ended before it came to an answer.
    TooHard,
    /// A layer that cannot go, because another needs it.
    StillNeeded {
        /// The layer.
        name: String,
        /// Who needs it.
        needed_by: String,
    },
}

/// How many versions or requests are named.
const NAMED: usize = 5;

impl fmt::Display for NoPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name, similar } if similar.is_empty() => {
                write!(
                    f,
                    "nothing is called '{name}'; `pkg update` fetches the newest catalog, `pkg search` looks in it"
                )
            }
            Self::NotFound { name, similar } => {
                write!(f, "nothing is called '{name}'; did you mean {}?", similar.join(", "))
            }
            Self::NoVersion { name, offered } => {
                let named: Vec<&str> = offered.iter().take(NAMED).map(String::as_str).collect();
                let more = if offered.len() > NAMED { ", …" } else { "" };
                write!(f, "'{name}' is not on offer; there is {}{more}", named.join(", "))
            }
            Self::Ambiguous { name, choices } => {
                write!(f, "several layers are called '{name}'; say which: {}", choices.join(", "))
            }
            Self::WrongMachine { name, offered, machine } => {
                write!(
                    f,
                    "'{name}' is offered for {} only, and this machine is {machine}",
                    offered.join(", ")
                )
            }
            Self::Impossible { wanted, because, advice } => {
                match wanted.as_slice() {
                    [] => f.write_str("there is no way to change what is installed")?,
                    [first, rest @ ..] if rest.len() >= NAMED => {
                        write!(f, "{first} with {} more cannot be installed", rest.len())?;
                    }
                    wanted => write!(f, "{} cannot be installed", wanted.join(" with "))?,
                }
                write!(f, ": {}", because.join("; "))?;
                advice.iter().try_for_each(|advice| write!(f, "; {advice}"))
            }
            Self::TooHard => {
                f.write_str("no plan was found within the set effort; ask for fewer layers at once, or for exact versions (NAME=VERSION)")
            }
            Self::StillNeeded { name, needed_by } => {
                write!(f, "'{name}' is needed by {needed_by}; remove that too, or keep both")
            }
        }
    }
}

impl core::error::Error for NoPlan {}
