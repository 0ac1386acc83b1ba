//! Ownership maps: TOML with a table `[users]`, a table `[groups]`, or both.
//!
//! Keys are numbers or ranges (`"100000-165535"`), values what the (first) number becomes; `others` says what becomes of the rest:
//! `"keep"` (so without it), `"refuse"`, or a number. A table that is not there keeps all.

use plyos_layer_build::{IdMap, IdRange, Others, Owner};
use toml::Table;

/// Reads a map.
pub fn parse(text: &str) -> Result<Owner, String> {
    let table: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let (mut users, mut groups) = (IdMap::default(), IdMap::default());
    for (key, value) in &table {
        let map = match key.as_str() {
            "users" => &mut users,
            "groups" => &mut groups,
            _ => return Err(format!("`{key}` is not known; expected [users] or [groups]")),
        };
        let entries = value.as_table().ok_or_else(|| format!("`{key}` is no table"))?;
        *map = id_map(entries)?;
    }
    Ok(Owner::Map { users, groups })
}

fn id_map(entries: &Table) -> Result<IdMap, String> {
    let mut map = IdMap::default();
    for (key, value) in entries {
        let to = value.as_integer().and_then(|to| u32::try_from(to).ok());
        if key == "others" {
            map.others = match (value.as_str(), to) {
                (Some("keep"), _) => Others::Keep,
                (Some("refuse"), _) => Others::Refuse,
                (_, Some(to)) => Others::To(to),
                _ => return Err("`others` is none of \"keep\", \"refuse\" or a number".into()),
            };
            continue;
        }
        let (first, last) = key.split_once('-').unwrap_or((key, key));
        let range =
            first.trim().parse().ok().zip(last.trim().parse().ok()).filter(|(first, last)| first <= last);
        let (first, last) = range.ok_or_else(|| format!("`{key}` is no number and no range of numbers"))?;
        let to = to.ok_or_else(|| format!("what `{key}` becomes is no number"))?;
        map.ranges.push(IdRange { first, last, to });
    }
    map.ranges.sort_by_key(|range| range.first);
    let mut neighbours = map.ranges.iter().zip(map.ranges.iter().skip(1));
    if let Some((a, b)) = neighbours.find(|(a, b)| a.last >= b.first) {
        return Err(format!("{}-{} and {}-{} overlap", a.first, a.last, b.first, b.last));
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_users_and_groups() {
        let text = "[users]\n1000 = 0\n\"100000-165535\" = 0\nothers = \"refuse\"\n[groups]\nothers = 5\n";
        let Owner::Map { users, groups } = parse(text).unwrap() else { panic!() };
        assert_eq!(users.ranges[1], IdRange { first: 100_000, last: 165_535, to: 0 });
        assert_eq!((users.others, groups.others), (Others::Refuse, Others::To(5)));
        assert!(groups.ranges.is_empty());
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for text in [
            "[user]\n1 = 2",
            "users = 5",
            "[users]\nx = 1",
            "[users]\n\"9-5\" = 1",
            "[users]\n1 = -1",
            "[users]\n1 = \"a\"",
            "[users]\nothers = \"x\"",
            "[users]\n\"1-5\" = 0\n5 = 1",
            "[users",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
