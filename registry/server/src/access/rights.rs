//! What can be done, to what, in the words of tokens: `repository:NAME:pull,push`.

use std::fmt;

use crate::config::RightName as Name;

/// One thing that can be done.
pub(crate) use crate::config::RightName as Right;

/// Every right there is.
pub(crate) const ALL: [Right; 3] = [Name::Pull, Name::Push, Name::Delete];

impl Right {
    /// The word of a scope.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights(u8);

impl Rights {
    pub(super) fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u8) != 0
    }

    pub(super) fn with(self, right: Right) -> Self {
        Self(self.0 | (1 << right as u8))
    }

    /// From the words of a scope; `*` is all of them, and other words give nothing.
    pub(super) fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        words.into_iter().fold(Self::default(), |rights, word| match word {
            "*" => ALL.into_iter().collect(),
            word => ALL
                .into_iter()
                .find(|right| right.as_str() == word)
                .map_or(rights, |right| rights.with(right)),
        })
    }

    pub(super) fn words(self) -> Vec<&'static str> {
        ALL.into_iter().filter(|right| self.has(*right)).map(Right::as_str).collect()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::default(), Self::with)
    }
}

/// What something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    /// A repository, by name.
    Repository(&'a str),
    /// A catalog, by name.
    Catalog(&'a str),
}

impl<'a> Resource<'a> {
    /// The type of a scope.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Repository(_) => "repository",
            Self::Catalog(_) => "catalog",
        }
    }

    /// The name of a scope.
    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Repository(name) | Self::Catalog(name) => name,
        }
    }

    /// From type and name of a scope.
    pub(super) fn of(kind: &str, name: &'a str) -> Option<Self> {
        match kind {
            "repository" => Some(Self::Repository(name)),
            "catalog" => Some(Self::Catalog(name)),
            _ => None,
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}
