//! The question of [`plyos_trust::admission`] with its verdicts: a good layer, and each refusal by its name.
//!
//! Loader, kernel and whoever writes another reader run the same cases: inputs and expected verdicts stand in one JSON file.

use anyhow::{Context as _, Result};
use plyos_custody::Signer as _;
use plyos_ids::{Kind, KindSet, LayerId, decode_hex};
use plyos_layer_format::index::layer_id;
use plyos_trust::admission::{Admission, Floors, LayerFacts, Machine, PinnedRoots, admit};
use plyos_trust::certificate::{Certificate, Statement};
use plyos_trust::key::{PublicKey, to_hex};
use plyos_trust::keyring::{self, Keyring, LayerKey, Revocation};
use plyos_trust::signatures::Signatures;
use serde_json::{Map, Value, json};

use crate::fixed::{NOW, key};
use crate::layer::small;
use crate::{Again, Golden};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[Golden {
    name: "admission.json",
    section: "Admission",
    what: "cases of the one check with their verdicts: keyrings and certificates in hexadecimal, signed by the root keys of seeds 1 and 2 and the layer keys of seeds 11 to 13",
    make: made,
    again: Again::Emit(judged_again),
}];

const ROOTS: [u8; 2] = [1, 2];
const LAYER_KEY: u8 = 11;

fn signatures(message: &[u8], seeds: &[u8]) -> Result<Signatures> {
    let sign = |seed: &u8| Ok(key(*seed)?.sign(message)?);
    Ok(Signatures::new(seeds.iter().map(sign).collect::<Result<_>>()?)?)
}

fn keyring(roots: &[u8], change: impl FnOnce(&mut keyring::Statement)) -> Result<Value> {
    let kinds = KindSet::default().with(Kind::Package);
    let keys = vec![LayerKey::new(key(LAYER_KEY)?.public(), kinds)];
    let mut statement = keyring::Statement { version: 7, issued_at: NOW, keys, revocations: Vec::new() };
    change(&mut statement);
    statement.normalise();
    let signatures = signatures(&statement.message()?, roots)?;
    Ok(json!(to_hex(&Keyring::new(statement, signatures)?.emit()?)))
}

fn certificate(layer: LayerId, epoch: u32, seeds: &[u8]) -> Result<Value> {
    let statement = Statement { layer, issued_at: NOW, epoch };
    Ok(json!(to_hex(&Certificate::new(statement, signatures(&statement.message(), seeds)?).emit())))
}

/// The second of two signatures of 104 bytes at `from` becomes a copy of the first.
fn signed_twice(object: &Value, from: usize) -> Result<Value> {
    let text = object.as_str().context("no text")?;
    let first = text.get(from * 2..(from + 104) * 2).context("too short")?;
    let head = text.get(..from * 2).context("too short")?;
    let tail = text.get((from + 208) * 2..).context("too short")?;
    Ok(json!([head, first, first, tail].concat()))
}

/// What differs from the good case, by the name of the case.
fn cases(layer: LayerId) -> Result<Vec<(&'static str, Value)>> {
    let id = key(LAYER_KEY)?.public().key_id();
    let ring = |change: &dyn Fn(&mut keyring::Statement)| keyring(&ROOTS, change);
    let two = certificate(layer, 3, &[LAYER_KEY, 12])?;
    let both_roots = keyring(&ROOTS, |_| {})?;
    let first = both_roots.as_str().context("no text")?.len() / 2 - 208;
    let mut altered = small()?.index;
    // One letter of the kind in the descriptor.
    let kind = b"\"kind\":\"package";
    let at = altered.windows(kind.len()).position(|window| window == kind).context("no descriptor")?;
    *altered.get_mut(at + kind.len() - 1).context("no descriptor")? = b'f';
    Ok(vec![
        ("good", json!({})),
        ("unknown-key", json!({"certificate": certificate(layer, 3, &[13])?})),
        ("wrong-kind", json!({"kind": "base"})),
        (
            "wrong-prefix",
            json!({"keyring": ring(&|ring| each_key(ring, |key| key.prefixes = vec!["lib".into()]))?}),
        ),
        ("revoked-key", json!({"keyring": ring(&|ring| ring.revocations.push(Revocation::Key(id)))?})),
        ("revoked-layer", json!({"keyring": ring(&|ring| ring.revocations.push(Revocation::Layer(layer)))?})),
        ("below-floor", json!({"floor": 4})),
        ("below-least-epoch", json!({"keyring": ring(&|ring| each_key(ring, |key| key.least_epoch = 4))?})),
        ("altered-descriptor", json!({"layer": layer_id(&altered).to_hex()})),
        ("too-few-root-signatures", json!({"keyring": keyring(&[1], |_| {})?})),
        ("duplicate-root-signatures", json!({"keyring": signed_twice(&both_roots, first)?})),
        ("duplicate-signatures", json!({"certificate": signed_twice(&two, 96)?})),
        ("keyring-rollback", json!({"keyring_floor": 8})),
        ("wrong-architecture", json!({"arch": "arm64"})),
        ("wrong-abi", json!({"abi": "plyos-9"})),
        ("wrong-compatible", json!({"compatible": ["acme,other", "acme"]})),
    ])
}

fn each_key(statement: &mut keyring::Statement, change: impl Fn(&mut LayerKey)) {
    statement.keys.iter_mut().for_each(change);
}

fn made() -> Result<Vec<u8>> {
    let layer = layer_id(&small()?.index);
    let roots = ROOTS.iter().map(|seed| Ok(to_hex(key(*seed)?.public().as_bytes())));
    let roots: Vec<String> = roots.collect::<Result<_>>()?;
    let good = json!({
        "roots": roots, "threshold": 2, "keyring": keyring(&ROOTS, |_| {})?,
        "certificate": certificate(layer, 3, &[LAYER_KEY])?, "layer": layer.to_hex(), "kind": "package",
        "name": "sample", "arch": "amd64", "abi": "linux", "compatible": ["acme,board"], "floor": 3,
        "keyring_floor": 7,
        "machine": {"arch": "amd64", "abis": ["linux", "plyos-0"], "compatible": ["acme,board-2", "acme,board"]},
    });
    let mut listed = Map::new();
    for (name, change) in cases(layer)? {
        listed.insert(name.into(), json!({"change": change, "verdict": verdict(&good, &change)?}));
    }
    text(&good, listed)
}

fn text(good: &Value, cases: Map<String, Value>) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&json!({"good": good, "cases": cases}))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The committed cases, judged by the code there is now.
fn judged_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let file: Value = serde_json::from_slice(bytes)?;
    let good = file.get("good").context("no good case")?;
    let mut listed = Map::new();
    for (name, case) in file.get("cases").and_then(Value::as_object).context("no cases")? {
        let change = case.get("change").context("no change")?;
        let (said, found) = (case.get("verdict").and_then(Value::as_str), verdict(good, change)?);
        anyhow::ensure!(said == Some(&found), "{name}: the file says {said:?}, and the verdict is {found:?}");
        listed.insert(name.clone(), json!({"change": change, "verdict": found}));
    }
    text(good, listed)
}

/// The verdict on the good case with `change`: `admitted …`, or the refusal's line.
fn verdict(good: &Value, change: &Value) -> Result<String> {
    let member =
        |name: &str| change.get(name).or_else(|| good.get(name)).with_context(|| format!("no {name}"));
    let word = |name: &str| member(name)?.as_str().with_context(|| format!("{name} is no text"));
    let number = |name: &str| member(name)?.as_u64().with_context(|| format!("{name} is no number"));
    let (keyring, certificate) = (hex(word("keyring")?)?, hex(word("certificate")?)?);
    let roots = texts(member("roots")?)?;
    let roots = roots.iter().map(|text| Ok(PublicKey::ed25519(&hex(text)?)?));
    let roots: Vec<PublicKey> = roots.collect::<Result<_>>()?;
    let machine = member("machine")?;
    let part = |name: &str| machine.get(name).with_context(|| format!("the machine has no {name}"));
    let (abis, hardware, compatible) =
        (texts(part("abis")?)?, texts(part("compatible")?)?, texts(member("compatible")?)?);
    let abis: Vec<&str> = abis.iter().map(String::as_str).collect();
    let admitted = admit(&Admission {
        keyring: &keyring,
        certificate: &certificate,
        layer: LayerFacts {
            id: LayerId::parse(word("layer")?)?,
            kind: Kind::parse(word("kind")?).context("no such kind")?,
            name: word("name")?,
            arch: word("arch")?,
            abi: Some(word("abi")?),
            compatible: &compatible,
        },
        roots: PinnedRoots { keys: &roots, threshold: u32::try_from(number("threshold")?)? },
        floors: Floors { keyring: number("keyring_floor")?, epoch: u32::try_from(number("floor")?)? },
        machine: Machine {
            arch: part("arch")?.as_str().context("no architecture")?,
            abis: &abis,
            compatible: &hardware,
        },
    });
    Ok(match admitted {
        Ok(good) => {
            let (epoch, version) = (good.epoch, good.keyring_version);
            format!("admitted at epoch {epoch} by key {}, keyring {version}", good.key_id)
        }
        Err(refusal) => format!("refused: {refusal}"),
    })
}

fn texts(value: &Value) -> Result<Vec<String>> {
    let list = value.as_array().context("no list")?;
    list.iter().map(|item| Ok(item.as_str().context("no text")?.to_owned())).collect()
}

fn hex(text: &str) -> Result<Vec<u8>> {
    let pair = |at: usize| -> Result<u8> {
        let [byte] = decode_hex::<1>(text.get(at..at + 2).context("half a byte")?)?;
        Ok(byte)
    };
    (0..text.len()).step_by(2).map(pair).collect()
}
