"""The record's account of machine and code."""

from __future__ import annotations

import importlib.metadata

from ssl_bench import environment


def test_versions_are_those_that_are_installed() -> None:
    """Every package that a number can rest on is told with its installed version."""
    versions = environment.package_versions()
    assert versions["torch"] == importlib.metadata.version("torch")
    assert all(versions.values())


def test_the_account_names_device_threads_and_system_but_no_host() -> None:
    """Device, threads, processor and system are told; the machine's name is not."""
    import platform

    account = environment.describe("cpu")
    assert account["device"] == "cpu"
    assert account["threads"] >= 1
    assert account["python"] == platform.python_version()
    assert platform.node() not in str(account) or not platform.node()


def test_memory_is_told_in_megabytes() -> None:
    """Peak memory is a number of 10^6 bytes that a Python process with NumPy plausibly holds."""
    assert 20 < environment.peak_memory_mb() < 1e6
