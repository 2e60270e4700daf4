"""One suite for four stores: what a folder of a disk gives, its copy in a store gives too, and what goes wrong
there is told as what it is. The real command, real servers, and nothing of ours in between.
"""

from __future__ import annotations

import gzip
import json
import random
import ssl
import sys
import zipfile
from email.utils import formatdate
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from qalita_action import sandbox
from tests.artifact_sets import BASE
from tests.command import run
from tests.loopback import Reply, serving
from tests.stores.backends import AWS, KEY, send, xml

ARTIFACTS = BASE / "made" / "1.11" / "build"
OTHER = BASE / "1.10" / "build"
SAMPLE = Path(__file__).parents[2] / "examples" / "airquality" / "sample-target"
MIB = 1 << 20


def plain(name: str, folder: Path = ARTIFACTS) -> bytes:
    return gzip.decompress((folder / f"{name}.gz").read_bytes())


def zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress(data)


@pytest.fixture
def same(ingest, local, store):
    """The run of an address is that of a folder of this machine: its key, its digest and all that is in it."""

    def same(folder: Path, *args: str) -> None:
        here, there = local(str(folder)), ingest(*args, *store.flags, **store.env)
        assert (here.code, there.code) == (0, 0), there.text
        assert there.documents
        for document in here.documents:
            assert document["run"]["key"]
            assert document["run"]["content_digest"]
        assert there.documents == here.documents

    return same


@pytest.fixture
def refusal(ingest, store):
    """The error of a run that must not be one: its exit code, and what was said."""

    def refusal(code: str, *args: str, exit_code: int = 3, **env: str) -> str:
        told = ingest(*args, *store.flags, **{**store.env, **env})
        assert f"[{code}]" in told.text, told.text
        assert told.code == exit_code
        assert not told.documents
        return told.text

    return refusal


# ---------------------------------------------------------------- what is found


@pytest.mark.parametrize("last", ["", "/"])
def test_a_prefix_is_its_folder(at, put_folder, same, store, last):
    put_folder(SAMPLE, "nightly/target/")
    if store.root.startswith("https") and not last:
        last = "/"  # a web server's address without a slash is a file
    same(SAMPLE, f"{at('nightly/target')}{last}")


def test_the_others_of_a_run_lie_beside_its_results(at, put_folder, same):
    put_folder(SAMPLE, "target/")
    same(SAMPLE / "run_results.json", at("target/run_results.json"))


def test_the_others_of_a_run_lie_beside_its_manifest(at, put_folder, same):
    put_folder(SAMPLE, "target/")
    same(SAMPLE / "manifest.json", at("target/manifest.json"))


def test_flags_name_objects(at, put_folder, ingest, local, store):
    put_folder(SAMPLE, "target/")
    names = {"manifest": "manifest", "results": "run_results", "sources": "sources", "catalog": "catalog"}
    held = {flag: name for flag, name in names.items() if (SAMPLE / f"{name}.json").exists()}
    here = local(*(a for f, n in held.items() for a in (f"--{f}", str(SAMPLE / f"{n}.json"))))
    args = (a for f, n in held.items() for a in (f"--{f}", at(f"target/{n}.json")))
    there = ingest(*args, *store.flags, **store.env)
    assert (here.code, there.code) == (0, 0), there.text
    assert there.documents == here.documents


def test_the_manifest_lies_beside_the_results_that_a_flag_names(at, put_folder, ingest, local, store):
    put_folder(ARTIFACTS, "target/")
    here = local("--results", str(ARTIFACTS / "run_results.json.gz"))
    there = ingest("--results", at("target/run_results.json.gz"), *store.flags, **store.env)
    assert there.code == 0, there.text
    assert there.documents == here.documents


def test_a_manifest_alone_brings_the_results_beside_it(at, put_folder, ingest, local, store):
    put_folder(SAMPLE, "target/")
    here = local("--manifest", str(SAMPLE / "manifest.json"))
    there = ingest("--manifest", at("target/manifest.json"), *store.flags, **store.env)
    assert there.code == 0, there.text
    assert there.documents == here.documents


def test_a_pattern_is_every_folder_that_it_matches(at, put, put_folder, ingest, local, store):
    put_folder(ARTIFACTS, "nightly/2026-11-01/target/")
    put_folder(OTHER, "nightly/2026-11-02/target/")
    put_folder(SAMPLE, "hourly/2026-11-02/target/")
    put("nightly/2026-11-02/target/graph.gpickle", b"\0")
    keys = {local(str(f)).documents[0]["run"]["key"] for f in (ARTIFACTS, OTHER)}
    for pattern in ("nightly/*/target/", "nightly/2026-*/", "**/2026-11-0[12]/target/"):
        if store.root.startswith("https"):
            pattern = pattern.replace("0[12]", "*").replace("**", "nightly")
        told = ingest(at(pattern), *store.flags, **store.env)
        found = {d["run"]["key"] for d in told.documents}
        assert told.code == 0, told.text
        assert found >= keys if pattern.startswith("**") else found == keys


def test_a_pattern_of_objects(at, put, ingest, local, store):
    put("target/manifest.json", plain("manifest.json"))
    put("target/run_results-1.json", plain("run_results.json"))
    put("target/old_results.json", b"not dbt's")
    args = ("--manifest", at("target/manifest.json"), "--results", at("target/run_results-*.json"))
    told = ingest(*args, *store.flags, **store.env)
    assert told.code == 0, told.text
    assert told.documents[0]["run"]["key"] == local(str(ARTIFACTS)).documents[0]["run"]["key"]
    told = ingest(at("*/run_results-*.json"), *store.flags, **store.env)
    assert told.code == 0, told.text


def test_several_projects_are_several_runs(at, put_folder, ingest, local, store):
    put_folder(ARTIFACTS, "sales/target/")
    put_folder(SAMPLE, "air/target/")
    told = ingest(at(""), *store.flags, **store.env)
    assert told.code == 0, told.text
    assert len(told.documents) == 2
    assert len({d["source"]["name"] for d in told.documents}) == 2


def test_gzip_and_zstd_are_unpacked(at, put, ingest, local, store):
    put("target/manifest.json.zst", zstd(plain("manifest.json")))
    put("target/run_results.json.gz", (ARTIFACTS / "run_results.json.gz").read_bytes())
    folder = at("target/")
    if store.root.startswith("https"):
        args = ("--manifest", f"{folder}manifest.json.zst", "--results", f"{folder}run_results.json.gz")
    else:
        args = (folder,)
    told = ingest(*args, *store.flags, **store.env)
    assert told.code == 0, told.text
    assert told.documents == local(str(ARTIFACTS)).documents


def test_names_with_blanks_and_signs(at, put_folder, same, store):
    put_folder(SAMPLE, "a night's run/50% äö/target/")
    said = "a%20night's%20run/50%25%20%C3%A4%C3%B6/target/"
    same(SAMPLE, at(said if store.root.startswith("https") else "a night's run/50% äö/target/"))


def test_an_archive(at, put, same):
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path in SAMPLE.glob("*.json"):
            file.write(path, f"target/{path.name}")
    put("target.zip", packed.getvalue())
    same(SAMPLE, at("target.zip"))


# ---------------------------------------------------------------- how much


def test_a_large_object_comes_in_parts_and_is_held_once(at, put, ingest, store, tmp_path):
    numbers = random.Random(20261129)
    manifest = json.loads(plain("manifest.json"))
    manifest["padding"] = [numbers.randbytes(20_000).hex() for _ in range(1000)]  # 40 MB that nobody reads
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "run_results.json").write_bytes(plain("run_results.json"))
    for path in folder.iterdir():
        put(f"target/{path.name}", path.read_bytes())
    here = ingest(str(folder))
    there = ingest(at("target/"), *store.flags, **store.env)
    assert (here.code, there.code) == (0, 0), there.text
    assert there.documents == here.documents
    assert there.peak < here.peak + 128 * MIB  # eight parts at once, and the client


def test_an_object_over_the_limit_is_not_read(at, put, refusal):
    put("target/manifest.json", plain("manifest.json") + b" " * 2 * MIB)
    put("target/run_results.json", plain("run_results.json"))
    text = refusal("artifact-too-large", at("target/"), "--max-artifact-size", "1MiB")
    assert "target/manifest.json has" in text
    assert "at most 1,048,576 bytes" in text


def test_two_gibibytes_are_refused_before_a_byte_is_read(web, ingest, local):
    folder = web.files / "sparse" / "target"
    folder.mkdir(parents=True)
    with (folder / "manifest.json").open("wb") as file:
        file.truncate(2 << 30)
    (folder / "run_results.json").write_bytes(plain("run_results.json"))
    here = local(str(ARTIFACTS))
    for root in (web.store.root, web.plain):
        told = ingest(f"{root}/sparse/target/", *web.store.flags)
        assert told.code == 3
        assert "has 2,147,483,648 bytes [artifact-too-large]" in told.text
        assert told.peak < here.peak + 64 * MIB


def test_an_archive_over_the_limit(at, put, refusal):
    put("target.zip", b"PK\x03\x04" + b"\0" * 2 * MIB)
    refusal("artifact-too-large", at("target.zip"), "--max-artifact-size", "1MiB")


def test_more_than_a_hundred_runs_are_a_history(at, put, refusal):
    for night in range(101):
        put(f"nightly/{night:03}/run_results.json", b"{}")
    text = refusal("too-many-runs", at("nightly/"))
    assert "--since" in text


# ---------------------------------------------------------------- what goes wrong


def test_a_packed_file_that_was_cut(at, put, refusal):
    put("target/manifest.json.gz", (ARTIFACTS / "manifest.json.gz").read_bytes()[:30_000])
    put("target/run_results.json.gz", (ARTIFACTS / "run_results.json.gz").read_bytes())
    refusal("artifact-truncated", at("target/run_results.json.gz"))


def test_a_bucket_that_is_not_there(store, refusal):
    text = refusal("store-not-found", store.missing)
    word = {"az": "the container no-such-container", "htt": ""}.get(
        store.root[:3].rstrip(":"), "the bucket no-such-bucket"
    )
    assert word in text
    assert "run_results.json" in refusal("store-not-found", "--results", f"{store.missing}run_results.json", "--manifest", f"{store.missing}manifest.json")  # fmt: skip


def test_a_prefix_that_is_not_there(at, refusal):
    assert "nothing lies below" in refusal("store-not-found", at("nowhere/"))


def test_an_object_that_is_not_there(at, put_folder, refusal):
    put_folder(SAMPLE, "target/")
    args = ("--manifest", at("target/manifest.json"), "--results", at("target/results_of_may.json"))
    assert "target/results_of_may.json does not exist" in refusal("store-not-found", *args)


def test_results_without_a_manifest(at, put, refusal):
    put("target/run_results.json", plain("run_results.json"))
    refusal("manifest-not-found", at("target/run_results.json"))
    refusal("manifest-not-found", at("target/"))


def test_a_manifest_without_results(at, put, refusal):
    put("target/manifest.json", plain("manifest.json"))
    for place in ("target/", "target/manifest.json"):
        refusal("results-not-found", at(place))
    refusal("results-not-found", "--manifest", at("target/manifest.json"))


def test_somebody_whom_the_store_does_not_let_in(store, refusal):
    address, env = store.refused
    text = refusal("store-denied", address, **env)
    for name in env.keys() & {"AWS_ACCESS_KEY_ID", "AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN"}:
        assert name in text


# No emulator has credentials that run out: what each vendor then answers.
EXPIRED = {
    "s3": xml(400, "ExpiredToken"),
    "azure": xml(403, "AuthenticationFailed"),
    "google": xml(401, "AuthenticationRequired"),
}


@pytest.mark.parametrize("name", EXPIRED)
def test_credentials_that_ran_out(ingest, name):
    with serving(lambda seen: EXPIRED[name]) as server:
        address, env = {
            "s3": (
                "s3://bucket/target/",
                {**AWS, "AWS_SESSION_TOKEN": "Zs04SessionXv" * 9, "AWS_ENDPOINT_URL": server.url},
            ),
            "azure": (
                "az://container/target/",
                {
                    "AZURE_STORAGE_ACCOUNT": "someone",
                    "AZURE_STORAGE_SAS_TOKEN": "?sv=2021-08-06&se=2020-01-01&sp=rl&sig=Zs05SignatureXv%3D",
                    "AZURE_STORAGE_ENDPOINT": f"{server.url}/someone",
                },
            ),
            "google": (
                "gs://bucket/target/",
                {"GOOGLE_BEARER_TOKEN": "Zs03BearerTokenXv", "STORAGE_EMULATOR_HOST": server.url},
            ),
        }[name]
        told = ingest(address, **env)
    assert told.code == 3
    assert "[store-denied]" in told.text
    for secret in ("Zs04SessionXv", "Zs05SignatureXv", "2020-01-01"):
        assert secret not in told.text
    for variable in env:
        if "ENDPOINT" not in variable and "HOST" not in variable and not variable.endswith("ACCOUNT"):
            assert variable in told.text
    if name == "s3":
        assert "have expired" in told.text


def test_azure_by_its_connection_string(azure, ingest, local):
    for path in SAMPLE.glob("*.json"):
        azure.put(f"by-string/target/{path.name}", path.read_bytes())
    text = f"DefaultEndpointsProtocol=http;AccountName={azure.env['AZURE_STORAGE_ACCOUNT']};AccountKey={KEY};"
    text += f"BlobEndpoint={azure.env['AZURE_STORAGE_ENDPOINT']};"
    told = ingest("az://container/by-string/target/", AZURE_STORAGE_CONNECTION_STRING=text)
    assert told.code == 0, told.text
    assert told.documents == local(str(SAMPLE)).documents


def test_a_web_server_that_lists_nothing_is_asked_for_the_known_names(web, ingest, local):
    for path in SAMPLE.glob("*.json"):
        web.store.put(f"known/target/{path.name}", path.read_bytes())
    told = ingest(f"{web.plain}/known/target/", *web.store.flags)
    assert told.code == 0, told.text
    assert told.documents == local(str(SAMPLE)).documents
    told = ingest(f"{web.plain}/known/*/", *web.store.flags)
    assert told.code == 3
    assert "does not list its folders" in told.text


def test_a_certificate_that_nobody_here_trusts(web, ingest, local):
    web.store.put("tls/run_results.json", plain("run_results.json"))
    told = ingest(f"{web.store.root}/tls/run_results.json")
    assert told.code == 3
    assert "its certificate is not trusted [store-unreachable]" in told.text
    web.store.put("tls/manifest.json", plain("manifest.json"))
    assert ingest(f"{web.store.root}/tls/run_results.json", "--skip-ssl-verify").code == 0


def test_an_upload_between_two_parts_is_no_artifact(ingest):
    """A server whose object changes once its first part was read: S3 answers If-Match so."""
    data = plain("manifest.json") + b" " * (20 * MIB)
    listing = (
        "<ListBucketResult><IsTruncated>false</IsTruncated>"
        + "".join(
            f"<Contents><Key>t/{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"one"</ETag><Size>{size}</Size></Contents>'
            for name, size in (("manifest.json", len(data)), ("run_results.json", 10))
        )
        + "</ListBucketResult>"
    ).encode()

    def answer(seen):
        if "list-type=2" in seen.path:
            return Reply(200, listing, {"Content-Type": "application/xml"})
        if "manifest" in seen.path and seen.headers.get("if-match") == '"one"':
            return xml(412, "PreconditionFailed")
        return Reply(
            200, plain("run_results.json"), {"ETag": '"x"', "Last-Modified": formatdate(usegmt=True)}
        )

    with serving(answer) as server:
        told = ingest("s3://bucket/t/", **AWS, AWS_ENDPOINT_URL=server.url)
    assert told.code == 3
    assert "written anew while it was read [artifact-truncated]" in told.text


# ---------------------------------------------------------------- who asks


def test_a_job_s_own_identity_is_traded_for_credentials(s3, ingest, local, tmp_path):
    """OpenID Connect, as GitHub and GitLab hand it out: a file with a token, and a role that trusts it."""
    for path in SAMPLE.glob("*.json"):
        s3.put(f"by-role/target/{path.name}", path.read_bytes())
    token = tmp_path / "token"
    token.write_text("Zs06WebIdentityXv." * 5)
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    moto = s3.env["AWS_ENDPOINT_URL"]

    def by_form(seen):
        """TLS alone speaks to STS; and moto knows the call by its form, which AWS takes as a query too."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return Reply(200, send("POST", f"{moto}/", urlsplit(seen.path).query.encode(), form), {})

    with serving(by_form, tls=context) as sts:
        told = ingest(
            *("s3://bucket/by-role/target/", "--ca-bundle", str(tmp_path / "ca.pem")),
            AWS_WEB_IDENTITY_TOKEN_FILE=str(token),
            AWS_ROLE_ARN="arn:aws:iam::123456789012:role/dbt-artifacts",
            AWS_REGION="us-east-1",
            AWS_ENDPOINT_URL=moto,
            AWS_ENDPOINT_URL_STS=sts.url,
        )
    assert "AssumeRoleWithWebIdentity" in str(sts.seen)
    assert told.code == 0, told.text
    assert told.documents == local(str(SAMPLE)).documents
    assert "Zs06WebIdentityXv" not in told.text


def test_a_public_bucket_is_read_without_a_signature(s3, ingest):
    """The strict one knows nobody, and this asks as nobody: it is the signature that it refuses elsewhere."""
    asked = []

    def answer(seen):
        asked.append(seen)
        return xml(404, "NoSuchBucket")

    with serving(answer) as server:
        told = ingest("s3://bucket/t/", **AWS, AWS_ENDPOINT_URL=server.url, AWS_SKIP_SIGNATURE="true")
    assert "[store-not-found]" in told.text
    assert asked
    assert not any("authorization" in seen.headers for seen in asked)


# ---------------------------------------------------------------- a history


def test_a_history_is_published_once_each(at, put_folder, store, tmp_path):
    """By the first bytes of each run's results; the second time the platform has them all."""
    nights = {"2026-11-01": ARTIFACTS, "2026-11-02": OTHER, "2026-11-03": SAMPLE}
    for night, folder in nights.items():
        put_folder(folder, f"nightly/{night}/")
    with sandbox.running(tmp_path / "platform.db") as platform:
        env = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
        told = []
        for _ in range(2):
            flags = ("--since", "all", "--api", "ingestion", *store.flags)
            told.append(run("dbt", at("nightly/"), *flags, cwd=tmp_path, env={**env, **store.env}))
    for process in told:
        assert process.returncode == 0, process.stdout + process.stderr
    first, second = (process.stdout + process.stderr for process in told)
    assert "published 3 · already there 0 · unreadable 0 · not delivered 0" in first
    assert "published 0 · already there 3 · unreadable 0 · not delivered 0" in second
