//! pax headers (POSIX.1-2017, pax Interchange Format): records `LENGTH KEY=VALUE\n`.

use std::collections::BTreeMap;

use crate::error::Refusal;

/// Records by key, in the order of keys. A value may hold any bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

/// Keys that name or size an entry.
const OF_ONE_ENTRY: [&[u8]; 3] = [b"path", b"linkpath", b"size"];
/// Beginnings of keys that only make sense for one entry.
const PREFIXES_OF_ONE_ENTRY: [&[u8]; 3] = [b"GNU.sparse.", b"SCHILY.", b"LIBARCHIVE."];

impl Records {
    /// Parses the body of a header. A key that stands twice is refused: POSIX lets the last one win, some readers the first.
    pub(super) fn parse(mut body: &[u8]) -> Result<Self, Refusal> {
        let mut records = BTreeMap::new();
        while !body.is_empty() {
            let (record, rest) = split_record(body)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(Refusal::Pax("no `=`"))?;
            let (key, value) = record.split_at_checked(equals).unwrap_or_default();
            if key.is_empty() {
                return Err(Refusal::Pax("an empty key"));
            }
            if records.insert(key.to_vec(), value.get(1..).unwrap_or_default().to_vec()).is_some() {
                return Err(Refusal::SaidTwice("pax record"));
            }
            body = rest;
        }
        Ok(Self(records))
    }

    /// Checks that these may stand in a global header.
    pub(super) fn check_global(&self) -> Result<(), Refusal> {
        let own = |key: &[u8]| {
            OF_ONE_ENTRY.contains(&key) || PREFIXES_OF_ONE_ENTRY.iter().any(|prefix| key.starts_with(prefix))
        };
        match self.0.keys().find(|key| own(key)) {
            Some(key) => Err(Refusal::Global(String::from_utf8_lossy(key).into_owned())),
            None => Ok(()),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// A value that says where or what an entry is: an empty one, which POSIX takes for none, is refused.
    pub(super) fn text(&self, key: &str) -> Result<Option<&[u8]>, Refusal> {
        match self.get(key) {
            Some(b"") => Err(Refusal::Pax("an empty value")),
            Some(value) if value.contains(&0) => Err(Refusal::Nul),
            value => Ok(value),
        }
    }

    /// A decimal number.
    pub(super) fn number(&self, key: &str, what: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        if value.first() == Some(&b'-') {
            return Err(Refusal::Negative(what));
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::Number(what));
        }
        let text = std::str::from_utf8(value).map_err(|_| Refusal::Number(what))?;
        text.parse().map(Some).map_err(|_| Refusal::TooGreat(what))
    }

    /// A time in seconds, with or without a fraction; rounded down.
    pub(super) fn seconds(&self, key: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let bad = || Refusal::Number("mtime");
        let text = std::str::from_utf8(value).map_err(|_| bad())?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let seconds: i64 = whole.parse().map_err(|_| bad())?;
        let below = whole.starts_with('-') && fraction.bytes().any(|byte| byte != b'0');
        Ok(Some(if below { seconds.saturating_sub(1) } else { seconds }))
    }

    /// The records whose key starts with `prefix`: the rest of each key, and its value.
    pub(super) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let records = self.0.iter();
        records.filter_map(move |(key, value)| Some((key.strip_prefix(prefix.as_bytes())?, &value[..])))
    }

    /// Takes in those of a later header, which win.
    pub(super) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }
}

/// The first record (without its length and final newline) and what follows it.
fn split_record(body: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    /// Digits of a length that a header can have.
    const DIGITS: usize = 8;
    let blank =
        body.iter().take(DIGITS + 1).position(|byte| *byte == b' ').ok_or(Refusal::Pax("no length"))?;
    let (digits, _) = body.split_at_checked(blank).unwrap_or_default();
    let is_length =
        digits.first().is_some_and(|digit| *digit != b'0') && digits.iter().all(u8::is_ascii_digit);
    let length =
        std::str::from_utf8(digits).ok().filter(|_| is_length).and_then(|digits| digits.parse().ok());
    let length: usize = length.ok_or(Refusal::Pax("no length"))?;
    let (record, rest) =
        body.split_at_checked(length).ok_or(Refusal::Pax("a record that runs over the end"))?;
    let text = record.get(blank + 1..).and_then(|text| text.strip_suffix(b"\n"));
    Ok((text.ok_or(Refusal::Pax("a record without a newline at its end"))?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_anything() {
        let records = Records::parse(b"18 path=a\nb=c\n d\n\n20 SCHILY.xattr.a=\0\n").unwrap();
        assert_eq!(records.get("path"), Some(&b"a\nb=c\n d\n"[..]));
        assert_eq!(records.with_prefix("SCHILY.xattr.").collect::<Vec<_>>(), [(&b"a"[..], &b"\0"[..])]);
    }

    #[test]
    fn each_defect_has_its_refusal() {
        for body in [
            &b"8 path=a\n"[..],
            b"11 path=a\n",
            b"010 path=a\n",
            b"x0 path=a\n",
            b"-1 path=a\n",
            b"999999999999 path=a\n",
            b"10path=ab\n",
            b"7 path\n",
            b"5 =a\n",
        ] {
            assert!(matches!(Records::parse(body), Err(Refusal::Pax(_))), "{}", body.escape_ascii());
        }
        assert_eq!(Records::parse(b"10 path=a\n10 path=b\n"), Err(Refusal::SaidTwice("pax record")));
    }

    #[test]
    fn numbers_and_times() {
        let time =
            |value: &str| Records(BTreeMap::from([(b"mtime".to_vec(), value.into())])).seconds("mtime");
        assert_eq!(time("12.999"), Ok(Some(12)));
        assert_eq!(time("-1.5"), Ok(Some(-2)));
        assert_eq!(time("-2"), Ok(Some(-2)));
        assert_eq!(time("1e9"), Err(Refusal::Number("mtime")));
        let size =
            |value: &str| Records(BTreeMap::from([(b"size".to_vec(), value.into())])).number("size", "size");
        assert_eq!(size("17"), Ok(Some(17)));
        assert_eq!(size("-17"), Err(Refusal::Negative("size")));
        assert_eq!(size("+17"), Err(Refusal::Number("size")));
        assert_eq!(size("99999999999999999999"), Err(Refusal::TooGreat("size")));
    }

    #[test]
    fn a_global_header_names_and_sizes_nothing() {
        for body in [&b"10 path=a\n"[..], b"9 size=1\n", b"25 GNU.sparse.realsize=1\n"] {
            assert!(matches!(Records::parse(body).unwrap().check_global(), Err(Refusal::Global(_))));
        }
        assert_eq!(Records::parse(b"15 comment=abc\n").unwrap().check_global(), Ok(()));
    }
}
