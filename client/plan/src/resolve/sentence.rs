//! Sentences about layers, those of several versions told as one.

use super::facts::{Facts, Key};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Sentences that are told; a person reads no more.
const MOST: usize = 12;
/// Versions that are told one by one.
const MOST_VERSIONS: usize = 3;

/// Why something that is installed stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It was asked for.
    Asked,
    /// It is held.
    Held,
}

/// What is said of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// It needs this.
    Needs(String),
    /// It declares a conflict with these versions of one layer.
    Conflicts(Key<'a>, Vec<&'a str>),
    /// A system has one of their kind.
    Shares(Key<'a>),
}

enum Sentence<'a> {
    About { subject: Key<'a>, versions: Vec<&'a str>, said: Said<'a> },
    Remark(String),
}

/// See the module.
#[derive(Default)]
pub(super) struct Sentences<'a> {
    list: Vec<Sentence<'a>>,
    conclusions: Vec<String>,
    roles: Vec<(&'a Facts, Role)>,
}

/// Roles that were not told yet.
type Untold<'a> = BTreeMap<Key<'a>, (&'a Facts, Role)>;

impl<'a> Sentences<'a> {
    /// Names why a layer stays; told where it is named first.
    pub(super) fn has_role(&mut self, facts: &'a Facts, role: Role) {
        self.roles.push((facts, role));
    }

    /// What stays, and why.
    pub(super) fn roles(&self) -> impl Iterator<Item = (Key<'a>, Role)> {
        self.roles.iter().map(|(facts, role)| (facts.key(), *role))
    }

    /// Says something of one version of a layer.
    pub(super) fn say(&mut self, of: &'a Facts, what: Said<'a>) {
        let same = self.list.iter_mut().find_map(|sentence| match sentence {
            Sentence::About { subject, versions, said } if *subject == of.key() && *said == what => {
                Some(versions)
            }
            _ => None,
        });
        match same {
            Some(versions) if versions.contains(&of.version.as_str()) => {}
            Some(versions) => versions.push(&of.version),
            None => {
                let versions = Vec::from([of.version.as_str()]);
                self.list.push(Sentence::About { subject: of.key(), versions, said: what });
            }
        }
    }

    /// Says something once.
    pub(super) fn remark(&mut self, text: String) {
        if !self.list.iter().any(|sentence| matches!(sentence, Sentence::Remark(known) if *known == text)) {
            self.list.push(Sentence::Remark(text));
        }
    }

    /// Says something once, at the end.
    pub(super) fn conclude(&mut self, text: String) {
        if !self.conclusions.contains(&text) {
            self.conclusions.push(text);
        }
    }

    /// Makes one sentence of conflicts of the same versions with several versions of another layer.
    fn join_conflicts(&mut self) {
        let mut joined: Vec<Sentence<'a>> = Vec::new();
        for sentence in core::mem::take(&mut self.list) {
            let same = match &sentence {
                Sentence::About { subject, versions, said: Said::Conflicts(with, others) } => {
                    joined.iter_mut().find_map(|known| match known {
                        Sentence::About { subject: s, versions: v, said: Said::Conflicts(w, all) } => {
                            ((*s, &*v, *w) == (*subject, versions, *with)).then_some((all, others))
                        }
                        _ => None,
                    })
                }
                _ => None,
            };
            match same {
                Some((all, others)) => all.extend(others),
                None => joined.push(sentence),
            }
        }
        self.list = joined;
    }

    /// The sentences.
    pub(super) fn texts(mut self) -> Vec<String> {
        self.join_conflicts();
        let mut untold: Untold<'a> =
            self.roles.iter().map(|(facts, role)| (facts.key(), (*facts, *role))).collect();
        let mut texts: Vec<String> = self.list.iter().map(|sentence| sentence.text(&mut untold)).collect();
        texts.extend(untold.into_values().map(|(Facts { name, version, .. }, role)| match role {
            Role::Asked => alloc::format!("{name} {version} is there because you asked for it"),
            Role::Held => alloc::format!("{name} {version} is held"),
        }));
        texts.extend(self.conclusions);
        if let Some(more @ 1..) = texts.len().checked_sub(MOST) {
            texts.truncate(MOST);
            texts.push(alloc::format!("and {more} more reasons"));
        }
        texts
    }
}

impl<'a> Sentence<'a> {
    fn text(&self, untold: &mut Untold<'a>) -> String {
        let (subject, versions, said) = match self {
            Self::Remark(text) => return text.clone(),
            Self::About { subject, versions, said } => (*subject, versions, said),
        };
        let mut text = named(subject.1, versions);
        let verb =
            |one: &'static str, many| if (2..=MOST_VERSIONS).contains(&versions.len()) { many } else { one };
        let aside = aside(untold.remove(&subject));
        text.push_str(aside);
        if !aside.is_empty() {
            text.push(',');
        }
        text.push_str(&match said {
            Said::Needs(what) => alloc::format!(" {} {what}", verb("needs", "need")),
            Said::Conflicts(with, versions) => {
                let aside = self::aside(untold.remove(with));
                alloc::format!(" {} with {}{aside}", verb("conflicts", "conflict"), named(with.1, versions))
            }
            Said::Shares(with) => {
                let aside = self::aside(untold.remove(with));
                alloc::format!(" cannot stand beside {}{aside}: a system has one {}", with.1, with.0)
            }
        });
        text
    }
}

fn aside(role: Option<(&Facts, Role)>) -> &'static str {
    match role {
        None => "",
        Some((_, Role::Asked)) => ", which you asked for",
        Some((_, Role::Held)) => ", which is held",
    }
}

/// `web 1`, `web 1 and 2`, `web in 9 versions (1 to 9)`.
fn named(name: &str, versions: &[&str]) -> String {
    let mut sorted = versions.to_vec();
    sorted.sort_by(|a, b| crate::version::compare(a, b));
    match sorted.as_slice() {
        [] => name.to_string(),
        [one] => alloc::format!("{name} {one}"),
        [first, .., last] if sorted.len() > MOST_VERSIONS => {
            alloc::format!("{name} in {} versions ({first} to {last})", sorted.len())
        }
        [before @ .., last] => alloc::format!("{name} {} and {last}", before.join(", ")),
    }
}
