//! What the operator set on this machine: one record of the store, so that it goes wherever the store goes and changes in
//! the same commit as what it is about.
//!
//! A store is no authority. Nothing here lets in a layer that would be refused otherwise: settings say how often to ask,
//! what to keep and what to leave as it is.

use crate::idle::Idle;
use crate::target::{ONLY, Target, record};
use plyos_plan::retention::Policy;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{RecordType, Store, Writer};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::num::NonZeroU64;

/// Longest record that is read.
const MAX_LEN: usize = 256 << 10;

/// Whether commands that change the system ask first, where a person is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ask {
    /// They show the plan and ask.
    #[default]
    Yes,
    /// They show the plan and go on.
    No,
}

/// Whether a nearly full store is cleaned after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoClean {
    /// It is.
    #[default]
    Yes,
    /// Only when there is no room otherwise, and by `pkg clean`.
    No,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether to ask.
    pub ask: Ask,
    /// Whether to clean up after a change.
    pub auto_clean: AutoClean,
    /// Generations that a clean-up keeps; the usual number when none.
    pub keep: Option<u32>,
    /// Days of use that a clean-up keeps; the usual number when none.
    pub days: Option<u32>,
    /// Most bytes of content a second; as fast as it comes when none.
    pub download_limit: Option<NonZeroU64>,
    /// `KIND/NAME` of layers that stay in their version.
    pub holds: BTreeSet<String>,
    /// That nothing is to be upgraded. No setting, but a note that changes as often.
    pub idle: Option<Idle>,
}

impl Settings {
    /// The settings of a store; all usual when none were made.
    pub fn load(store: &Store) -> Result<Self, Failure> {
        match record(store, RecordType::Settings, &ONLY)? {
            Some(bytes) => Self::parse(&bytes),
            None => Ok(Self::default()),
        }
    }

    /// Hands the settings to the writer.
    pub fn put(&self, target: &Target, writer: &mut Writer) -> Result<(), Failure> {
        let bytes = self.emit();
        writer.put_record(RecordType::Settings, &ONLY, &bytes).map_err(|error| target.fail(&error))
    }

    /// What a clean-up keeps that was told nothing else.
    pub fn retention(&self) -> Policy {
        let usual = Policy::USUAL;
        Policy { keep: self.keep.unwrap_or(usual.keep), days: self.days.unwrap_or(usual.days), ..usual }
    }

    fn emit(&self) -> Vec<u8> {
        let mut members = Map::new();
        let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
        if self.ask == Ask::No {
            add("ask", json!(false));
        }
        if self.auto_clean == AutoClean::No {
            add("clean.auto", json!(false));
        }
        self.keep.map(|keep| add("clean.keep", json!(keep)));
        self.days.map(|days| add("clean.days", json!(days)));
        self.download_limit.map(|limit| add("download.limit", json!(limit)));
        if !self.holds.is_empty() {
            add("holds", json!(self.holds));
        }
        self.idle.map(|idle| {
            add(
                "idle",
                json!({"inputs": blake3::Hash::from(idle.inputs).to_hex().as_str(), "until": idle.until}),
            )
        });
        Value::Object(members).to_string().into_bytes()
    }

    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let doing = "reading the settings in the store";
        if bytes.len() > MAX_LEN {
            return Err(Failure::new(ExitCode::Store, format!("{doing}: they are longer than 256 KiB")));
        }
        let value: Value = serde_json::from_slice(bytes).or_fail(ExitCode::Store, doing)?;
        let is_off = |name: &str| value.get(name).and_then(Value::as_bool) == Some(false);
        let number = |name: &str| value.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let holds = value.get("holds").and_then(Value::as_array);
        Ok(Self {
            ask: if is_off("ask") { Ask::No } else { Ask::Yes },
            auto_clean: if is_off("clean.auto") { AutoClean::No } else { AutoClean::Yes },
            keep: number("clean.keep"),
            days: number("clean.days"),
            download_limit: value.get("download.limit").and_then(Value::as_u64).and_then(NonZeroU64::new),
            idle: value.get("idle").and_then(idle),
            holds: holds.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

/// A note that cannot be read says nothing.
fn idle(value: &Value) -> Option<Idle> {
    let inputs = blake3::Hash::from_hex(value.get("inputs")?.as_str()?).ok()?;
    Some(Idle { inputs: *inputs.as_bytes(), until: value.get("until")?.as_u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Settings::default().emit(), b"{}");
        let set = Settings {
            ask: Ask::No,
            auto_clean: AutoClean::No,
            keep: Some(2),
            days: Some(0),
            download_limit: NonZeroU64::new(2 << 20),
            holds: ["package/jq".to_owned()].into(),
            idle: Some(Idle { inputs: [7; 32], until: 9 }),
        };
        assert_eq!(Settings::parse(&set.emit()).unwrap(), set);
        assert_eq!(Settings::parse(b"{}").unwrap(), Settings::default());
        assert_eq!(set.retention(), Policy { keep: 2, days: 0, ..Policy::USUAL });
        assert!(Settings::parse(b"{").is_err());
        assert!(Settings::parse(&vec![b' '; MAX_LEN + 1]).is_err());
    }
}
