"""What the Python package `oras` does to a registry. Arguments: HOST:PORT, USER, PASSWORD (both empty for no login), a folder.

Prints one JSON document: what it saw. Pushes the file `artifact` of the folder as app/tool:1 in one piece and as
app/tool:chunked in chunks, attaches the file `signature` to the first, pulls everything back, lists, and deletes.
"""

import json
import os
import sys

import oras.client
import oras.oci

registry, user, password, folder = sys.argv[1:5]
os.chdir(folder)
# Its token backend keeps the first token that it got, for whatever it does next: a token to read would have to do for pushing.
client = oras.client.OrasClient(hostname=registry, insecure=True, auth_backend="basic" if user else "token")
if user:
    client.auth.set_basic_auth(user, password)
first = f"{registry}/app/tool:1"


def pushed(target, files, **options):
    return client.push(target, files=files, quiet=True, **options)


def pulled(target, name):
    return client.pull(target, outdir=os.path.join(folder, name))


pushed(first, ["artifact:application/octet-stream"])
pushed(f"{registry}/app/tool:chunked", ["artifact:application/octet-stream"], do_chunked=True, chunk_size=1 << 20)
seen = {"files": pulled(first, "one") + pulled(f"{registry}/app/tool:chunked", "chunked")}

# Attach: an artifact whose subject is the first one.
address = f"http://{registry}/v2/app/tool"
answer = client.do_request(f"{address}/manifests/1", "HEAD", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
digest = answer.headers["Docker-Content-Digest"]
subject = oras.oci.Subject("application/vnd.oci.image.manifest.v1+json", digest, int(answer.headers["Content-Length"]))
answer = pushed(f"{registry}/app/tool:signature", ["signature:application/x.signature"], subject=subject)
seen["subject"] = [digest, answer.headers.get("OCI-Subject")]

# Discover: oras for Python has no command of its own for it, so its requests are used.
seen["referrers"] = client.do_request(f"{address}/referrers/{digest}").json()
answer = client.do_request(f"{address}/referrers/{digest}?artifactType=application/none")
seen["filtered"] = [answer.json()["manifests"], answer.headers.get("OCI-Filters-Applied")]
seen["tags"] = client.get_tags(f"{registry}/app/tool")

client.delete_tag(f"{registry}/app/tool", "signature")
seen["left"] = client.do_request(f"{address}/referrers/{digest}").json()["manifests"]
seen["tags left"] = client.get_tags(f"{registry}/app/tool")
print(json.dumps(seen))
