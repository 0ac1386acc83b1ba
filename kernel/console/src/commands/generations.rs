//! `mounts`, `generations`, `switch`, `status`: what is shown, and what could be.

use alloc::{format, string::String};

use plyos_ids::MountType;
use plyos_namespace::generation::Generation;
use plyos_slots::{Slot, SlotName, SlotState, Slots};
use plyos_trust::time;

use super::files::or_none;
use crate::{
    Standing,
    failure::{Failure, said},
    glyph,
    machine::Machine,
    screen::{Out, Screen},
    system::{System, Tree},
};

/// What a booted kernel says of itself.
pub(crate) fn greet<S: System>(system: &S, out: &mut Out<'_, impl Screen>) -> Result<(), Failure> {
    let shown = system.shown();
    let generation = shown.generation();
    let (number, layers) = (generation.number, generation.layers.len());
    let slot = shown.slot();
    let state = state(system.slots().get(slot));
    out.line(format_args!("generation {number} of {layers} layers, slot {slot} ({state})"))?;
    passed_over(system, out)
}

fn passed_over<S: System>(system: &S, out: &mut Out<'_, impl Screen>) -> Result<(), Failure> {
    for reason in system.passed_over() {
        out.line(format_args!("passed over: {}", glyph::line(&reason)))?;
    }
    Ok(())
}

/// What is said when nothing could be mounted.
pub(crate) fn say_rescue(reasons: &[String], out: &mut Out<'_, impl Screen>) -> Result<(), Failure> {
    out.line(format_args!("Nothing could be mounted: this is the rescue prompt."))?;
    for reason in reasons {
        out.line(format_args!("  {}", glyph::line(reason)))?;
    }
    Ok(out.line(format_args!(
        "Start a machine from another store, or repair this one with 'pkg' on a Linux host."
    ))?)
}

/// A slot's state in words.
pub(crate) fn state(slot: &Slot) -> String {
    match slot.state {
        SlotState::Empty => String::from("empty"),
        SlotState::Staged => String::from("staged"),
        SlotState::Trial { left, granted } => format!("trial, {left} of {granted} tries left"),
        SlotState::Good => String::from("good"),
        SlotState::Unconfirmed => String::from("unconfirmed"),
        SlotState::Bad(reason) => format!("bad: {reason}"),
    }
}

/// `mounts`: a row for each layer.
pub(crate) fn mounts<T: Tree>(tree: &T, out: &mut Out<'_, impl Screen>) -> Result<(), Failure> {
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
pub(crate) fn list<S: System>(system: &S, out: &mut Out<'_, impl Screen>) -> Result<(), Failure> {
    let shown = system.shown().generation().number;
    let (slots, leases) = (system.slots(), system.leases());
    for generation in system.generations().map_err(Failure::Said)? {
        let number = generation.number;
        let mark = if number == shown { '*' } else { ' ' };
        let layers = generation.layers.len();
        let made = time::print(generation.created_at);
        let by = or_none(&generation.created_by);
        let place = place(&slots, &generation);
        let holders = leases.iter().find(|lease| lease.0 == number).map_or(0, |lease| lease.1);
        out.line(format_args!(
            "{mark} {number:<6} {layers:>4} layers  {made}  held by {holders:<3} {place:<24} {by}"
        ))?;
    }
    Ok(())
}

/// Which slots name a generation, with what they are worth.
fn place(slots: &Slots, generation: &Generation) -> String {
    let mut out = String::new();
    for name in SlotName::BOTH {
        let slot = slots.get(name);
        if !slot.is_empty() && slot.number == generation.number {
            let preferred = if slots.preferred == Some(name) { ", active" } else { "" };
            out +=
                &format!("{}slot {name} ({}{preferred})", if out.is_empty() { "" } else { " " }, state(slot));
        }
    }
    if out.is_empty() { String::from("-") } else { out }
}

/// `switch`.
pub(crate) fn switch<S: System>(
    system: &mut S,
    number: u64,
    clock: Option<u64>,
    out: &mut Out<'_, impl Screen>,
) -> Result<(), Failure> {
    let before = system.shown().generation().number;
    // The clock may be wrong or missing: time never goes back behind what the store has seen.
    let slots = system.slots();
    let seen = slots.a.changed_at.max(slots.b.changed_at);
    system.switch(number, clock.unwrap_or(0).max(seen)).map_err(Failure::Said)?;
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
    out: &mut Out<'_, impl Screen>,
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
    let system = match standing {
        Standing::Mounted(system) => system,
        Standing::Rescue(reasons) => return say_rescue(reasons, out),
    };
    let shown = system.shown();
    let slots = system.slots();
    out.line(format_args!(
        "generation {} ({} layers)",
        shown.generation().number,
        shown.generation().layers.len()
    ))?;
    for name in SlotName::BOTH {
        let slot = slots.get(name);
        let preferred = if slots.preferred == Some(name) { ", active" } else { "" };
        let booted = if name == shown.slot() { ", shown" } else { "" };
        let number = if slot.is_empty() { String::new() } else { format!("generation {}, ", slot.number) };
        out.line(format_args!("slot {name}     {number}{}{preferred}{booted}", state(slot)))?;
    }
    let cache = system.cache();
    let (hits, misses) = (cache.hits, cache.misses);
    out.line(format_args!(
        "cache      {} of {} KiB, {hits} hits, {misses} misses",
        cache.bytes >> 10,
        cache.limit >> 10
    ))?;
    passed_over(&**system, out)
}
