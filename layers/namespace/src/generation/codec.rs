//! The bytes of a generation: header, layer records, heap.

use alloc::{string::String, vec, vec::Vec};

use plyos_bytemap::{Field, Layout, Preamble, View, byte_map, put};
use plyos_ids::{Kind, LayerId, Mount, MountType};

use super::heap::{HeapReader, HeapWriter, MAX_STRING};
use super::{Generation, GenerationError, GenerationLayer, GenerationParts, Health, HealthKind, MAX_LAYERS};

byte_map! {
    /// The header; the layer records follow, then the heap.
    mod header = "generation", 160 {
        PREAMBLE: 0, 32;
        NUMBER: 32, 8;
        PARENT: 40, 8;
        CREATED_AT: 48, 8;
        LAYER_SET: 56, 32;
        STATE_VERSION: 88, 4;
        LAYER_COUNT: 92, 2;
        TRIES: 94, 1;
        HEALTH_KIND: 95, 1;
        HEALTH_TIMEOUT: 96, 4;
        HEAP_LEN: 100, 4;
        HEALTH_SPEC: 104, 8;
        CREATED_BY: 112, 8;
        HEALTH_HOLD: 120, 4;
        RESERVED: 124, 36;
    }
}

byte_map! {
    /// One layer.
    mod record = "generation_layer", 96 {
        LAYER_ID: 0, 32;
        KIND: 32, 1;
        MOUNT_TYPE: 33, 1;
        FLAGS: 34, 2;
        EPOCH: 36, 4;
        NAME: 40, 8;
        VERSION: 48, 8;
        ARCH: 56, 8;
        MOUNT_PATH: 64, 8;
        REPO: 72, 8;
        RESERVED: 80, 16;
    }
}

/// Layouts of this crate, for the check against docs/formats.md.
pub const LAYOUTS: &[&Layout] = &[&header::LAYOUT, &record::LAYOUT];

/// Most bytes of a generation; a reader refuses more before it looks at them.
pub const MAX_LEN: usize = 4 << 20;

const MAGIC: [u8; 8] = *b"PLYGENER";
const FLAG_ASKED: u16 = 1;
const FLAG_UNSIGNED: u16 = 2;

/// Checks that each text fits its length field and the whole its limit, so that [`emit`] cannot fail.
pub(super) fn check_lengths(parts: &GenerationParts) -> Result<(), GenerationError> {
    let mut total = (header::SIZE + record::SIZE * parts.layers.len()) as u64;
    let mut add = |what: &'static str, text: &str| {
        total += text.len() as u64;
        if text.len() > MAX_STRING { Err(GenerationError::LongText(what)) } else { Ok(()) }
    };
    add("command", &parts.created_by)?;
    add("health check", parts.health.as_ref().map_or("", |health| &health.spec))?;
    for layer in &parts.layers {
        for (what, text) in [
            ("layer's name", &layer.name),
            ("layer's version", &layer.version),
            ("layer's architecture", &layer.arch),
            ("layer's mount path", &layer.mount.path),
            ("layer's repository name", &layer.repo),
        ] {
            add(what, text)?;
        }
    }
    if total > MAX_LEN as u64 {
        return Err(GenerationError::TooLong(total));
    }
    Ok(())
}

pub(super) fn emit(generation: &Generation) -> Vec<u8> {
    let parts = &generation.parts;
    let mut heap = HeapWriter::default();
    let (kind, timeout, hold, spec) = parts
        .health
        .as_ref()
        .map_or((0, 0, 0, ""), |health| (health.kind as u8, health.timeout, health.hold, &health.spec));
    let layer_set = generation.layer_set();
    let mut out = vec![0; header::SIZE];
    let fields: [(Field, &[u8]); 11] = [
        (header::NUMBER, &parts.number.to_le_bytes()),
        (header::PARENT, &parts.parent.to_le_bytes()),
        (header::CREATED_AT, &parts.created_at.to_le_bytes()),
        (header::LAYER_SET, layer_set.as_bytes()),
        (header::STATE_VERSION, &parts.state_version.to_le_bytes()),
        (header::LAYER_COUNT, &(parts.layers.len() as u16).to_le_bytes()),
        (header::TRIES, &[parts.tries]),
        (header::HEALTH_KIND, &[kind]),
        (header::HEALTH_TIMEOUT, &timeout.to_le_bytes()),
        (header::HEALTH_HOLD, &hold.to_le_bytes()),
        (header::HEALTH_SPEC, &heap.push(spec)),
    ];
    for (field, value) in fields {
        put(&mut out, field, value);
    }
    put(&mut out, header::CREATED_BY, &heap.push(&parts.created_by));
    for layer in &parts.layers {
        out.extend_from_slice(&emit_layer(layer, &mut heap));
    }
    let heap = heap.finish();
    put(&mut out, header::HEAP_LEN, &(heap.len() as u32).to_le_bytes());
    out.extend_from_slice(&heap);
    let preamble = Preamble::v1(MAGIC, header::SIZE, out.len() as u64);
    Preamble { compat: generation.compat, ..preamble }.emit(&mut out);
    out
}

fn emit_layer(layer: &GenerationLayer, heap: &mut HeapWriter) -> [u8; record::SIZE] {
    let mut out = [0; record::SIZE];
    let flags = if layer.asked { FLAG_ASKED } else { 0 } | if layer.unsigned { FLAG_UNSIGNED } else { 0 };
    let fields: [(Field, &[u8]); 10] = [
        (record::LAYER_ID, layer.id.as_bytes()),
        (record::KIND, &[layer.kind as u8]),
        (record::MOUNT_TYPE, &[layer.mount.mount_type as u8]),
        (record::FLAGS, &flags.to_le_bytes()),
        (record::EPOCH, &layer.epoch.to_le_bytes()),
        // Array elements are evaluated in order, which is the heap's order.
        (record::NAME, &heap.push(&layer.name)),
        (record::VERSION, &heap.push(&layer.version)),
        (record::ARCH, &heap.push(&layer.arch)),
        (record::MOUNT_PATH, &heap.push(&layer.mount.path)),
        (record::REPO, &heap.push(&layer.repo)),
    ];
    for (field, value) in fields {
        put(&mut out, field, value);
    }
    out
}

pub(super) fn parse(bytes: &[u8]) -> Result<Generation, GenerationError> {
    if bytes.len() > MAX_LEN {
        return Err(GenerationError::TooLong(bytes.len() as u64));
    }
    let (preamble, object) =
        Preamble::parse(bytes, &MAGIC, header::SIZE, 0).map_err(GenerationError::Preamble)?;
    let malformed = GenerationError::Malformed;
    if object.len() != bytes.len() {
        return Err(malformed("bytes follow its end"));
    }
    let view = View::new(object, &header::LAYOUT).ok_or(malformed("it ends too early"))?;
    if !view.is_zero(header::RESERVED) {
        return Err(malformed("reserved bytes of its header are in use"));
    }
    let count = usize::from(view.u16(header::LAYER_COUNT));
    if count > MAX_LAYERS {
        return Err(GenerationError::TooManyLayers(count));
    }
    let (records, heap) = object
        .get(header::SIZE..)
        .and_then(|rest| rest.split_at_checked(count * record::SIZE))
        .filter(|(_, heap)| heap.len() == view.u32(header::HEAP_LEN) as usize)
        .ok_or(malformed("its lengths do not add up"))?;
    let mut heap = HeapReader::new(heap);
    let health = parse_health(&view, &mut heap)?;
    let created_by = heap.take(view.array(header::CREATED_BY)).map_err(malformed)?.into();
    let layers = records
        .chunks_exact(record::SIZE)
        .map(|record| parse_layer(record, &mut heap))
        .collect::<Result<Vec<_>, _>>()?;
    if !heap.is_spent() {
        return Err(malformed("bytes of its heap belong to no string"));
    }
    if !layers.is_sorted_by(|a, b| a.sort_key() <= b.sort_key()) {
        return Err(malformed("its layers are not sorted"));
    }
    let parts = GenerationParts {
        number: view.u64(header::NUMBER),
        parent: view.u64(header::PARENT),
        created_at: view.u64(header::CREATED_AT),
        state_version: view.u32(header::STATE_VERSION),
        tries: view.u8(header::TRIES),
        health,
        created_by,
        layers,
    };
    let generation = Generation { compat: preamble.compat, ..Generation::new(parts)? };
    if generation.layer_set().as_bytes() != &view.array::<32>(header::LAYER_SET) {
        return Err(malformed("its layer set is not that of its layers"));
    }
    Ok(generation)
}

fn parse_health(view: &View<'_>, heap: &mut HeapReader<'_>) -> Result<Option<Health>, GenerationError> {
    let malformed = GenerationError::Malformed;
    let spec = String::from(heap.take(view.array(header::HEALTH_SPEC)).map_err(malformed)?);
    let (timeout, hold) = (view.u32(header::HEALTH_TIMEOUT), view.u32(header::HEALTH_HOLD));
    match view.u8(header::HEALTH_KIND) {
        0 if spec.is_empty() && timeout == 0 && hold == 0 => Ok(None),
        0 => Err(malformed("it has parts of a health check but none")),
        number => {
            let kind =
                HealthKind::from_number(number).ok_or(malformed("its health check is of no known kind"))?;
            Ok(Some(Health { kind, spec, timeout, hold }))
        }
    }
}

fn parse_layer(bytes: &[u8], heap: &mut HeapReader<'_>) -> Result<GenerationLayer, GenerationError> {
    let malformed = GenerationError::Malformed;
    let view = View::new(bytes, &record::LAYOUT).ok_or(malformed("it ends too early"))?;
    let flags = view.u16(record::FLAGS);
    if !view.is_zero(record::RESERVED) || flags & !(FLAG_ASKED | FLAG_UNSIGNED) != 0 {
        return Err(malformed("reserved bytes or flags of a layer are in use"));
    }
    let kind = Kind::from_number(view.u8(record::KIND)).ok_or(malformed("a layer is of no known kind"))?;
    let mount_type = MountType::from_number(view.u8(record::MOUNT_TYPE))
        .ok_or(malformed("a layer has a mount of no known type"))?;
    let mut text = |field| heap.take(view.array(field)).map(String::from).map_err(malformed);
    // The order of use is the heap's order.
    let (name, version, arch) = (text(record::NAME)?, text(record::VERSION)?, text(record::ARCH)?);
    let (path, repo) = (text(record::MOUNT_PATH)?, text(record::REPO)?);
    Ok(GenerationLayer {
        id: LayerId::from_bytes(view.array(record::LAYER_ID)),
        kind,
        mount: Mount { mount_type, path },
        asked: flags & FLAG_ASKED != 0,
        unsigned: flags & FLAG_UNSIGNED != 0,
        epoch: view.u32(record::EPOCH),
        name,
        version,
        arch,
        repo,
    })
}
