"""Where a monitoring link leads, and whether it may be followed."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core.addresses import ANYWHERE, LONGEST_URL, Place, Rules, parse_url
from orchestrator.errors import InvalidInput, TargetUnavailable


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "http://127.0.0.1:8080/x?y=1#z",
            Place("http", "127.0.0.1", 8080, "/x?y=1", ip_address("127.0.0.1")),
        ),
        ("HTTPS://Collector.Example", Place("https", "collector.example", 443, "/")),
        ("http://[2001:db8::1]/", Place("http", "2001:db8::1", 80, "/", ip_address("2001:db8::1"))),
        ("http://my_host.local./a", Place("http", "my_host.local.", 80, "/a")),
        ("http://h/é?ü=%41", Place("http", "h", 80, "/%C3%A9?%C3%BC=%41")),
        ("http://h/\ud800", Place("http", "h", 80, "/%ED%A0%80")),
    ],
)
def test_a_link_names_a_place(url: str, place: Place) -> None:
    assert parse_url(url) == place


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("", "not an http address", id="nothing"),
        pytest.param("{'a': 1}", "a space", id="no URL"),
        pytest.param("file:///etc/passwd", "not an http address", id="a file"),
        pytest.param("ftp://h/", "not an http address", id="ftp"),
        pytest.param("//h/", "not an http address", id="no scheme"),
        pytest.param("http:///x", "names no host", id="no host"),
        pytest.param("http://:80/", "names no host", id="only a port"),
        pytest.param("http://u:p@h/", "user name or password", id="user and password"),
        pytest.param(
            "http://h@169.254.169.254/", "user name or password", id="another host before the at"
        ),
        pytest.param("http://h\\@169.254.169.254/", "backslash", id="a backslash"),
        pytest.param("http://h/\nX-Evil: 1", "control character", id="a newline"),
        pytest.param("http://h/\r\n\r\n", "control character", id="two lines' ends"),
        pytest.param(" http://h/", "a space", id="a space before"),
        pytest.param("http://h/a b", "a space", id="a space within"),
        pytest.param("http://h/\x00", "control character", id="a null"),
        pytest.param("http://h\u3000/", "a space", id="a wide space"),
        pytest.param("http://h:70000/", "impossible host or port", id="port out of range"),
        pytest.param("http://h:-1/", "impossible host or port", id="a negative port"),
        pytest.param("http://h:x/", "impossible host or port", id="no number as port"),
        pytest.param("http://h:٣/", "impossible host or port", id="Arabic digits as port"),
        pytest.param("http://h:0/", "impossible port", id="port 0"),
        pytest.param("http://h:/", "impossible port", id="no port behind a colon"),
        pytest.param("http://2852039166/", "is a number", id="a decimal address"),
        pytest.param("http://0xa9fea9fe/", "is a number", id="a hexadecimal address"),
        pytest.param("http://0251.0376.0251.0376/", "is a number", id="an octal address"),
        pytest.param("http://127.1/", "is a number", id="a short address"),
        pytest.param("http://169.254.169.254./", "is a number", id="an address with a dot"),
        pytest.param("http://1.2.3.4.5/", "is a number", id="five numbers"),
        pytest.param("http://[::1/", "impossible host or port", id="half a bracket"),
        pytest.param("http://[fe80::1%25eth0]/", "in brackets", id="an interface"),
        pytest.param("http://[v1.x]/", "in brackets", id="a future address"),
        pytest.param("http://exämple/", "no name of ASCII letters", id="a host that is not ASCII"),
        pytest.param("http://①②⑦.⓪.⓪.①/", "no name of ASCII letters", id="circled digits"),
        pytest.param("http://a..b/", "no name of ASCII letters", id="an empty label"),
        pytest.param("http://h%00/", "no name of ASCII letters", id="an encoded null in the host"),
        pytest.param("http://" + "a" * 64 + "/", "no name of ASCII letters", id="a label too long"),
        pytest.param("http://h/" + "a" * LONGEST_URL, "characters; at most", id="too long"),
    ],
)
def test_what_is_no_address_of_a_target_is_told(url: str, why: str) -> None:
    with pytest.raises(TargetUnavailable, match=why):
        parse_url(url)


@given(
    st.one_of(
        st.text(max_size=30), st.from_regex(r"\Ahttps?://[\[\]:@%.\w/?#-]{0,20}", fullmatch=False)
    )
)
def test_whatever_a_link_is_it_is_a_place_or_told(url: str) -> None:
    try:
        place = parse_url(url)
    except TargetUnavailable as error:
        assert len(str(error)) < 200
    else:
        assert place.host.isascii() and place.path.isascii() and 0 < place.port < 65536


# Rules ---------------------------------------------------------------------------------------------


def refused(rules: Rules, address: str, host: str = "h") -> bool:
    return bool(rules.refusal(host, ip_address(address)))


NOWHERE = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "0.1.2.3",
]
NOWHERE += ["::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"]
NOWHERE += [
    "::ffff:169.254.169.254",
    "::a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::ffff:0.0.0.0",
]
"""The last ones are IPv4 addresses as IPv6 writes them."""


@pytest.mark.parametrize("address", NOWHERE)
def test_metadata_services_and_what_no_collector_has_are_refused(address: str) -> None:
    assert refused(ANYWHERE, address)
    assert "ORCHESTRATOR_MONITORING_ALLOW" in ANYWHERE.refusal("h", ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "192.0.2.1", "2001:db8::1", "fd00::1"],
)
def test_loopback_private_and_public_addresses_are_allowed(address: str) -> None:
    assert not refused(ANYWHERE, address)


def test_with_a_list_nothing_else_is_allowed() -> None:
    rules = Rules.parse(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])

    assert (
        not refused(rules, "192.0.2.9")
        and not refused(rules, "2001:db8::1")
        and not refused(rules, "198.51.100.7")
    )
    assert not refused(rules, "::ffff:192.0.2.9"), "the same address in another form"
    assert refused(rules, "192.0.3.1") and refused(rules, "127.0.0.1") and refused(rules, "::1")


def test_an_operator_may_allow_what_is_refused_by_default() -> None:
    rules = Rules.parse(["169.254.10.0/24"])

    assert not refused(rules, "169.254.10.1")
    assert refused(rules, "169.254.169.254")


def test_what_is_denied_is_refused_though_it_is_allowed() -> None:
    rules = Rules.parse(["10.0.0.0/8"], ["10.1.0.0/16", "bad.example"])

    assert not refused(rules, "10.2.0.1")
    assert refused(rules, "10.1.0.1")
    assert refused(rules, "10.2.0.1", "bad.example") and refused(rules, "10.2.0.1", "BAD.example.")


def test_hosts_are_allowed_by_name_but_not_where_no_collector_is() -> None:
    rules = Rules.parse(["collector.example", "*.internal.example"])

    assert not refused(rules, "192.0.2.1", "collector.example") and not refused(
        rules, "192.0.2.1", "a.b.internal.example"
    )
    assert refused(rules, "192.0.2.1", "internal.example") and refused(
        rules, "192.0.2.1", "evilcollector.example"
    )
    assert refused(rules, "169.254.169.254", "collector.example"), (
        "the name leads to the metadata service"
    )


def test_where_a_proxy_looks_names_up_the_name_decides() -> None:
    rules = Rules.parse(["collector.example"], ["bad.example"])

    assert rules.refusal("collector.example", None) == ""
    assert rules.refusal("other.example", None) and rules.refusal("bad.example", None)
    assert ANYWHERE.refusal("any.example", None) == ""


@pytest.mark.parametrize(
    "entry",
    ["10.0.0.1/8", "10.0.0.0/33", "host name", "300.1.1.1", "a/b", "*.*.x", "1234", "ex\u00e4mple"],
)
def test_an_entry_that_is_neither_network_nor_host_is_told(entry: str) -> None:
    with pytest.raises(InvalidInput, match="is no network such as"):
        Rules.parse([entry])
