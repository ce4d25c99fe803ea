"""Impossible settings are refused with a message that names the variable."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.project import PROJECT
from configs.registry import read_entries
from configs.settings import ModelGroup, SettingsError, groups, load_settings, loading, settings_from, variables
from deployments.models.clip.settings import ClipSettings


@pytest.fixture(autouse=True)
def no_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The developer's own .env and environment have no say here."""
    monkeypatch.setattr(loading, "ENV_FILE", tmp_path / ".env")
    for variable in variables():
        monkeypatch.delenv(variable.name, raising=False)
    return tmp_path / ".env"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIGHTS", "downloaded"),
        ("CLIP_MODEL_NAME", "openai/clip-vit-base-patch99"),
        ("CLIP_THREADS", "-1"),
        ("CLIP_THREADS", "two"),
        ("PROMPT_SET", "mine"),
        ("ENVIRONMENT", "prod"),
        ("RATE_LIMIT_PER_MINUTE", "0"),
        ("RATE_LIMIT_REDIS_URL", "localhost:6379"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("MAX_IMAGE_MB", "nan"),
        ("FETCH_ALLOW_PRIVATE", "10.0.0.0/33"),
        ("RATE_LIMIT_REDIS_URL", "redis://host:notaport"),
        ("API_KEY", "with a space"),
        ("MAX_MEGAPIXELS", "-5"),
        ("REQUEST_TIMEOUT_S", "0"),
        ("DATABASE_URL", "catalogue.db"),
        ("DATABASE_URL", "mysql://host/catalogue"),
        ("DATABASE_URL", "sqlite://"),
        ("STORE_URL", "s3://"),
        ("STORE_URL", "sftp://me:a-secret@host/pictures"),
        ("STORE_URL", "simplecache::sftp://:a-secret@host/pictures"),
        ("MAX_ATTEMPTS", "0"),
        ("CATALOGUE_FORMATS", "jpeg,gif"),
        ("CATALOGUE_FORMATS", "jpeg;png"),
        ("CATALOGUE_FORMATS", ","),
    ],
)
def test_impossible_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as refused:
        load_settings()
    assert "a-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "store", ["sftp://me@host:22/p", "abfs://box@account/p", "file:///a:b@c", "a:b@c", "s3://b/a:b@c"]
)
def test_a_store_without_a_password_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    monkeypatch.setenv("STORE_URL", store)
    assert load_settings().catalogue.store_url == store


def test_unknown_name_in_env_file_is_refused(no_env_file: Path) -> None:
    no_env_file.write_text("RATE_LIMT_ENABLED=false\n")
    with pytest.raises(SettingsError, match="RATE_LIMT_ENABLED is not a setting"):
        load_settings()


def test_unknown_argument_of_the_serve_config_is_refused() -> None:
    with pytest.raises(SettingsError, match="WIEGHTS is not a setting"):
        load_settings({"wieghts": "hub"})


@pytest.mark.parametrize(
    "name",
    [
        "WEIGHTS", "CLIP_MODEL_NAME", "TAGGER_MODEL_NAME", "PROMPT_SET", "LLM_MODEL", "LLM_FALLBACKS", "LLM_BASE_URL",
        "TRUSTED_PROXIES", "DATABASE_URL", "RATE_LIMIT_REDIS_URL", "MAX_FILES",
    ],
)  # fmt: skip
def test_a_refused_value_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "sk-secret-key")
    with pytest.raises(SettingsError, match=name) as refused:
        load_settings()
    assert "sk-secret-key" not in str(refused.value)


def test_environment_wins_over_env_file_wins_over_arguments(monkeypatch: pytest.MonkeyPatch, no_env_file: Path) -> None:
    arguments = {"weights": "hub", "clip_threads": 1, "max_files": 7}
    no_env_file.write_text("WEIGHTS=auto\nCLIP_THREADS=2\n")
    monkeypatch.setenv("WEIGHTS", "bundled")
    settings = load_settings(arguments)
    assert (settings.service.weights, settings.of(ClipSettings).threads, settings.limits.max_files) == ("bundled", 2, 7)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW_PRIVATE", "images.internal, 10.1.0.0/16")
    assert load_settings().fetch.allow_private == ("images.internal", "10.1.0.0/16")


def test_request_limit_below_image_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_REQUEST_MB", "10")
    with pytest.raises(SettingsError, match="MAX_REQUEST_MB must be at least MAX_IMAGE_MB"):
        load_settings()


def test_the_check_command_exits_2_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_MAX_BATCH", "many")
    monkeypatch.setenv("API_KEY", "top-secret")
    refused = subprocess.run([sys.executable, "-m", "configs"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "CLIP_MAX_BATCH" in refused.stderr
    monkeypatch.delenv("CLIP_MAX_BATCH")
    accepted = subprocess.run([sys.executable, "-m", "configs"], capture_output=True, text=True, check=True)
    assert "API_KEY=**********" in accepted.stdout
    assert "top-secret" not in accepted.stdout


@pytest.mark.parametrize(
    ("value", "formats"),
    [
        ("", ("jpeg", "png", "webp", "heic", "avif")),
        ("JPG, png", ("jpeg", "png")),
        (".heic,HEIF,image/heic", ("heic",)),
        ("Image/WebP,jfif,jpeg", ("webp", "jpeg")),
    ],
)
def test_formats_may_be_written_as_users_know_them(
    monkeypatch: pytest.MonkeyPatch, value: str, formats: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CATALOGUE_FORMATS", value)
    assert load_settings().catalogue.formats == formats


def test_example_file_lists_every_setting_with_its_default() -> None:
    example = (PROJECT / ".env.example").read_text()
    lines = dict(line.lstrip("# ").split("=", 1) for line in example.splitlines() if "=" in line.split(" ")[-1])
    defaults = settings_from({}).flat()
    assert set(lines) == defaults.keys()
    for name, default in defaults.items():
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        shown = {"True": "true", "False": "false", "None": "", "**********": ""}.get(text, text)
        assert lines[name] == shown, name


def test_the_example_file_is_what_the_command_writes(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "configs", "--example", tmp_path / "example"], capture_output=True, check=True
    )
    message = "run `python -m configs --example .env.example`"
    assert (tmp_path / "example").read_text() == (PROJECT / ".env.example").read_text(), message


def test_the_example_file_uncommented_is_the_defaults(no_env_file: Path) -> None:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    no_env_file.write_text("\n".join(line[2:] for line in lines if re.match("# [A-Z_]+=", line)))
    assert load_settings() == settings_from({})


@pytest.mark.parametrize("name", ["api_key", "openai_api_key", "anthropic_api_key", "gemini_api_key", "database_url"])
def test_a_secret_in_the_args_of_a_serve_config_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name.upper()} must come from the environment") as refused:
        load_settings({name: "a-secret-value"})
    assert "a-secret-value" not in str(refused.value)


def test_the_catalogue_lies_in_the_project_unless_it_is_told_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().catalogue.database == f"sqlite:///{PROJECT}/data/catalogue.db"
    assert load_settings().catalogue.store == f"{PROJECT}/data/pictures"
    monkeypatch.setenv("DATABASE_URL", "sqlite:////var/lib/catalogue.db")
    monkeypatch.setenv("STORE_URL", "s3://bucket/prefix")
    assert load_settings().catalogue.database == "sqlite:////var/lib/catalogue.db"
    assert load_settings().catalogue.store == "s3://bucket/prefix"
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@host/catalogue")
    assert load_settings().catalogue.database == "postgresql://me:secret@host/catalogue"
    assert "secret" not in repr(load_settings())


def test_the_variable_of_a_setting_is_its_group_and_field_unless_it_has_an_older_name() -> None:
    named = {f"{one.group}.{one.field}": one.name for one in variables()}
    assert named["clip.max_batch"] == "CLIP_MAX_BATCH"
    assert named["limits.max_image_mb"] == "MAX_IMAGE_MB"
    assert len(set(named.values())) == len(named)


def test_every_folder_of_a_model_that_declares_settings_has_a_group() -> None:
    folders = {path.parent.name for path in (PROJECT / "deployments" / "models").glob("*/settings.py")}
    models = [name for name, group in groups().items() if issubclass(group, ModelGroup)]
    assert set(models) == folders
    assert models[:-1] == [name for name in read_entries() if name in folders]  # llm has no entry


def test_a_new_model_is_found_by_its_folder(tmp_path: Path) -> None:
    """A copy of the two packages, where nothing but the folder is added."""
    for package in ("configs", "deployments"):
        ignored = shutil.ignore_patterns("bundled", "__pycache__")
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=ignored)
    shutil.copy(PROJECT / "serve_config.yaml", tmp_path)
    sound = tmp_path / "deployments" / "models" / "sound"
    sound.mkdir()
    (sound / "__init__.py").touch()
    (sound / "settings.py").write_text(NEW_MODEL)
    environment = {"PATH": os.environ["PATH"], "SOUND_MAX_S": "8"}
    command = [sys.executable, "-m", "configs"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "SOUND_MAX_S=8\n"


NEW_MODEL = """
from pydantic import Field

from configs.settings.base import ModelGroup


class SoundSettings(ModelGroup):
    name = "sound"

    enabled: bool = Field(True, description="Off: no Sound deployment.")
    max_s: int = Field(4, description="Seconds.")
"""


def test_settings_travel_to_the_replicas() -> None:
    settings = settings_from({"clip_max_batch": 3, "api_key": "a-secret"})
    arrived = pickle.loads(pickle.dumps(settings))  # noqa: S301 - our own
    assert arrived == settings
    assert arrived.of(ClipSettings).max_batch == 3


def test_neither_the_environment_nor_env_file_is_read_for_given_values(
    monkeypatch: pytest.MonkeyPatch, no_env_file: Path
) -> None:
    monkeypatch.setenv("MAX_FILES", "7")
    no_env_file.write_text("DECODE_THREADS=5\n")
    settings = settings_from({"weights": "hub"})
    assert (settings.service.weights, settings.limits.max_files, settings.ingress.decode_threads) == ("hub", 1000, 2)


def test_every_impossible_value_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        settings_from({"clip_threads": -1, "max_files": 0, "wieghts": "hub"})
    assert str(refused.value) == (
        "Cannot start: CLIP_THREADS: Input should be greater than or equal to 0; "
        "MAX_FILES: Input should be greater than or equal to 1; WIEGHTS is not a setting of Panoptes"
    )


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, no_env_file: Path) -> None:
    no_env_file.write_text("MAX_FILES=7\nCLIP_MAX_BATCH=\n")
    monkeypatch.setenv("MAX_FILES", "")
    assert load_settings().limits.max_files == 7
