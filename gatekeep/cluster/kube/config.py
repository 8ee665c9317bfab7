"""Configuration and authentication by the official client; the only module that imports ``kubernetes``.

Its loaders read kubeconfig files, run exec plugins, refresh tokens and know the service account's place in a pod. They
know nothing of ``--cluster``, ``--user`` and ``--server``; so those become an entry of the merged file before it is
loaded. Classes and keys used here are the same from version 31 to 37.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kubernetes.client import Configuration
from kubernetes.config import ConfigException, load_incluster_config
from kubernetes.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

from gatekeep.cluster.kube.failures import readable
from gatekeep.cluster.kube.login import Credentials, Login
from gatekeep.cluster.kube.options import KubeOptions
from gatekeep.model.errors import ForbiddenError, GatekeepError, UsageError

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_KEYS = ("BearerToken", "authorization")
"""Where the loaders put the token: newer versions, older versions."""


def load(options: KubeOptions, environment: Mapping[str, str] = os.environ) -> Login:
    """The login that ``options`` and the kubeconfig name; the service account of the pod when there is no kubeconfig.

    Raises :class:`UsageError` for a file or a context that cannot be used and :class:`ForbiddenError` when an exec
    plugin gives no credentials.
    """
    if options.as_groups and not options.as_user:
        raise UsageError("--as-group needs --as", hint="groups are impersonated together with a user")
    files = _files(options, environment)
    if files:
        return _from_files(options, files)
    named = options.context or options.cluster or options.user
    if named:
        raise UsageError(f"there is no kubeconfig that could hold {readable(named)}", hint=_HINT)
    if options.server:
        return Login(server=options.server, who="anonymous", as_user=options.as_user, as_groups=options.as_groups)
    if environment.get("KUBERNETES_SERVICE_HOST"):
        return _in_cluster(options)
    raise UsageError("no cluster is configured", hint=_HINT)


_HINT = "give --kubeconfig FILE or set KUBECONFIG"


def _files(options: KubeOptions, environment: Mapping[str, str]) -> list[str]:
    if options.kubeconfig:
        if not Path(options.kubeconfig).is_file():
            raise UsageError(f"{readable(options.kubeconfig)}: no such kubeconfig file", hint=_HINT)
        return [options.kubeconfig]
    named = environment.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    return [path for path in named.split(os.pathsep) if path and Path(path).expanduser().is_file()]


class _Kubeconfig:
    """The merged kubeconfig files and what is looked up in them by name."""

    def __init__(self, files: list[str]) -> None:
        with _reading(files):
            self.merger = KubeConfigMerger(os.pathsep.join(files))
            self.merged = self.merger.config
            # As kubectl: the first file that sets it wins. The client's merger lets the last one win.
            currents = (config.get("current-context") for config in self.merger.config_files.values())
            self.current: str = next((name for name in currents if name), "")

    def entry(self, section: str, name: str) -> Any:
        """The node of that name. Raises :class:`UsageError`, saying which ones exist."""
        found: Mapping[str, Any] = {node.value.get("name"): node for node in self.merged.value.get(section) or ()}
        if name in found:
            return found[name]
        known = ", ".join(sorted(readable(str(key)) for key in found)) or "none"
        raise UsageError(f"the kubeconfig has no {section[:-1]} {readable(name)!r}", hint=f"{section} in it: {known}")

    def content(self, section: str, name: str) -> dict[str, Any]:
        """What stands under that name, as a dictionary of its own."""
        return dict(self.entry(section, name).value.get(section[:-1]) or {})

    def put(self, section: str, name: str, content: Mapping[str, Any], path: str | None) -> None:
        """Adds an entry; relative file names in it are relative to ``path``, as in the file it stands for."""
        value = {"name": name, section[:-1]: dict(content)}
        self.merged.value[section].append(ConfigNode(name, value, path))


def _from_files(options: KubeOptions, files: list[str]) -> Login:
    config = _Kubeconfig(files)
    context = _context(config, options)
    cluster = config.content("clusters", context["cluster"])
    user = config.content("users", context["user"]) if context.get("user") else {}
    if options.server:
        cluster = {key: value for key, value in cluster.items() if key != "tls-server-name"}
        cluster["server"] = options.server
    if not cluster.get("server"):
        raise UsageError(f"cluster {readable(context['cluster'])!r} of the kubeconfig has no server", hint=_HINT)
    own = f"gatekeep:{context['cluster']}"
    config.put("clusters", own, cluster, config.entry("clusters", context["cluster"]).path)
    config.put("contexts", own, {**context, "cluster": own}, None)
    configuration = Configuration()
    with _reading(files):
        loader = KubeConfigLoader(
            config.merged,
            active_context=own,
            config_base_path=None,  # relative to the file that an entry comes from; "" would be the working folder
            config_persister=config.merger.save_changes,
        )
    return _login(options, configuration, _KubeconfigSource(files, loader, user), context, cluster)


def _context(config: _Kubeconfig, options: KubeOptions) -> dict[str, Any]:
    """The context to use, with the cluster and the user that the options put in its place."""
    name = options.context or config.current
    if not name and not (options.cluster and options.user):
        known = ", ".join(sorted(readable(str(node.value.get("name"))) for node in config.merged.value["contexts"]))
        raise UsageError("the kubeconfig has no current context", hint=f"give --context; there is {known or 'none'}")
    context = config.content("contexts", name) if name else {}
    context.update({key: value for key in ("cluster", "user") if (value := getattr(options, key))})
    if not context.get("cluster"):
        raise UsageError(f"context {readable(name)!r} of the kubeconfig names no cluster", hint="give --cluster")
    return context


class _KubeconfigSource:
    """Loads the credentials of a kubeconfig user, as often as needed."""

    def __init__(self, files: list[str], loader: Any, user: dict[str, Any]) -> None:
        self.files = files
        self.loader = loader
        self.user = user

    def __call__(self, configuration: Any) -> None:
        with _reading(self.files), _logged() as complaints:
            self.loader.load_and_set(configuration)
        if "exec" in self.user and not _token_key(configuration) and not configuration.cert_file:
            said = readable("; ".join(complaints)) or "it gave neither a token nor a certificate"
            raise ForbiddenError(
                f"the exec plugin of the kubeconfig gave no credentials: {said}", hint="log in again, then retry"
            )


def _login(
    options: KubeOptions,
    configuration: Any,
    source: _KubeconfigSource,
    context: dict[str, Any],
    cluster: dict[str, Any],
) -> Login:
    source(configuration)
    # The client does not know impersonation; left out, gatekeep would act with more rights than the operator gave it.
    as_user = options.as_user or source.user.get("as")
    as_groups = options.as_groups if options.as_user else tuple(source.user.get("as-groups") or ())
    return Login(
        server=configuration.host,
        credentials=_credentials(configuration, lambda: source(configuration)),
        who=f"kubeconfig user {readable(str(context.get('user') or 'anonymous'))}",
        namespace=context.get("namespace") or "default",
        ca_file=configuration.ssl_ca_cert,
        cert_file=configuration.cert_file,
        key_file=configuration.key_file,
        verify=configuration.verify_ssl,
        server_name=configuration.tls_server_name,
        proxy=cluster.get("proxy-url"),
        as_user=as_user,
        as_groups=as_groups,
    )


def _in_cluster(options: KubeOptions) -> Login:
    configuration = Configuration()

    def reload() -> None:
        with _reading([str(_SERVICE_ACCOUNT)]):
            load_incluster_config(client_configuration=configuration)

    reload()
    namespace = _SERVICE_ACCOUNT / "namespace"
    return Login(
        server=configuration.host,
        credentials=_credentials(configuration, reload),
        who="the pod's service account",
        namespace=namespace.read_text("utf-8").strip() if namespace.is_file() else "default",
        ca_file=configuration.ssl_ca_cert,
        as_user=options.as_user,
        as_groups=options.as_groups,
    )


def _credentials(configuration: Any, reload: Any) -> Credentials:
    def current() -> str | None:
        key = _token_key(configuration)
        if not key:
            return None
        with _logged():
            header = configuration.get_api_key_with_prefix(key)  # runs the client's refresh hook
        return str(header).strip() if header else None

    def reloaded() -> str | None:
        reload()
        return current()

    return Credentials(current, reloaded)


def _token_key(configuration: Any) -> str | None:
    return next((key for key in _TOKEN_KEYS if configuration.api_key.get(key)), None)


@contextlib.contextmanager
def _reading(files: list[str]) -> Iterator[None]:
    """Turns whatever the loaders raise about a broken file into a UsageError that quotes nothing secret of it."""
    try:
        yield
    except GatekeepError:
        raise
    except Exception as error:
        where = readable(os.pathsep.join(files))
        raise UsageError(f"{where}: the kubeconfig cannot be used: {_reason(error)}", hint=_HINT) from None


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"invalid YAML in line {mark.line + 1}, column {mark.column + 1}"
    if isinstance(error, OSError):
        return readable(f"{error.filename}: {error.strerror}")
    if isinstance(error, ConfigException):
        # What follows " in " may be a whole user entry with its token.
        return readable(str(error).partition(" in ")[0])
    return type(error).__name__


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Collects what the client would print: it logs the failure of an exec plugin and goes on without credentials."""
    lines: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
