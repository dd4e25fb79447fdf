#!/usr/bin/env python3
"""sbom.py [CARGO FLAGS]: what the program is built from, as a CycloneDX 1.5 document on standard output.

Reads `cargo metadata` and Cargo.lock; the same sources give the same document, to the byte. What only tests and
benchmarks need is left out. Cargo flags, such as `--features jack`, choose what is built.
"""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import uuid

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
MODEL = "models/antiphon.onnx"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *sys.argv[1:]]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as lock:
        locked = {(entry["name"], entry["version"]): entry for entry in tomllib.load(lock)["package"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {node["id"]: sorted({dep["pkg"] for dep in node["deps"] if is_built(dep)}) for node in metadata["resolve"]["nodes"]}
    ours = sorted(metadata["workspace_members"])
    reached, waiting = set(), list(ours)
    while waiting:
        package = waiting.pop()
        if package not in reached:
            reached.add(package)
            waiting.extend(needs[package])

    program = next(packages[package] for package in ours if packages[package]["name"] == "antiphon")
    components = [component(packages[package], locked) for package in reached if package != program["id"]]
    components.append(model())
    components.sort(key=lambda one: one["bom-ref"])
    links = {purl(packages[package]): {purl(packages[need]) for need in needs[package]} for package in reached}
    links[purl(program)].add(MODEL)
    whole = json.dumps([components, sorted(links)], sort_keys=True)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, whole)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "tools/sbom.py"}]},
            "component": {**component(program, locked), "type": "application"},
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(links[ref])} for ref in sorted(links)] + [{"ref": MODEL}],
    }
    json.dump(document, sys.stdout, indent=1)
    print()


def is_built(dependency):
    """Whether it is needed for more than tests: a kind of None is a plain dependency."""
    return any(kind["kind"] in (None, "build") for kind in dependency["dep_kinds"])


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, locked):
    found = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "scope": "required",
        "purl": purl(package),
    }
    if package["description"]:
        found["description"] = " ".join(package["description"].split())
    if package["license"]:
        # Old crates write a slash for OR.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = locked[(package["name"], package["version"])].get("checksum")
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["source"] not in (None, REGISTRY):
        found["externalReferences"] = [{"type": "distribution", "url": package["source"]}]
    elif package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def model():
    """The model inside the program."""
    with open(os.path.join(ROOT, MODEL), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": MODEL,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "description": "The bundled note model; models/README.md says what it was trained on",
    }


if __name__ == "__main__":
    main()
