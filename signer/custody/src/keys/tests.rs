//! Key files: what comes back, what is refused, and openssl as the judge of encrypted ones.

use std::path::PathBuf;
use std::process::Command;

use plyos_trust::key::to_hex;

use super::*;

fn made() -> (tempfile::TempDir, PathBuf, SecretKey) {
    let dir = tempfile::tempdir().unwrap();
    let key = new(dir.path(), "root", Role::Root).unwrap();
    let path = dir.path().join("root.key");
    (dir, path, key)
}

fn tampered(from: &str, to: &str) -> KeyFileError {
    let (_dir, path, _) = made();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    open(&path, Role::Root).unwrap_err()
}

#[test]
fn a_key_comes_back_and_its_public_file_tells_no_secret() {
    let (dir, path, key) = made();
    let back = open(&path, Role::Root).unwrap();
    assert_eq!((back.public(), back.seed()), (key.public(), key.seed()));
    let public: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("root.pub")).unwrap()).unwrap();
    assert_eq!(public["key-id"], key.public().key_id().to_hex());
    assert!(!public.to_string().contains(&to_hex(key.seed())));
}

#[test]
fn a_key_is_never_overwritten() {
    let (dir, path, key) = made();
    assert!(matches!(new(dir.path(), "root", Role::Layer), Err(KeyFileError::Exists(_))));
    assert_eq!(open(&path, Role::Root).unwrap().seed(), key.seed());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "../root", "a/b", ".hidden", "a b"] {
        assert!(matches!(new(dir.path(), name, Role::Root), Err(KeyFileError::Name(_))), "{name}");
    }
}

#[test]
fn key_that_others_can_read_is_refused() {
    let (_dir, path, _) = made();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(open(&path, Role::Root), Err(KeyFileError::Readable { .. })));
}

#[test]
fn each_defect_has_its_error() {
    let (_dir, path, key) = made();
    assert!(matches!(open(&path, Role::Layer), Err(KeyFileError::Role { .. })));
    assert!(matches!(open(Path::new("nowhere.key"), Role::Root), Err(KeyFileError::Io { .. })));
    assert!(matches!(tampered("null", "{\"kdf\":\"x\"}"), KeyFileError::Malformed { .. }));
    assert!(matches!(tampered("\"version\":1", "\"version\":2"), KeyFileError::Malformed { .. }));
    assert!(matches!(tampered("ed25519", "rsa"), KeyFileError::Malformed { .. }));
    assert!(matches!(tampered("\"secret\":\"", "\"secret\":\"zz"), KeyFileError::Malformed { .. }));
    let other = to_hex(SecretKey::generate().unwrap().seed());
    let text = fs::read_to_string(&path).unwrap().replace(&to_hex(key.seed()), &other);
    fs::write(&path, text).unwrap();
    assert!(matches!(open(&path, Role::Root), Err(KeyFileError::Malformed { .. })), "halves of two keys");
}

#[derive(Debug)]
struct One(&'static str);

impl Passphrases for One {
    fn of(&self, _: &Path) -> Result<Passphrase, String> {
        Ok(passphrase(self.0))
    }
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn encrypted() -> (tempfile::TempDir, PathBuf, SecretKey) {
    let dir = tempfile::tempdir().unwrap();
    let protection = passphrase("correct horse");
    let key = new_protected(dir.path(), "root", Role::Root, Protection::Passphrase(&protection)).unwrap();
    let path = dir.path().join("root.key");
    (dir, path, key)
}

#[test]
fn encrypted_key_comes_back_by_its_passphrase_alone() {
    let (_dir, path, key) = encrypted();
    let back = open_with(&path, Role::Root, &One("correct horse")).unwrap();
    assert_eq!((back.public(), back.seed()), (key.public(), key.seed()));
    let label = look(&path).unwrap();
    assert_eq!(label, Label { role: Role::Root, public: *key.public(), encrypted: true });
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&to_hex(key.seed())), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for refused in [open_with(&path, Role::Root, &One("battery")), open(&path, Role::Root)] {
        assert!(matches!(refused, Err(KeyFileError::Locked { .. })));
    }
    assert!(Passphrase::new(Zeroizing::new(String::new())).is_none());
}

#[test]
fn encrypted_file_that_says_another_key_or_is_damaged_is_refused() {
    let (_dir, path, key) = encrypted();
    let text = fs::read_to_string(&path).unwrap();
    let other = to_hex(SecretKey::generate().unwrap().public().as_bytes());
    let tampered = |text: String| {
        fs::write(&path, text).unwrap();
        open_with(&path, Role::Root, &One("correct horse")).unwrap_err()
    };
    let own = to_hex(key.public().as_bytes());
    assert!(matches!(tampered(text.replace(&own, &other)), KeyFileError::Malformed { .. }));
    assert!(matches!(tampered(text.replace("role=root", "role=queen")), KeyFileError::Malformed { .. }));
    let cut: Vec<&str> = text.lines().filter(|line| !line.ends_with('=')).take(3).collect();
    assert!(matches!(tampered(cut.join("\n")), KeyFileError::Locked { .. }));
    assert!(matches!(tampered(text.replace("ENCRYPTED ", "")), KeyFileError::Locked { .. }));
}

#[test]
fn protection_changes_and_the_key_stays() {
    let (_dir, path, key) = made();
    let new = passphrase("new");
    let label = protect(&path, &NoPassphrases, Protection::Passphrase(&new)).unwrap();
    assert!(label.encrypted);
    assert!(protect(&path, &One("old"), Protection::Owner).is_err());
    assert!(look(&path).unwrap().encrypted, "a refused change leaves the file");
    protect(&path, &One("new"), Protection::Owner).unwrap();
    assert_eq!(open(&path, Role::Root).unwrap().seed(), key.seed());
}

/// The file as another program reads and writes it. Runs where there is an openssl.
#[test]
fn openssl_reads_the_encrypted_key_and_writes_one_that_is_read() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: there is no openssl");
        return;
    }
    let (dir, path, key) = encrypted();
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let file = path.to_str().unwrap();
    let der = openssl(&["pkey", "-in", file, "-passin", "pass:correct horse", "-pubout", "-outform", "DER"]);
    assert_eq!(der[der.len() - 32..], *key.public().as_bytes());
    let clear = openssl(&["pkey", "-in", file, "-passin", "pass:correct horse", "-outform", "DER"]);
    assert_eq!(clear[clear.len() - 32..], *key.seed());

    // The same key, encrypted by openssl with its own parameters, below our first line.
    let clear_path = dir.path().join("clear.der");
    fs::write(&clear_path, &clear).unwrap();
    let clear_file = clear_path.to_str().unwrap();
    let args = ["pkcs8", "-topk8", "-scrypt", "-inform", "DER", "-in", clear_file, "-passout", "pass:other"];
    let pem = String::from_utf8(openssl(&args)).unwrap();
    let first_line = fs::read_to_string(&path).unwrap().lines().next().unwrap().to_owned();
    fs::write(&path, format!("{first_line}\n{pem}")).unwrap();
    assert_eq!(open_with(&path, Role::Root, &One("other")).unwrap().seed(), key.seed());
}
