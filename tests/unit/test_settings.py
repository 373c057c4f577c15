"""Settings: what is taken, what is refused with which sentence, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from orchestrator import settings
from orchestrator.cli import settings_view
from orchestrator.clients import broker
from orchestrator.errors import SettingsError
from orchestrator.settings import environment

from tests.certificates import certificate

P = "ORCHESTRATOR_"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ``.env`` but that of the test."""
    monkeypatch.chdir(tmp_path)


def faults(**variables: str) -> list[str]:
    """What is refused of ``ORCHESTRATOR_…`` variables."""
    with pytest.raises(SettingsError) as refused:
        settings.read({P + name: value for name, value in variables.items()})
    return list(refused.value.faults)


def taken(**variables: str) -> settings.Settings:
    return settings.read({P + name: value for name, value in variables.items()}).settings


# Values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LEASE_TTL", "soon", "expected a whole number, not 'soon'"),
        ("LEASE_TTL", "2.5", "expected a whole number, not '2.5'"),
        ("LEASE_TTL", "1", "expected 2 or more, not '1'"),
        ("LEASE_TTL", "7200", "expected 3600 or less, not '7200'"),
        ("HEAT_TIMEOUT", "", "it is empty; give a value or remove the variable"),
        ("HEAT_TIMEOUT", "0", "expected more than 0, not '0'"),
        ("HEAT_TIMEOUT", "nan", "expected a finite number, not 'nan'"),
        ("HEAT_TIMEOUT", "inf", "expected a finite number, not 'inf'"),
        ("HEAT_TIMEOUT", "1e300", "expected 604800 or less, not '1e300'"),
        ("STACK_TIMEOUT", "-inf", "expected a finite number, not '-inf'"),
        ("DELETION_PATIENCE", "-1", "expected 0 or more, not '-1'"),
        ("HEALTH_PORT", "65536", "expected less than 65536, not '65536'"),
        ("STATE_AS_STRING", "perhaps", "expected true or false, not 'perhaps'"),
        ("LOG_LEVEL", "LOUD", "expected DEBUG, INFO, WARNING or ERROR"),
        ("LOG_FORMAT", "xml", "expected console or json"),
        ("LOG_FORMAT", " json", "there is white space around the value"),
        ("ETCD_USER", "ann\n", "there is white space around the value"),
        ("ETCD_USER", '"ann"', "there are quotes around the value; they would be part of it"),
        ("ETCD_USER", "'ann'", "there are quotes around the value; they would be part of it"),
        ("ETCD_USER", "a\x07nn", "there is a control character in the value"),
        ("ETCD_USER", "a\udcffnn", "the value is not UTF-8"),
        ("ETCD_ENDPOINTS", "", "it is empty; give a value or remove the variable"),
        ("ETCD_ENDPOINTS", "::1:2379", "an IPv6 address stands in brackets: [::1]:2379"),
        ("ETCD_ENDPOINTS", "a:1,b", "expected host:port[,host:port…]"),
        ("ETCD_ENDPOINTS", "a:1,", "expected host:port[,host:port…]"),
        ("ETCD_ENDPOINTS", "a:²", "expected host:port[,host:port…]"),
        ("ETCD_ENDPOINTS", "a:0", "a:0: ports are 1 to 65535"),
        ("ETCD_ENDPOINTS", "a:1,http://a:1/", "a:1 stands there twice"),
        ("ETCD_ENDPOINTS", "dns://a:1", "expected host:port[,host:port…]"),
        ("ETCD_ENDPOINTS", "ann:canary@a:1", "user and password go into ORCHESTRATOR_ETCD_USER"),
        ("ETCD_ENDPOINTS", "https://a:1", "https:// needs the CA of etcd's server"),
        ("CONFIG_PREFIX", "config", "expected a key prefix such as /config"),
        ("CONFIG_PREFIX", "/", "expected a key prefix such as /config"),
        ("CONFIG_PREFIX", "/a//b", "expected a key prefix such as /config"),
        ("CONFIG_PREFIX", "/gohan", "nothing below /gohan/ is ever read or written"),
        ("CONFIG_PREFIX", "/gohan/config", "nothing below /gohan/ is ever read or written"),
        ("STATE_PREFIX", "/config/", "/config is ORCHESTRATOR_CONFIG_PREFIX already"),
        (
            "STATE_PREFIX",
            "/config/state",
            "lies below /config, which is ORCHESTRATOR_CONFIG_PREFIX",
        ),
        ("TEMPLATES", "/nowhere", "/nowhere: there is no such folder"),
        ("SCHEMAS", "/nowhere.json", "there is no file /nowhere.json"),
        ("ETCD_CA", "/nowhere.pem", "/nowhere.pem cannot be read: No such file or directory"),
        ("BROKER_CA", "/", "/ cannot be read: Is a directory"),
        ("ETCD_PASSWORD", "canary", "there is no ORCHESTRATOR_ETCD_USER"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_a_sentence(
    name: str,
    value: str,
    told: str,
) -> None:
    first, *_ = faults(**{name: value})

    assert first.startswith(f"{P}{name}: ")
    assert told in first
    assert "canary" not in first


def test_kubernetes_may_have_set_a_variable_of_ours_for_a_service() -> None:
    (told,) = faults(HEALTH_PORT="tcp://10.0.0.7:8080")

    assert told.startswith(
        "ORCHESTRATOR_HEALTH_PORT: expected a whole number; Kubernetes sets this",
    )
    assert "enableServiceLinks: false" in told


def test_every_fault_is_told_at_once() -> None:
    told = faults(
        LEASE_TTL="x",
        CONFIG_PREFIX="x",
        ETCD_CA="/x",
        BROKER_URL="x",
        BROKR_URL="x",
        HEALTH_PORT="x",
    )

    assert sorted(fault.partition(":")[0] for fault in told) == [
        "ORCHESTRATOR_BROKER_URL",
        "ORCHESTRATOR_BROKR_URL",
        "ORCHESTRATOR_CONFIG_PREFIX",
        "ORCHESTRATOR_ETCD_CA",
        "ORCHESTRATOR_HEALTH_PORT",
        "ORCHESTRATOR_LEASE_TTL",
    ]


def test_what_is_usual_is_taken() -> None:
    found = taken(
        ETCD_ENDPOINTS="http://etcd1:2379/, [::1]:2379,10.0.0.1:2379",
        STATE_PREFIX="/state_watch/state",
        MONITORING_PREFIX="/state_watch/monitoring/",
        STATE_AS_STRING="on",
        LOG_LEVEL="debug",
        DELETION_PATIENCE="0",
        ETCD_USER="",
    )

    assert found.etcd_endpoints == ("etcd1:2379", "[::1]:2379", "10.0.0.1:2379")
    assert (found.state_prefix, found.monitoring_prefix) == (
        "/state_watch/state",
        "/state_watch/monitoring",
    )
    assert (found.state_as_string, found.log_level, found.deletion_patience) == (True, "DEBUG", 0.0)


# Certificates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["ETCD", "BROKER"])
def test_files_of_certificates_hold_what_they_should(tmp_path: Path, group: str) -> None:
    authority = certificate(tmp_path, "ca", None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    certificate(tmp_path, "one", (name, authority))
    certificate(tmp_path, "two", (name, authority))
    (tmp_path / "text").write_text("no certificate")
    url = {"BROKER_URL": "rediss://127.0.0.1:6379/0"}

    def files(ca: str, cert: str, key: str) -> dict[str, str]:
        named = {"CA": ca, "CERT": cert, "KEY": key}
        given = {f"{group}_{n}": str(tmp_path / value) for n, value in named.items() if value}
        return given | url

    assert taken(**files("ca.pem", "one.pem", "one.key")).etcd_ca in ("", str(tmp_path / "ca.pem"))
    assert "is not a PEM file" in faults(**files("text", "", ""))[0]
    assert "cannot be used together" in faults(**files("ca.pem", "one.pem", "two.key"))[0]
    assert faults(**files("ca.pem", "one.pem", ""))[0].startswith(f"{P}{group}_KEY: is needed")
    assert faults(**files("ca.pem", "", "one.key"))[0].startswith(f"{P}{group}_CERT: is needed")


# Names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        (
            "ORCHESTRATOR_BROKR_URL",
            "there is no such setting; did you mean ORCHESTRATOR_BROKER_URL?",
        ),
        ("ORCHESTRATOR_ETCD_ENDPOINT", "did you mean ORCHESTRATOR_ETCD_ENDPOINTS?"),
        ("ORCHESTRATOR_BROKER_URL_FIEL", "did you mean ORCHESTRATOR_BROKER_URL_FILE?"),
        ("ORCHESTRATOR_ENVFILE", "did you mean ORCHESTRATOR_ENV_FILE?"),
        ("ORCHESTRATOR_XYZZY", "docs/settings.md lists those there are"),
        (
            "ORCHESTRATOR_LEASE_TTL_FILE",
            "only secrets are read from files; set ORCHESTRATOR_LEASE_TTL",
        ),
        ("orchestrator_broker_url", "is written ORCHESTRATOR_BROKER_URL"),
        ("ORCHESTRATOR_HELTH_PORT", "did you mean ORCHESTRATOR_HEALTH_PORT?"),
        ("ORCHESTRATOR_", "there is no such setting"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_name_that_does_not_exist_is_refused(
    variable: str,
    told: str,
    place: str,
    tmp_path: Path,
) -> None:
    environ = {variable: "1"}
    if place == "file":
        (tmp_path / ".env").write_text(f"{variable}=1\n")
        environ = {}

    with pytest.raises(SettingsError) as refused:
        settings.read(environ)

    (fault,) = refused.value.faults
    assert fault.startswith(f"{variable}: ")
    assert told in fault


@pytest.mark.parametrize(
    "environ",
    [
        {"ORCHESTRATOR_FAULT": "worker-after-claim", "ORCHESTRATOR_FAULT_ONCE": "/tmp/once"},
        # Kubernetes, for Services named orchestrator and orchestrator-bridge.
        {
            "ORCHESTRATOR_SERVICE_HOST": "10.0.0.1",
            "ORCHESTRATOR_SERVICE_PORT": "8080",
            "ORCHESTRATOR_SERVICE_PORT_HEALTH": "8080",
            "ORCHESTRATOR_PORT": "tcp://10.0.0.1:8080",
            "ORCHESTRATOR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
            "ORCHESTRATOR_PORT_8080_TCP_PROTO": "tcp",
            "ORCHESTRATOR_PORT_8080_TCP_PORT": "8080",
            "ORCHESTRATOR_PORT_8080_TCP_ADDR": "10.0.0.1",
            "ORCHESTRATOR_BRIDGE_SERVICE_HOST": "10.0.0.1",
            "ORCHESTRATOR_BRIDGE_PORT": "tcp://10.0.0.1:8080",
        },
        {"PATH": "/bin", "orchestrator": "x", "orchestrator_mode": "x", "MY_ORCHESTRATOR_URL": "x"},
    ],
)
def test_names_of_others_are_no_business_of_ours(environ: Mapping[str, str]) -> None:
    assert settings.read(environ).sources == {}


WRONG_ON_PURPOSE = {
    "ORCHESTRATOR_BROKR_URL",
    "ORCHESTRATOR_PORT",
    "ORCHESTRATOR_BRIDGE_SERVICE_HOST",
}
"""Examples of docs/settings.md."""


def test_every_name_that_deployments_use_exists() -> None:
    """In the files of ``deploy/`` and in the documentation."""
    root = Path(__file__).resolve().parents[2]
    known = {P + name.upper() for name in settings.Settings.model_fields}
    known |= {P + n.upper() + "_FILE" for n in settings.Settings.model_fields if settings.hidden(n)}
    known |= {environment.ENV_FILE, "ORCHESTRATOR_FAULT", "ORCHESTRATOR_FAULT_ONCE"}
    pages = [path for folder in ("deploy", "docs") for path in (root / folder).rglob("*.*")]
    pages.append(root / "README.md")
    found: dict[str, Path] = {}
    for page in pages:
        if page.suffix in (".md", ".yaml", ".example", ".service", ".Dockerfile", ".py"):
            for word in page.read_text().replace("`", " ").split():
                name, _, _ = word.lstrip("#-{([\"'").partition("=")
                name = name.rstrip(":,.;?)]}\"'")
                if name.startswith(P) and name.isascii() and name.replace("_", "A").isupper():
                    found[name] = page
    known |= WRONG_ON_PURPOSE | {P}
    assert {n: str(page) for n, page in found.items() if n not in known} == {}


# Files -------------------------------------------------------------------------------------------------


def test_the_environment_goes_before_the_file_and_config_names_each_source(tmp_path: Path) -> None:
    named = tmp_path / "my.env"
    secret = tmp_path / "secret"
    secret.write_text("canary\n")
    named.write_text(
        "# a comment\n\n"
        "export ORCHESTRATOR_LEASE_TTL=20\n"
        "ORCHESTRATOR_HEAT_TIMEOUT='30'\n"
        f"ORCHESTRATOR_ETCD_PASSWORD_FILE={secret}\n"
        'ORCHESTRATOR_ETCD_USER="ann$HOME" # not expanded\n'
        "OS_USERNAME=bob\n"
        "OTHER=x\n"
    )
    (tmp_path / ".env").write_text("ORCHESTRATOR_HEALTH_PORT=1\n")
    environ = {
        "ORCHESTRATOR_ENV_FILE": str(named),
        "ORCHESTRATOR_LEASE_TTL": "5",
        "OS_AUTH_URL": "http://keystone",
    }

    loaded = settings.read(environ)

    assert loaded.settings.lease_ttl == 5
    assert loaded.settings.heat_timeout == 30.0
    assert loaded.settings.etcd_password == "canary"
    assert loaded.settings.etcd_user == "ann$HOME"
    assert loaded.settings.health_port == 0, "instead of .env, not besides"
    shown = {s.variable: (s.value, s.source) for s in settings_view.settings(loaded)}
    assert shown["ORCHESTRATOR_LEASE_TTL"] == (5, "environment")
    assert shown["ORCHESTRATOR_HEAT_TIMEOUT"] == (30.0, str(named))
    assert shown["ORCHESTRATOR_ETCD_PASSWORD"] == ("***", str(secret))
    assert shown["ORCHESTRATOR_HEALTH_PORT"] == (0, "default")
    cloud = {s.variable: (s.value, s.source) for s in settings_view.openstack(loaded.others)}
    assert cloud == {
        "OS_AUTH_URL": ("http://keystone", "environment"),
        "OS_USERNAME": ("bob", str(named)),
    }


def test_a_dot_env_file_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ORCHESTRATOR_HEALTH_PORT=81\n")

    loaded = settings.read({})

    assert (loaded.settings.health_port, loaded.sources) == (81, {"health_port": ".env"})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("ORCHESTRATOR_LEASE_TTL\n", "ORCHESTRATOR_LEASE_TTL: has no value in my.env, line 1"),
        (
            "\n\nORCHESTRATOR_ETCD_USER='ann\n",
            "ORCHESTRATOR_ENV_FILE: my.env, line 3: expected NAME=VALUE",
        ),
        (
            "ORCHESTRATOR_LEASE_TTL=5\n\nORCHESTRATOR_LEASE_TTL=6\n",
            "ORCHESTRATOR_LEASE_TTL: is set twice in my.env, in lines 1 and 3",
        ),
        (
            "ORCHESTRATOR_ENV_FILE=x\n",
            "ORCHESTRATOR_ENV_FILE: does nothing inside a file (my.env, line 1)",
        ),
        (b"\xff\xfe", "ORCHESTRATOR_ENV_FILE: my.env is not UTF-8"),
        (None, "ORCHESTRATOR_ENV_FILE: my.env cannot be read: No such file or directory"),
    ],
)
def test_an_environment_file_that_cannot_be_read_is_refused(
    content: str | bytes | None,
    told: str,
) -> None:
    if content is not None:
        Path("my.env").write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(SettingsError) as refused:
        settings.read({"ORCHESTRATOR_ENV_FILE": "my.env"})

    assert told in refused.value.faults


@pytest.mark.parametrize(
    ("content", "value"),
    [("canary", "canary"), ("canary\n", "canary"), ("canary\r\n", "canary"), ("ca\nn", "ca\nn")],
)
def test_a_secret_in_a_file_is_the_text_without_its_last_newline(content: str, value: str) -> None:
    Path("secret").write_bytes(content.encode())

    found = taken(ETCD_USER="ann", ETCD_PASSWORD_FILE="secret")

    assert found.etcd_password == value


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "secret cannot be read: No such file or directory"),
        (b"", "secret is empty"),
        (b"\n", "secret is empty"),
        (b"\xff", "secret is not UTF-8"),
        (b"x" * 70_000, "secret has more than 65536 bytes"),
        (b"canary \n", "there is white space around the value"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_by_its_variable(
    content: bytes | None,
    told: str,
) -> None:
    if content is not None:
        Path("secret").write_bytes(content)

    (fault, *_) = faults(ETCD_USER="ann", ETCD_PASSWORD_FILE="secret")

    assert fault.startswith("ORCHESTRATOR_ETCD_PASSWORD")
    assert told in fault
    assert "canary" not in fault


def test_every_secret_may_lie_in_a_file_and_not_in_two_places() -> None:
    for name in (name for name in settings.Settings.model_fields if settings.hidden(name)):
        Path("secret").write_text({"broker_url": "redis://h/0"}.get(name, "{}"))
        variable = name.upper()
        direct = {variable: "redis://h/0" if name == "broker_url" else "{}"}

        told = faults(**{f"{variable}_FILE": "secret"}, **direct)

        assert any(f"{P}{variable} is set too; give one of them" in fault for fault in told)


def test_a_secret_of_the_environment_goes_before_a_file_that_the_environment_file_names() -> None:
    Path("my.env").write_text("ORCHESTRATOR_BROKER_URL_FILE=/nowhere\n")
    environ = {"ORCHESTRATOR_ENV_FILE": "my.env", "ORCHESTRATOR_BROKER_URL": "redis://here/0"}

    assert settings.read(environ).settings.broker_url == "redis://here/0"


def test_what_the_libraries_read_is_put_into_the_environment() -> None:
    Path("password").write_text("canary\n")
    Path("my.env").write_text(
        "OS_AUTH_URL=http://keystone\nOS_PASSWORD_FILE=password\nFLOWER_BASIC_AUTH=a:b\nPATH=/evil\nHOME=/evil\n",
    )
    environ = {"ORCHESTRATOR_ENV_FILE": "my.env", "OS_AUTH_URL": "http://mine", "PATH": "/bin"}

    loaded = settings.read(environ)
    environment.export(loaded.others, environ)

    assert environ == {
        "ORCHESTRATOR_ENV_FILE": "my.env",
        "OS_AUTH_URL": "http://mine",
        "OS_PASSWORD": "canary",
        "FLOWER_BASIC_AUTH": "a:b",
        "PATH": "/bin",
    }


# The broker --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("reddis://127.0.0.1:6379/0", "did you mean redis://?"),
        ("redis://127.0.0.1:notaport/0", "the port is a number from 1 to 65535"),
        ("redis://127.0.0.1:0/0", "the port is a number from 1 to 65535"),
        ("redis://127.0.0.1:6379/notadb", "the database is a number"),
        ("redis://127.0.0.1:6379/0/1", "the database is a number"),
        ("http://127.0.0.1:6379", "other brokers than Redis are not supported"),
        ("amqp://guest@127.0.0.1//", "other brokers than Redis are not supported"),
        ("127.0.0.1:6379", "write redis://HOST:PORT/0"),
        ("", "it is empty"),
        ("redis://", "it names no host"),
        ("redis:///0", "it names no host"),
        ("redis://:canary@", "it names no host"),
        ("redis://canary@host/0", "it names a user and no password"),
        ("redis://:ca/nary@host/0", "it cannot be taken apart"),
        ("redis://:ca#nary@host/0", "it cannot be taken apart"),
        ("redis://:ca?nary@host/0", "it cannot be taken apart"),
        ("redis://a:1,b:2/0", "several are written"),
        ("redis://a:1;redis://b:2/0", "several are written"),
        ("redis://::1:6379/0", "an IPv6 address stands in brackets"),
        ("redis://host/0?ssl_cert_rqs=none", "did you mean 'ssl_cert_reqs'?"),
        ("redis://host/0?visibility_timeout=5", "ORCHESTRATOR_BROKER_TRANSPORT_OPTIONS"),
        ("rediss://host/0?ssl_cert_reqs=maybe", "ssl_cert_reqs is required, optional or none"),
        ("rediss://host/0?ssl_ca_certs=/nowhere", "/nowhere cannot be read"),
        ("sentinel://127.0.0.1:26379/0", "needs the name of the master"),
        ("sentinel://a:1;sentinel://a:1/0?master_name=m", "it names a Sentinel twice"),
        ("sentinel://u:x@a;sentinel://u:y@b/0?master_name=m", "one user, one password and one"),
        ("sentinel://a/1;sentinel://b/2?master_name=m", "one user, one password and one database"),
        ("redis+socket://run/redis.sock", "expected a path"),
    ],
)
def test_a_broker_url_that_cannot_work_is_refused(url: str, told: str) -> None:
    first, *_ = faults(BROKER_URL=url)

    assert first.startswith("ORCHESTRATOR_BROKER_URL: ")
    assert told in first
    assert "canary" not in first


@pytest.mark.parametrize(
    ("url", "kombu"),
    [
        ("redis://host", "redis://host:6379/0"),
        ("redis://host:6379//", "redis://host:6379/0"),
        ("redis://:abc;def@127.0.0.1:6379/0", "redis://:abc%3Bdef@127.0.0.1:6379/0"),
        ("redis://:abc,def@127.0.0.1:6379/0", "redis://:abc%2Cdef@127.0.0.1:6379/0"),
        ("redis://u:p@ss:w@host/2", "redis://u:p%40ss%3Aw@host:6379/2"),
        ("redis://u:%2F%3F%23@host/2", "redis://u:%2F%3F%23@host:6379/2"),
        ("redis://u:@host/2", "redis://u:@host:6379/2"),
        ("rediss://[::1]:6380/1", "rediss://[::1]:6380/1"),
        (
            "sentinel://a;sentinel://u:p;w@b:2/3?master_name=m",
            "sentinel://u:p%3Bw@a:26379/3;sentinel://u:p%3Bw@b:2/3",
        ),
        ("redis+socket:///run/r.sock?virtual_host=2", "redis+socket:///run/r.sock?virtual_host=2"),
    ],
)
def test_a_broker_url_is_handed_to_kombu_in_a_form_that_it_understands(
    url: str,
    kombu: str,
) -> None:
    assert taken(BROKER_URL=url).broker.address.kombu_url == kombu


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"BROKER_MASTER_NAME": "m"}, "BROKER_MASTER_NAME: is only used with sentinel://"),
        ({"BROKER_SENTINEL_USER": "m"}, "BROKER_SENTINEL_USER: is only used with sentinel://"),
        ({"BROKER_TLS": "true"}, "BROKER_TLS: is for sentinel://"),
        ({"BROKER_TRANSPORT_OPTIONS": "{"}, "BROKER_TRANSPORT_OPTIONS: it is not JSON"),
        ({"BROKER_TRANSPORT_OPTIONS": "[]"}, "expected a JSON object"),
        ({"BROKER_TRANSPORT_OPTIONS": '{"socket_timout": 5}'}, "did you mean 'socket_timeout'?"),
        ({"BROKER_TRANSPORT_OPTIONS": '{"socket_timeout": "5"}'}, "socket_timeout is a number"),
        ({"BROKER_TRANSPORT_OPTIONS": '{"socket_timeout": NaN}'}, "it is not JSON"),
        ({"BROKER_TRANSPORT_OPTIONS": '{"socket_timeout": 1e999}'}, "it is not JSON"),
        ({"BROKER_TRANSPORT_OPTIONS": "[" * 100_000}, "it is nested too deeply"),
        ({"BROKER_TRANSPORT_OPTIONS": '{"sep": ":"}'}, "unknown option 'sep'"),
    ],
)
def test_broker_settings_that_do_nothing_or_cannot_be_used_are_refused(
    variables: dict[str, str],
    told: str,
) -> None:
    assert told in faults(**variables)[0]


def test_a_ca_for_a_connection_without_tls_is_refused(tmp_path: Path) -> None:
    certificate(tmp_path, "ca", None)

    told = faults(BROKER_CA=str(tmp_path / "ca.pem"))

    assert told[0].startswith("ORCHESTRATOR_BROKER_CA: is given, but the URL asks for no TLS")


def test_transport_options_go_before_ours_and_reach_the_sentinels() -> None:
    access = taken(
        BROKER_URL="sentinel://a/0",
        BROKER_MASTER_NAME="m",
        BROKER_SENTINEL_USER="ann",
        BROKER_SENTINEL_PASSWORD="canary",
        BROKER_TLS="true",
        BROKER_TRANSPORT_OPTIONS='{"socket_timeout": 7, "sentinel_kwargs": {"socket_timeout": 1}} ',
    ).broker

    options = access.transport_options(socket_timeout=2, visibility_timeout=300)

    sentinel = options.pop("sentinel_kwargs")
    assert options == {"socket_timeout": 7, "visibility_timeout": 300, "master_name": "m"}
    assert (sentinel["username"], sentinel["password"]) == ("ann", "canary")
    assert (sentinel["socket_timeout"], sentinel["ssl"]) == (1, True)
    assert sentinel["ssl_cert_reqs"].name == "CERT_REQUIRED"
    assert "canary" not in repr(access)


def test_tls_is_verified_unless_told_otherwise() -> None:
    def requirement(url: str, **more: str) -> str | None:
        options = taken(BROKER_URL=url, **more).broker.ssl_options
        return options["ssl_cert_reqs"].name if options else None

    assert requirement("redis://h/0") is None
    assert requirement("rediss://h/0") == "CERT_REQUIRED"
    assert requirement("rediss://h/0?ssl_cert_reqs=CERT_NONE") == "CERT_NONE"
    assert requirement("rediss://h/0", BROKER_TLS_VERIFY="false") == "CERT_NONE"
    assert requirement("sentinel://h/0?master_name=m") is None
    assert requirement("sentinel://h/0?master_name=m", BROKER_TLS="true") == "CERT_REQUIRED"


# Masking -----------------------------------------------------------------------------------------------

_PASSWORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Cs"]),
    min_size=6,
)


@given(_PASSWORDS, st.sampled_from(["redis", "rediss", "sentinel"]))
def test_a_password_in_the_broker_url_is_masked_whatever_it_consists_of(
    password: str,
    scheme: str,
) -> None:
    """Written as it is, where that can be understood; refused without it, where it cannot."""
    canary = f"canary{password}"
    environ = {"ORCHESTRATOR_BROKER_URL": f"{scheme}://user:{canary}@host:1234/0"}
    try:
        loaded = settings.read(environ)
    except SettingsError as error:
        assert "canary" not in str(error)
        return
    shown = {s.variable: s.value for s in settings_view.settings(loaded)}
    assert shown["ORCHESTRATOR_BROKER_URL"] == f"{scheme}://user:***@host:1234/0"
    assert loaded.settings.broker.address.password.startswith("canary")
    assert "canary" not in repr(loaded)


@given(_PASSWORDS)
def test_a_password_in_any_other_url_is_masked_whatever_it_consists_of(password: str) -> None:
    shown = settings_view.without_credentials(f"http://user:canary{password}@host:1234/path")

    assert "canary" not in shown
    assert shown.endswith("@host:1234/path")


@given(_PASSWORDS)
def test_a_quoted_password_is_the_one_that_redis_gets(password: str) -> None:
    address = broker.parse_url(broker.Address("redis", (("h", 1),), "u", password).kombu_url)

    assert (address.user, address.password) == ("u", password)


def test_transport_options_are_shown_without_their_secrets() -> None:
    options = '{"global_keyprefix": "a:", "sentinel_kwargs": {"password": "canary", "db": 0}}'

    loaded = settings.read({"ORCHESTRATOR_BROKER_TRANSPORT_OPTIONS": options})

    shown = {s.variable: s.value for s in settings_view.settings(loaded)}
    assert shown["ORCHESTRATOR_BROKER_TRANSPORT_OPTIONS"] == (
        '{"global_keyprefix": "a:", "sentinel_kwargs": {"password": "***", "db": 0}}'
    )
