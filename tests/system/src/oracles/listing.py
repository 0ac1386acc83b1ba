# Lists a layer's blob as Python's zstandard and tarfile read it: a JSON object a line; names and values in hexadecimal.
import hashlib
import json
import os
import sys
import tarfile

import zstandard

XATTR = "SCHILY.xattr."
LETTERS = {
    tarfile.REGTYPE: "-", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h",
    tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p",
}


def plain(text):
    return text.encode("utf-8", "surrogateescape").hex()


def facts(archive, member):
    content = archive.extractfile(member) if member.isreg() else None
    xattrs = {key: value for key, value in member.pax_headers.items() if key.startswith(XATTR)}
    return {
        "path": plain(member.name), "kind": LETTERS[member.type], "mode": member.mode, "uid": member.uid,
        "gid": member.gid, "size": member.size, "device": os.makedev(member.devmajor, member.devminor),
        "target": plain(member.linkname),
        "sha256": hashlib.file_digest(content, "sha256").hexdigest() if content else None,
        "xattrs": {plain(key[len(XATTR):]): plain(value) for key, value in xattrs.items()},
    }


with open(sys.argv[1], "rb") as blob:
    stream = zstandard.ZstdDecompressor().stream_reader(blob, read_across_frames=True)
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            print(json.dumps(facts(archive, member)))
