//! From the command line to the rules for entries: what is left out, whose files are, where times come from.

use crate::owner_map;
use crate::push_options::{EntryRules, MtimeChoice};
use plyos_layer_build::{Exclusions, Owner, ScanOptions};
use plyos_layer_format::index::MtimeRule;
use plyos_report::{ExitCode, Failure, OrFail};
use std::fs;
use std::path::Path;

/// Longest file of patterns or owners that is read.
const MAX_FILE: u64 = 1 << 20;

/// The rules that the options say.
pub fn rules(args: &EntryRules) -> Result<ScanOptions, Failure> {
    let mut files = Vec::new();
    for file in &args.exclude_from {
        files.push(read_small(file, "reading patterns")?);
    }
    let patterns = args.exclude.iter().map(String::as_str);
    let exclude = Exclusions::new(files.iter().map(String::as_str), patterns)
        .or_fail(ExitCode::Usage, "reading --exclude")?;
    let mtime = match args.mtime {
        MtimeChoice::Content => MtimeRule::Content,
        MtimeChoice::Keep => MtimeRule::Kept,
    };
    Ok(ScanOptions { mtime, owner: owner(&args.owner)?, exclude, strip: args.strip })
}

fn owner(rule: &str) -> Result<Owner, Failure> {
    let numbers = rule.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    match (rule, numbers) {
        ("keep", _) => Ok(Owner::Keep),
        ("root", _) => Ok(Owner::Root),
        (_, Some((uid, gid))) => Ok(Owner::Fixed { uid, gid }),
        (file, None) if Path::new(file).is_file() => {
            let text = read_small(Path::new(file), "reading the ownership map")?;
            owner_map::parse(&text).or_fail(ExitCode::Usage, format_args!("reading the ownership map {file}"))
        }
        _ => {
            let text =
                format!("--owner {rule} is none of keep, root, UID:GID, or a file with an ownership map");
            Err(Failure::new(ExitCode::Usage, text))
        }
    }
}

/// A small text file, whole.
pub fn read_small(path: &Path, doing: &str) -> Result<String, Failure> {
    let doing = format!("{doing} from {}", path.display());
    let length = fs::metadata(path).or_fail(ExitCode::NotFound, &doing)?.len();
    if length > MAX_FILE {
        return Err(Failure::new(
            ExitCode::Usage,
            format!("{doing}: it has {length} bytes, at most 1 MiB is read"),
        ));
    }
    fs::read_to_string(path).or_fail(ExitCode::Usage, &doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_in_each_spelling() {
        assert_eq!(owner("keep").unwrap(), Owner::Keep);
        assert_eq!(owner("root").unwrap(), Owner::Root);
        assert_eq!(owner("33:44").unwrap(), Owner::Fixed { uid: 33, gid: 44 });
        for bad in ["", "33", "a:b", "-1:0", "no-such-file"] {
            assert_eq!(owner(bad).unwrap_err().code, ExitCode::Usage, "{bad}");
        }
    }
}
