//! Catalogs of 10,000 packages to solve: Debian's as `apt-cache dumpavail` tells it, or one that is made up.
//!
//! Each package is there in two versions. The newer one needs its sisters (`= VERSION`) in theirs, as packages of one source
//! do, so that an upgrade must move them together.

use plyos_ids::{Kind, LayerId};
use plyos_plan::dependency::{Dependency, Operator};
use plyos_plan::resolve::Facts;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Packages of a catalog.
const PACKAGES: usize = 10_000;
/// What makes a version newer.
const NEWER: &str = "+next";

/// A package in one version, as its source describes it.
#[derive(Debug, Clone, Default)]
struct Package {
    name: String,
    version: String,
    provides: Vec<Dependency>,
    depends: Vec<Dependency>,
    conflicts: Vec<Dependency>,
    replaces: Vec<Dependency>,
}

/// Debian's catalog, cut down to packages whose needs are met among each other. Of alternatives (`a | b`) the first counts.
pub fn of_debian(dump: &str) -> Vec<Facts> {
    let mut all: BTreeMap<String, Package> = BTreeMap::new();
    for stanza in dump.split("\n\n") {
        if let Some(package) = package_of(stanza) {
            all.entry(package.name.clone()).or_insert(package);
        }
    }
    let mut providers: BTreeMap<&str, &str> = BTreeMap::new();
    for package in all.values() {
        for provided in &package.provides {
            providers.entry(&provided.name).or_insert(&package.name);
        }
    }
    let mut wanted: VecDeque<&str> = VecDeque::new();
    let mut taken = BTreeSet::new();
    // Every sixth in the order of names begins, so that the end of the alphabet takes part.
    for name in all.keys().step_by(6) {
        if taken.len() >= PACKAGES {
            break;
        }
        wanted.push_back(name);
        while let Some(name) = wanted.pop_front() {
            let Some(package) = all.get(name).filter(|package| taken.insert(&package.name)) else { continue };
            for need in &package.depends {
                let own = all.contains_key(&need.name).then_some(need.name.as_str());
                wanted.extend(own.or_else(|| providers.get(need.name.as_str()).copied()));
            }
        }
    }
    let known =
        |need: &Dependency| all.contains_key(&need.name) || providers.contains_key(need.name.as_str());
    let packages = all.values().filter(|package| taken.contains(&package.name));
    packages
        .flat_map(|package| {
            let mut package = package.clone();
            package.depends.retain(known);
            two_versions(&package)
        })
        .collect()
}

fn package_of(stanza: &str) -> Option<Package> {
    let mut package = Package::default();
    for line in stanza.lines() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        match key {
            "Package" => package.name = value.to_owned(),
            "Version" => package.version = value.to_owned(),
            "Depends" | "Pre-Depends" => package.depends.extend(relations(value)),
            "Provides" => package.provides = relations(value),
            "Conflicts" | "Breaks" => package.conflicts.extend(relations(value)),
            "Replaces" => package.replaces = relations(value),
            _ => {}
        }
    }
    (!package.name.is_empty() && !package.version.is_empty()).then_some(package)
}

fn relations(text: &str) -> Vec<Dependency> {
    text.split(',').filter_map(|one| relation(one.split('|').next().unwrap_or(one).trim())).collect()
}

/// `NAME`, `NAME:ARCH` or `NAME (OP VERSION)`.
fn relation(text: &str) -> Option<Dependency> {
    let (name, limit) = text.split_once(' ').map_or((text, None), |(name, limit)| (name, Some(limit)));
    let name = name.split(':').next().unwrap_or(name);
    let limit = limit.map(|limit| limit.trim_matches(['(', ')']).replace("<<", "<").replace(">>", ">"));
    Dependency::parse(&limit.map_or_else(|| name.to_owned(), |limit| format!("{name} {limit}")))
}

/// A catalog with the degrees of Debian's: four needs each, mostly of few popular packages, some of a sister.
pub fn made_up() -> Vec<Facts> {
    let mut random = Random(1);
    let name = |number: usize| format!("p{number}");
    let at_least = |number: usize| Dependency {
        name: name(number),
        version: Some((Operator::GreaterOrEqual, "1".to_owned())),
    };
    let package = |number: usize| {
        let mut depends = BTreeSet::new();
        for _ in 0..number.min(4) {
            let popular = random.below(number.min(40));
            let any = random.below(number);
            depends.insert(if random.below(3) == 0 { any } else { popular });
        }
        let mut depends: Vec<Dependency> = depends.into_iter().map(at_least).collect();
        if number % 5 == 4 {
            let sister = (Operator::Equal, "1.0-1".to_owned());
            depends.push(Dependency { name: name(number - 1), version: Some(sister) });
        }
        let virtual_name = |group: usize| Dependency { name: format!("v{group}"), version: None };
        let provides = if number % 20 == 7 { vec![virtual_name(number / 100)] } else { Vec::new() };
        let conflicts = if number % 60 == 7 { provides.clone() } else { Vec::new() };
        if number > 200 && number % 11 == 3 {
            depends.push(virtual_name(random.below(number / 100)));
        }
        Package {
            name: name(number),
            version: "1.0-1".to_owned(),
            provides,
            depends,
            conflicts,
            replaces: Vec::new(),
        }
    };
    (0..PACKAGES).map(package).flat_map(|package| two_versions(&package)).collect()
}

/// The package, and a newer version of it.
fn two_versions(package: &Package) -> [Facts; 2] {
    let newer = |relation: &Dependency| {
        let version = relation.version.clone().map(|(operator, version)| match operator {
            Operator::Equal => (operator, version + NEWER),
            _ => (operator, version),
        });
        Dependency { name: relation.name.clone(), version }
    };
    let next = Package {
        version: format!("{}{NEWER}", package.version),
        provides: package.provides.iter().map(newer).collect(),
        depends: package.depends.iter().map(newer).collect(),
        ..package.clone()
    };
    [facts(package), facts(&next)]
}

fn facts(package: &Package) -> Facts {
    let Package { name, version, provides, depends, conflicts, replaces } = package.clone();
    let layer = LayerId::from_bytes(*blake3::hash(format!("{name} {version}").as_bytes()).as_bytes());
    let (kind, arch) = (Kind::Package, "any".to_owned());
    let (abi, compatible, upgrade_from) = (None, Vec::new(), None);
    Facts {
        kind,
        name,
        version,
        arch,
        abi,
        compatible,
        provides,
        depends,
        conflicts,
        replaces,
        upgrade_from,
        layer,
    }
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_fields() {
        let dump = "Package: app\nVersion: 1-2\nDepends: tls (>= 3), mail | exim, gone\n\n\
                    Package: tls\nVersion: 4\nProvides: ssl (= 4)\nBreaks: app (<< 1)\n\n\
                    Package: exim\nVersion: 9\nProvides: mail\n";
        let facts = of_debian(dump);
        let told = |facts: &Facts| {
            let list = |all: &[Dependency]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            format!("{} {}: {}; {}", facts.name, facts.version, list(&facts.depends), list(&facts.conflicts))
        };
        assert!(facts.iter().map(told).any(|text| text == "app 1-2+next: tls >= 3,mail; "));
        assert!(facts.iter().map(told).any(|text| text == "tls 4: ; app < 1"));
    }

    #[test]
    fn a_made_up_catalog_is_the_same_each_time() {
        let facts = made_up();
        assert_eq!(facts.len(), 2 * PACKAGES);
        assert_eq!(facts, made_up());
    }
}
