//! A requirement on another layer: `NAME` or `NAME OP VERSION`.

use alloc::string::{String, ToString};
use core::cmp::Ordering;
use core::fmt;

/// How a version is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    const SPELLINGS: [(&'static str, Self); 6] = [
        ("=", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        (">", Self::Greater),
        (">=", Self::GreaterOrEqual),
    ];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::SPELLINGS.into_iter().find(|(spelling, _)| *spelling == text).map(|(_, operator)| operator)
    }

    fn as_str(self) -> &'static str {
        Self::SPELLINGS
            .into_iter()
            .find(|(_, operator)| *operator == self)
            .map_or("=", |(spelling, _)| spelling)
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A requirement. Its order is for maps and means nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// Name of a layer, or of something that a layer provides.
    pub name: String,
    /// Which versions will do; `None`: any.
    pub version: Option<(Operator, String)>,
}

impl Dependency {
    /// Parses `NAME` or `NAME OP VERSION` with single spaces; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let name = words.next().filter(|name| !name.is_empty())?;
        let version = match (words.next(), words.next(), words.next()) {
            (None, None, None) => None,
            (Some(operator), Some(version), None) if !version.is_empty() => {
                Some((Operator::parse(operator)?, version.to_string()))
            }
            _ => return None,
        };
        Some(Self { name: name.to_string(), version })
    }

    /// Whether `version` will do.
    pub fn accepts(&self, version: &str) -> bool {
        match &self.version {
            None => true,
            Some((operator, wanted)) => operator.holds(crate::version::compare(version, wanted)),
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some((operator, version)) => write!(f, " {} {version}", operator.as_str()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_round_trip() {
        for text in ["jq", "jq >= 1.6", "jq = 1", "jq != 1", "jq < 2", "jq <= 2", "jq > 1"] {
            assert_eq!(Dependency::parse(text).unwrap().to_string(), text);
        }
        for text in ["", " jq", "jq >=", "jq 1.6", "jq >= 1 2", "jq >> 1", "jq  >= 1"] {
            assert_eq!(Dependency::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn operators_hold_as_spelled() {
        let accepts = |text: &str, version: &str| Dependency::parse(text).unwrap().accepts(version);
        assert!(accepts("a", "0"));
        assert!(accepts("a >= 1.2", "1.10") && !accepts("a >= 1.2", "1.1"));
        assert!(accepts("a < 1.2", "1.2~rc1") && !accepts("a < 1.2", "1.2"));
        assert!(accepts("a != 1", "2") && !accepts("a != 1", "1"));
    }
}
