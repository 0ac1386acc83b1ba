//! What `pkg verify` says of what it found.

use super::{LayerDamage, Report};
use crate::target::Target;
use plyos_report::{ExitCode, Failure, print_json, say};
use plyos_storefile::Defect;
use serde_json::{Value, json};

/// Paths of a layer that are listed for people; JSON has all.
const PATHS: usize = 20;

/// Prints the report; damage is a failure.
pub fn report(target: &Target, report: &Report) -> Result<(), Failure> {
    let checked = &report.checked;
    if target.progress.json() {
        print_json(&json!({
            "clean": report.is_clean() && report.disagreements.is_empty(),
            "checked": {"records": checked.records, "layers": checked.layers, "chunks": checked.chunks,
                        "resumed_chunks": checked.resumed},
            "superblock": report.copy.as_ref().map(|(number, defect)| json!({"copy": number, "defect": defect})),
            "records": report.records.iter().map(|(entry, defect)| json!({
                "type": entry.record_type.as_str(), "key": hex(&entry.key), "defect": defect.to_string(),
            })).collect::<Vec<_>>(),
            "layers": report.layers.iter().map(layer_json).collect::<Vec<_>>(),
            "disagreements": report.disagreements.iter().map(|layer| json!({
                "layer": layer.layer.to_string(), "what": layer.what, "why": layer.why,
            })).collect::<Vec<_>>(),
        }));
    } else {
        lines(report).iter().for_each(|line| say!("{line}"));
    }
    if !report.is_clean() {
        let line =
            format!("the store {} is damaged: {}; run `pkg repair`", target.path().display(), count(report));
        return Err(Failure::new(ExitCode::Signature, line));
    }
    let Some(first) = report.disagreements.first() else {
        target.progress.step(&format!(
            "Clean: {} records, {} layers, {} chunks{}.",
            checked.records,
            checked.layers,
            checked.chunks,
            if checked.resumed > 0 { format!(" ({} more before)", checked.resumed) } else { String::new() }
        ));
        return Ok(());
    };
    let others = match report.disagreements.len() {
        1 => String::new(),
        count => format!("{count} layers are not what they show to other tools, the first: "),
    };
    Err(Failure::new(ExitCode::Signature, format!("{others}{} is refused: {}", first.what, first.why)))
}

/// What is damaged, in a few words.
fn count(report: &Report) -> String {
    let chunks: usize = report.layers.iter().map(|layer| layer.chunks.len()).sum();
    let files: usize = report.layers.iter().map(|layer| layer.files.len()).sum();
    let mut parts = Vec::new();
    if report.copy.is_some() {
        parts.push("one superblock copy".to_owned());
    }
    for (number, one, many) in [
        (report.records.len(), "record", "records"),
        (report.layers.len(), "layer", "layers"),
        (chunks, "chunk", "chunks"),
        (files, "file", "files"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {}", if number == 1 { one } else { many }));
        }
    }
    parts.join(", ")
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((number, defect)) = &report.copy {
        lines.push(format!("superblock copy {number}: {defect}"));
    }
    for (entry, defect) in &report.records {
        lines.push(format!("record {} {}: {defect}", entry.record_type, hex(&entry.key)));
    }
    for layer in &report.layers {
        lines.push(format!("layer {} ({})", layer.what(), layer.entry.id));
        if let Some(defect) = &layer.index {
            lines.push(format!("  index: {defect}{}", pages(&layer.pages)));
        }
        if let Some(defect) = &layer.map {
            lines.push(format!("  map: {defect}"));
        }
        if layer.index.is_some() || layer.map.is_some() {
            lines.push("  its chunks were not looked at: take every file of it for damaged".to_owned());
        }
        for chunk in &layer.chunks {
            let place = chunk.check.place;
            lines.push(format!(
                "  chunk {} {}, {} bytes at byte {}: {}",
                chunk.ordinal, chunk.check.id, place.length, place.offset, chunk.defect
            ));
        }
        lines.extend(layer.files.iter().take(PATHS).map(|path| format!("  file {path}")));
        if layer.files.len() > PATHS {
            lines.push(format!("  and {} more files; --json lists all", layer.files.len() - PATHS));
        }
    }
    for layer in &report.disagreements {
        lines.push(format!("layer {} ({}): {}", layer.what, layer.layer, layer.why));
    }
    lines
}

fn pages(pages: &[u32]) -> String {
    if pages.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = pages.iter().map(u32::to_string).collect();
    format!(" (page {})", numbers.join(", "))
}

fn layer_json(layer: &LayerDamage) -> Value {
    let text = |defect: &Option<Defect>| defect.as_ref().map(Defect::to_string);
    let listed = layer.listed.as_ref();
    json!({
        "layer": layer.entry.id.to_string(), "kind": listed.map(|l| l.kind.as_str()), "name": listed.map(|l| &l.name),
        "version": listed.map(|l| &l.version), "index": text(&layer.index), "index_pages": layer.pages,
        "map": text(&layer.map),
        "chunks": layer.chunks.iter().map(|chunk| json!({
            "number": chunk.ordinal, "id": chunk.check.id.to_string(), "offset": chunk.check.place.offset,
            "stored": chunk.check.place.length, "defect": chunk.defect.to_string(),
        })).collect::<Vec<_>>(),
        "files": layer.files,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
