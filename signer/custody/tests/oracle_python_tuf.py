#!/usr/bin/env python3
"""python-tuf, the reference implementation of TUF, as a foreign oracle.

    oracle_python_tuf.py read DIR STATE TARGET...
        Serves DIR (`metadata/`, `targets/`) on the loopback interface, runs ngclient's Updater on it with its metadata
        cache in STATE, trusting `metadata/1.root.json` at first, and prints `TARGET LENGTH` for each target that it
        fetched and verified.
    oracle_python_tuf.py write DIR
        Writes a repository with python-tuf's own metadata API: two root versions, one delegated role `package`, targets
        `keyring` and `package/hello/1.0/amd64`.

Exits 1 with python-tuf's error when it refuses.
"""

import functools
import hashlib
import http.server
import pathlib
import sys
import threading
from datetime import datetime, timedelta, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.ngclient import Updater


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def read(directory: pathlib.Path, state: pathlib.Path, names: list[str]) -> None:
    handler = functools.partial(QuietHandler, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    downloads = state / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    updater = Updater(
        metadata_dir=str(state),
        metadata_base_url=f"{url}/metadata/",
        target_dir=str(downloads),
        target_base_url=f"{url}/targets/",
        bootstrap=(directory / "metadata" / "1.root.json").read_bytes(),
    )
    updater.refresh()
    for name in names:
        info = updater.get_targetinfo(name)
        if info is None:
            raise RepositoryError(f"{name}: not in the catalog")
        path = updater.download_target(info)
        print(name, pathlib.Path(path).stat().st_size)
    server.shutdown()


def write(directory: pathlib.Path) -> None:
    expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3)
    keys = {role: CryptoSigner.generate_ed25519() for role in ("root", "targets", "snapshot", "timestamp", "package")}
    new_root = CryptoSigner.generate_ed25519()

    def put(path: str, data: bytes) -> None:
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def sign(signed, *signers) -> bytes:
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    root = Root(expires=expires, consistent_snapshot=True)
    for role in ("root", "targets", "snapshot", "timestamp"):
        root.add_key(keys[role].public_key, role)
    put("metadata/1.root.json", sign(root, keys["root"]))
    root.version = 2
    root.revoke_key(keys["root"].public_key.keyid, "root")
    root.add_key(new_root.public_key, "root")
    put("metadata/2.root.json", sign(root, keys["root"], new_root))

    def target(name: str, data: bytes, custom: dict | None) -> TargetFile:
        digest = hashlib.sha256(data).hexdigest()
        folder, _, last = name.rpartition("/")
        put("/".join(part for part in ("targets", folder, f"{digest}.{last}") if part), data)
        fields = {"custom": custom} if custom else {}
        return TargetFile(len(data), {"sha256": digest}, name, fields)

    name = "package/hello/1.0/amd64"
    custom = {"text": 'quotes " and \\ and a\nline, caf\u00e9 \U0001f600', "number": -7, "nothing": None}
    package = Targets(expires=expires, targets={name: target(name, b"a manifest", custom)})
    key = keys["package"].public_key
    role = DelegatedRole("package", [key.keyid], 1, True, paths=["package/*/*/*"])
    targets = Targets(
        expires=expires,
        targets={"keyring": target("keyring", b"a keyring", None)},
        delegations=Delegations({key.keyid: key}, {"package": role}),
    )
    files = {"package.json": sign(package, keys["package"]), "targets.json": sign(targets, keys["targets"])}
    meta = {path: MetaFile.from_data(1, data, ["sha256"]) for path, data in files.items()}
    snapshot = sign(Snapshot(expires=expires, meta=meta), keys["snapshot"])
    timestamp = Timestamp(expires=expires, snapshot_meta=MetaFile.from_data(1, snapshot, ["sha256"]))
    for path, data in {**files, "snapshot.json": snapshot}.items():
        put(f"metadata/1.{path}", data)
    put("metadata/timestamp.json", sign(timestamp, keys["timestamp"]))


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["read", directory, state, *names]:
                read(pathlib.Path(directory), pathlib.Path(state), names)
            case ["write", directory]:
                write(pathlib.Path(directory))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (RepositoryError, DownloadError) as error:
        print(f"python-tuf refused: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
