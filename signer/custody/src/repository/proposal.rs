//! A change that is waiting for signatures: a file that travels between the holders of the root keys.
//!
//! ```text
//! {"plyos":"proposal","version":1,"repository":HEX,"under":TEXT,
//!  "root":{"signed":{…},"signatures":[{"keyid":HEX,"sig":HEX}…]},
//!  "keyring":{"before":BASE64,"signed":BASE64,"signatures":[…]}}
//! ```
//!
//! `under` is the newest root file. `root` and `keyring` are both there when the root keys change, for the keyring must be signed by the new ones. What was
//! before travels along, so that a signer who has nothing else sees what changes ([`Proposal::changes`]). Nothing in
//! the file is trusted: [`super::Workspace::commit`] checks it like what any stranger sends.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plyos_ids::{BlobDigest, KeyId, SignatureAlgorithm, decode_hex};
use plyos_trust::{
    canonical,
    key::{PublicKey, Signature, to_hex},
    keyring::{Keyring, Statement},
    tuf::{Envelope, ROOT, RoleKeys, Root},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document;
use crate::{SecretKey, SignError, Signer as _};

/// Bytes of a proposal: both documents with what was before, and room.
const MAX_LEN: usize = 8 << 20;

/// Why a proposal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// It cannot be read.
    #[error("this is no proposal of `plyos ceremony propose`: {0}")]
    Malformed(String),
    /// It is about another repository.
    #[error("the proposal is for the repository with root {found}, and this is {wanted}; use it there")]
    OtherRepository {
        /// Of the proposal.
        found: String,
        /// Of the workspace.
        wanted: String,
    },
    /// Something was committed since.
    #[error(
        "the proposal makes {what} version {offered}, and version {current} is there already; propose again"
    )]
    Outdated {
        /// `root` or `keyring`.
        what: &'static str,
        /// Version of the proposal.
        offered: u64,
        /// Newest version.
        current: u64,
    },
    /// The key has no say.
    #[error("key {0} is no root key of the repository, before or after the change; sign with one that is")]
    NotARoot(KeyId),
    /// Two files that are not copies of one proposal.
    #[error("the files are different proposals; commit them one after the other")]
    Different,
    /// The signing key.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// How far a document is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is signed, and by whose rule: `root (by the keys of before)` …
    pub what: &'static str,
    /// Keys whose signatures hold.
    pub found: usize,
    /// Keys that are needed.
    pub needed: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    plyos: String,
    version: u32,
    repository: String,
    under: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<RootPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyring: Option<KeyringPart>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RootPart {
    signed: Value,
    signatures: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringPart {
    before: String,
    signed: String,
    signatures: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    keyid: String,
    sig: String,
}

/// One document and the signatures under it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft<T> {
    pub after: T,
    pub signatures: Vec<Signature>,
}

/// A change that is waiting for signatures.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// SHA-256 of the repository's first root.
    pub(super) repository: BlobDigest,
    /// The newest root file when it was proposed.
    pub(super) under: Vec<u8>,
    /// The signed object of the new root.
    pub(super) root: Option<Draft<Value>>,
    /// The keyring before, and the new one.
    pub(super) keyring: Option<(Keyring, Draft<Statement>)>,
}

fn malformed(reason: impl ToString) -> ProposalError {
    ProposalError::Malformed(reason.to_string())
}

/// The root file of a signed object.
pub(super) fn parse_root(
    signed: &Value,
    signatures: &[Signature],
) -> Result<(Envelope, Root), ProposalError> {
    let envelope = Envelope::parse(ROOT, &document::file(signed, signatures)).map_err(malformed)?;
    let root = Root::parse(&envelope).map_err(malformed)?;
    Ok((envelope, root))
}

impl Proposal {
    /// Reads a proposal.
    ///
    /// # Errors
    /// When the file is none, or a document in it breaks the rules of its format.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProposalError> {
        if bytes.len() > MAX_LEN {
            return Err(malformed("it is too long"));
        }
        let file: File = serde_json::from_slice(bytes).map_err(malformed)?;
        if (file.plyos.as_str(), file.version) != ("proposal", 1) {
            return Err(malformed("it is of another kind or version"));
        }
        if file.root.is_none() && file.keyring.is_none() {
            return Err(malformed("it proposes nothing"));
        }
        let root = file.root.map(|part| {
            let signatures = read_signatures(&part.signatures)?;
            parse_root(&part.signed, &signatures)?;
            Ok::<_, ProposalError>(Draft { after: part.signed, signatures })
        });
        let keyring = file.keyring.map(|part| {
            let bytes = |text: &str| STANDARD.decode(text).map_err(malformed);
            let before = Keyring::parse(&bytes(&part.before)?).map_err(malformed)?;
            let after = Statement::parse(&bytes(&part.signed)?).map_err(malformed)?;
            Ok::<_, ProposalError>((before, Draft { after, signatures: read_signatures(&part.signatures)? }))
        });
        let repository = BlobDigest::parse(&file.repository).map_err(malformed)?;
        let proposal = Self {
            repository,
            under: file.under.into_bytes(),
            root: root.transpose()?,
            keyring: keyring.transpose()?,
        };
        proposal.roots().map(|_| proposal)
    }

    /// The file.
    ///
    /// # Errors
    /// When the keyring breaks a rule of its format.
    pub fn emit(&self) -> Result<Vec<u8>, ProposalError> {
        let root = self.root.as_ref().map(|draft| RootPart {
            signed: draft.after.clone(),
            signatures: write_signatures(&draft.signatures),
        });
        let keyring = self.keyring.as_ref().map(|(before, draft)| {
            Ok::<_, ProposalError>(KeyringPart {
                before: STANDARD.encode(before.emit().map_err(malformed)?),
                signed: STANDARD.encode(draft.after.to_bytes().map_err(malformed)?),
                signatures: write_signatures(&draft.signatures),
            })
        });
        let file = File {
            plyos: "proposal".into(),
            version: 1,
            repository: self.repository.to_hex(),
            under: String::from_utf8_lossy(&self.under).into_owned(),
            root,
            keyring: keyring.transpose()?,
        };
        let mut bytes = serde_json::to_vec_pretty(&file).map_err(malformed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Puts the signature of a root key under every document; one that the key made before is replaced.
    ///
    /// # Errors
    /// When the key is no root key, before or after.
    pub fn sign(&mut self, key: &SecretKey) -> Result<(), ProposalError> {
        let (before, after) = self.roots()?;
        if ![before, after].iter().any(|root| root.root().keys().contains(key.public())) {
            return Err(ProposalError::NotARoot(key.public().key_id()));
        }
        if let Some(draft) = &mut self.root {
            let message = canonical::to_vec(&draft.after).map_err(malformed)?;
            put(&mut draft.signatures, key.sign(&message)?);
        }
        if let Some((_, draft)) = &mut self.keyring {
            let message = draft.after.message().map_err(malformed)?;
            put(&mut draft.signatures, key.sign(&message)?);
        }
        Ok(())
    }

    /// Takes over the signatures of a copy that somebody else signed.
    ///
    /// # Errors
    /// [`ProposalError::Different`].
    pub fn merge(&mut self, other: Self) -> Result<(), ProposalError> {
        let unsigned = |proposal: &Self| {
            let mut bare = proposal.clone();
            bare.root.iter_mut().for_each(|draft| draft.signatures.clear());
            bare.keyring.iter_mut().for_each(|(_, draft)| draft.signatures.clear());
            bare
        };
        if unsigned(self) != unsigned(&other) {
            return Err(ProposalError::Different);
        }
        let roots = self.root.as_mut().zip(other.root);
        let roots = roots.map(|(own, other)| (&mut own.signatures, other.signatures));
        let rings = self.keyring.as_mut().zip(other.keyring);
        let rings = rings.map(|((_, own), (_, other))| (&mut own.signatures, other.signatures));
        for (own, others) in roots.into_iter().chain(rings) {
            others.into_iter().for_each(|signature| put(own, signature));
        }
        Ok(())
    }

    /// How far each document is signed: the new root by the keys of before and by its own, the keyring by those of the
    /// root that it will stand under.
    ///
    /// # Errors
    /// When a document breaks a rule of its format.
    pub fn signed(&self) -> Result<Vec<Signed>, ProposalError> {
        let mut list = Vec::new();
        let (before, after) = self.roots()?;
        let mut judge = |what, draft: &[Signature], message: &[u8], role: &RoleKeys| {
            let found = count(draft, message, &role.keys());
            list.push(Signed { what, found, needed: role.threshold() });
        };
        if let Some(draft) = &self.root {
            let message = canonical::to_vec(&draft.after).map_err(malformed)?;
            judge("root, by the keys of before", &draft.signatures, &message, before.root());
            judge("root, by its own keys", &draft.signatures, &message, after.root());
        }
        if let Some((_, draft)) = &self.keyring {
            let message = draft.after.message().map_err(malformed)?;
            judge("keyring", &draft.signatures, &message, after.root());
        }
        Ok(list)
    }

    /// The root before, and the one after: the same when only the keyring changes.
    pub(super) fn roots(&self) -> Result<(Root, Root), ProposalError> {
        let before = Envelope::parse(ROOT, &self.under).map_err(malformed)?;
        let before = Root::parse(&before).map_err(malformed)?;
        match &self.root {
            Some(draft) => parse_root(&draft.after, &draft.signatures).map(|(_, after)| (before, after)),
            None => Ok((before.clone(), before)),
        }
    }
}

fn count(signatures: &[Signature], message: &[u8], keys: &[PublicKey]) -> usize {
    let by = |key: &&PublicKey| {
        let own = signatures.iter().filter(|signature| signature.key_id == key.key_id());
        own.into_iter().any(|signature| key.verify(message, &signature.bytes).is_ok())
    };
    keys.iter().filter(by).count()
}

fn put(list: &mut Vec<Signature>, signature: Signature) {
    list.retain(|there| there.key_id != signature.key_id);
    list.push(signature);
    list.sort();
}

fn read_signatures(entries: &[Entry]) -> Result<Vec<Signature>, ProposalError> {
    let read = |entry: &Entry| {
        let bytes: [u8; 64] = decode_hex(&entry.sig).map_err(malformed)?;
        Ok(Signature {
            key_id: KeyId::parse(&entry.keyid).map_err(malformed)?,
            algorithm: SignatureAlgorithm::Ed25519 as u16,
            bytes: bytes.to_vec(),
        })
    };
    let list: Vec<Signature> = entries.iter().map(read).collect::<Result<_, ProposalError>>()?;
    let mut ids: Vec<KeyId> = list.iter().map(|signature| signature.key_id).collect();
    ids.sort();
    if ids.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(malformed("two of its signatures are by one key"));
    }
    Ok(list)
}

fn write_signatures(list: &[Signature]) -> Vec<Entry> {
    let entry = |made: &Signature| Entry { keyid: made.key_id.to_hex(), sig: to_hex(&made.bytes) };
    list.iter().map(entry).collect()
}
