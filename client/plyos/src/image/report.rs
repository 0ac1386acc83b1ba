//! What is said of an image that was made.

use super::generations::Chosen;
use super::options::StoreImage;
use plyos_disk_image::{Contents, Plan};
use plyos_namespace::generation::Generation;
use plyos_report::{Progress, human, print_json};
use plyos_slots::{Slot, SlotName};
use serde_json::{Value, json};

/// An image that was made.
pub struct Made<'a> {
    /// What was asked for.
    pub args: &'a StoreImage,
    /// Its generations.
    pub chosen: &'a Chosen,
    /// What is in it.
    pub contents: &'a Contents,
    /// Where that lies.
    pub plan: &'a Plan,
    /// Bytes of its file.
    pub file_len: u64,
}

/// Tells of it.
pub fn tell(made: &Made<'_>, progress: &Progress) {
    let Made { args, chosen, contents, plan, file_len } = made;
    let (image, roots) = (args.out.display(), args.roots_path());
    if progress.json() {
        let generations: Vec<Value> = chosen.generations.iter().map(|found| facts(contents, found)).collect();
        print_json(&json!({
            "image": image.to_string(), "format": args.format.as_str(), "bytes": plan.len(), "file_bytes": file_len,
            "roots": roots.display().to_string(), "generations": generations, "layers": contents.layers.len(),
            "chunks": plan.chunk_count(), "chunk_bytes": plan.stored_bytes(),
        }));
        return;
    }
    for generation in &chosen.generations {
        let (number, layers) = (generation.number, generation.layers.len());
        if let Some((name, slot)) = slot(contents, generation) {
            progress
                .step(&format!("Generation {number} of {layers} layers is in slot {name}: {}", slot.state));
        }
    }
    let (size, stored) = (human(plan.len()), human(plan.stored_bytes()));
    progress.step(&format!(
        "{image} is a disk of {size} ({}) with {} chunks ({stored}).",
        args.format.as_str(),
        plan.chunk_count()
    ));
    progress.step(&format!("{} says whom the kernel trusts.", roots.display()));
}

fn facts(contents: &Contents, generation: &Generation) -> Value {
    let slot = slot(contents, generation);
    json!({
        "number": generation.number, "id": generation.id().to_string(), "layers": generation.layers.len(),
        "slot": slot.map(|(name, _)| name.to_string()), "state": slot.map(|(_, slot)| slot.state.to_string()),
    })
}

fn slot<'a>(contents: &'a Contents, generation: &Generation) -> Option<(SlotName, &'a Slot)> {
    let number = generation.number;
    let slots = SlotName::BOTH.into_iter().map(|name| (name, contents.slots.get(name)));
    slots.filter(|(_, slot)| !slot.is_empty()).find(|(_, slot)| slot.number == number)
}
