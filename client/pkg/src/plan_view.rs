//! The plan before the act: what changes and why, what it moves, what room it takes, and what goes live at once.
//!
//! A [`View`] is made of a plan and of what the store and the catalog say about it; it is shown to people, given to scripts,
//! and asked about. Nothing here changes anything.

use crate::cli::Consent;
use crate::settings::Ask;
use crate::target::Target;
use plyos_ids::{Kind, LayerId};
use plyos_plan::resolve::{KeptBack, Why};
use plyos_report::{ExitCode, Failure, OrFail, human, print_json, prompt, tell};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};

/// Longest column of names or versions that others are lined up with.
const COLUMN: usize = 28;

/// What happens to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It comes.
    Add,
    /// Another version takes its place.
    Replace,
    /// It goes.
    Remove,
    /// It stays, and counts as asked for.
    Ask,
}

impl Sign {
    fn mark(self) -> char {
        match self {
            Self::Add => '+',
            Self::Replace => '~',
            Self::Remove => '-',
            Self::Ask => '=',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Ask => "ask",
        }
    }
}

/// One layer of a plan.
#[derive(Debug, Clone)]
pub struct Row {
    /// What happens to it.
    pub sign: Sign,
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// The version that comes, stays or goes.
    pub version: String,
    /// The version that gives its place to it.
    pub from: Option<String>,
    /// Why.
    pub why: Why,
    /// Its identity, where it comes.
    pub layer: Option<LayerId>,
    /// Bytes of its blob, where it comes.
    pub blob: u64,
    /// Bytes that have to be fetched of it.
    pub fetch: u64,
}

impl Row {
    /// Whether the layer's bytes come anew.
    pub fn comes(&self) -> bool {
        matches!(self.sign, Sign::Add | Sign::Replace)
    }

    fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    fn versions(&self) -> String {
        match &self.from {
            Some(from) if *from == self.version => format!("{from} again"),
            Some(from) => format!("{from} -> {}", self.version),
            None => self.version.clone(),
        }
    }

    /// Whether a running system takes the change over as it is. A root or a kernel has to be started.
    fn is_live(&self) -> bool {
        self.sign == Sign::Ask || !matches!(self.kind, Kind::Base | Kind::Kernel)
    }

    fn to_json(&self) -> Value {
        json!({
            "change": self.sign.word(), "kind": self.kind.as_str(), "name": self.name, "version": self.version,
            "from": self.from, "why": self.why.to_string(), "live": self.is_live(),
            "layer": self.layer.map(|layer| layer.to_string()), "blob_bytes": self.blob, "fetch_bytes": self.fetch,
        })
    }
}

/// What a plan moves and takes, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes {
    /// To be fetched.
    pub fetch: u64,
    /// Of the whole blobs.
    pub full: u64,
    /// That the store will need, at most.
    pub room: u64,
    /// That the store has.
    pub free: u64,
}

/// See the module.
pub struct View<'a> {
    /// The layers.
    pub rows: Vec<Row>,
    /// What stays older than it could be.
    pub kept_back: &'a [KeptBack],
    /// Sizes, where anything comes.
    pub sizes: Option<Sizes>,
}

/// What was said to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Go,
    /// Leave everything as it is.
    Stop,
}

impl View<'_> {
    /// The rows for scripts.
    pub fn changes(&self) -> Value {
        self.rows.iter().map(Row::to_json).collect()
    }

    fn to_json(&self) -> Value {
        let Sizes { fetch, full, room, free } = self.sizes.unwrap_or_default();
        json!({
            "dry_run": true, "changes": self.changes(), "kept_back": kept_back(self.kept_back),
            "download_bytes": fetch, "full_bytes": full, "store_bytes": room, "free_bytes": free,
        })
    }

    /// The lines for people.
    fn lines(&self) -> Vec<String> {
        let widest = |text: fn(&Row) -> String| {
            let lens = self.rows.iter().map(|row| text(row).chars().count());
            lens.filter(|len| *len <= COLUMN).max().unwrap_or_default()
        };
        let (names, versions) = (widest(Row::title), widest(Row::versions));
        let line = |row: &Row| {
            let (title, version) = (row.title(), row.versions());
            format!("  {} {title:<names$}  {version:<versions$}  {}", row.sign.mark(), row.why)
        };
        let mut lines: Vec<String> = self.rows.iter().map(line).collect();
        if let Some(sizes) = self.sizes {
            lines.push(format!(
                "Download: {} (the whole layers are {})",
                human(sizes.fetch),
                human(sizes.full)
            ));
            lines.push(format!(
                "Room:     {} of the {} that are free in the store",
                human(sizes.room),
                human(sizes.free)
            ));
        }
        let later: Vec<String> = self.rows.iter().filter(|row| !row.is_live()).map(Row::title).collect();
        lines.push(match later.as_slice() {
            [] => "Live at once, without a restart.".to_owned(),
            some => {
                let rest = if some.len() < self.rows.len() { "; the rest is live at once" } else { "" };
                format!("Live after a restart, or by `pkg export`: {}{rest}.", some.join(", "))
            }
        });
        lines
    }

    /// Shows the plan, and asks when a person is there.
    pub fn agree(&self, target: &Target, consent: Consent, ask: Ask) -> Result<Answer, Failure> {
        let progress = &target.progress;
        // Results may go through a pipe while a person is there.
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let asks = person && ask == Ask::Yes && !consent.yes && !consent.dry_run && !progress.json();
        // Whoever is asked sees what about, also with --quiet.
        let show = |line: &String| if asks { tell!("{line}") } else { progress.step(line) };
        self.lines().iter().for_each(show);
        if consent.dry_run {
            if progress.json() {
                print_json(&self.to_json());
            }
            return Ok(Answer::Stop);
        }
        if !asks {
            return Ok(Answer::Go);
        }
        prompt!("Proceed? [Y/n] ");
        let mut answer = String::new();
        let read = std::io::stdin()
            .lock()
            .read_line(&mut answer)
            .or_fail(ExitCode::Failure, "reading the answer")?;
        // The end of the input is no yes.
        let yes = read > 0 && matches!(answer.trim(), "" | "y" | "Y" | "yes" | "Yes");
        if !yes {
            progress.step("Nothing was changed.");
        }
        Ok(if yes { Answer::Go } else { Answer::Stop })
    }
}

/// What is kept back, for scripts.
pub fn kept_back(kept_back: &[KeptBack]) -> Value {
    let row = |kept: &KeptBack| json!({"kind": kept.kind.as_str(), "name": kept.name, "version": kept.version, "because": kept.because});
    kept_back.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sign: Sign, kind: Kind, name: &str, from: Option<&str>, why: Why) -> Row {
        let (name, version, from) = (name.to_owned(), "1.0-1".to_owned(), from.map(str::to_owned));
        Row { sign, kind, name, version, from, why, layer: None, blob: 0, fetch: 0 }
    }

    fn lines(rows: Vec<Row>, sizes: Option<Sizes>) -> Vec<String> {
        View { rows, kept_back: &[], sizes }.lines()
    }

    #[test]
    fn columns_are_lined_up() {
        let rows = vec![
            row(Sign::Add, Kind::Package, "tool", None, Why::Asked),
            row(Sign::Replace, Kind::Package, "libtool", Some("0.9"), Why::NeededBy(vec!["tool".into()])),
            row(Sign::Remove, Kind::Site, "old", None, Why::InTheWayOf("tool".into())),
        ];
        let sizes = Sizes { fetch: 1 << 20, full: 4 << 20, room: 2 << 20, free: 1 << 30 };
        assert_eq!(
            lines(rows, Some(sizes)),
            [
                "  + package/tool     1.0-1         asked for",
                "  ~ package/libtool  0.9 -> 1.0-1  needed by tool",
                "  - site/old         1.0-1         in the way of tool",
                "Download: 1.0 MiB (the whole layers are 4.0 MiB)",
                "Room:     2.0 MiB of the 1.0 GiB that are free in the store",
                "Live at once, without a restart.",
            ]
        );
    }

    #[test]
    fn what_has_to_be_started_is_told() {
        let base = || row(Sign::Replace, Kind::Base, "plain", Some("0.9"), Why::Newer);
        let tool = row(Sign::Add, Kind::Package, "tool", None, Why::Asked);
        let told = |rows| lines(rows, None).pop().unwrap();
        assert_eq!(told(vec![base()]), "Live after a restart, or by `pkg export`: base/plain.");
        assert_eq!(
            told(vec![base(), tool.clone()]),
            "Live after a restart, or by `pkg export`: base/plain; the rest is live at once."
        );
        assert_eq!(told(vec![tool]), "Live at once, without a restart.");
    }
}
