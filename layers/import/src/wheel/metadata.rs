//! METADATA and WHEEL of a wheel in the words of a descriptor.

use crate::facts::Facts;

/// What they say.
pub(super) fn facts(metadata: &str, wheel: &str) -> Result<Facts, String> {
    let field = |name: &str| field(metadata, name);
    let required = |name: &str| field(name).ok_or_else(|| format!("its METADATA has no {name}"));
    let arch = arch(wheel)?;
    Ok(Facts {
        kind: Some("package".into()),
        name: Some(normalised(required("Name")?)),
        version: Some(required("Version")?.to_owned()),
        abi: (arch != "any").then(|| "linux".to_owned()),
        arch: Some(arch.to_owned()),
        summary: field("Summary").map(str::to_owned),
        license: field("License-Expression").map(str::to_owned),
        homepage: field("Home-page").map(str::to_owned),
        depends: Vec::new(),
    })
}

/// How many programs an installer would make.
pub(super) fn scripts(entry_points: &str) -> usize {
    let mut section = "";
    let mut count = 0;
    for line in entry_points.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if ["[console_scripts]", "[gui_scripts]"].contains(&section) && line.contains('=') {
            count += 1;
        }
    }
    count
}

/// A field of the header, which ends at the first empty line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lines = text.lines().take_while(|line| !line.is_empty());
    let mut fields =
        lines.filter(|line| !line.starts_with([' ', '\t'])).filter_map(|line| line.split_once(':'));
    fields
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

/// The name as Python's index spells it (PEP 503): lower case, runs of `-_.` are one `-`.
fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// The architecture of the wheel's platform tags, which are alternatives for one.
fn arch(wheel: &str) -> Result<&'static str, String> {
    let tags = wheel.lines().filter_map(|line| line.strip_prefix("Tag:"));
    let platforms: Vec<&str> = tags.filter_map(|tag| tag.trim().rsplit('-').next()).collect();
    let of = |platform: &&str| match *platform {
        "any" => Some("any"),
        platform if !platform.contains("linux") => None,
        platform if platform.ends_with("x86_64") => Some("amd64"),
        platform if platform.ends_with("aarch64") => Some("arm64"),
        platform if platform.ends_with("riscv64") => Some("riscv64"),
        _ => None,
    };
    platforms.iter().find_map(of).ok_or_else(|| {
        format!(
            "it is for {}, which no layer can say",
            if platforms.is_empty() { "no platform".into() } else { platforms.join(", ") }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_facts() {
        let metadata = "Metadata-Version: 2.1\nName: Zope._Interface\nVersion: 5.0+x\nSummary: one line\n\nName: not this\n";
        let found = facts(metadata, "Wheel-Version: 1.0\nTag: py3-none-any\n").unwrap();
        assert_eq!(
            (found.name.as_deref(), found.version.as_deref()),
            (Some("zope-interface"), Some("5.0+x"))
        );
        assert_eq!((found.arch.as_deref(), found.abi), (Some("any"), None));
        assert!(facts("Name: a\n", "Tag: py3-none-any\n").is_err());
    }

    #[test]
    fn platforms_are_architectures() {
        assert_eq!(
            arch("Tag: cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\n"),
            Ok("amd64")
        );
        assert_eq!(arch("Tag: cp311-cp311-musllinux_1_1_aarch64\n"), Ok("arm64"));
        for none in ["Tag: cp311-cp311-win_amd64\n", "Tag: cp311-cp311-macosx_11_0_x86_64\n", ""] {
            assert!(arch(none).is_err(), "{none}");
        }
    }

    #[test]
    fn programs_of_entry_points_are_counted() {
        assert_eq!(scripts("[console_scripts]\na = b:c\nd=e:f\n\n[other]\nx = y\n[gui_scripts]\ng = h\n"), 3);
        assert_eq!(scripts(""), 0);
    }
}
