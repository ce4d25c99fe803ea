"""Specs: every model has one, which says all that the rest of the application has to know, and costs nothing to read."""

import subprocess
import sys

import pytest

from configs.project import PROJECT
from configs.settings import settings_from
from deployments.specs import all_specs, analyses, model_specs
from serve_app.schemas.analysis import AnalysisFlags, ImageAnalysisResult
from serve_app.schemas.answers import view, views

HEAVY = ("ray", "torch", "transformers", "open_clip", "cv2", "onnxruntime", "pyarrow", "sqlalchemy", "fastapi")


def test_every_folder_of_a_model_has_a_spec_that_is_found() -> None:
    folders = {path.parent.name for path in (PROJECT / "deployments" / "models").glob("*/model.py")}
    assert {spec.package.rpartition(".")[2] for spec in model_specs().values()} == folders


def test_specs_are_read_without_ray_and_without_any_models_library() -> None:
    code = f"import sys; from deployments.specs import analyses; analyses(); print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", all_specs())
def test_a_switch_is_a_setting_and_a_deployment_is_where_the_spec_says(name: str) -> None:
    spec = all_specs()[name]
    assert settings_from({spec.switch.lower(): False}).is_enabled(name) is False
    assert spec.deployment().name == name


@pytest.mark.parametrize("name", analyses())
def test_an_analysis_has_its_flag_its_fields_and_its_columns(name: str) -> None:
    analysis, spec = analyses()[name]
    flag = AnalysisFlags.model_fields[f"run_{name}"]
    assert (flag.default, flag.description) == (analysis.default, analysis.description)
    results = view(name).results
    assert results.keys() <= ImageAnalysisResult.model_fields.keys()
    assert view(name).examples.keys() == results.keys()
    assert spec.columns()[name].fields


def test_no_two_analyses_fill_the_same_field() -> None:
    fields = [field for one in views().values() for field in one.results]
    assert len(fields) == len(set(fields))
