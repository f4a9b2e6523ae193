"""A seal names every changed, missing and added file."""

import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditkit import seal
from auditkit.errors import UsageError, VerificationError
from auditkit.seal import leaks, signature


def pem(key: Ed25519PrivateKey, place: Path) -> tuple[Path, Path]:
    private, public = place / "key.pem", place / "key.pub"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return pem(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), tmp_path)


@pytest.fixture
def pack(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    folder = tmp_path / "pack"
    (folder / "tables").mkdir(parents=True)
    (folder / "index.html").write_text("<p>evidence</p>")
    (folder / "tables" / "a.parquet").write_bytes(b"PAR1 rows PAR1")
    seal.seal(folder, {"run_id": "r1"}, key=keys[0])
    return folder


def test_a_sealed_pack_verifies_and_says_how_far(pack: Path, keys: tuple[Path, Path]) -> None:
    assert seal.verify(pack).ok
    verdict = seal.verify(pack, key=keys[1])
    assert verdict.ok
    assert "the key you gave" in verdict.level


@pytest.mark.parametrize(
    "name", ["index.html", "tables/a.parquet", "manifest.json", "SHA256SUMS", "manifest.dsse.json"]
)
def test_every_flipped_bit_names_its_file(pack: Path, name: str) -> None:
    content = (pack / name).read_bytes()
    for position in range(0, len(content), max(1, len(content) // 60)):
        (pack / name).write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        verdict = seal.verify(pack)
        assert any(fault.startswith(name) for fault in verdict.faults), f"byte {position}: {verdict}"


def test_missing_and_added_files_are_named(pack: Path) -> None:
    (pack / "index.html").unlink()
    (pack / "tables" / "b.csv").write_text("late")
    assert seal.verify(pack).faults[:2] == ("index.html: missing", "tables/b.csv: added after sealing")


@pytest.mark.parametrize(
    ("name", "target", "fault"),
    [
        ("index.html", "equal", "index.html: replaced by a link"),
        ("index.html", "nowhere", "index.html: replaced by a link"),
        ("index.html", "/dev/zero", "index.html: replaced by a link"),
        ("index.html", "tables", "index.html: replaced by a link"),
        ("late", "tables", "late: added after sealing"),
        ("manifest.json", "/dev/zero", "manifest.json: replaced by a link"),
        ("SHA256SUMS", "/dev/zero", "SHA256SUMS: replaced by a link"),
        ("manifest.dsse.json", "/dev/zero", "manifest.dsse.json: replaced by a link"),
    ],
)
def test_a_link_is_a_fault_and_never_followed(pack: Path, tmp_path: Path, name: str, target: str, fault: str) -> None:
    shutil.copy(pack / "index.html", tmp_path / "equal")
    (pack / name).unlink(missing_ok=True)
    (pack / name).symlink_to({"equal": tmp_path / "equal", "tables": pack / "tables"}.get(target, target))
    assert seal.verify(pack).faults[0] == fault
    assert len(seal.irregular(pack)) == 1


def test_what_is_no_file_is_a_fault(pack: Path) -> None:
    os.mkfifo(pack / "pipe")
    assert seal.verify(pack).faults == ("pipe: added after sealing",)
    (pack / "pipe").unlink()
    for name in ("manifest.json", "SHA256SUMS", "manifest.dsse.json", "index.html"):
        (pack / name).rename(pack.parent / "aside")
        (pack / name).mkdir()
        fault = seal.verify(pack).faults[0]
        assert fault in (f"{name}: replaced by what is not a file", f"{name}: missing")
        (pack / name).rmdir()
        (pack.parent / "aside").rename(pack / name)
    assert seal.verify(pack).ok


def test_another_key_is_refused(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = pem(Ed25519PrivateKey.from_private_bytes(bytes(32)), tmp_path / "other")
    assert "another key" in str(seal.verify(pack, key=other[1]))


def test_a_seal_without_the_signature_it_should_have_fails(pack: Path, keys: tuple[Path, Path]) -> None:
    (pack / seal.ENVELOPE).unlink()
    assert "unsigned" in seal.verify(pack).level
    assert not seal.verify(pack).ok
    assert not seal.verify(pack, key=keys[1]).ok


def test_the_signer_is_the_one_that_the_manifest_names(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    private, _ = pem(Ed25519PrivateKey.from_private_bytes(bytes(32)), tmp_path / "other")
    subjects = {name: seal.sha256(pack / name) for name in (seal.MANIFEST, seal.SUMS)}
    (pack / seal.ENVELOPE).write_bytes(signature.envelope(subjects, {}, signature.private_key(private)))
    assert seal.verify(pack).faults == ("manifest.dsse.json: signed by another key than the manifest names",)


def test_the_chain_carries_the_hash_of_the_manifest_before(pack: Path, tmp_path: Path) -> None:
    following = tmp_path / "next"
    following.mkdir()
    (following / "x").write_text("x")
    assert seal.seal(following, {}, previous=pack).previous == seal.sha256(pack / "manifest.json")


def test_a_chain_is_checked(pack: Path, tmp_path: Path) -> None:
    following = tmp_path / "next"
    following.mkdir()
    (following / "x").write_text("x")
    seal.seal(following, {}, previous=pack)
    assert seal.verify(following, previous=pack).ok
    assert seal.verify(pack, previous=following).faults == (
        f"manifest.json: does not follow {following}, nor any other pack",
    )
    other = Path(shutil.copytree(pack, tmp_path / "other"))
    seal.seal(other, {"run_id": "r2"})
    (other / seal.ENVELOPE).unlink()
    assert seal.verify(following, previous=other).faults == (f"manifest.json: does not follow {other}",)
    (pack / "index.html").write_text("altered")
    assert seal.verify(following, previous=pack).faults == (f"{pack}: index.html: changed",)


@pytest.mark.parametrize("content", ['{"x":1}', "[]", "", '{"schema":"y","facts":{},"files":[]}'])
def test_what_is_no_manifest_is_nothing_to_chain_to(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(VerificationError, match=r"manifest\.json: (changed|schema)"):
        seal.check_inputs(previous=tmp_path)


def test_an_altered_pack_is_nothing_to_chain_to(pack: Path) -> None:
    seal.check_inputs(previous=pack)
    manifest = (pack / "manifest.json").read_text()
    (pack / "manifest.json").write_text(manifest.replace('"r1"', '"r2"'))
    with pytest.raises(VerificationError, match="changed since it was written"):
        seal.check_inputs(previous=pack)


def test_a_folder_without_a_manifest_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no manifest\.json"):
        seal.verify(tmp_path)


def test_stock_commands_check_a_pack(pack: Path) -> None:
    import subprocess

    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=pack, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "postgres://app:s3cret@db.internal/x",
        "ghp_" + "a" * 36,
    ],
)
def test_a_leak_is_named_by_file_and_never_repeated(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.html").write_text(f"<p>{text}</p>")
    found = leaks.scan(tmp_path)
    assert len(found) == 1
    assert found[0].startswith("page.html: ")
    assert text not in found[0]
