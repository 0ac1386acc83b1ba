//! `mounts`, `generations`, `switch`, `status`: what is shown, and what could be.

use alloc::{format, string::String, vec::Vec};

use plyos_ids::MountType;
use plyos_slots::SlotName;
use plyos_trust::time;

use super::files::or_none;
use crate::{
    Standing,
    failure::{Failure, said},
    glyph,
    machine::Machine,
    system::{System, Tree},
    terminal::{Out, Terminal},
};

/// What a booted kernel says of itself.
pub(crate) fn greet<S: System>(system: &S, out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    let shown = system.shown();
    let (number, layers) = (shown.generation().number, shown.generation().layers.len());
    out.line(format_args!("generation {number} of {layers} layers, {}", place(system, number)))?;
    passed_over(system, out)
}

/// The slots that name a generation, with what they are worth.
pub(crate) fn place<S: System>(system: &S, number: u64) -> String {
    let slots = system.slots();
    let mut out = String::new();
    for name in SlotName::BOTH {
        let slot = slots.get(name);
        if !slot.is_empty() && slot.number == number {
            let preferred = if slots.preferred == Some(name) { ", active" } else { "" };
            let space = if out.is_empty() { "" } else { "; " };
            out += &format!("{space}slot {name}: {}{preferred}", slot.state);
        }
    }
    if out.is_empty() { String::from("in no slot") } else { out }
}

fn passed_over<S: System>(system: &S, out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    for reason in system.passed_over() {
        out.line(format_args!("passed over: {}", glyph::line(&reason)))?;
    }
    Ok(())
}

/// What is said when nothing could be mounted.
pub(crate) fn say_rescue(reasons: &[String], out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    out.line(format_args!("Nothing could be mounted: this is the rescue prompt."))?;
    for reason in reasons {
        out.line(format_args!("  {}", glyph::line(reason)))?;
    }
    Ok(out.line(format_args!(
        "Start a machine from another store, or repair this one with 'pkg' on a Linux host."
    ))?)
}

/// `mounts`: a row for each layer.
pub(crate) fn mounts<T: Tree>(tree: &T, out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    for layer in &tree.generation().layers {
        let name = format!("{}/{}", layer.kind, glyph::line(&layer.name));
        let (version, id) = (glyph::line(&layer.version), layer.id);
        let path = if matches!(layer.mount.mount_type, MountType::None | MountType::State) {
            String::from("-")
        } else {
            glyph::line(&layer.mount.path)
        };
        out.line(format_args!("{path:<24} {name:<32} {version:<16} {id}"))?;
    }
    Ok(())
}

/// `generations`: a row for each, the shown one marked.
pub(crate) fn list<S: System>(system: &S, out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    let shown = system.shown().generation().number;
    let leases = system.leases();
    for generation in system.generations().map_err(Failure::Said)? {
        let number = generation.number;
        let mark = if number == shown { '*' } else { ' ' };
        let place = place(system, number);
        if let Some(damage) = generation.damage {
            out.line(format_args!("{mark} {number:<6} {place:<24} damaged: {}", glyph::line(&damage)))?;
            continue;
        }
        let layers = generation.layers;
        let made = time::print(generation.created_at);
        let by = or_none(&generation.created_by);
        let holders: Vec<&str> =
            leases.iter().filter(|held| held.number == number).map(|held| held.who).collect();
        let held =
            if holders.is_empty() { String::new() } else { format!(" held by {}", holders.join(", ")) };
        out.line(format_args!("{mark} {number:<6} {layers:>4} layers  {made}  {place:<24} {by}{held}"))?;
    }
    Ok(())
}

/// `switch`.
pub(crate) fn switch<S: System>(
    system: &S,
    number: u64,
    clock: Option<u64>,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let before = system.shown().generation().number;
    system.switch(number, clock.unwrap_or(0)).map_err(Failure::Said)?;
    let shown = system.shown().generation().number;
    if shown != number {
        return Err(said!("cannot switch to generation {number}: generation {shown} is shown; see 'log'"));
    }
    Ok(out.line(format_args!("generation {number} is shown, before it was {before}"))?)
}

/// `status`: the whole in some lines.
pub(crate) fn status<S: System>(
    standing: &Standing<'_, S>,
    machine: &impl Machine,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    out.line(format_args!("kernel     Plyos {}", env!("CARGO_PKG_VERSION")))?;
    out.line(format_args!(
        "up         {}.{:03} s",
        machine.uptime().as_secs(),
        machine.uptime().subsec_millis()
    ))?;
    if let Some(clock) = machine.wall_clock() {
        out.line(format_args!("time       {}", time::print(clock)))?;
    }
    match machine.trusted() {
        Some(trusted) => out.line(format_args!("roots      {trusted}"))?,
        None => out.line(format_args!("roots      none"))?,
    }
    let system = match standing {
        Standing::Mounted(system) => system,
        Standing::Rescue(reasons) => return say_rescue(reasons, out),
    };
    let shown = system.shown();
    let (number, layers) = (shown.generation().number, shown.generation().layers.len());
    out.line(format_args!("generation {number} ({layers} layers)"))?;
    let slots = system.slots();
    for name in SlotName::BOTH {
        let slot = slots.get(name);
        let preferred = if slots.preferred == Some(name) { ", active" } else { "" };
        let generation =
            if slot.is_empty() { String::new() } else { format!("generation {}, ", slot.number) };
        let is_shown = if !slot.is_empty() && slot.number == number { ", shown" } else { "" };
        out.line(format_args!("slot {name}     {generation}{}{preferred}{is_shown}", slot.state))?;
    }
    let cache = system.cache();
    for (name, counts) in [("chunks", cache.chunks), ("pages", cache.pages)] {
        out.line(format_args!(
            "{name:<10} {} of {} KiB cached, {} hits, {} misses",
            counts.bytes >> 10,
            counts.limit >> 10,
            counts.hits,
            counts.misses
        ))?;
    }
    if system.damage() > 0 {
        out.line(format_args!(
            "damage     met {} times since the start; see 'log warning'",
            system.damage()
        ))?;
    }
    passed_over(*system, out)
}
