//! Whether the kernel will take a layer: the question that it will ask itself, asked before there is an image.
//!
//! The store is no authority. Roots come from files that the user gives, or from the repositories that `pkg` trusts in this
//! store; the keyring must be signed by them and admit the layer's certificate; no keyring that goes into the image may revoke the
//! layer; floors are the store's.

use super::{failure, roots};
use plyos_ids::LayerId;
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::GenerationLayer;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Floors, RecordType, Store};
use plyos_trust::admission::{LayerFacts, Machine, TrustedKeyring};
use plyos_trust::keyring::Refusal;
use plyos_trust::pins::{PinnedSet, Pins};
use plyos_trust::tuf;
use std::collections::BTreeMap;

/// Layers that a refusal names.
const NAMED: usize = 5;

/// A repository that layers came from.
struct Repository {
    keyring: TrustedKeyring<Vec<u8>>,
    /// Its root keys, as this store keeps them.
    set: Option<PinnedSet>,
}

/// Asks, and keeps what was refused until every layer was asked about.
pub struct Gate<'a> {
    store: &'a Store,
    given: Option<Pins>,
    repositories: BTreeMap<String, Repository>,
    floors: Floors,
    /// Layers that their own repositories admit, with name and version.
    admitted: Vec<(LayerId, String)>,
    refused: Vec<String>,
    untrusted: bool,
}

impl<'a> Gate<'a> {
    /// A gate that believes these root files, or if there are none, the roots that the store keeps.
    pub fn new(store: &'a Store, root_files: &[String]) -> Result<Self, Failure> {
        let given = if root_files.is_empty() { None } else { Some(roots::of_files(root_files)?) };
        let floors = store.floors().map_err(|error| failure(&error))?;
        Ok(Self {
            store,
            given,
            repositories: BTreeMap::new(),
            floors,
            admitted: Vec::new(),
            refused: Vec::new(),
            untrusted: false,
        })
    }

    /// Asks about a layer; gives its certificate. What is refused comes out in [`Gate::finish`].
    pub fn ask(
        &mut self,
        layer: &GenerationLayer,
        descriptor: &Descriptor,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let certificate = self.store.record(RecordType::Certificate, layer.id.as_bytes());
        let certificate = certificate.map_err(|error| failure(&error))?;
        let Some(certificate) = certificate.filter(|_| !layer.unsigned) else {
            self.refuse(layer, "it is unsigned, and the kernel knows no such layers", true);
            return Ok(None);
        };
        let floor = self.floors.get(layer.kind, &layer.name);
        let facts = facts(layer.id, descriptor);
        let keyring = &self.repository(&layer.repo)?.keyring;
        let kernel = plyos_kernel_logic::Machine::default();
        let machine = Machine { arch: kernel.arch, abis: kernel.abis, compatible: &kernel.compatible };
        match keyring.admit(&certificate, &facts, floor, &machine) {
            Ok(_) => {
                self.admitted.push((layer.id, format!("{} {}", layer.name, layer.version)));
                Ok(Some(certificate))
            }
            Err(Refusal::WrongAbi { found, machine }) => {
                let why = format!("its programs need ABI {found}, and the kernel has {machine}");
                self.refuse(layer, &why, false);
                Ok(None)
            }
            Err(refusal) => {
                self.refuse(layer, &refusal.to_string(), !refusal.is_of_the_machine());
                Ok(None)
            }
        }
    }

    /// Names of the repositories that the layers came from, and the roots to be pinned.
    ///
    /// # Errors
    /// When a layer was refused; the line names them.
    pub fn finish(mut self) -> Result<(Vec<String>, Pins), Failure> {
        // Which keyrings go in is known now, and the kernel asks all of them.
        for (id, what) in &self.admitted {
            for (name, _) in self.repositories.iter().filter(|(_, found)| found.keyring.revokes(*id)) {
                self.refused.push(format!("{what}: the keyring of '{name}' revokes it"));
                self.untrusted = true;
            }
        }
        if let [first, rest @ ..] = self.refused.as_slice() {
            let mut line = format!("the kernel would not boot this: {first}");
            rest.iter().take(NAMED - 1).for_each(|refused| line += &format!("; {refused}"));
            if self.refused.len() > NAMED {
                line += &format!("; and {} more", self.refused.len() - NAMED);
            }
            let code = if self.untrusted { ExitCode::Signature } else { ExitCode::Machine };
            return Err(Failure::new(code, line + " (--leave-out NAME makes the image without)"));
        }
        let names: Vec<String> = self.repositories.keys().cloned().collect();
        let kept = self.repositories.into_values().filter_map(|repository| repository.set);
        let pins = match self.given {
            Some(given) => given,
            None => roots::pins(kept)?,
        };
        // The one floor of a store is that of a single keyring.
        if let [name] = names.as_slice() {
            let doing = format!("the keyring of '{name}' is refused");
            let keyring =
                self.store.record(RecordType::Keyring, &key_of(name)).map_err(|error| failure(&error))?;
            let floor = self.store.superblock().keyring_floor;
            pins.trust(keyring.unwrap_or_default(), floor).or_fail(ExitCode::Signature, &doing)?;
        }
        Ok((names, pins))
    }

    fn refuse(&mut self, layer: &GenerationLayer, why: &str, untrusted: bool) {
        self.refused.push(format!("{} {}: {why}", layer.name, layer.version));
        self.untrusted |= untrusted;
    }

    fn repository(&mut self, name: &str) -> Result<&Repository, Failure> {
        if !self.repositories.contains_key(name) {
            let loaded = self.load(name)?;
            self.repositories.insert(name.to_owned(), loaded);
        }
        let lost = || Failure::new(ExitCode::Failure, "a keyring was lost; this is a defect of plyos");
        self.repositories.get(name).ok_or_else(lost)
    }

    fn load(&self, name: &str) -> Result<Repository, Failure> {
        let doing = format!("the keyring of '{name}' is refused");
        let missing =
            |what: &str| Failure::new(ExitCode::Signature, format!("{doing}: {what}; run `pkg update`"));
        let record = |record_type, key: &[u8; 32]| {
            self.store.record(record_type, key).map_err(|error| failure(&error))
        };
        let keyring = record(RecordType::Keyring, &key_of(name))?.ok_or_else(|| missing("it is missing"))?;
        let (pins, set) = match &self.given {
            Some(given) => (given.clone(), None),
            None => {
                let key = key_of(&format!("{name}/{}", tuf::ROOT));
                let root =
                    record(RecordType::TufMetadata, &key)?.ok_or_else(|| missing("its root is missing"))?;
                let set = roots::set_of(&root, &doing)?;
                (roots::pins([set.clone()])?, Some(set))
            }
        };
        let keyring = pins.trust(keyring, 0).or_fail(ExitCode::Signature, &doing)?;
        Ok(Repository { keyring, set })
    }
}

fn facts(id: LayerId, descriptor: &Descriptor) -> LayerFacts<'_> {
    LayerFacts {
        id,
        kind: descriptor.kind(),
        name: descriptor.name(),
        arch: descriptor.arch(),
        abi: descriptor.abi(),
        compatible: descriptor.compatible(),
    }
}

/// Key of a record that is called by a text.
pub fn key_of(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_custody::{SecretKey, Signer as _};
    use plyos_storefile::CreateOptions;
    use plyos_trust::keyring::{Keyring, Revocation, Statement};
    use plyos_trust::signatures::Signatures;

    fn repository(revocations: &[Revocation]) -> Repository {
        let root = SecretKey::from_seed(&[1; 32]).unwrap();
        let revocations = revocations.to_vec();
        let statement = Statement { version: 1, issued_at: 0, keys: Vec::new(), revocations };
        let signature = root.sign(&statement.message().unwrap()).unwrap();
        let signatures = Signatures::new(vec![signature]).unwrap();
        let bytes = Keyring::new(statement, signatures).unwrap().emit().unwrap();
        let set = PinnedSet::new(1, [*root.public()]).unwrap();
        let keyring = roots::pins([set.clone()]).unwrap().trust(bytes, 0).unwrap();
        Repository { keyring, set: Some(set) }
    }

    #[test]
    fn a_keyring_of_another_repository_that_goes_in_may_revoke() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::create(&path, &CreateOptions { size: 16 << 20, boots: true }).unwrap();
        let layer = LayerId::from_bytes([7; 32]);
        let finish = |revoked: LayerId| {
            let mut gate = Gate::new(&store, &[]).unwrap();
            gate.repositories.insert("own".to_owned(), repository(&[]));
            gate.repositories.insert("other".to_owned(), repository(&[Revocation::Layer(revoked)]));
            gate.admitted.push((layer, "docs 1".to_owned()));
            gate.finish()
        };
        let refused = finish(layer).unwrap_err().to_string();
        assert!(refused.contains("docs 1: the keyring of 'other' revokes it"), "{refused}");
        assert_eq!(finish(LayerId::from_bytes([8; 32])).unwrap().0, ["other", "own"]);
    }
}
