//! The key file in the clear, and the public file: one line of JSON each.
//!
//! ```text
//! {"plyos":"secret-key","version":1,"role":ROLE,"algorithm":"ed25519","public":HEX,"secret":HEX,"encryption":null}
//! {"plyos":"public-key","version":1,"role":ROLE,"algorithm":"ed25519","public":HEX,"key-id":HEX}
//! ```

use plyos_ids::decode_hex;
use plyos_trust::key::{PublicKey, to_hex};
use serde::{Deserialize, de::IgnoredAny};
use zeroize::Zeroizing;

use super::{Label, Role};
use crate::secret::{SecretKey, Signer as _};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile<'a> {
    plyos: &'a str,
    version: u32,
    role: &'a str,
    algorithm: &'a str,
    public: &'a str,
    secret: &'a str,
    encryption: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicFile<'a> {
    plyos: &'a str,
    version: u32,
    role: &'a str,
    algorithm: &'a str,
    public: &'a str,
    #[serde(rename = "key-id")]
    key_id: &'a str,
}

/// The text of a secret file.
pub(super) fn secret_text(key: &SecretKey, role: Role) -> Zeroizing<String> {
    let (public, secret) = (to_hex(key.public().as_bytes()), Zeroizing::new(to_hex(key.seed())));
    // Room for all of it at once: growing would leave copies behind that are not cleared.
    let mut text = Zeroizing::new(String::with_capacity(512));
    for part in [
        r#"{"plyos":"secret-key","version":1,"role":""#,
        role.as_str(),
        r#"","algorithm":"ed25519","public":""#,
        &public,
        r#"","secret":""#,
        &secret,
        "\",\"encryption\":null}\n",
    ] {
        text.push_str(part);
    }
    text
}

/// The text of a public file.
pub(super) fn public_text(key: &PublicKey, role: Role) -> String {
    let (public, id) = (to_hex(key.as_bytes()), key.key_id().to_hex());
    format!(
        "{{\"plyos\":\"public-key\",\"version\":1,\"role\":\"{role}\",\"algorithm\":\"ed25519\",\"public\":\"{public}\",\"key-id\":\"{id}\"}}\n"
    )
}

/// Reads a secret file.
pub(super) fn read_secret(bytes: &[u8]) -> Result<(Label, SecretKey), String> {
    let file: SecretFile<'_> =
        serde_json::from_slice(bytes).map_err(|error| format!("it cannot be read ({error})"))?;
    if (file.plyos, file.version) != ("secret-key", 1) || file.encryption.is_some() {
        return Err("it is of another kind or version".into());
    }
    let label = label(file.role, file.algorithm, file.public)?;
    let seed =
        Zeroizing::new(decode_hex(file.secret).map_err(|_| "its secret is not 64 hexadecimal digits")?);
    let key = SecretKey::from_seed(&seed).map_err(|error| error.to_string())?;
    if *key.public() != label.public {
        return Err("its public and secret halves do not belong together".into());
    }
    Ok((label, key))
}

/// Reads a public file.
pub(super) fn read_public(bytes: &[u8]) -> Result<Label, String> {
    let file: PublicFile<'_> =
        serde_json::from_slice(bytes).map_err(|error| format!("it cannot be read ({error})"))?;
    if (file.plyos, file.version) != ("public-key", 1) {
        return Err("it is of another kind or version".into());
    }
    let label = label(file.role, file.algorithm, file.public)?;
    if label.public.key_id().to_hex() == file.key_id {
        Ok(label)
    } else {
        Err("its key and its key id do not belong together".into())
    }
}

/// What the words of a file say.
pub(super) fn label(role: &str, algorithm: &str, public: &str) -> Result<Label, String> {
    let role = Role::parse(role).ok_or("its role is not known here")?;
    if algorithm != "ed25519" {
        return Err("its algorithm is not known here".into());
    }
    let public: [u8; 32] = decode_hex(public).map_err(|_| "its public half is not 64 hexadecimal digits")?;
    let public = PublicKey::ed25519(&public).map_err(|error| error.to_string())?;
    Ok(Label { role, public, encrypted: false })
}
