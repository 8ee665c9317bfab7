"""Kubeconfigs as operators have them: several files, overrides, exec plugins, mistakes; no secret in any error."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from gatekeep.cluster.kube.config import load
from gatekeep.cluster.kube.login import Login
from gatekeep.cluster.kube.options import KubeOptions
from gatekeep.cluster.kube.target import target
from gatekeep.model.errors import ForbiddenError, GatekeepError, UsageError

SECRET = "s3cr3t-t0ken"


def kubeconfig(**more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "clusters": [
            {"name": "one", "cluster": {"server": "https://one.example:6443", "tls-server-name": "kubernetes"}},
            {"name": "two", "cluster": {"server": "https://two.example", "insecure-skip-tls-verify": True}},
        ],
        "users": [{"name": "jane", "user": {"token": SECRET}}, {"name": "joe", "user": {"token": "joes"}}],
        "contexts": [
            {"name": "dev", "context": {"cluster": "one", "user": "jane", "namespace": "shop"}},
            {"name": "prod", "context": {"cluster": "two", "user": "joe"}},
        ],
        **more,
    }


def write(path: Path, content: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(path)


def login(tmp_path: Path, content: Any = None, **options: Any) -> Login:
    return load(KubeOptions(kubeconfig=write(tmp_path / "config", content or kubeconfig()), **options), {})


def test_the_current_context(tmp_path: Path) -> None:
    found = login(tmp_path)
    assert (found.server, found.namespace, found.who) == ("https://one.example:6443", "shop", "kubeconfig user jane")
    assert found.credentials.header() == f"Bearer {SECRET}"
    assert (found.server_name, found.verify) == ("kubernetes", True)


def test_another_context(tmp_path: Path) -> None:
    found = login(tmp_path, context="prod")
    assert (found.server, found.namespace, found.verify) == ("https://two.example", "default", False)
    assert found.credentials.header() == "Bearer joes"


def test_cluster_user_and_server_of_the_command_line(tmp_path: Path) -> None:
    found = login(tmp_path, cluster="two", user="joe")
    assert (found.server, found.credentials.header()) == ("https://two.example", "Bearer joes")
    found = login(tmp_path, server="https://127.0.0.1:6443")
    assert (found.server, found.server_name) == ("https://127.0.0.1:6443", None)
    assert found.credentials.header() == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        ({"context": "nope"}, "no context 'nope'", "contexts in it: dev, prod"),
        ({"cluster": "nope"}, "no cluster 'nope'", "clusters in it: one, two"),
        ({"user": "no\x1bpe"}, "no user 'no\\\\x1bpe'", "users in it: jane, joe"),
        ({"as_groups": ("x",)}, "--as-group needs --as", ""),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(
    tmp_path: Path, options: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        login(tmp_path, **options)
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        f"users:\n- name: jane\n  user: {{token: {SECRET}\n",
        f"- {SECRET}",
        f'"{SECRET}"',
        kubeconfig(users=[{"name": "jane", "user": {"exec": {"args": [SECRET]}, "token": None}}]),
        kubeconfig(clusters=[{"name": "one", "cluster": {"token": SECRET}}]),
        kubeconfig(
            clusters=[{"name": "one", "cluster": {"server": "https://x", "certificate-authority": "missing.crt"}}]
        ),
        kubeconfig(clusters=[{"name": "one"}]),
        kubeconfig(contexts=[{"name": "dev", "context": {"user": SECRET}}]),
        {**kubeconfig(), "current-context": ""},
        "{}",
    ],
)
def test_a_broken_file_is_a_usage_error_that_quotes_nothing_secret(tmp_path: Path, content: Any) -> None:
    with pytest.raises(GatekeepError) as caught:
        login(tmp_path, content)
    assert caught.value.exit_code in (64, 77)
    assert SECRET not in str(caught.value)


def test_several_files_first_one_wins_and_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    authority = {"server": "https://a.example", "certificate-authority": "ca.crt"}
    first = write(tmp_path / "a" / "config", kubeconfig(clusters=[{"name": "one", "cluster": authority}]))
    write(tmp_path / "a" / "ca.crt", "none")
    second = write(tmp_path / "b" / "config", {**kubeconfig(), "current-context": "prod"})
    missing = str(tmp_path / "missing")
    found = load(KubeOptions(), {"KUBECONFIG": f"{missing}:{first}:{second}"})
    assert found.server == "https://a.example"
    assert found.ca_file == str(tmp_path / "a" / "ca.crt")
    assert load(KubeOptions(context="prod"), {"KUBECONFIG": f"{first}:{second}"}).server == "https://two.example"
    with pytest.raises(UsageError, match="certificate file"):
        target(found)


def test_a_token_file_is_read_again_when_it_was_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old", "utf-8")
    found = login(tmp_path, kubeconfig(users=[{"name": "jane", "user": {"tokenFile": "token"}}]))
    assert found.credentials.header() == "Bearer old"
    token.write_text("new", "utf-8")
    assert found.credentials.header() == "Bearer old"
    assert found.credentials.renew("Bearer old")
    assert found.credentials.header() == "Bearer new"
    assert not found.credentials.renew("Bearer new")


def plugin(tmp_path: Path, code: str) -> dict[str, Any]:
    script = tmp_path / "plugin"
    script.write_text(f"#!{sys.executable}\n{code}\n", "utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    api = "client.authentication.k8s.io/v1"
    return kubeconfig(users=[{"name": "jane", "user": {"exec": {"apiVersion": api, "command": str(script)}}}])


def test_an_exec_plugin_gives_the_token(tmp_path: Path) -> None:
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "fresh"}}
    found = login(tmp_path, plugin(tmp_path, f"print({json.dumps(json.dumps(status))})"))
    assert found.credentials.header() == "Bearer fresh"


def test_an_exec_plugin_that_fails_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ForbiddenError, match=r"exec plugin of the kubeconfig gave no credentials: .*not logged in"):
        login(tmp_path, plugin(tmp_path, "import sys; sys.exit('not logged in\\x1b[31m')"))
    assert "not logged in" not in capfd.readouterr().err


def test_impersonation_in_the_file_is_kept_unless_replaced(tmp_path: Path) -> None:
    content = kubeconfig(users=[{"name": "jane", "user": {"token": "t", "as": "ci", "as-groups": ["deployers"]}}])
    found = login(tmp_path, content)
    assert (found.as_user, found.as_groups) == ("ci", ("deployers",))
    found = login(tmp_path, content, as_user="bob")
    assert (found.as_user, found.as_groups) == ("bob", ())


def test_no_file_at_all(tmp_path: Path) -> None:
    nowhere = {"KUBECONFIG": str(tmp_path / "missing")}
    with pytest.raises(UsageError, match="no cluster is configured"):
        load(KubeOptions(), nowhere)
    with pytest.raises(UsageError, match="no such kubeconfig file"):
        load(KubeOptions(kubeconfig=str(tmp_path / "missing")), {})
    with pytest.raises(UsageError, match="could hold prod"):
        load(KubeOptions(context="prod"), nowhere)
    assert load(KubeOptions(server="http://localhost:8001"), nowhere).credentials.header() is None


def test_a_pod_without_its_service_account_files(tmp_path: Path) -> None:
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": str(tmp_path / "missing")}
    with pytest.raises(UsageError, match="kubeconfig cannot be used"):
        load(KubeOptions(), inside)
