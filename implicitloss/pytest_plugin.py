"""A pytest plugin: the fixture `assert_implicit_loss`.  Every session loads it, so it imports nothing until used."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["assert_implicit_loss"]


@pytest.fixture
def assert_implicit_loss(request: pytest.FixtureRequest) -> Any:
    """`assert_implicit_loss(loss_fn, claim=..., prior=...)`, which fails unless the loss optimises what is claimed.

    It is `implicitloss.assert_implicit_loss` with two additions.  The seed comes from the test's name, unless `rng` is
    given.  Verdict, nearest scheme, seed, and measured over claimed margins by slice become JUnit properties of the
    test, whether it passes or fails.
    """
    import zlib

    from implicitloss.auditing.audit import audit

    def check(loss_fn: Any, *, claim: Any, prior: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        options.setdefault("rng", zlib.crc32(request.node.nodeid.encode()))
        report = audit(loss_fn, claim=claim, prior=prior, **options)
        for name, value in report.properties().items():
            # As record_property does, which warns of a schema that few readers of JUnit files mind.
            request.node.user_properties.append((f"implicitloss.{name}", value))
        report.check()
        return report

    return check
