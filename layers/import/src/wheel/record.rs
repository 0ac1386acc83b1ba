//! RECORD: every file of a wheel with hash and size.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Refusal;

/// The files that are listed and were not seen yet.
#[derive(Debug)]
pub(super) struct Record(HashMap<String, Option<Listed>>);

/// What is said of a file.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    sha256: Vec<u8>,
    size: Option<u64>,
}

impl Record {
    /// Reads the list: CSV of path, `sha256=` with URL-safe base64, size.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut files = HashMap::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let bad = || format!("its RECORD has a line that cannot be read: {line}");
            let (path, rest) = field(line).ok_or_else(bad)?;
            let (hash, size) = rest.split_once(',').ok_or_else(bad)?;
            let listed = match hash.split_once('=') {
                None if hash.is_empty() => None,
                Some(("sha256", hash)) => Some(Listed {
                    sha256: URL_SAFE_NO_PAD.decode(hash.trim_end_matches('=')).map_err(|_| bad())?,
                    size: if size.is_empty() { None } else { Some(size.parse().map_err(|_| bad())?) },
                }),
                _ => return Err(format!("its RECORD has a hash other than sha256: {line}")),
            };
            if files.insert(path, listed).is_some() {
                return Err(format!("its RECORD has a file twice: {line}"));
            }
        }
        Ok(Self(files))
    }

    /// Checks a file against its line. RECORD itself and signatures of it have none.
    pub(super) fn check(
        &mut self,
        info: &str,
        path: &str,
        sha256: [u8; 32],
        length: u64,
    ) -> Result<(), Refusal> {
        let listed = self.0.remove(path);
        let name = path.strip_prefix(info).and_then(|rest| rest.strip_prefix('/'));
        match listed {
            Some(None) | None if matches!(name, Some("RECORD" | "RECORD.jws" | "RECORD.p7s")) => Ok(()),
            Some(Some(listed))
                if listed.sha256 == sha256 && listed.size.is_none_or(|size| size == length) =>
            {
                Ok(())
            }
            Some(Some(_)) => Err(Refusal::Digest("its line in RECORD".into())),
            Some(None) | None => Err(Refusal::Content("RECORD has no hash of it".into())),
        }
    }

    /// Checks that all that is listed was there.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.0.into_iter().filter(|(_, listed)| listed.is_some()).map(|(path, _)| path).min() {
            Some(missing) => Err(format!("it lacks {missing:?}, which its RECORD lists")),
            None => Ok(()),
        }
    }
}

/// The first field of a line, which may be quoted, and what follows its comma.
fn field(line: &str) -> Option<(String, &str)> {
    let Some(mut rest) = line.strip_prefix('"') else {
        let (field, rest) = line.split_once(',')?;
        return Some((field.to_owned(), rest));
    };
    let mut field = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        match after.strip_prefix('"') {
            // A doubled quote is one.
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, after.strip_prefix(',')?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_checked_and_none_may_be_missing() {
        let hash = URL_SAFE_NO_PAD.encode([7; 32]);
        let text = format!("a.py,sha256={hash},3\n\"odd,\"\"name\",sha256={hash},\nx.dist-info/RECORD,,\n");
        let mut record = Record::parse(&text).unwrap();
        let info = "x.dist-info";
        assert_eq!(record.check(info, "a.py", [7; 32], 3), Ok(()));
        assert_eq!(record.check(info, "odd,\"name", [7; 32], 99), Ok(()));
        assert_eq!(record.check(info, "x.dist-info/RECORD", [0; 32], 1), Ok(()));
        assert!(record.check(info, "unlisted", [7; 32], 3).is_err());
        record.finish().unwrap();

        let mut record = Record::parse(&text).unwrap();
        assert!(record.check(info, "a.py", [8; 32], 3).is_err());
        assert!(record.finish().unwrap_err().contains("odd"));
        let mut record = Record::parse(&text).unwrap();
        assert!(record.check(info, "a.py", [7; 32], 4).is_err());
    }

    #[test]
    fn a_list_that_cannot_be_read_is_refused() {
        for text in ["a", "a,b", "a,md5=x,1", "a,sha256=!,1", "a,sha256=AA,x", "\"a,,", "a,,\na,,"] {
            assert!(Record::parse(text).is_err(), "{text}");
        }
    }
}
