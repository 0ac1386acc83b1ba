//! The gzip form: our reader, and those of others, which see nothing but a compressed tar.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use plyos_ids::Codec;
use plyos_layer_format::footer::FooterError;
use plyos_layer_format::frames::Form;
use plyos_layer_format::index::{Chunk, Limits};
use tempfile::tempdir;

use super::facts;
use super::foreign::{run, skipped};
use super::{build_tree, export_blob, keep_times, nasty, noise, quick};
use crate::export::Owners;
use crate::reader::{Blob, DecodeError, Kept, ReadError, decode_chunk, kept};
use crate::{BuildOptions, Built, scan};

fn build_gzip(dir: &Path) -> (Built, Vec<u8>) {
    build_tree(&scan(dir, &keep_times()).unwrap(), &BuildOptions { form: Form::Gzip, ..quick() })
}

fn member(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn it_is_the_same_layer() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (built, blob) = build_gzip(dir.path());
    let (zstd, _) = build_tree(&scan(dir.path(), &keep_times()).unwrap(), &quick());
    assert_eq!((built.layer, built.diff_sha256, built.form), (zstd.layer, zstd.diff_sha256, Form::Gzip));
    assert_ne!(built.blob_sha256, zstd.blob_sha256);
    let opened = Blob::open(Cursor::new(&blob), &Limits::default()).unwrap();
    assert_eq!((opened.layer(), opened.table().form), (built.layer, Form::Gzip));
    let out = tempdir().unwrap();
    export_blob(&blob, &out.path().join("tree"), Owners::Keep);
    facts::assert_same(&facts::of(dir.path()), &facts::of(&out.path().join("tree")));
}

/// More than 65,535 bytes of stored index, so several members.
#[test]
fn tables_of_several_members() {
    let dir = tempdir().unwrap();
    for number in 0..3000_u32 {
        let name: String = noise(number.into(), 40).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(dir.path().join(name), number.to_string()).unwrap();
    }
    let (built, blob) = build_gzip(dir.path());
    assert!(built.index_place.stored > 2 * 65_535, "{}", built.index_place.stored);
    let opened = Blob::open(Cursor::new(&blob), &Limits::default()).unwrap();
    assert_eq!(opened.index_bytes(), built.index);
}

#[test]
fn gzip_and_tar_extract_the_tree() {
    if skipped() {
        return;
    }
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (_, blob) = build_gzip(dir.path());
    let out = tempdir().unwrap();
    let stream = run(Command::new("gzip").arg("-dc"), &blob);
    let mut tar = Command::new("tar");
    tar.args(["-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C"]).arg(out.path());
    run(&mut tar, &stream);
    facts::assert_same(&facts::of(dir.path()), &facts::of(out.path()));
}

#[test]
fn python_reads_it_as_a_tar_with_gzip() {
    if skipped() {
        return;
    }
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (built, blob) = build_gzip(dir.path());
    // Its streaming mode ('r|gz') reads the first member only, whoever made them.
    let program = "import io, sys, tarfile\n\
        archive = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), mode='r:gz')\n\
        sizes = [len(archive.extractfile(m).read()) if m.isfile() else 0 for m in archive]\n\
        print(len(sizes), sum(sizes))";
    let said = run(Command::new("python3").args(["-c", program]), &blob);
    let expected = format!("{} {}\n", built.entries, built.content_len);
    assert_eq!(String::from_utf8(said).unwrap(), expected);
}

#[test]
fn a_member_decodes_to_its_chunk_alone() {
    let bytes = b"some text, some text, some text".repeat(100);
    let id = plyos_ids::ChunkId::from_bytes(*blake3::hash(&bytes).as_bytes());
    let chunk = Chunk { id, length: bytes.len() as u32 };
    let good = member(&bytes);
    assert_eq!(decode_chunk(Codec::Gzip, &good, &chunk).unwrap(), bytes);
    let other = [&bytes[..bytes.len() - 1], b"!"].concat();
    let error = decode_chunk(Codec::Gzip, &member(&other), &chunk).unwrap_err();
    assert!(matches!(error, DecodeError::Chunk { .. }), "{error}");
    let crc = [&good[..good.len() - 8], &[0; 4], &good[good.len() - 4..]].concat();
    for (what, bad) in [
        ("cut off", &good[..good.len() - 1]),
        ("with another checksum", &crc),
        ("followed by a byte", &[&good[..], b"x"].concat()),
        ("followed by a member", &[&good[..], &member(b"")].concat()),
        ("longer", &member(&[&bytes[..], b"x"].concat())),
        ("shorter", &member(&bytes[1..])),
        ("a bomb", &member(&vec![0; 64 << 20])),
        ("not gzip", &bytes),
        ("nothing", b""),
    ] {
        let error = decode_chunk(Codec::Gzip, bad, &chunk).unwrap_err();
        assert!(matches!(error, DecodeError::Damaged(_)), "{what}: {error}");
    }
}

#[test]
fn a_footer_in_the_wrong_frame_is_refused() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "content").unwrap();
    let (_, blob) = build_gzip(dir.path());
    let footer = Blob::open(Cursor::new(&blob), &Limits::default()).unwrap().footer().emit();
    let length = blob.len() - plyos_layer_format::gzip_members::FOOTER_SIZE;
    let wrong = [&blob[..length], &footer].concat();
    let error = Blob::open(Cursor::new(&wrong), &Limits::default()).unwrap_err();
    assert!(matches!(error, ReadError::Mismatch(_)), "{error}");
    let error = Blob::open(Cursor::new(&blob[..blob.len() - 1]), &Limits::default()).unwrap_err();
    assert!(matches!(error, ReadError::Footer(FooterError::Absent)), "{error}");
}

#[test]
fn stores_keep_no_gzip() {
    for (bytes, codec) in [(b"text ".repeat(1000), Codec::Zstd), (noise(1, 5000), Codec::Raw)] {
        let id = plyos_ids::ChunkId::from_bytes(*blake3::hash(&bytes).as_bytes());
        let chunk = Chunk { id, length: bytes.len() as u32 };
        let Kept::Instead(found, stored) = kept(Form::Gzip, &member(&bytes), &chunk).unwrap() else {
            panic!("kept as it came")
        };
        assert_eq!(found, codec);
        assert!(stored.len() <= bytes.len());
        assert_eq!(decode_chunk(codec, &stored, &chunk).unwrap(), bytes);
        assert!(kept(Form::Gzip, &member(b"other"), &chunk).is_err());
        assert!(kept(Form::Zstd, &member(&bytes), &chunk).is_err(), "gzip where zstd was announced");
    }
}
