//! Lines for people, with a level. Where they go is the image's business.

use core::fmt;

/// How much a line matters, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something is lost or refused.
    Error,
    /// Something is not as it should be; the system goes on.
    Warning,
    /// What was done.
    Info,
    /// What was done, in detail.
    Debug,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Info, Self::Debug];

    /// The word for it, as on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where lines go. It is called with locks of this crate free, but never from an interrupt.
pub trait Log {
    /// Takes one line, without a line break.
    fn line(&self, level: Level, text: fmt::Arguments<'_>);
}
