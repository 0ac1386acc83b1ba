//! The control file of a Debian package (deb-control(5)) in the words of a descriptor.

use crate::facts::Facts;

/// What the control file says. With `depends` its dependencies too, which then must be of a form that a descriptor has.
pub(super) fn facts(control: &str, depends: bool) -> Result<Facts, String> {
    let field = |name: &str| field(control, name);
    let required = |name: &str| field(name).ok_or_else(|| format!("its control file has no {name}"));
    let arch = match required("Architecture")? {
        "all" => "any".to_owned(),
        arch => arch.to_owned(),
    };
    let mut needs = Vec::new();
    if depends {
        for list in ["Pre-Depends", "Depends"].into_iter().filter_map(field) {
            needs.extend(relations(list)?);
        }
    }
    Ok(Facts {
        kind: Some("package".into()),
        name: Some(required("Package")?.to_owned()),
        version: Some(required("Version")?.to_owned()),
        abi: (arch != "any").then(|| "linux".to_owned()),
        arch: Some(arch),
        summary: field("Description").map(str::to_owned),
        homepage: field("Homepage").map(str::to_owned),
        license: None,
        depends: needs,
    })
}

/// The first line of a field; names are compared without regard to case.
fn field<'a>(control: &'a str, name: &str) -> Option<&'a str> {
    // The first paragraph is the package's.
    let lines = control.lines().take_while(|line| !line.trim().is_empty());
    let mut fields =
        lines.filter(|line| !line.starts_with([' ', '\t', '#'])).filter_map(|line| line.split_once(':'));
    fields
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

/// A list like `libc6 (>= 2.36), python3:any` as relations.
fn relations(list: &str) -> Result<Vec<String>, String> {
    list.split(',').map(str::trim).filter(|need| !need.is_empty()).map(relation).collect()
}

fn relation(need: &str) -> Result<String, String> {
    let bad = || {
        format!(
            "it depends on `{need}`, which a descriptor cannot say; leave --take-depends out and use --depends"
        )
    };
    if need.contains('|') {
        return Err(bad());
    }
    let (name, version) = need.split_once('(').map_or((need, None), |(name, rest)| (name, Some(rest)));
    let name = name.trim();
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let Some(version) = version else { return Ok(name.to_owned()) };
    let version = version.trim_end().strip_suffix(')').ok_or_else(bad)?.trim();
    let digits = version.find(|c: char| !"<=>".contains(c)).ok_or_else(bad)?;
    let (operator, version) = version.split_at_checked(digits).ok_or_else(bad)?;
    let operator = match operator {
        "<<" => "<",
        ">>" => ">",
        "<=" | ">=" | "=" => operator,
        _ => return Err(bad()),
    };
    Ok(format!("{name} {operator} {}", version.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: &str = "Package: jq\nVersion: 1:1.6-2.1+deb12u1\nArchitecture: amd64\nDepends: libc6 (>= 2.34), libjq1 (= 1.6-2.1),\n\
        Description: lightweight JSON processor\n long text\nhomepage: https://example.org\n\nPackage: other\n";

    #[test]
    fn fields_become_facts() {
        let found = facts(CONTROL, true).unwrap();
        assert_eq!(
            (found.name.as_deref(), found.version.as_deref()),
            (Some("jq"), Some("1:1.6-2.1+deb12u1"))
        );
        assert_eq!((found.arch.as_deref(), found.abi.as_deref()), (Some("amd64"), Some("linux")));
        assert_eq!(found.summary.as_deref(), Some("lightweight JSON processor"));
        assert_eq!(found.homepage.as_deref(), Some("https://example.org"));
        assert_eq!(found.depends, ["libc6 >= 2.34", "libjq1 = 1.6-2.1"]);
        assert!(facts(CONTROL, false).unwrap().depends.is_empty());
        assert!(facts("Package: a\nVersion: 1\n", false).is_err());
    }

    #[test]
    fn a_package_for_all_is_for_any() {
        let found = facts("Package: a\nVersion: 1\nArchitecture: all\n", false).unwrap();
        assert_eq!((found.arch.as_deref(), found.abi), (Some("any"), None));
    }

    #[test]
    fn relations_in_each_form() {
        assert_eq!(relation("python3:any (<< 3.13)").unwrap(), "python3 < 3.13");
        assert_eq!(relation("a").unwrap(), "a");
        for bad in ["a | b", "a (>= 1", "a (~ 1)", "a ()"] {
            assert!(relation(bad).is_err(), "{bad}");
        }
    }
}
