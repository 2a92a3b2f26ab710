"""Sizes are counted as they are written."""

from __future__ import annotations

import pytest

from smallchain.model.sizes import parse_size, rough_size, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("512MB", 512_000_000), ("2GiB", 2 << 30), ("1.5KiB", 1536), ("4K", 4096), ("20KB", 20_000), ("1TB", 10**12)],
)
def test_a_size_is_as_many_bytes_as_it_says(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1 MB", "1PB", "1Mb"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(2 << 30, "2 GiB"), (512_000_000, "512 MB"), (1500, "1500 bytes"), (0, "0 bytes"), (1000, "1 KB")]
)
def test_a_size_is_shown_in_its_largest_whole_unit(size: int, text: str) -> None:
    assert show_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (2_000_000, "1.9 MiB"), (3 << 30, "3.0 GiB"), (5 << 50, "5120.0 TiB")]
)
def test_a_rough_size_is_never_a_nought_of_a_large_unit(size: int, text: str) -> None:
    assert rough_size(size) == text
