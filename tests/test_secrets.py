"""No secret of the job's own comes out: the real command, told everything that a CI may hand it, on good and bad
days. What dbt's artifacts hold is test_leaks.py's matter.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trustme

from qalita_action import sandbox
from tests.artifact_sets import BASE
from tests.command import run
from tests.test_leaks import found, on_github, stored

ARTIFACTS = BASE / "made" / "1.11" / "build"
CLIENT = trustme.CA().issue_cert("ann@example.com")
KEY = CLIENT.private_key_pem.bytes().decode()
SECRETS = {
    "proxy password": "Zq01ProxyPasswordXv",
    "GitHub's token": "ghs_Zq02GithubTokenXv0000000000000000000",
    "GitLab's token": "glpat-Zq03GitlabTokenXv00",
    "dbt Cloud's token": "dbtc_Zq04CloudTokenXv000000000000",
    "a warehouse's password": "Zq05WarehousePasswordXv",
    **{f"line {n} of the client's key": line for n, line in enumerate(KEY.splitlines()[1:-1])},
}
ENVIRONMENT = {
    "HTTPS_PROXY": f"http://ann:{SECRETS['proxy password']}@127.0.0.1:9",
    "INPUT_CLIENT-KEY": KEY,
    "INPUT_CLIENT-CERT": "".join(pem.bytes().decode() for pem in CLIENT.cert_chain_pems),
    "GITHUB_TOKEN": SECRETS["GitHub's token"],
    "QALITA_GITHUB_TOKEN": SECRETS["GitHub's token"],
    "QALITA_GITLAB_TOKEN": SECRETS["GitLab's token"],
    "DBT_CLOUD_API_TOKEN": SECRETS["dbt Cloud's token"],
    "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": SECRETS["a warehouse's password"],
    "QALITA_FAIL_ON": "never",
}
NOWHERE = "https://127.0.0.1:9"


@pytest.fixture
def platform(tmp_path_factory):
    with sandbox.running(tmp_path_factory.mktemp("platform") / "platform.db") as running:
        yield running


def split(process) -> tuple[list[str], str]:
    """The masks, which are where a secret belongs, and all else that was said."""
    lines = [*process.stdout.splitlines(), *process.stderr.splitlines()]
    masks = [line.removeprefix("::add-mask::") for line in lines if line.startswith("::add-mask::")]
    return masks, "\n".join(line for line in lines if not line.startswith("::add-mask::"))


@pytest.mark.parametrize(
    ("args", "endpoint", "code"),
    [
        (("dbt", str(ARTIFACTS), "--api", "ingestion"), None, 0),
        (("dbt", str(ARTIFACTS), "--api", "results"), None, 0),
        (("dbt", str(ARTIFACTS), "--publish-timeout", "1"), NOWHERE, 4),
        (("dbt", str(ARTIFACTS), "--dry-run", "--output", "json"), None, 0),
        (("dbt", str(ARTIFACTS), "--fail-on", "perhaps"), None, 2),
        (("dbt", "nowhere"), None, 3),
        (("check", str(ARTIFACTS), "--publish-timeout", "1"), NOWHERE, 2),
        (("context",), None, 0),
    ],
)
def test_no_secret_of_the_job_comes_out(platform, tmp_path, args, endpoint, code):
    secrets = {**SECRETS, "QALITA's token": platform.token}
    account = {"QALITA_WORKER_ENDPOINT": endpoint or platform.url, "QALITA_WORKER_TOKEN": platform.token}
    env = {**on_github(tmp_path, is_change=False), **ENVIRONMENT, **account}
    process = run(*args, cwd=tmp_path, env=env)
    masks, said = split(process)
    assert process.returncode == code, said
    written = [(path.name, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()]
    assert found(secrets, [("said", said.encode()), *written, *stored(platform.database)]) == {}
    if code == 4:
        assert any(name.endswith(".json.gz") for name, _ in written), (
            "a spool file was among what was searched"
        )
    ours = [s for who, s in secrets.items() if who != "a warehouse's password"]
    assert [secret for secret in ours if secret not in masks] == []
    first = (process.stderr if "json" in args else process.stdout).splitlines()[: len(masks)]
    assert all(line.startswith("::add-mask::") for line in first), "before anything else is said"


def test_masks_are_for_github_s_runner_alone(platform, tmp_path):
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    assert split(run("context", cwd=tmp_path, env={**account, **ENVIRONMENT}))[0] == []


def test_dbt_s_command_line_is_dbt_s_alone(platform, tmp_path):
    """A child's arguments are seen by every process of the machine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    dbt = programs / "dbt"
    dbt.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/arguments"\n')
    dbt.chmod(0o755)
    account = {"QALITA_WORKER_ENDPOINT": platform.url, "QALITA_WORKER_TOKEN": platform.token}
    env = {**account, **ENVIRONMENT, "PATH": f"{programs}:{os.environ['PATH']}"}
    run("run", "--", "dbt", "build", "--select", "tag:nightly", cwd=tmp_path, env=env)
    assert (tmp_path / "arguments").read_text().split() == ["build", "--select", "tag:nightly"]


def test_a_path_of_a_key_is_no_secret(tmp_path):
    """An error must say which file is wrong."""
    account = {"QALITA_WORKER_ENDPOINT": "https://api.example.com", "QALITA_WORKER_TOKEN": "x.y.z"}
    key = {"QALITA_CLIENT_CERT": "client.pem", "QALITA_CLIENT_KEY": str(Path("keys") / "client.key")}
    said = split(run("check", cwd=tmp_path, env={**account, **key}))[1]
    assert "NO" in said
    process = run("dbt", str(ARTIFACTS), cwd=tmp_path, env={**account, **key})
    assert "keys/client.key" in process.stderr and "[client-cert-unreadable]" in process.stderr


# What signs for a cloud, and a variable that holds it.
OF_CLOUDS = {
    "Zq10AwsSessionXv": ("AWS_SESSION_TOKEN", "{}"),
    "Zq11AwsSecretXv": ("AWS_SECRET_ACCESS_KEY", "{}"),
    "AKIAZQ12ACCESSKEYXV": ("AWS_ACCESS_KEY_ID", "{}"),
    "Zq13AccountKeyXv==": ("AZURE_STORAGE_ACCOUNT_KEY", "{}"),
    "Zq14AccessKeyXv==": ("AZURE_STORAGE_ACCESS_KEY", "{}"),
    "Zq15ConnectionXv==": (
        "AZURE_STORAGE_CONNECTION_STRING",
        "DefaultEndpointsProtocol=https;AccountName=me;AccountKey={};EndpointSuffix=core.windows.net",
    ),
    "Zq16ConnectionSasXv%3D": (
        "OTHER_CONNECTION_STRING",
        "BlobEndpoint=https://me.blob.core.windows.net;SharedAccessSignature=sv=2021-08-06&sig={}",
    ),
    "Zq17SasXv%2Bxyz%3D": ("AZURE_STORAGE_SAS_TOKEN", "?sv=2021-08-06&sp=rl&sig={}"),
    "Zq18ClientSecretXv": ("AZURE_CLIENT_SECRET", "{}"),
    "Zq19BearerXv": ("GOOGLE_BEARER_TOKEN", "{}"),
    "Zq20PresignedXv0123456789": (
        "QALITA_MANIFEST",
        "https://bucket.s3.amazonaws.com/manifest.json?X-Amz-Date=20261129&X-Amz-Signature={}",
    ),
}


def test_what_signs_for_a_cloud_is_in_no_error(tmp_path):
    """A setting that is wrong is shown with its value; whatever that is, these are not."""
    env = {name: said.format(secret) for secret, (name, said) in OF_CLOUDS.items()}
    process = run("dbt", str(ARTIFACTS), "--fail-on", " ".join(OF_CLOUDS), cwd=tmp_path, env=env)
    assert process.returncode == 2
    said = process.stdout + process.stderr
    assert "***" in said
    assert [secret for secret in OF_CLOUDS if secret in said] == []
