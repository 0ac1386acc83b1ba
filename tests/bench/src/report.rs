//! The report as Markdown.

use crate::process::run;
use crate::settings::Settings;
use anyhow::Result;
use std::process::Command;

/// Rows under headings.
pub struct Table {
    rows: Vec<Vec<String>>,
    columns: usize,
}

impl Table {
    /// An empty table; the first column is for names.
    pub fn new(headings: Vec<String>) -> Self {
        Self { columns: headings.len(), rows: vec![headings] }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The table's text, figures to the right.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            text.push_str(&format!("| {} |\n", row.join(" | ")));
            if number == 0 {
                text.push_str(&format!("| --- |{}\n", " ---: |".repeat(self.columns.saturating_sub(1))));
            }
        }
        text
    }
}

/// Tables about one thing, with what a reader must know of how they came about.
pub struct Section {
    title: &'static str,
    explanation: &'static str,
    tables: Vec<(String, Table)>,
}

impl Section {
    /// A section without tables.
    pub fn new(title: &'static str, explanation: &'static str) -> Self {
        Self { title, explanation, tables: Vec::new() }
    }

    /// Adds a table, with a title or an empty one.
    pub fn add(&mut self, title: String, table: Table) {
        self.tables.push((title, table));
    }
}

/// The whole report.
pub struct Report {
    facts: Vec<(&'static str, String)>,
    sections: Vec<Section>,
}

impl Report {
    /// A report that says when, where and how it was made.
    pub fn new(settings: &Settings) -> Result<Self> {
        let said = |command: &mut Command| -> Result<String> {
            let (_, output) = run(command)?;
            Ok(String::from_utf8_lossy(&output).lines().next().unwrap_or_default().trim().to_owned())
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let chosen = match settings.sections.as_slice() {
            [] => String::new(),
            sections => format!(" BENCH={}", sections.join(",")),
        };
        let facts = vec![
            ("Command", format!("`make bench ROUNDS={}{chosen}`", settings.rounds)),
            ("Date", said(Command::new("date").args(["-u", "+%Y-%m-%d"]))?),
            ("Machine", format!("{cores} cores, {}, {}", processor()?, memory()?)),
            ("Kernel", said(Command::new("uname").arg("-sr"))?),
            ("Toolchain", said(Command::new("cargo").arg("--version"))?),
            ("zstd", said(Command::new("zstd").arg("--version"))?.trim_matches('*').trim().to_owned()),
            ("casync", said(Command::new("casync").arg("--version"))?),
        ];
        Ok(Self { facts, sections: Vec::new() })
    }

    /// Adds a section.
    pub fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// The report's text.
    pub fn markdown(&self) -> String {
        let mut text =
            String::from("# Performance\n\nMeasured, not promised; medians of runs that took turns.\n\n");
        for (name, value) in &self.facts {
            text.push_str(&format!("- {name}: {value}\n"));
        }
        for section in &self.sections {
            text.push_str(&format!("\n## {}\n\n{}\n", section.title, section.explanation));
            for (title, table) in &section.tables {
                if !title.is_empty() {
                    text.push_str(&format!("\n**{title}**\n"));
                }
                text.push_str(&format!("\n{}", table.markdown()));
            }
        }
        text
    }
}

fn processor() -> Result<String> {
    Ok(value_of(&std::fs::read_to_string("/proc/cpuinfo")?, "model name")
        .unwrap_or("unknown processor")
        .to_owned())
}

fn memory() -> Result<String> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let kibibytes =
        value_of(&text, "MemTotal").and_then(|value| value.trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kibibytes
        .map_or_else(|| "unknown memory".to_owned(), |kibibytes| format!("{} GiB memory", kibibytes >> 20)))
}

/// The value of the first line `NAME : VALUE`.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_markdown() {
        let mut table = Table::new(vec![String::new(), "wall".to_owned()]);
        table.add(vec!["tar".to_owned(), "1.00 s".to_owned()]);
        assert_eq!(table.markdown(), "|  | wall |\n| --- | ---: |\n| tar | 1.00 s |\n");
    }

    #[test]
    fn values_of_proc_files() {
        let text = "processor\t: 0\nmodel name\t: A: fast one\nMemTotal:       16 kB\nmodel name\t: other\n";
        assert_eq!(value_of(text, "model name"), Some("A: fast one"));
        assert_eq!(value_of(text, "MemTotal"), Some("16 kB"));
        assert_eq!(value_of(text, "Swap"), None);
    }
}
