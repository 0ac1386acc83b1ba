//! The rules, compiled. [`Policy::allows`] is the one place that says who may do what.
//!
//! Rules only add up, and what no rule gives nobody has. Without a rule and with the usual switches that is: anyone
//! reads, nobody writes; whoever has an account but no rule may do what anyone may.

use std::collections::HashSet;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::AccessError;
use super::rights::{ALL, Resource, Right, Rights};
use crate::config::{Config, Rule};

/// How a rule names catalogs.
const CATALOG: &str = "catalog:";

/// Who may do what.
pub(super) struct Policy {
    anyone: Rights,
    rules: Vec<Compiled>,
}

struct Compiled {
    anonymous: bool,
    every_account: bool,
    accounts: HashSet<String>,
    repositories: GlobSet,
    catalogs: GlobSet,
    /// Whether a pattern takes in every repository there can be.
    all_repositories: bool,
    rights: Rights,
}

impl Policy {
    pub(super) fn compile(config: &Config) -> Result<Self, AccessError> {
        let anyone = ALL.into_iter().filter(|right| match right {
            // Who may push must see what is there, as clients do before they push.
            Right::Pull => config.anonymous_pull || config.anonymous_push,
            Right::Push | Right::Delete => config.anonymous_push,
        });
        let compile = |(at, rule): (usize, &Rule)| {
            compile(rule, config).map_err(|why| AccessError::Rule { number: at + 1, why })
        };
        let rules: Result<_, _> = config.access.rules.iter().enumerate().map(compile).collect();
        Ok(Self { anyone: anyone.collect(), rules: rules? })
    }

    /// Whether an account (`None`: anyone) may do this.
    pub(super) fn allows(&self, account: Option<&str>, right: Right, resource: Resource<'_>) -> bool {
        self.anyone.has(right)
            || self
                .rules
                .iter()
                .any(|rule| rule.rights.has(right) && rule.is_for(account) && rule.takes_in(resource))
    }

    /// Whether an account may read every repository, those to come too.
    pub(super) fn allows_reading_all(&self, account: Option<&str>) -> bool {
        let rule =
            |rule: &Compiled| rule.rights.has(Right::Pull) && rule.is_for(account) && rule.all_repositories;
        self.anyone.has(Right::Pull) || self.rules.iter().any(rule)
    }
}

impl Compiled {
    fn is_for(&self, account: Option<&str>) -> bool {
        match account {
            None => self.anonymous,
            // What anyone may, an account may.
            Some(name) => self.anonymous || self.every_account || self.accounts.contains(name),
        }
    }

    fn takes_in(&self, resource: Resource<'_>) -> bool {
        match resource {
            Resource::Repository(name) => self.repositories.is_match(name),
            Resource::Catalog(name) => self.catalogs.is_match(name),
        }
    }
}

fn compile(rule: &Rule, config: &Config) -> Result<Compiled, String> {
    let mut accounts = HashSet::new();
    for who in &rule.who {
        match who.strip_prefix('@') {
            Some(group) => {
                let members = config.access.groups.get(group);
                accounts.extend(members.ok_or(format!("there is no group '{group}'"))?.iter().cloned());
            }
            None => drop(accounts.insert(who.clone())),
        }
    }
    let (mut repositories, mut catalogs) = (GlobSetBuilder::new(), GlobSetBuilder::new());
    for pattern in &rule.repositories {
        match pattern.strip_prefix(CATALOG) {
            Some(pattern) => catalogs.add(glob(pattern)?),
            None => repositories.add(glob(pattern)?),
        };
    }
    let build = |set: GlobSetBuilder| set.build().map_err(|error| error.to_string());
    Ok(Compiled {
        anonymous: accounts.remove("anonymous"),
        every_account: accounts.remove("*"),
        accounts,
        repositories: build(repositories)?,
        catalogs: build(catalogs)?,
        all_repositories: rule.repositories.iter().any(|pattern| pattern == "**"),
        rights: rule.rights.iter().copied().collect(),
    })
}

fn glob(pattern: &str) -> Result<Glob, String> {
    GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Resource::{Catalog, Repository};
    use Right::{Delete, Pull, Push};

    fn rule(who: &[&str], repositories: &[&str], rights: &[Right]) -> Rule {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Rule { who: texts(who), repositories: texts(repositories), rights: rights.to_vec() }
    }

    fn policy(change: impl FnOnce(&mut Config)) -> Policy {
        let mut config = Config::new("");
        config.anonymous_pull = false;
        config.access.groups.insert("dev".to_owned(), vec!["ann".to_owned(), "bob".to_owned()]);
        change(&mut config);
        Policy::compile(&config).unwrap()
    }

    #[test]
    fn by_itself_anyone_reads_and_nobody_writes() {
        let usual = Policy::compile(&Config::new("")).unwrap();
        for account in [None, Some("ann")] {
            assert!(
                usual.allows(account, Pull, Repository("a")) && usual.allows(account, Pull, Catalog("a"))
            );
            assert!(
                !usual.allows(account, Push, Repository("a"))
                    && !usual.allows(account, Delete, Repository("a"))
            );
        }
        let open = policy(|config| config.anonymous_push = true);
        assert!(ALL.into_iter().all(|right| open.allows(None, right, Repository("a"))));
        let closed = policy(|_| {});
        assert!(!ALL.into_iter().any(|right| closed.allows(Some("ann"), right, Repository("a"))));
        assert!(usual.allows_reading_all(None) && !closed.allows_reading_all(Some("ann")));
    }

    #[test]
    fn each_right_is_given_by_itself() {
        for given in ALL {
            let policy = policy(|config| config.access.rules = vec![rule(&["ann"], &["team/*"], &[given])]);
            for asked in ALL {
                assert_eq!(policy.allows(Some("ann"), asked, Repository("team/a")), asked == given);
                for (account, resource) in [
                    (None, Repository("team/a")),
                    (Some("bob"), Repository("team/a")),
                    (Some("ann"), Repository("team")),
                    (Some("ann"), Repository("team/a/b")),
                    (Some("ann"), Repository("teams/a")),
                    (Some("ann"), Repository("x/team/a")),
                    (Some("ann"), Catalog("team/a")),
                ] {
                    assert!(!policy.allows(account, asked, resource), "{account:?} {asked:?} {resource}");
                }
            }
        }
    }

    #[test]
    fn groups_everyone_and_anonymous() {
        let policy = policy(|config| {
            config.access.rules = vec![
                rule(&["@dev"], &["team/**", "catalog:main"], &[Push]),
                rule(&["*"], &["shared/**"], &[Pull]),
                rule(&["anonymous"], &["public"], &[Pull]),
                rule(&["ci"], &["**"], &[Pull]),
            ];
        });
        assert!(
            policy.allows(Some("bob"), Push, Repository("team/a/b"))
                && policy.allows(Some("ann"), Push, Catalog("main"))
        );
        assert!(
            !policy.allows(Some("eve"), Push, Repository("team/a"))
                && !policy.allows(Some("ann"), Push, Catalog("other"))
        );
        assert!(
            policy.allows(Some("eve"), Pull, Repository("shared/x"))
                && !policy.allows(None, Pull, Repository("shared/x"))
        );
        assert!(
            policy.allows(None, Pull, Repository("public"))
                && policy.allows(Some("eve"), Pull, Repository("public"))
        );
        assert!(policy.allows_reading_all(Some("ci")) && !policy.allows_reading_all(Some("eve")));
        // No account can be called like a group's mark.
        assert!(!policy.allows(Some("@dev"), Push, Repository("team/a")));
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_named() {
        let mut config = Config::new("");
        config.access.rules = vec![rule(&["ann"], &["a"], &[Pull]), rule(&["@none"], &["a"], &[Pull])];
        assert!(
            Policy::compile(&config).err().unwrap().to_string().contains("rule 2: there is no group 'none'")
        );
        config.access.rules = vec![rule(&["ann"], &["a["], &[Pull])];
        assert!(Policy::compile(&config).is_err());
    }
}
