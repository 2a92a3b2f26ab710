"""Which machines a tool may speak to: whatever is not of the public internet is closed, in every form it can be written in."""

from __future__ import annotations

import pytest

from smallchain.model.addresses import fault_in_allowed, why_closed

CLOSED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.127.255.255", "192.0.0.192", "198.18.0.1", "192.0.2.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:100.64.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "2001:0:53aa:64c::1", "not an address",
]  # fmt: skip
OPEN = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"]


@pytest.mark.parametrize("address", CLOSED)
def test_what_is_not_public_is_closed(address: str) -> None:
    assert why_closed(address, "a.example", ()) != ""


@pytest.mark.parametrize("address", OPEN)
def test_what_is_public_is_open(address: str) -> None:
    assert why_closed(address, "a.example", ()) == ""


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.0/8", "localhost", "LOCALHOST.", "0.0.0.0/0"])
def test_what_is_allowed_is_open(entry: str) -> None:
    assert why_closed("127.0.0.1", "localhost", (entry,)) == ""
    assert why_closed("::ffff:127.0.0.1", "localhost", (entry,)) == ""


@pytest.mark.parametrize("entry", ["127.0.0.2", "10.0.0.0/8", "localhost.evil.example", "ocalhost", "::1"])
def test_what_is_allowed_opens_nothing_else(entry: str) -> None:
    assert (
        why_closed("127.0.0.1", "localhost", (entry,))
        == "localhost (127.0.0.1) is not on the public internet, and `allow` does not name it"
    )


@pytest.mark.parametrize("entry", ["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8", "db.internal", "my-host", "a.b.c."])
def test_an_entry_is_an_address_a_network_or_a_host(entry: str) -> None:
    assert fault_in_allowed(entry) == ""


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "300.1.1.1", "10.0.0.0/33", "http://a", "a b", "", "*.example", "a..b", "127.0.0.1:80"])
def test_anything_else_is_a_fault(entry: str) -> None:
    assert fault_in_allowed(entry) != ""
