//! `pkg log`: what was done and what was refused, from the history and the audit together.
//!
//! What changes no generation is written into the audit by the commit that does it ([`done`]); a refusal by a small commit of
//! its own ([`refused`]), which is not made when anything stands in its way: no command fails because it could not be logged.

use crate::activate;
use crate::target::{ONLY, Target};
use plyos_report::{ExitCode, Failure, print_json, say};
use plyos_storefile::{Action, Audit, AuditEntry, History, HistoryEntry, RecordType, Store, Writer};
use serde_json::{Value, json};

/// Hands an entry of something that was done to the writer; it is kept with the next commit.
pub fn done(target: &Target, writer: &mut Writer, command: &str) -> Result<(), Failure> {
    let entry = entry(target, writer, 0, command, "");
    put(target, writer, entry)
}

/// Notes a refusal, unless it is one of many, or the store is busy or cannot be written.
pub fn refused(target: &Target, command: &str, failure: &Failure) {
    // What is no refusal (a wrong spelling, a line that broke) says nothing of what somebody tried to bring in; of a store
    // that fails nothing can be expected.
    if !matches!(failure.code, ExitCode::Conflict | ExitCode::Signature | ExitCode::Machine) {
        return;
    }
    let Ok(store) = Store::open(target.path()) else { return };
    let entry = entry(target, &store, failure.code as u8, command, &failure.message);
    if !store.audit().is_ok_and(|audit| audit.wants(&entry)) {
        return;
    }
    drop(store);
    let Some(mut writer) = target.writer_at_once() else { return };
    if put(target, &mut writer, entry).is_ok() {
        // A disk that is full or broken keeps no log.
        let _ = writer.commit(None);
    }
}

fn entry(target: &Target, store: &Store, code: u8, command: &str, said: &str) -> AuditEntry {
    AuditEntry {
        at: target.now(store),
        generation: store.slots().active().map_or(0, |slot| slot.number),
        code,
        command: command.to_owned(),
        said: said.to_owned(),
    }
}

fn put(target: &Target, writer: &mut Writer, entry: AuditEntry) -> Result<(), Failure> {
    // A damaged audit is begun anew: it is for reading, and nothing follows from it.
    let mut audit = writer.audit().unwrap_or_default();
    audit.push(entry);
    writer.put_record(RecordType::Audit, &ONLY, &audit.emit()).map_err(|error| target.fail(&error))
}

/// One line of the log.
struct Line {
    at: u64,
    /// Number of the generation that became or was active.
    generation: u64,
    code: u8,
    command: String,
    said: String,
}

/// History and audit in the order of time. Both are in order by themselves; within one second, what happened while a
/// generation was active stands before the next one became so.
fn merged(history: &History, audit: &Audit) -> Vec<Line> {
    let mut lines = Vec::with_capacity(history.entries().len() + audit.entries().len());
    let mut changes = history.entries().peekable();
    let mut active = changes.peek().map_or(0, |first| first.from);
    let add_audit = |lines: &mut Vec<Line>, entry: &AuditEntry| {
        lines.push(Line {
            at: entry.at,
            generation: entry.generation,
            code: entry.code,
            command: entry.command.clone(),
            said: entry.said.clone(),
        });
    };
    let mut noted = audit.entries().peekable();
    for change in changes {
        let is_before = |entry: &&AuditEntry| {
            entry.at < change.at || (entry.at == change.at && entry.generation == active)
        };
        while let Some(entry) = noted.next_if(is_before) {
            add_audit(&mut lines, entry);
        }
        active = change.number;
        lines.push(became_active(change));
    }
    noted.for_each(|entry| add_audit(&mut lines, entry));
    lines
}

/// A change of the active generation. For a return the history has the reason where the command stands: nobody gave one.
fn became_active(change: &HistoryEntry) -> Line {
    let said = format!("generation {} became active ({})", change.number, change.action.as_str());
    let (command, said) = match change.action {
        Action::Return => {
            (format!("return from generation {}", change.from), format!("{said}: {}", change.command))
        }
        _ => (change.command.clone(), said),
    };
    Line { at: change.at, generation: change.number, code: 0, command, said }
}

/// `pkg log`: the oldest first; `last` lines when given; with `refusals` these alone.
pub fn log(target: &Target, last: Option<usize>, refusals: bool) -> Result<(), Failure> {
    let store = target.store()?;
    let audit = store.audit().map_err(|error| target.fail(&error))?;
    let mut lines = merged(&activate::history(&store)?, &audit);
    lines.retain(|line| !refusals || line.code != 0);
    let first = last.map_or(0, |last| lines.len().saturating_sub(last));
    let shown = lines.get(first..).unwrap_or_default();
    if target.progress.json() {
        print_json(&shown.iter().map(to_json).collect());
        return Ok(());
    }
    for line in shown {
        let word = if line.code == 0 { "done" } else { "refused" };
        say!("{}  {word:<8} {}", plyos_trust::time::print(line.at), line.command);
        if !line.said.is_empty() {
            say!("{:22}{}", "", line.said);
        }
    }
    Ok(())
}

fn to_json(line: &Line) -> Value {
    let what = if line.code == 0 { "done" } else { "refused" };
    json!({"at": line.at, "what": what, "code": line.code, "command": line.command, "said": line.said,
           "generation": line.generation})
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_ids::GenerationId;

    #[test]
    fn a_return_has_its_reason_where_it_does_not_look_like_a_command() {
        let generation = GenerationId::default();
        let change = |action, command: &str| HistoryEntry {
            number: 3,
            from: 4,
            at: 7,
            generation,
            action,
            command: command.to_owned(),
        };
        let line = became_active(&change(Action::Return, "its health check failed for 3 s: no answer"));
        assert_eq!(line.command, "return from generation 4");
        assert_eq!(
            line.said,
            "generation 3 became active (return after failure): its health check failed for 3 s: no answer"
        );
        let line = became_active(&change(Action::Rollback, "pkg rollback"));
        assert_eq!(
            (line.command.as_str(), line.said.as_str()),
            ("pkg rollback", "generation 3 became active (rollback)")
        );
    }

    #[test]
    fn within_one_second_the_active_generation_tells_the_order() {
        let (mut history, mut audit) = (History::default(), Audit::default());
        for (number, from) in [(1, 0), (2, 1), (1, 2)] {
            let (generation, action) = (GenerationId::default(), Action::Install);
            history.push(HistoryEntry {
                number,
                from,
                at: 7,
                generation,
                action,
                command: format!("to {number}"),
            });
        }
        for (generation, at, command) in
            [(0, 6, "add"), (0, 7, "set"), (2, 7, "hold"), (1, 7, "pin"), (1, 9, "end")]
        {
            let (command, said) = (command.to_owned(), String::new());
            audit.push(AuditEntry { at, generation, code: 0, command, said });
        }
        let order: Vec<String> = merged(&history, &audit).into_iter().map(|line| line.command).collect();
        assert_eq!(order, ["add", "set", "to 1", "to 2", "hold", "to 1", "pin", "end"]);
    }
}
