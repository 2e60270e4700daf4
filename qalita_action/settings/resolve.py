"""Flag, input, environment, file, default: the first that is set wins, and all bad values are told at once.
Must not read a file or a variable by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from qalita_action.errors import SettingsError, raise_all
from qalita_action.knobs import LISTS, NOT_FROM_FILE, ONE_RUN
from qalita_action.settings.fields import Settings
from qalita_action.settings.file import check_file

if TYPE_CHECKING:
    from collections.abc import Mapping

# Other names that the environment may use. Plain URL and TOKEN are never read.
ENV_NAMES: dict[str, tuple[str, ...]] = {
    "endpoint": ("QALITA_WORKER_ENDPOINT", "QALITA_ENDPOINT", "QALITA_AGENT_ENDPOINT"),
    "token": ("QALITA_WORKER_TOKEN", "QALITA_TOKEN", "QALITA_AGENT_TOKEN"),
    "github_token": ("QALITA_GITHUB_TOKEN", "GITHUB_TOKEN"),
    "gitlab_token": ("QALITA_GITLAB_TOKEN", "GITLAB_TOKEN"),
    "dbt_cloud_token": ("DBT_CLOUD_API_TOKEN", "QALITA_DBT_CLOUD_TOKEN"),
    "skip_ssl_verify": ("QALITA_SKIP_SSL_VERIFY", "SKIP_SSL_VERIFY"),
}


class Resolved(BaseModel):
    """Settings, and where each field that is set came from: flag, input, config, or env:NAME."""

    model_config = ConfigDict(frozen=True)
    settings: Settings
    origins: dict[str, str]


def resolve(flags: Mapping[str, Any], env: Mapping[str, str], file: Mapping[str, Any]) -> Resolved:
    """All bad settings at once. Errors: setting-unknown, setting-invalid, setting-not-in-file."""
    errors = check_file(file)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in Settings.model_fields:
        for origin, value in _candidates(name, flags, env, file):
            if not _is_unset(value):
                values[name] = _listed(value) if name in LISTS else value
                origins[name] = origin
                break
    settings = None
    try:
        settings = Settings(**values)
    except ValidationError as e:
        errors += [_invalid(error, origins) for error in e.errors()]
    raise_all(errors)
    assert settings is not None
    return Resolved(settings=settings, origins=origins)


def _candidates(
    name: str, flags: Mapping[str, Any], env: Mapping[str, str], file: Mapping[str, Any]
) -> list[tuple[str, Any]]:
    kebab = name.replace("_", "-")
    upper = name.upper()
    found: list[tuple[str, Any]] = [("flag", flags.get(name))]
    # A Docker action's input keeps its hyphen: `fail-on` is INPUT_FAIL-ON.
    found += [("input", env.get(key)) for key in (f"INPUT_{kebab.upper()}", f"INPUT_{upper}")]
    found += [(f"env:{key}", env.get(key)) for key in ENV_NAMES.get(name, (f"QALITA_{upper}",))]
    if name not in NOT_FROM_FILE | ONE_RUN:
        found.append(("config", file.get(kebab, file.get(name))))
    return found


def _is_unset(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value == ()


def _listed(value: Any) -> Any:
    """Several values: lines of one input, a list, or a mapping in qalita.yml."""
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    if isinstance(value, dict):
        return tuple(f"{key}={item}" for key, item in value.items())
    return value


def _invalid(error: Any, origins: Mapping[str, str]) -> SettingsError:
    name = str(error["loc"][0]) if error["loc"] else "?"
    flag = "--" + name.replace("_", "-")
    expected = (error.get("ctx") or {}).get("expected") or error["msg"]
    shown = "(hidden)" if name == "client_key" or name.endswith("token") else repr(error.get("input"))[:80]
    return SettingsError(
        "setting-invalid",
        f"{flag} has a value that it cannot have: {shown}",
        expected=str(expected),
        looked=[f"it came from: {origins.get(name, 'nowhere')}"],
        todo=["correct it there; qalita-ingest dbt --help tells what each one takes"],
    )
