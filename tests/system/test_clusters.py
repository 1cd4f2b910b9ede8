"""The files in deploy/ for Slurm, Kubernetes and Ray: linters read them, and their commands make a run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.dataset import layout
from models.errors import ExitCode
from tests.conftest import ROOT, clean_environment, run
from tests.jobs.conftest import batch, differing, succeeds
from tests.jobs.small_models import write_model
from tests.system.conftest import lint

COUNT = 95
DEPLOY = ROOT / "deploy"
SBATCH = (DEPLOY / "slurm-array.sbatch").read_text()
NO_RETRY = {1, 2, 65, 66, 73, 76, 78}
"""Exit codes that another start of the same command would end with again."""
RETRY = {ExitCode.STOPPED, ExitCode.IO_ERROR, ExitCode.LOCKED, ExitCode.TERMINATED}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all of them shall make."""
    out = tmp_path_factory.mktemp("whole") / "run"
    succeeds(run(*batch(small, out, COUNT, "--shard-size", "10")))
    return out


def is_the_whole_run(out: Path, whole: Path) -> bool:
    own = [path.name for path in out.iterdir() if layout.PART_FILE.fullmatch(path.name)]
    return differing(out, whole, without=["log.jsonl", "stats.json", *own]) == []


def documents(name: str) -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="in the extra test")
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def shell(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script, "bash", *arguments],
        env=clean_environment(**{"OMP_NUM_THREADS": "1", "GAN_BATCH_SHARD_SIZE": "10", **environment}),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


# Slurm


def test_slurm_reads_all_its_options_before_the_first_command() -> None:
    head = SBATCH.split("\nPARTS=")[0]
    assert all(line.startswith("#") or not line for line in head.splitlines())
    assert SBATCH.count("#SBATCH") == head.count("#SBATCH")
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", head, re.MULTILINE))
    assert len(options) == SBATCH.count("#SBATCH")
    assert options["array"] == f"1-{re.findall('PARTS=([0-9]+)', SBATCH)[0]}"
    assert (options["signal"], options["open-mode"], options["ntasks"]) == ("TERM@60", "append", "1")
    assert "%a" in options["output"]


def sbatch(folder: Path, small: Path, gan_batch: str = 'exec "$@"') -> str:
    """The script with our own folder and numbers, and with stand-ins for Slurm's commands."""
    script = SBATCH.replace("source /shared/defects/.venv/bin/activate", "true")
    script = script.replace("/shared/defects/generator.onnx", str(small)).replace("/shared/defects", str(folder))
    for old, new in (("PARTS=16", "PARTS=2"), ("COUNT=1000000", f"COUNT={COUNT}"), ("--seed 7", "--seed 5")):
        assert old in script
        script = script.replace(old, new)
    return f'srun() (\n {gan_batch}\n)\nscontrol() {{ echo "scontrol $*"; }}\n{script}'


def test_slurm_array_and_the_job_after_it_make_a_run(small: Path, whole: Path, tmp_path: Path) -> None:
    script = sbatch(tmp_path, small)
    for task in ("1", "2"):
        result = shell(script, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_JOB_ID="7")
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
    result = shell(script, "finish", SLURM_ARRAY_TASK_ID="1")
    assert result.returncode == 0, result.stderr
    assert is_the_whole_run(tmp_path / "run-7", whole)


@pytest.mark.parametrize("code", sorted(NO_RETRY | RETRY | {0}))
def test_slurm_part_is_put_back_where_that_helps(code: int, small: Path, tmp_path: Path) -> None:
    script = sbatch(tmp_path, small, f"exit {code}")
    settings = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_JOB_ID": "7"}
    result = shell(script, **settings)
    assert (result.returncode, result.stdout) == (code, "scontrol requeue 7_2\n" if code in RETRY else "")
    assert shell(script, SLURM_RESTART_COUNT="5", **settings).stdout == ""  # not for ever


def test_shellcheck_finds_nothing() -> None:
    result = lint("shellcheck", DEPLOY / "slurm-array.sbatch")
    assert (result.returncode, result.stdout) == (0, "")


# Kubernetes


def test_kubernetes_job_has_an_index_a_part_and_gives_up_where_another_try_would_not_help() -> None:
    claim, parts, finish = documents("kubernetes/parts.yaml")
    assert [claim["kind"], parts["kind"], finish["kind"]] == ["PersistentVolumeClaim", "Job", "Job"]
    assert (claim["apiVersion"], parts["apiVersion"], finish["apiVersion"]) == ("v1", "batch/v1", "batch/v1")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    spec = parts["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 16, 16)
    assert f'/{spec["completions"]}" ' in pod(parts)["command"][2]
    assert spec["backoffLimitPerIndex"] > 0
    assert spec["podReplacementPolicy"] == "Failed"
    disruption, codes = spec["podFailurePolicy"]["rules"]
    assert disruption["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert (disruption["action"], codes["action"]) == ("Ignore", "FailIndex")
    assert set(codes["onExitCodes"]["values"]) == NO_RETRY | {ExitCode.NO_DEVICE}
    assert finish["spec"]["suspend"] is True
    (rule,) = finish["spec"]["podFailurePolicy"]["rules"]
    assert (rule["action"], set(rule["onExitCodes"]["values"])) == ("FailJob", NO_RETRY)


def pod(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return dict(container)


def nightly() -> dict[str, Any]:
    return documents("kubernetes/nightly/cronjob.yaml")[1]


def test_kubernetes_night_is_finished_on_its_date_and_given_up_where_another_try_would_not_help() -> None:
    night = nightly()["spec"]
    assert night["concurrencyPolicy"] == "Forbid"
    minute, hour, *_ = night["schedule"].split()
    spec = night["jobTemplate"]["spec"]
    latest = int(hour) * 3600 + int(minute) * 60 + night["startingDeadlineSeconds"] + spec["activeDeadlineSeconds"]
    assert latest < 24 * 3600
    assert night["timeZone"] == "Etc/UTC"
    assert spec["backoffLimit"] > 0
    disruption, codes = spec["podFailurePolicy"]["rules"]
    assert disruption == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert codes["action"] == "FailJob"
    assert set(codes["onExitCodes"]["values"]) == NO_RETRY | {ExitCode.NO_DEVICE}


def test_kubernetes_pods_run_as_nobody_special_with_a_volume_and_limits() -> None:
    _, *jobs = documents("kubernetes/parts.yaml")
    for job in (*jobs, nightly()["spec"]["jobTemplate"]):
        template = job["spec"]["template"]["spec"]
        container = pod(job)
        assert template["restartPolicy"] == "Never"  # which podFailurePolicy asks for
        assert template["automountServiceAccountToken"] is False
        assert template["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"] == container["resources"]["requests"]
        for rule in job["spec"]["podFailurePolicy"]["rules"]:
            assert rule.get("onExitCodes", {}).get("containerName", container["name"]) == container["name"]
        mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
        assert mounts == {"/data/models": True, "/data/synthetic": False, "/tmp": False}
        assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in template["volumes"]}


def test_kubernetes_claims_are_those_that_the_pods_ask_for() -> None:
    claim, *jobs = documents("kubernetes/parts.yaml")
    nights, night = documents("kubernetes/nightly/cronjob.yaml")
    for own, job in ((claim, jobs[0]), (claim, jobs[1]), (nights, night["spec"]["jobTemplate"])):
        volumes = job["spec"]["template"]["spec"]["volumes"]
        claims = [each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each]
        assert claims == [own["metadata"]["name"]]


def test_kubernetes_jobs_make_a_run(small: Path, whole: Path, tmp_path: Path) -> None:
    _, parts, finish = documents("kubernetes/parts.yaml")
    interpreter, option, command = pod(parts)["command"]
    (tmp_path / "models").mkdir()
    (tmp_path / "synthetic").mkdir()
    shutil.copy(small, tmp_path / "models/generator.onnx")
    assert (interpreter, option) == ("/bin/sh", "-c")
    for old, new in (("/16", "/2"), ("1000000", str(COUNT)), ("--seed 7", "--seed 5"), ("/data", str(tmp_path))):
        assert old in command
        command = command.replace(old, new)
    for index in ("0", "1"):
        result = shell(command, JOB_COMPLETION_INDEX=index, GAN_BATCH_LINE=small.name)
        assert result.returncode == 0, result.stderr
    succeeds(run(*(word.replace("/data", str(tmp_path)) for word in pod(finish)["command"])))
    assert is_the_whole_run(tmp_path / "synthetic/run-7", whole)


@pytest.mark.parametrize("name", ["parts.yaml", "nightly/cronjob.yaml"])
def test_schema_of_kubernetes_knows_all_that_a_file_says(name: str) -> None:
    result = lint("kubernetes-validate", "--strict", DEPLOY / "kubernetes" / name)
    assert result.returncode == 0, result.stdout + result.stderr


def test_kubernetes_night_on_a_gpu_asks_for_one_and_for_its_image(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="in the extra test")
    plain, cuda = (
        lint("kubectl", "kustomize", DEPLOY / "kubernetes" / name).stdout for name in ("nightly", "nightly-cuda")
    )
    containers = [pod(list(yaml.safe_load_all(text))[-1]["spec"]["jobTemplate"]) for text in (plain, cuda)]
    assert [container["image"].rpartition("/")[2] for container in containers] == [
        "gan-batch:0.1.0",
        "gan-batch-cuda:0.1.0",
    ]
    assert [container["resources"]["limits"].get("nvidia.com/gpu") for container in containers] == [None, "1"]
    (tmp_path / "cuda.yaml").write_text(cuda)
    result = lint("kubernetes-validate", "--strict", tmp_path / "cuda.yaml")
    assert result.returncode == 0, result.stdout + result.stderr


# Ray


def test_ray_takes_the_file() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util", reason="the extra `ray` is not installed")
    (config,) = documents("ray-cluster.yaml")
    prepared = util.prepare_config(config)
    util.validate_config(prepared)
    assert prepared["max_workers"] == len(config["provider"]["worker_ips"])


def test_ray_asks_for_the_token_everywhere_and_opens_no_dashboard() -> None:
    (config,) = documents("ray-cluster.yaml")
    starts = [
        line
        for name in ("head_start_ray_commands", "worker_start_ray_commands")
        for line in config[name]
        if "ray start" in line
    ]
    assert len(starts) == 2
    assert all(line.startswith("RAY_AUTH_MODE=token ") for line in starts)
    assert "--include-dashboard=false" in starts[0]
    assert "0.0.0.0" not in str(config)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_ray_machines_install_the_lean_package_from_the_checkout() -> None:
    (config,) = documents("ray-cluster.yaml")
    assert (ROOT / config["file_mounts"]["~/defects/source"] / "requirements-batch.txt").exists()
    installs = [line for line in config["setup_commands"] if "pip install" in line]
    assert "requirements-batch.txt ray" in installs[0]
    assert installs[1].endswith("--no-deps ~/defects/source")
    for command in config["setup_commands"]:
        assert subprocess.run(["bash", "-n", "-c", command]).returncode == 0


def test_commands_of_ray_know_the_options_that_are_used() -> None:
    ray = run("ray", "start", "--help").stdout
    if not ray:
        pytest.skip("Ray is not installed")
    used = set(re.findall(r"(--[a-z-]+)[= ]", (DEPLOY / "ray-cluster.yaml").read_text().split("head_start")[1]))
    assert used > {"--head", "--include-dashboard"}
    assert [option for option in used if option not in ray] == []
